"""Measures of a detector: pure functions from labels and probabilities to named values with intervals.

Labels are 0 (real) or 1 (fake), "positive" is fake, a probability is that of fake, and a clip is called fake if its
probability reaches the threshold. A measure that the data do not define (the ROC AUC of one class, the precision of a
class that was never called) is None, never NaN and never a conventional 0.

Each measure is written once, for a stack of weight vectors as a resample draws them (`evaluate.stats.bootstrap`).
`groups`, int (N,), says which clips are drawn together, such as those of one person; without it each is drawn alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluate.stats.bootstrap import Measure, ends, with_intervals
from evaluate.stats.sums import cumulated, level_ends
from evaluate.stats.weighted import CALL_METRICS, clip_log_losses, weighted_calls, weighted_scores

THRESHOLD = 0.5
"""The default threshold: a clip whose probability of fake reaches it is called fake."""
LEAST_PEOPLE = 6
"""People from which on a difference has an interval: five who all agree prove nothing at 0.05 (sign test, p = 0.06)."""
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

    Scores, which need no threshold: roc_auc, pr_auc, eer, recall_at_1 and recall_at_5 (of fake, with 1 and 5 % false
    alarms), risk (the area under risk and coverage), log_loss, brier. Calls at `threshold`: accuracy,
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
    groups = _groups(groups, labels)
    sizes = _clips_per_person(labels, groups)
    more = _with_imagined(labels, probabilities, thresholds)
    # A pair of clips is spoilt by either of them, so half of a person's clips are to scores what all are to calls.
    scores = with_intervals(weighted_scores(*more), groups, resamples, seed, sizes / 2)
    calls = with_intervals(weighted_calls(*more, thresholds), groups, resamples, seed, sizes)
    own = [{name: calls[number, name] for name in CALL_METRICS} for number in range(len(thresholds))]
    return scores, own


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

    Raises as `evaluate`.
    """
    one, two = (
        evaluate_at(thresholds, labels, scores, resamples, seed, groups) for scores, thresholds in (first, second)
    )
    sides = ((first[0], first[1][0]), (second[0], second[1][0]))
    return PairMeasures(one, two, difference_measures(labels, *sides, resamples, seed, groups))


def difference_measures(
    labels: np.ndarray,
    first: tuple[np.ndarray, float],
    second: tuple[np.ndarray, float],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Returns every measure of the first minus that of the second of two detectors, each (probabilities, threshold).

    Both get the same resamples, so what makes a clip hard for both cancels out. Of the imaginary person, who counts
    half here, the one is all wrong where the other is all right. Equal probabilities have no interval, nor have
    differences on fewer people of either class than `LEAST_PEOPLE`. Raises as `evaluate`.
    """
    labels, _ = checked(labels, first[0])
    groups, sizes = _groups(groups, labels), _clips_per_person(labels, _groups(groups, labels))
    sides = []
    for turned, (probabilities, threshold) in enumerate((first, second)):
        more = _with_imagined(*checked(labels, probabilities), [threshold], turned=bool(turned))
        sides.append((weighted_scores(*more), weighted_calls(*more, [threshold])))
    people = min(len(np.unique(groups[labels == label])) for label in np.unique(labels))
    if people < LEAST_PEOPLE or (np.array_equal(first[0], second[0]) and first[1] == second[1]):
        resamples = 0

    def minus(number: int) -> Callable[[np.ndarray], dict[Any, np.ndarray]]:
        one, two = (side[number] for side in sides)

        def measure(weights: np.ndarray) -> dict[Any, np.ndarray]:
            own, other = one(weights), two(weights)
            return {name: own[name] - other[name] for name in own}

        return measure

    scores = with_intervals(minus(0), groups, resamples, seed, sizes / 4)
    calls = with_intervals(minus(1), groups, resamples, seed, sizes / 2)
    return scores | {name: value for (_, name), value in calls.items()}


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
    labels: np.ndarray,
    probabilities: np.ndarray,
    resamples: int = BAND_RESAMPLES,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns false positive rates from 0 to 1, and both ends of the 95 % interval of the recall at each, float64.

    The interval is that of each rate by itself, over `groups`. Raises ValueError as `roc_points`.
    """
    labels, probabilities = checked(labels, probabilities)
    groups = _groups(groups, labels)
    more_labels, more = _with_imagined(labels, probabilities, [])
    order = np.argsort(-more, kind="stable")
    fake, last = more_labels[order] == 1, level_ends(more[order])
    rates = np.linspace(0, 1, BAND_POINTS)

    def recalls(weights: np.ndarray) -> dict[int, np.ndarray]:
        curves = zip(*cumulated(weights.take(order, axis=1), fake, last), strict=True)
        found = [np.interp(rates, np.append(0, f / f[-1]), np.append(0, t / t[-1])) for f, t in curves]
        return dict(enumerate(np.transpose(found)))

    sizes = _clips_per_person(labels, groups) / 2
    # At a rate of 1 every recall is 1.
    band = [
        ends(one) or (one.value, one.value) for one in with_intervals(recalls, groups, resamples, seed, sizes).values()
    ]
    return rates, *np.array(band, np.float64).T


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


def _clips_per_person(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """How many real and how many fake clips a person has who has any, float64 (2,); 0 where the class is missing."""
    owners = [groups[labels == label] for label in (0, 1)]
    return np.array([len(own) / max(1, len(np.unique(own))) for own in owners])


def _with_imagined(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float], *, turned: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities (N + 4,) with a real and a fake clip more that are judged wrong, and two judged right.

    The detector is a little surer of them than of any other clip: they are beyond all others and all thresholds.
    If `turned`, the first two are judged right, the others wrong.
    """
    sure = np.abs(np.append(probabilities, thresholds) - 0.5).max()
    high, low = np.nextafter(0.5 + sure, 2), np.nextafter(0.5 - sure, -1)
    beyond = (low, high, high, low) if turned else (high, low, low, high)
    return np.append(labels, (0, 1, 0, 1)), np.append(probabilities, beyond)


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
