"""How well out-of-fold probabilities tell fakes from real clips, as a mean over repetitions, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cache.schema import FAKE, REAL, VideoRecord
from evaluate.stats.bootstrap import Measure, with_intervals
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

    def shares(wins: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        fake, real = weights[:, fakes].astype(np.float64), weights[:, reals].astype(np.float64)
        with np.errstate(invalid="ignore"):
            return {
                "roc_auc": ((fake @ wins) * real).sum(axis=1) / (fake.sum(axis=1) * real.sum(axis=1)),
                "paired_share": (fake[:, first] @ wins[first, second]) / fake[:, first].sum(axis=1),
            }

    mean, people = wins.mean(axis=0), np.unique([owner(record) for record in records], return_inverse=True)[1]
    over_clips, over_people = (
        with_intervals(lambda weights: shares(mean, weights), groups, resamples, seed=0)
        for groups in (np.arange(len(records)), people)
    )
    once = [shares(repetition, np.ones((1, len(records)))) for repetition in wins]
    return {
        name: FoldMeasure(over_clips[name], over_people[name], [values[name].item() for values in once])
        for name in over_clips
    }


def _wins(fake: np.ndarray, real: np.ndarray) -> np.ndarray:
    return (fake > real) + 0.5 * (fake == real)
