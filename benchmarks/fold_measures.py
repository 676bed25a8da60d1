"""How well out-of-fold probabilities tell fakes from real clips, as a mean over repetitions, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cache.schema import FAKE, REAL, VideoRecord
from evaluate.stats.bootstrap import Measure, share
from evaluate.stats.pairs import share_of_pairs
from train.data.split import owner

RESAMPLES = 2000


@dataclass(frozen=True)
class FoldMeasure:
    """A measure of one model: its mean over the repetitions, and the value of each of them.

    The intervals draw clips, or people with all their clips: the second is wider, and right where people differ.
    """

    over_clips: Measure
    over_people: Measure
    by_repetition: list[float]


def measure(
    records: Sequence[VideoRecord], probabilities: np.ndarray, resamples: int = RESAMPLES
) -> dict[str, FoldMeasure]:
    """Returns `roc_auc` and `paired_share` of the probabilities of fake, float (S, N), of the clips `records`.

    Each of the S repetitions tested every clip once. `paired_share` is the share of the fakes that score above the very
    real clip they were made from; equal scores count half.
    """
    labels = np.array([record.label for record in records])
    fakes, reals = np.flatnonzero(labels == FAKE), np.flatnonzero(labels == REAL)
    wins = _wins(probabilities[:, fakes, None], probabilities[:, None, reals])
    names = [records[row].id for row in reals.tolist()]
    paired = [
        (i, names.index(records[row].source)) for i, row in enumerate(fakes.tolist()) if records[row].source in names
    ]
    first, second = np.array(paired, np.int64).reshape(-1, 2).T

    people = np.unique([owner(record) for record in records], return_inverse=True)[1]

    def measures(wins: np.ndarray, groups: np.ndarray, resamples: int) -> dict[str, Measure]:
        area = share_of_pairs(labels, wins, np.ones_like(wins), groups, resamples, 0)
        return {"roc_auc": area, "paired_share": share(wins[first, second], groups[fakes[first]], resamples, 0)}

    mean = wins.mean(axis=0)
    over_clips, over_people = (measures(mean, groups, resamples) for groups in (np.arange(len(records)), people))
    once = [measures(repetition, people, 0) for repetition in wins]
    return {
        name: FoldMeasure(over_clips[name], over_people[name], [values[name].value or 0.0 for values in once])
        for name in over_clips
    }


def _wins(fake: np.ndarray, real: np.ndarray) -> np.ndarray:
    return (fake > real) + 0.5 * (fake == real)
