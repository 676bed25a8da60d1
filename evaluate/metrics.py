"""Measures of a detector: pure functions from labels and probabilities to named values with bootstrap intervals.

Throughout, labels are 0 (real) or 1 (fake), "positive" is fake, a probability is that of fake, and a clip is called
fake where its probability is at or above the threshold. A measure that the data do not define (the ROC AUC of one
class, the precision of a class that was never called) is None, never NaN and never a conventional 0.

Each measure is written once, for a stack of weights that a bootstrap (evaluate.bootstrap) gives the clips. `groups`,
int (N,), are the clips that are drawn together, such as those of one person; without them each is drawn alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluate.bootstrap import Measure, Values, with_intervals


@dataclass(frozen=True)
class Confusion:
    """Clips by what they are and what they were called; fake is positive."""

    true_real: int
    false_fake: int
    false_real: int
    true_fake: int


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Returns every measure of `probabilities` float (N,) in [0, 1] against `labels` (N,) of 0 and 1.

    Raises ValueError for no clips, other labels, and probabilities that are not numbers in [0, 1].
    """
    return score_measures(labels, probabilities, resamples, seed, groups) | decision_measures(
        labels, probabilities, threshold, resamples, seed, groups
    )


def score_measures(
    labels: np.ndarray,
    probabilities: np.ndarray,
    resamples: int = 2000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Returns the measures that need no threshold: roc_auc, pr_auc, eer, log_loss, brier. Raises as `evaluate`."""
    labels, probabilities = checked(labels, probabilities)
    measures, order = _score_function(labels, probabilities)
    return with_intervals(measures, _groups(groups, labels)[order], resamples, seed)


def decision_measures(
    labels: np.ndarray,
    probabilities: np.ndarray,
    threshold: float,
    resamples: int = 2000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Returns the measures of the calls made at `threshold`.

    accuracy, balanced_accuracy, kappa (Cohen's), youden_j, and precision, recall, f1 for fake and real. Raises as
    `evaluate`.
    """
    labels, probabilities = checked(labels, probabilities)
    return with_intervals(
        _decision_function(labels, probabilities, threshold), _groups(groups, labels), resamples, seed
    )


def difference_measures(
    labels: np.ndarray,
    first: tuple[np.ndarray, float],
    second: tuple[np.ndarray, float],
    resamples: int = 2000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Returns every measure of `first` less that of `second`, each (probabilities, threshold), on the same clips.

    Both see the same resamples, so what makes a clip hard for both cancels out. Raises as `evaluate`.
    """
    functions = []
    for probabilities, threshold in (first, second):
        labels, probabilities = checked(labels, probabilities)
        scores, order = _score_function(labels, probabilities)
        functions.append((scores, order, _decision_function(labels, probabilities, threshold)))

    def measures(weights: np.ndarray) -> Values:
        one, two = (
            dict(scores(weights[:, order])) | dict(decisions(weights)) for scores, order, decisions in functions
        )
        for name, value in one.items():
            yield name, value - two[name]

    return with_intervals(measures, _groups(groups, labels), resamples, seed)


def confusion(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> Confusion:
    """Returns how the clips fall at `threshold`. Raises as `evaluate`."""
    labels, probabilities = checked(labels, probabilities)
    cells = np.bincount(2 * labels + (probabilities >= threshold), minlength=4)
    return Confusion(*cells.tolist())


def choose_threshold(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Returns the threshold with the largest Youden's J, or None where one class is missing. Raises as `evaluate`.

    Candidates are 0.5 and the middles between neighbouring probabilities; of equals the one nearest 0.5 wins, so the
    threshold leaves 0.5 only where that is better. Youden, "Index for rating diagnostic tests", Cancer 3(1), 1950.
    """
    labels, probabilities = checked(labels, probabilities)
    if labels.min() == labels.max():
        return None
    levels = np.unique(probabilities)
    # Two neighbouring floats may have no number between them; the threshold then is the upper one.
    middles = np.maximum((levels[:-1] + levels[1:]) / 2, np.nextafter(levels[:-1], 1))
    candidates = np.append(middles, 0.5)
    j = _share_from(probabilities[labels == 1], candidates) - _share_from(probabilities[labels == 0], candidates)
    best = candidates[np.isclose(j, j.max(), rtol=0, atol=1e-12)]
    return float(best[np.argmin(np.abs(best - 0.5))])


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


def _score_function(labels: np.ndarray, probabilities: np.ndarray) -> tuple[Callable[[np.ndarray], Values], np.ndarray]:
    """Returns the measures of probabilities by weights (B, N), and the order in which it wants the clips."""
    order = np.argsort(-probabilities, kind="stable")
    labels, probabilities = labels[order], probabilities[order]
    ends, fake = _ends(probabilities), labels == 1
    losses = np.stack([_log_losses(labels, probabilities), (probabilities - labels) ** 2], axis=1)
    return lambda weights: _scores(weights, fake, ends, losses), order


def _decision_function(
    labels: np.ndarray, probabilities: np.ndarray, threshold: float
) -> Callable[[np.ndarray], Values]:
    cells = np.eye(4)[2 * labels + (probabilities >= threshold)]
    return lambda weights: _decisions(*(weights @ cells).T)


def _points(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = checked(labels, probabilities)
    if labels.min() == labels.max():
        raise ValueError("a curve needs real and fake clips; there is one class only")
    order = np.argsort(-probabilities, kind="stable")
    false, true = _cumulated(np.ones((1, labels.size)), labels[order] == 1, _ends(probabilities[order]))
    return false[0], true[0]


def _share_from(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of `probabilities` at or above each of `thresholds`."""
    return 1 - np.searchsorted(np.sort(probabilities), thresholds, side="left") / probabilities.size


def _ends(falling: np.ndarray) -> np.ndarray:
    """The last position of each run of equal values: clips that tie are passed by a threshold together."""
    return np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)


def _log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    # A certain mistake would cost infinity; scikit-learn cuts at the same place.
    tiny = np.finfo(np.float64).eps
    return -np.log(np.clip(np.where(labels == 1, probabilities, 1 - probabilities), tiny, 1 - tiny))


def _cumulated(weights: np.ndarray, fake: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (B, N) of the real and of the fake clips at or above each distinct probability: two (B, K+1)."""
    true = np.cumsum(weights * fake, axis=1)[:, ends]
    false = np.cumsum(weights, axis=1)[:, ends] - true
    return np.pad(false, ((0, 0), (1, 0))), np.pad(true, ((0, 0), (1, 0)))


def _scores(weights: np.ndarray, fake: np.ndarray, ends: np.ndarray, losses: np.ndarray) -> Values:
    false, true = _cumulated(weights, fake, ends)
    reals, fakes = false[:, -1], true[:, -1]
    area = np.einsum("bk,bk->b", np.diff(false, axis=1), true[:, 1:] + true[:, :-1])
    yield "roc_auc", _ratio(area, 2 * reals * fakes)
    yield "pr_auc", _average_precision(false, true)
    yield "eer", _equal_error_rate(false, true)
    log_loss, brier = (weights @ losses).T / (reals + fakes)
    yield "log_loss", log_loss
    yield "brier", brier


def _average_precision(false: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The sum over thresholds of precision times the recall gained, without interpolation, as scikit-learn has it."""
    called = np.maximum(true[:, 1:] + false[:, 1:], 1)
    gained = np.einsum("bk,bk->b", np.diff(true, axis=1), true[:, 1:] / called)
    # Without real clips the precision is 1 whatever the detector does.
    return np.where(false[:, -1] > 0, _ratio(gained, true[:, -1]), np.nan)


def _equal_error_rate(false: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Where the ROC curve, its points joined by lines, has as many false alarms as misses."""
    reals, fakes = false[:, -1], true[:, -1]
    # In whole clips, so that a point on the diagonal is met exactly: fpr - fnr, times both class sizes.
    excess = false * fakes[:, None] + true * reals[:, None] - (reals * fakes)[:, None]
    after = np.argmax(excess >= 0, axis=1)
    rows, before = np.arange(len(excess)), np.maximum(after - 1, 0)
    step = _ratio(-excess[rows, before], excess[rows, after] - excess[rows, before])
    return _ratio(false[rows, before] + step * (false[rows, after] - false[rows, before]), reals)


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
