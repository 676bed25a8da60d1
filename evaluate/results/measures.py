"""The numbers of one run: head and baseline, test and validation, at 0.5 and at the threshold chosen on validation."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache.schema import FAKE, LEAST_COVERAGE, PARTS, REAL, UserError
from evaluate.results.read import Results, find_temperature, read_member
from evaluate.stats.bootstrap import CONFIDENCE, Measure
from evaluate.stats.calibration import Bin, Temperature, calibration_error, reliability
from evaluate.stats.metrics import (
    Confusion,
    choose_threshold,
    confusion,
    evaluate,
    evaluate_at,
)
from train.data.split import DROPPED
from train.runs.predictions import Predictions

HEAD, BASELINE = "head", "logistic baseline"
HALF, CHOSEN = "0.5", "chosen on validation"
RAW, CALIBRATED = "raw", "calibrated"

SCORE_NAMES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "eer": "equal error rate ↓",
    "log_loss": "log-loss in nats ↓",
    "brier": "Brier score ↓",
}
DECISION_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "kappa": "Cohen's kappa",
    "youden_j": "Youden's J",
    "precision_fake": "precision, fake",
    "recall_fake": "recall, fake",
    "f1_fake": "F1, fake",
    "precision_real": "precision, real",
    "recall_real": "recall, real",
    "f1_real": "F1, real",
}
MAIN = ("roc_auc", "accuracy", "balanced_accuracy", "f1_fake", "f1_real", "kappa", "log_loss")
"""The measures that tables of runs have room for."""


@dataclass(frozen=True)
class Decisions:
    """The calls made at one threshold, counted and measured."""

    threshold: float
    confusion: Confusion
    measures: dict[str, Measure]


@dataclass(frozen=True)
class Evaluated:
    """One model on one part: measures of its probabilities, and of its calls by how the threshold came about."""

    scores: dict[str, Measure]
    decisions: dict[str, Decisions]


@dataclass(frozen=True)
class PartCounts:
    """Clips of one part; `coverage` is the mean share of frames with a face, None where nothing was predicted."""

    real: int
    fake: int
    coverage: float | None
    few_faces: int


@dataclass(frozen=True)
class Reliability:
    """How far probabilities on the test part can be taken at their word: `error` is their ECE."""

    error: Measure
    bins: list[Bin]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run's numbers. `evaluated` goes by part (test, and val if it is there), then by HEAD and BASELINE.

    `over_people` has the head's measures on the test part (calls at 0.5) with intervals over the `people` in it.
    `temperature` is fitted on validation, None without it; `reliability` goes by RAW, and with it by CALIBRATED too.
    `members` are the test measures, without intervals, of the runs that an ensemble consists of.
    """

    results: Results
    resamples: int
    seed: int
    counts: dict[str, PartCounts]
    evaluated: dict[str, dict[str, Evaluated]]
    people: int
    over_people: dict[str, Measure]
    temperature: Temperature | None
    reliability: dict[str, Reliability]
    members: dict[str, dict[str, Measure]]


def evaluate_results(results: Results, resamples: int, seed: int) -> Evaluation:
    """Returns the numbers of `results`; a UserError if there is no test part."""
    models = {HEAD: results.head, BASELINE: results.baseline}
    if not results.head.of("test").ids:
        raise UserError(f"{results.folder} has no clip in its test part; train with a split that has one.")
    evaluated = {
        part: {name: _evaluate(model, part, resamples, seed) for name, model in models.items()}
        for part in ("test", "val")
        if results.head.of(part).ids
    }
    test, people = results.head.of("test"), results.people(results.head.of("test"))
    temperature = find_temperature(results.head)
    return Evaluation(
        results,
        resamples,
        seed,
        _counts(results),
        evaluated,
        len(np.unique(people)),
        evaluate(test.labels, test.probabilities, 0.5, resamples, seed, people),
        temperature,
        dict(_reliability(test, temperature, resamples, seed)),
        dict(_members(results)),
    )


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Returns what `metrics.json` holds: every number of the report, None where one is undefined."""
    results = evaluation.results
    return {
        "run": results.name,
        "fingerprint": results.config["fingerprint"],
        "split": results.audit["split"],
        "interval": {"kind": "bootstrap percentile over clips", "confidence": CONFIDENCE}
        | {"resamples": evaluation.resamples, "seed": evaluation.seed},
        "findings": Counter(finding["kind"] for finding in results.audit["findings"]),
        "counts": {part: dataclasses.asdict(counts) for part, counts in evaluation.counts.items()},
        "parts": {
            part: {name: dataclasses.asdict(model) for name, model in models.items()}
            for part, models in evaluation.evaluated.items()
        },
        "people": evaluation.people,
        "over_people": {name: dataclasses.asdict(found) for name, found in evaluation.over_people.items()},
        "calibration": {
            "temperature": evaluation.temperature and evaluation.temperature.value,
            **{name: dataclasses.asdict(found) for name, found in evaluation.reliability.items()},
        },
        "members": {
            member: {name: found.value for name, found in measures.items()}
            for member, measures in evaluation.members.items()
        },
    }


def shown(measure: Measure) -> str:
    """Returns `measure` for people: `0.812 [0.751, 0.866]`, the value alone where there is no interval."""
    if measure.value is None:
        return "undefined"
    if measure.low is None:
        return f"{measure.value:.3f} [no interval]"
    return f"{measure.value:.3f} [{measure.low:.3f}, {measure.high:.3f}]"


def _evaluate(model: Predictions, part: str, resamples: int, seed: int) -> Evaluated:
    clips, chosen = model.of(part), _chosen(model.of("val"))
    thresholds = {HALF: 0.5} | ({} if chosen is None else {CHOSEN: chosen})
    scores, decisions = evaluate_at(list(thresholds.values()), clips.labels, clips.probabilities, resamples, seed)
    return Evaluated(
        scores,
        {
            name: Decisions(threshold, confusion(clips.labels, clips.probabilities, threshold), measures)
            for (name, threshold), measures in zip(thresholds.items(), decisions, strict=True)
        },
    )


def _reliability(
    test: Predictions, temperature: Temperature | None, resamples: int, seed: int
) -> Iterator[tuple[str, Reliability]]:
    said = {RAW: test.probabilities}
    if temperature:
        said[CALIBRATED] = temperature(test.probabilities)
    for name, probabilities in said.items():
        error = calibration_error(test.labels, probabilities, resamples, seed)
        yield name, Reliability(error, reliability(test.labels, probabilities))


def _members(results: Results) -> Iterator[tuple[str, dict[str, Measure]]]:
    for folder in results.config.get("ensemble", {}).get("members", ()):
        member = read_member(Path(folder), results.head.of("test"))
        if member is not None:
            yield Path(folder).name, evaluate(member.labels, member.probabilities, 0.5, resamples=0)


def _chosen(validation: Predictions) -> float | None:
    return choose_threshold(validation.labels, validation.probabilities) if validation.ids else None


def _counts(results: Results) -> dict[str, PartCounts]:
    clips = Counter((row.part, row.label) for row in results.split.values())
    found = {}
    for part in (*PARTS, DROPPED):
        coverage = results.head.of(part).coverage
        mean = float(coverage.mean()) if coverage.size else None
        few = int((coverage < LEAST_COVERAGE).sum())
        found[part] = PartCounts(clips[part, REAL], clips[part, FAKE], mean, few)
    return found
