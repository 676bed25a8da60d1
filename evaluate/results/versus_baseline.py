"""Head minus baseline: does the head add anything to a logistic regression that has no sense of time?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import RESAMPLES, THRESHOLD, difference_measures
from train.runs.predictions import Predictions

COMPARED = {"roc_auc": "ROC AUC", "accuracy": "accuracy"}
SAME = 1e-6
"""Probabilities of head and baseline that are nearer than this are equal."""


@dataclass(frozen=True)
class Difference:
    """Head minus baseline in each measure of `COMPARED`, with paired intervals over clips and over people.

    `same` is true if both give the same probabilities: then the head is its baseline.
    """

    over_clips: dict[str, Measure]
    over_people: dict[str, Measure]
    same: bool


def head_minus_baseline(
    head: Predictions, baseline: Predictions, people: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Returns the difference on the clips of `head`; `people` int (N,) says whose they are.

    `baseline` has predictions for the same clips, in any order. Calls are made at the default threshold.
    """
    baseline = aligned(baseline, head)
    scores = (head.labels, (head.probabilities, THRESHOLD), (baseline.probabilities, THRESHOLD), resamples, seed)
    return difference_of(head, baseline, difference_measures(*scores), difference_measures(*scores, groups=people))


def difference_of(
    head: Predictions, baseline: Predictions, over_clips: Mapping[str, Measure], over_people: Mapping[str, Measure]
) -> Difference:
    """Returns the difference of predictions in the same order, of which all measures are known."""
    return Difference(
        {name: over_clips[name] for name in COMPARED},
        {name: over_people[name] for name in COMPARED},
        bool((np.abs(head.probabilities - baseline.probabilities) < SAME).all()),
    )


def aligned(predictions: Predictions, order: Predictions) -> Predictions:
    """Returns `predictions` with their clips in the order of another model's predictions for the same clips."""
    if predictions.ids == order.ids:
        return predictions
    rows = {name: row for row, name in enumerate(predictions.ids)}
    return predictions.rows(np.array([rows[name] for name in order.ids]))


def difference_sentence(difference: Difference) -> str:
    """Returns the difference in a sentence that says whether the head is better than its baseline."""
    if difference.same:
        return (
            "The head gives the same probabilities as its baseline, a logistic regression on the mean of the frames: "
            "training found nothing over time that was better on validation."
        )
    if difference.over_clips["roc_auc"].value is None:
        return "Head and baseline cannot be compared: the test part has one class only."
    numbers = ", ".join(f"{title} {_both(difference, name)}" for name, title in COMPARED.items())
    return f"{_verdict(difference)}: {numbers}; in brackets 95 % intervals."


def _both(difference: Difference, name: str) -> str:
    """The head's value minus the baseline's, then both intervals."""
    clips, people = difference.over_clips[name], difference.over_people[name]
    assert clips.value is not None
    return f"{clips.value:+.3f} (over clips {_interval(clips)}, over people {_interval(people)})"


def _interval(measure: Measure) -> str:
    return "none" if measure.low is None else f"{measure.low:+.3f} to {measure.high:+.3f}"


def _verdict(difference: Difference) -> str:
    """A difference counts if neither the interval over clips nor the one over people includes 0."""
    baseline = "a logistic regression on the mean of the frames"
    areas = [difference.over_clips["roc_auc"], difference.over_people["roc_auc"]]
    if all(area.low is not None and area.low > 0 for area in areas):
        return f"The head ranks clips better than its baseline, {baseline}"
    if all(area.high is not None and area.high < 0 for area in areas):
        return f"The head ranks clips worse than its baseline, {baseline}"
    return f"No clear difference between the head and its baseline, {baseline}"
