"""The paired share: how often a fake scores above the real clip that it was made from. Pure functions over arrays.

A ROC AUC compares every fake with every real clip, so it also measures who and where. A fake and its source show the
same person in the same place; which of the two scores higher depends on the forgery alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.stats.bootstrap import Measure, share, with_intervals
from evaluate.stats.metrics import RESAMPLES, checked

UNKNOWN = -1
"""Stands for the row of a source that is not known, or not among the clips."""


@dataclass(frozen=True)
class PairedShare:
    """The mean over `fakes` clips; `by_source` of them were compared with their source, the others with their person.

    `share` has an interval over people. It is undefined where no fake has a counterpart.
    """

    share: Measure
    fakes: int
    by_source: int


def paired_share(
    labels: np.ndarray,
    probabilities: np.ndarray,
    sources: np.ndarray,
    people: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedShare:
    """Returns how often a fake scores above its source; a tie counts half.

    `sources` int (N,) has the row of the real clip that each fake was made from, `UNKNOWN` where there is none; such a
    fake is compared with all real clips of its person, as a mean. `people` int (N,) has equal numbers for footage of
    one person. Fakes without any counterpart are left out. Raises ValueError as `evaluate.stats.metrics.evaluate`.

    >>> paired_share(np.array([0, 1]), np.array([0.2, 0.9]), np.array([-1, 0]), np.array([7, 7])).share.value
    1.0
    """
    labels, probabilities = checked(labels, probabilities)
    sources, people = np.asarray(sources), np.unique(people, return_inverse=True)[1]
    known = (sources != UNKNOWN) & (labels[sources] == 0)
    wins = np.where(
        known, _half_above(probabilities, probabilities[sources]), _share_below(labels, probabilities, people)
    )
    rows = np.flatnonzero((labels == 1) & ~np.isnan(wins))
    if not rows.size:
        return PairedShare(Measure(None, None, None), 0, 0)
    return PairedShare(share(wins[rows], people[rows], resamples, seed), len(rows), int(known[rows].sum()))


def share_of_pairs(
    labels: np.ndarray, above: np.ndarray, pairs: np.ndarray, people: np.ndarray, resamples: int, seed: int
) -> Measure:
    """Returns how often a fake scores above a real clip, with an interval over `people` int (N,).

    Of the F fakes and R real clips among `labels` (N,), in their order, `above` float (F, R) says how often the fake
    scored above the real one, and `pairs` (F, R) how often the two were compared.
    """
    rows = [np.flatnonzero(labels == label) for label in (1, 0)]
    sizes = [len(own) / max(1, len(np.unique(people[own]))) for own in rows]
    # The imaginary person's real and fake clip follow the others, first judged wrong, then judged right.
    fakes, reals = (np.append(own, np.add(len(labels), more)) for own, more in zip(rows, ((1, 3), (0, 2)), strict=True))
    usual = float(pairs.mean())
    compared = np.pad(pairs, (0, 2), constant_values=usual)
    won = np.pad(above, (0, 2), constant_values=usual)
    won[-2, :] = won[:, -2] = 0

    def measures(weights: np.ndarray) -> dict[str, np.ndarray]:
        fake, real = (weights[:, own].astype(np.float64) for own in (fakes, reals))
        with np.errstate(invalid="ignore"):
            return {"share": (fake @ won * real).sum(axis=1) / (fake @ compared * real).sum(axis=1)}

    return with_intervals(measures, people, resamples, seed, [sizes[1] / 2, sizes[0] / 2])["share"]


def source_rows(ids: Sequence[str], sources: Sequence[str]) -> np.ndarray:
    """Returns the row of each clip's source among `ids`, int64 (N,), `UNKNOWN` where it is not there.

    >>> source_rows(["a.mp4", "b.mp4"], ["", "a.mp4"]).tolist()
    [-1, 0]
    """
    rows = {name: row for row, name in enumerate(ids)}
    return np.array([rows.get(source, UNKNOWN) for source in sources], np.int64)


def _half_above(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 where `one` is above `other`, 0.5 where they are equal, else 0."""
    return (np.sign(one - other) + 1) / 2


def _share_below(labels: np.ndarray, probabilities: np.ndarray, people: np.ndarray) -> np.ndarray:
    """The share of the real clips of a clip's person that it scores above, float64 (N,); NaN without a real clip."""
    levels, level = np.unique(probabilities, return_inverse=True)
    # A whole number that orders clips by person, then by probability.
    order = people * len(levels) + level
    reals = np.sort(order[labels == 0])
    first, last = (np.searchsorted(reals, (people + more) * len(levels)) for more in (0, 1))
    above = (np.searchsorted(reals, order, side="left") + np.searchsorted(reals, order, side="right")) / 2 - first
    return np.divide(above, last - first, out=np.full(len(labels), np.nan), where=last > first)
