"""The measures themselves, each written once for a stack of weight vectors int32 (B, N): a weight for every clip.

`evaluate.stats.metrics` is their public side.
"""

from collections.abc import Callable, Sequence

import numpy as np

from evaluate.stats.bootstrap import Values

SCORES = -1
"""Stands for "no threshold" among the numbers of thresholds."""


def weighted_measures(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float]
) -> Callable[[np.ndarray], dict[tuple[int, str], np.ndarray]]:
    """Returns a function of weights (B, N): its values go by (`SCORES`, name) and by (threshold's number, name)."""
    order = np.argsort(-probabilities, kind="stable")
    fake, ends = labels[order] == 1, level_ends(probabilities[order])
    losses = np.stack([clip_log_losses(labels, probabilities), (probabilities - labels) ** 2])
    cells = [2 * labels + (probabilities >= threshold) for threshold in thresholds]
    calls = [np.stack([cell == number for number in range(4)]).astype(np.float64) for cell in cells]

    def measure(weights: np.ndarray) -> dict[tuple[int, str], np.ndarray]:
        curve = cumulated(weights.take(order, axis=1), fake, ends)
        values = {(SCORES, name): value for name, value in _scores(*curve)}
        weights = weights.astype(np.float64)  # only floats have a fast product
        for name, loss in zip(("log_loss", "brier"), losses, strict=True):
            values[SCORES, name] = weights @ loss / weights.sum(axis=1)
        for number, cells in enumerate(calls):
            values |= {(number, name): value for name, value in _decisions(*(weights @ cells.T).T)}
        return values

    return measure


def level_ends(falling: np.ndarray) -> np.ndarray:
    """Returns the last position of each run of equal values, which a threshold passes together."""
    return np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)


def clip_log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the log-loss of each clip in nats, float64 (N,)."""
    # A mistake at probability 1 would cost infinity; scikit-learn clips at the same value.
    tiny = np.finfo(np.float64).eps
    return -np.log(np.clip(np.where(labels == 1, probabilities, 1 - probabilities), tiny, 1 - tiny))


def cumulated(weights: np.ndarray, fake: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weight of the real and of the fake clips at or above each distinct probability: two (B, K)."""
    false, true = (np.cumsum(weights * inside, axis=1, dtype=np.int32).take(ends, axis=1) for inside in (~fake, fake))
    return false, true


def _rises(sums: np.ndarray) -> np.ndarray:
    """What each level adds: undoes a cumulative sum along the rows."""
    rises = sums.copy()
    rises[:, 1:] -= sums[:, :-1]
    return rises


def _scores(false: np.ndarray, true: np.ndarray) -> Values:
    """Yields the measures of the ROC and PR curves from the weights at or above each level."""
    real, fake = _rises(false), _rises(true)
    reals, fakes = false[:, -1].astype(np.int64), true[:, -1].astype(np.int64)
    area = _products(real, true) - _products(real, fake) / 2
    yield "roc_auc", _ratio(area, reals * fakes)
    # Average precision: the sum of precision times the gain in recall, without interpolation, as in scikit-learn.
    # Without real clips the precision is always 1.
    called = true + false
    precision = true / np.maximum(called, 1, out=called)
    gained = _products(fake, precision)
    yield "pr_auc", np.where(reals > 0, _ratio(gained, fakes), np.nan)
    yield "eer", _equal_error_rate(false, true)


def _products(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """The sum of products of each row, float64 (B,)."""
    return np.einsum("bk,bk->b", one, two, dtype=np.float64)


def _equal_error_rate(false: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The rate at which false alarms and misses are equal, on the ROC curve with its points joined by lines."""
    reals, fakes = false[:, -1].astype(np.int64), true[:, -1].astype(np.int64)
    rows = np.arange(len(false))

    def alarms(level: np.ndarray) -> np.ndarray:
        return np.where(level < 0, 0, false[rows, level])

    def excess(level: np.ndarray) -> np.ndarray:
        """The false alarm rate minus the miss rate, times both class sizes: a whole number."""
        return alarms(level) * fakes + np.where(level < 0, 0, true[rows, level]) * reals - reals * fakes

    # The excess rises from level to level, so bisection finds the first level where it is not below 0.
    after, last = np.zeros(len(false), np.int64), np.full(len(false), false.shape[1] - 1)
    while (after < last).any():
        middle = (after + last) // 2
        reached = excess(middle) >= 0
        after, last = np.where(reached, after, middle + 1), np.where(reached, middle, last)
    before = after - 1
    step = _ratio(-excess(before), excess(after) - excess(before))
    return _ratio(alarms(before) + step * (alarms(after) - alarms(before)), reals)


def _decisions(true_real: np.ndarray, false_fake: np.ndarray, false_real: np.ndarray, true_fake: np.ndarray) -> Values:
    reals, fakes = true_real + false_fake, true_fake + false_real
    clips = reals + fakes
    recall_real, recall_fake = _ratio(true_real, reals), _ratio(true_fake, fakes)
    called_real, called_fake = true_real + false_real, true_fake + false_fake
    agreed, by_chance = (true_real + true_fake) * clips, reals * called_real + fakes * called_fake
    yield "accuracy", (true_real + true_fake) / clips
    yield "balanced_accuracy", (recall_real + recall_fake) / 2
    yield "kappa", _ratio(agreed - by_chance, clips * clips - by_chance)
    yield "youden_j", recall_real + recall_fake - 1
    yield "precision_fake", _ratio(true_fake, called_fake)
    yield "recall_fake", recall_fake
    yield "f1_fake", _ratio(2 * true_fake, fakes + called_fake)
    yield "precision_real", _ratio(true_real, called_real)
    yield "recall_real", recall_real
    yield "f1_real", _ratio(2 * true_real, reals + called_real)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """`above / below`, NaN where `below` is 0."""
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below != 0)
