"""Measures of a detector: pure functions from labels and probabilities to named values with bootstrap intervals.

Labels are 0 (real) or 1 (fake), "positive" is fake, a probability is that of fake, and a clip is called fake if its
probability reaches the threshold. A measure that the data do not define (the ROC AUC of one class, the precision of a
class that was never called) is None, never NaN and never a conventional 0.

Each measure is written once, for a stack of weight vectors as a bootstrap draws them (`evaluate.stats.bootstrap`).
`groups`, int (N,), says which clips are drawn together, such as those of one person; without it each is drawn alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.stats.bootstrap import Measure, Values, with_intervals

THRESHOLD = 0.5
"""The default threshold: a clip whose probability of fake reaches it is called fake."""
RESAMPLES = 2000
"""Bootstrap resamples behind an interval, by default."""
SCORES = -1
"""Stands for "no threshold" among the numbers of thresholds."""


@dataclass(frozen=True)
class Confusion:
    """Number of clips by true label and call: `false_fake` are real clips called fake."""

    true_real: int
    false_fake: int
    false_real: int
    true_fake: int


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    threshold: float = THRESHOLD,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Returns every measure of `probabilities` float (N,) in [0, 1] against `labels` (N,) of 0 and 1.

    Scores, which need no threshold: roc_auc, pr_auc, eer, log_loss, brier. Calls at `threshold`: accuracy,
    balanced_accuracy, kappa (Cohen's), youden_j, and precision, recall and f1 of fake and real. Raises ValueError if
    there are no clips, if a label is not 0 or 1, or if a probability is not a number in [0, 1].

    >>> evaluate(np.array([0, 1]), np.array([0.2, 0.9]), resamples=0)["roc_auc"].value
    1.0
    """
    scores, (decisions,) = evaluate_at([threshold], labels, probabilities, resamples, seed, groups)
    return scores | decisions


def evaluate_at(
    thresholds: Sequence[float],
    labels: np.ndarray,
    probabilities: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> tuple[dict[str, Measure], list[dict[str, Measure]]]:
    """Returns the measures of the scores, and those of the calls at each of `thresholds`. Raises as `evaluate`."""
    labels, probabilities = checked(labels, probabilities)
    measures = _measures(labels, probabilities, thresholds)
    intervals = with_intervals(measures, _groups(groups, labels), resamples, seed)
    scores, *calls = (
        {name: value for (number, name), value in intervals.items() if number == own}
        for own in range(SCORES, len(thresholds))
    )
    return scores, calls


def difference_measures(
    labels: np.ndarray,
    first: tuple[np.ndarray, float],
    second: tuple[np.ndarray, float],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Returns every measure of `first` minus that of `second`, each (probabilities, threshold), on the same clips.

    Both get the same resamples, so what makes a clip hard for both cancels out. Raises as `evaluate`.
    """
    one, two = (_measures(*checked(labels, probabilities), [threshold]) for probabilities, threshold in (first, second))

    def differences(weights: np.ndarray) -> dict[str, np.ndarray]:
        subtracted = two(weights)
        return {key[1]: value - subtracted[key] for key, value in one(weights).items()}

    return with_intervals(differences, _groups(groups, labels), resamples, seed)


def confusion(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> Confusion:
    """Returns the confusion matrix at `threshold`. Raises as `evaluate`."""
    labels, probabilities = checked(labels, probabilities)
    cells = np.bincount(2 * labels + (probabilities >= threshold), minlength=4)
    return Confusion(*cells.tolist())


def choose_threshold(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Returns the threshold with the largest Youden's J, or None if a class is missing. Raises as `evaluate`.

    Candidates are the default and the middles between neighbouring probabilities. Of equally good ones the nearest to
    the default wins, so another is chosen only if it is better. Youden, "Index for rating diagnostic tests", Cancer
    3(1), 1950.
    """
    labels, probabilities = checked(labels, probabilities)
    if labels.min() == labels.max():
        return None
    levels = np.unique(probabilities)
    # Two neighbouring floats may have no number between them; then the threshold is the upper one.
    middles = np.maximum((levels[:-1] + levels[1:]) / 2, np.nextafter(levels[:-1], 1))
    candidates = np.append(middles, THRESHOLD)
    j = _share_from(probabilities[labels == 1], candidates) - _share_from(probabilities[labels == 0], candidates)
    best = candidates[np.isclose(j, j.max(), rtol=0, atol=1e-12)]
    return float(best[np.argmin(np.abs(best - THRESHOLD))])


def roc_points(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns false and true positive rates, float64 (K+1,), from (0, 0) to (1, 1) by falling threshold.

    Raises ValueError as `evaluate`, and for one class.
    """
    false, true = _points(labels, probabilities)
    return false / false[-1], true / true[-1]


def pr_points(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns recall and precision of fake, float64 (K,), by falling threshold. Raises as `roc_points`."""
    false, true = _points(labels, probabilities)
    return true[1:] / true[-1], true[1:] / (true[1:] + false[1:])


def checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels as int64 (N,) and probabilities as float64 (N,); raises ValueError where they are not that."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float64)
    if labels.ndim != 1 or labels.shape != probabilities.shape:
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape} are not two equal columns")
    if not labels.size:
        raise ValueError("there are no clips to evaluate")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("a label is neither 0 (real) nor 1 (fake)")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("a probability is not a number in [0, 1]")
    return labels.astype(np.int64), probabilities


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the log-loss of each clip in nats, float64 (N,). Raises as `evaluate`."""
    return _log_losses(*checked(labels, probabilities))


def _groups(groups: np.ndarray | None, labels: np.ndarray) -> np.ndarray:
    return np.arange(len(labels)) if groups is None else groups


def _measures(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float]
) -> Callable[[np.ndarray], dict[tuple[int, str], np.ndarray]]:
    """Returns a function of weights (B, N): its values go by (`SCORES`, name) and by (threshold's number, name)."""
    order = np.argsort(-probabilities, kind="stable")
    fake, ends = labels[order] == 1, _ends(probabilities[order])
    losses = np.stack([_log_losses(labels, probabilities), (probabilities - labels) ** 2])
    cells = [2 * labels + (probabilities >= threshold) for threshold in thresholds]
    calls = [np.stack([cell == number for number in range(4)]).astype(np.float64) for cell in cells]

    def measure(weights: np.ndarray) -> dict[tuple[int, str], np.ndarray]:
        curve = _cumulated(weights.take(order, axis=1), fake, ends)
        values = {(SCORES, name): value for name, value in _scores(*curve)}
        weights = weights.astype(np.float64)  # only floats have a fast product
        for name, loss in zip(("log_loss", "brier"), losses, strict=True):
            values[SCORES, name] = weights @ loss / weights.sum(axis=1)
        for number, cells in enumerate(calls):
            values |= {(number, name): value for name, value in _decisions(*(weights @ cells.T).T)}
        return values

    return measure


def _points(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = checked(labels, probabilities)
    if labels.min() == labels.max():
        raise ValueError("a curve needs real and fake clips; there is one class only")
    order = np.argsort(-probabilities, kind="stable")
    false, true = _cumulated(np.ones((1, labels.size), np.int32), labels[order] == 1, _ends(probabilities[order]))
    return np.pad(false[0], (1, 0)), np.pad(true[0], (1, 0))


def _share_from(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of `probabilities` at or above each of `thresholds`."""
    return 1 - np.searchsorted(np.sort(probabilities), thresholds, side="left") / probabilities.size


def _ends(falling: np.ndarray) -> np.ndarray:
    """The last position of each run of equal values: a threshold passes clips with equal probabilities together."""
    return np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)


def _log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    # A mistake at probability 1 would cost infinity; scikit-learn clips at the same value.
    tiny = np.finfo(np.float64).eps
    return -np.log(np.clip(np.where(labels == 1, probabilities, 1 - probabilities), tiny, 1 - tiny))


def _cumulated(weights: np.ndarray, fake: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights int32 (B, N) of the real and of the fake clips at or above each distinct probability: two (B, K)."""
    false, true = (np.cumsum(weights * inside, axis=1, dtype=np.int32).take(ends, axis=1) for inside in (~fake, fake))
    return false, true


def _rises(cumulated: np.ndarray) -> np.ndarray:
    """What each level adds: undoes a cumulative sum along the rows."""
    rises = cumulated.copy()
    rises[:, 1:] -= cumulated[:, :-1]
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
