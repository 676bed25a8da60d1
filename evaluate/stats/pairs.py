"""The paired share: how often a fake scores above the real clip that it was made from. Pure functions over arrays.

A ROC AUC compares every fake with every real clip, so it also measures who and where. A fake and its source show the
same person in the same place; which of the two scores higher depends on the forgery alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.stats.bootstrap import Measure, with_intervals
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
    pairs = list(_pairs(labels, probabilities, np.asarray(sources), np.asarray(people)))
    if not pairs:
        return PairedShare(Measure(None, None, None), 0, 0)
    rows, wins, by_source = (np.array(column) for column in zip(*pairs, strict=True))

    def share(weights: np.ndarray) -> dict[str, np.ndarray]:
        total = weights.sum(axis=1)
        return {"share": np.divide(weights @ wins, total, out=np.full(len(total), np.nan), where=total > 0)}

    measure = with_intervals(share, np.asarray(people)[rows], resamples, seed)["share"]
    return PairedShare(measure, len(rows), int(by_source.sum()))


def source_rows(ids: Sequence[str], sources: Sequence[str]) -> np.ndarray:
    """Returns the row of each clip's source among `ids`, int64 (N,), `UNKNOWN` where it is not there.

    >>> source_rows(["a.mp4", "b.mp4"], ["", "a.mp4"]).tolist()
    [-1, 0]
    """
    rows = {name: row for row, name in enumerate(ids)}
    return np.array([rows.get(source, UNKNOWN) for source in sources], np.int64)


def _pairs(
    labels: np.ndarray, probabilities: np.ndarray, sources: np.ndarray, people: np.ndarray
) -> Iterator[tuple[int, float, bool]]:
    """Yields the row of each fake with a counterpart, the share of these that it beats, and whether it is its source.

    Several fakes of one person share their counterparts, so these are sorted once.
    """
    real = labels == 0
    names, first = np.unique(np.sort(people[real]), return_index=True)
    by_person = probabilities[real][np.lexsort((probabilities[real], people[real]))]
    of_person = dict(zip(names.tolist(), np.split(by_person, first[1:]), strict=False))
    for row in np.flatnonzero(~real).tolist():
        source = int(sources[row])
        known = source != UNKNOWN and bool(real[source])
        others = probabilities[[source]] if known else of_person.get(people[row].item(), ())
        if len(others):
            below, at_most = (np.searchsorted(others, probabilities[row], side=side) for side in ("left", "right"))
            yield row, float(below + at_most) / (2 * len(others)), known
