"""Head minus baseline: does the head add anything to a logistic regression that has no sense of time?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evaluate.results.read import Results
from evaluate.stats.bootstrap import Measure, ends
from evaluate.stats.metrics import RESAMPLES, THRESHOLD, difference_measures
from train.runs.predictions import Predictions

COMPARED = {"roc_auc": "ROC AUC", "accuracy": "accuracy"}
_BASELINE = "a logistic regression on the mean of the frames"
SAME = 1e-6
"""Probabilities of head and baseline that are nearer than this are equal."""


@dataclass(frozen=True)
class Difference:
    """Head minus baseline in each measure of `COMPARED`, with paired intervals over people.

    `same` is true if both give the same probabilities: then the head is its baseline.
    """

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
    return difference_of(head, baseline, difference_measures(*scores, groups=people))


def difference_of(head: Predictions, baseline: Predictions, over_people: Mapping[str, Measure]) -> Difference:
    """Returns the difference of predictions in the same order, of which all measures are known."""
    return Difference(
        {name: over_people[name] for name in COMPARED},
        bool((np.abs(head.probabilities - baseline.probabilities) < SAME).all()),
    )


def aligned(predictions: Predictions, order: Predictions) -> Predictions:
    """Returns `predictions` with their clips in the order of another model's predictions for the same clips."""
    if predictions.ids == order.ids:
        return predictions
    rows = {name: row for row, name in enumerate(predictions.ids)}
    return predictions.rows(np.array([rows[name] for name in order.ids]))


def baseline_of(results: Results, clips: Predictions) -> Predictions | None:
    """Returns what the baseline of a run says of its `clips`, in their order; None where it has none."""
    if results.baseline is None:
        return None
    known = set(clips.ids)
    return aligned(results.baseline.rows(np.flatnonzero([one in known for one in results.baseline.ids])), clips)


def difference_sentence(difference: Difference, *, tested: bool = True) -> str:
    """Returns the difference in a sentence that says whether the head is better than its baseline.

    Where many differences are `tested`, that says whether this one passed.
    """
    if difference.same:
        return (
            f"The head gives the same probabilities as its baseline, {_BASELINE}: "
            "training found nothing over time that was better on validation."
        )
    if difference.over_people["roc_auc"].value is None:
        return "Head and baseline cannot be compared: the test part has one class only."
    if ends(difference.over_people["roc_auc"]) is None:
        numbers = ", ".join(f"{title} {difference.over_people[name].value:+.3f}" for name, title in COMPARED.items())
        return f"Whether the head is better than its baseline, {_BASELINE}, so few people cannot say: {numbers}."
    numbers = ", ".join(f"{title} {_signed(difference.over_people[name])}" for name, title in COMPARED.items())
    return f"{_verdict(difference, tested)}: {numbers}; in brackets 95 % intervals over people."


def _signed(measure: Measure) -> str:
    """A difference and its interval, with signs."""
    assert measure.value is not None
    interval = ends(measure)
    return f"{measure.value:+.3f} ({f'{interval[0]:+.3f} to {interval[1]:+.3f}' if interval else 'no interval'})"


def _verdict(difference: Difference, tested: bool) -> str:
    interval = ends(difference.over_people["roc_auc"])
    if not tested or interval is None or interval[0] <= 0 <= interval[1]:
        return f"No clear difference between the head and its baseline, {_BASELINE}"
    better = (difference.over_people["roc_auc"].value or 0.0) > 0
    return f"The head ranks clips {'better' if better else 'worse'} than its baseline, {_BASELINE}"
