"""Measures of a detector: pure functions from labels and probabilities to named values with bootstrap intervals.

Labels are 0 (real) or 1 (fake), "positive" is fake, a probability is that of fake, and a clip is called fake if its
probability reaches the threshold. A measure that the data do not define (the ROC AUC of one class, the precision of a
class that was never called) is None, never NaN and never a conventional 0.

Each measure is written once, for a stack of weight vectors as a bootstrap draws them (`evaluate.stats.bootstrap`).
`groups`, int (N,), says which clips are drawn together, such as those of one person; without it each is drawn alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.stats.bootstrap import CONFIDENCE, Measure, in_stacks, weigher, with_intervals
from evaluate.stats.weighted import SCORES, clip_log_losses, cumulated, level_ends, weighted_measures

THRESHOLD = 0.5
"""The default threshold: a clip whose probability of fake reaches it is called fake."""
CHANCE = 0.5
"""The ROC AUC of a guess."""
RESAMPLES = 2000
"""Bootstrap resamples behind an interval, by default."""
BAND_RESAMPLES, BAND_POINTS = 200, 101
"""Those behind the band of a ROC curve, which nobody reads to the third digit, and the rates that it is drawn at."""


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
    measures = weighted_measures(*checked(labels, probabilities), thresholds)
    return _sorted(with_intervals(measures, _groups(groups, labels), resamples, seed), len(thresholds))


@dataclass(frozen=True)
class PairMeasures:
    """Two detectors on the same clips: each one's scores and calls as `evaluate_at` has them, and what they differ in.

    `difference` is every measure of the first minus that of the second, the calls at the first threshold of each.
    """

    first: tuple[dict[str, Measure], list[dict[str, Measure]]]
    second: tuple[dict[str, Measure], list[dict[str, Measure]]]
    difference: dict[str, Measure]


def evaluate_pair(
    labels: np.ndarray,
    first: tuple[np.ndarray, Sequence[float]],
    second: tuple[np.ndarray, Sequence[float]],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> PairMeasures:
    """Returns the measures of two detectors, each (probabilities, thresholds), and their paired difference.

    Both get the same resamples, so what makes a clip hard for both cancels out. Raises as `evaluate`.
    """
    one, two = (
        weighted_measures(*checked(labels, probabilities), thresholds) for probabilities, thresholds in (first, second)
    )

    def measure(weights: np.ndarray) -> dict[tuple[str, int, str], np.ndarray]:
        own, other = one(weights), two(weights)
        minus = {key: own[key] - other[key] for key in own if key[0] in (SCORES, 0)}
        named = {"first": own, "second": other, "difference": minus}
        return {(side, *key): value for side, values in named.items() for key, value in values.items()}

    intervals = with_intervals(measure, _groups(groups, labels), resamples, seed)
    sides = {
        side: {key[1:]: value for key, value in intervals.items() if key[0] == side} for side in ("first", "second")
    }
    return PairMeasures(
        _sorted(sides["first"], len(first[1])),
        _sorted(sides["second"], len(second[1])),
        {name: value for (side, _, name), value in intervals.items() if side == "difference"},
    )


def difference_measures(
    labels: np.ndarray,
    first: tuple[np.ndarray, float],
    second: tuple[np.ndarray, float],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Returns the `difference` of `evaluate_pair` for detectors that are each (probabilities, threshold)."""
    one, two = ((probabilities, [threshold]) for probabilities, threshold in (first, second))
    return evaluate_pair(labels, one, two, resamples, seed, groups).difference


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


def roc_band(
    labels: np.ndarray, probabilities: np.ndarray, resamples: int = BAND_RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns false positive rates from 0 to 1, and both ends of the 95 % interval of the recall at each, float64.

    The interval is that of each rate by itself, by bootstrap over clips. Raises ValueError as `roc_points`.
    """
    labels, probabilities = checked(labels, probabilities)
    order = np.argsort(-probabilities, kind="stable")
    fake, last = labels[order] == 1, level_ends(probabilities[order])
    rates, draw = np.linspace(0, 1, BAND_POINTS), weigher(np.arange(len(labels)))

    def recalls(generator: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        curves = zip(*cumulated(draw(generator, rows).take(order, axis=1), fake, last), strict=True)
        drawn = [(false, true) for false, true in curves if false[-1] and true[-1]]
        found = [np.interp(rates, np.append(0, f / f[-1]), np.append(0, t / t[-1])) for f, t in drawn]
        return {"recalls": np.reshape(found, (len(found), BAND_POINTS))}

    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(in_stacks(recalls, len(labels), resamples, seed)["recalls"], (tail, 1 - tail), axis=0)
    return rates, low, high


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
    return clip_log_losses(*checked(labels, probabilities))


def _sorted(
    intervals: Mapping[tuple[int, str], Measure], thresholds: int
) -> tuple[dict[str, Measure], list[dict[str, Measure]]]:
    """The measures of the scores, and those of the calls at each threshold."""
    scores, *calls = (
        {name: value for (number, name), value in intervals.items() if number == own}
        for own in range(SCORES, thresholds)
    )
    return scores, calls


def _groups(groups: np.ndarray | None, labels: np.ndarray) -> np.ndarray:
    return np.arange(len(labels)) if groups is None else groups


def _points(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = checked(labels, probabilities)
    if labels.min() == labels.max():
        raise ValueError("a curve needs real and fake clips; there is one class only")
    order = np.argsort(-probabilities, kind="stable")
    false, true = cumulated(np.ones((1, labels.size), np.int32), labels[order] == 1, level_ends(probabilities[order]))
    return np.pad(false[0], (1, 0)), np.pad(true[0], (1, 0))


def _share_from(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of `probabilities` at or above each of `thresholds`."""
    return 1 - np.searchsorted(np.sort(probabilities), thresholds, side="left") / probabilities.size
