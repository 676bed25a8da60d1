"""What measures are made from: sums of the weights of clips, by probability and by how sure a call is."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Surest(NamedTuple):
    """N clips, the surest first, by `order` int (N,); of each whether it is called `wrong` at 0.5, bool (N,).

    Equally sure ones are called together: such groups begin at `starts` int (G,). Of many, neighbours are one group.
    """

    order: np.ndarray
    wrong: np.ndarray
    starts: np.ndarray


MOST_GROUPS = 2000
"""Points of a curve of risk and coverage."""


class Scored(NamedTuple):
    """What a measure of the probabilities is made from, for each of B weightings of N clips with K probabilities.

    `weights` int32 (B, N) go with `labels`, `probabilities` and log-`losses` (N,). By falling probability, `real` and
    `fake` (B, K) are what the clips of that class weigh at each one, and `false` and `true` at or above it; `reals` and
    `fakes` int64 (B,) are what all of them weigh. `surest` are the clips by falling distance of the probability from
    0.5.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    losses: np.ndarray
    weights: np.ndarray
    real: np.ndarray
    fake: np.ndarray
    false: np.ndarray
    true: np.ndarray
    reals: np.ndarray
    fakes: np.ndarray
    surest: Surest

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Returns the weighted mean of a value (N,) of each clip, (B,)."""
        weights = self.weights.astype(np.float64)  # only floats have a fast product
        return weights @ values / weights.sum(axis=1)


class Called(NamedTuple):
    """What a measure of the calls is made from: what clips weigh, float64 (B,) each, by their label and their call."""

    true_real: np.ndarray
    true_fake: np.ndarray
    reals: np.ndarray
    fakes: np.ndarray
    called_real: np.ndarray
    called_fake: np.ndarray


def level_ends(falling: np.ndarray) -> np.ndarray:
    """Returns the last position of each run of equal values, which a threshold passes together."""
    return np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)


def cumulated(weights: np.ndarray, fake: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weight of the real and of the fake clips at or above each distinct probability: two (B, K)."""
    false, true = (np.cumsum(weights * inside, axis=1, dtype=np.int32).take(ends, axis=1) for inside in (~fake, fake))
    return false, true


def surest_first(labels: np.ndarray, probabilities: np.ndarray) -> Surest:
    """Returns N clips with `labels` and `probabilities` (N,), the surest first."""
    sureness = np.abs(probabilities - 0.5)
    order = np.argsort(-sureness, kind="stable")
    starts = np.append(0, level_ends(sureness[order])[:-1] + 1)
    if len(starts) > MOST_GROUPS:
        starts = starts[np.linspace(0, len(starts) - 1, MOST_GROUPS).astype(int)]
    return Surest(order, ((probabilities >= 0.5) != (labels == 1))[order], starts)


def first_level(scored: Scored, reached: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns the first level int64 (B,) at which `reached` holds, or the last; it holds from there on."""
    levels = scored.false.shape[1]
    after, last = np.zeros(len(scored.false), np.int64), np.full(len(scored.false), levels - 1)
    while (after < last).any():
        middle = (after + last) // 2
        there = reached(middle)
        after, last = np.where(there, after, middle + 1), np.where(there, middle, last)
    return after
