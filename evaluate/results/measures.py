"""The numbers of one run: head and baseline, test and validation, at the default and at the chosen threshold."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from base.errors import UserError
from cache.schema import FAKE, LEAST_COVERAGE, PARTS, REAL, TEST, VAL
from evaluate.results.calls import Calls, called_fake, calls_of
from evaluate.results.kinds import Kind, kinds_of_run
from evaluate.results.read import Results, find_temperature, read_member
from evaluate.results.versus_baseline import Difference, baseline_of, difference_of
from evaluate.stats.band import band_around
from evaluate.stats.bootstrap import CONFIDENCE, INTERVAL, Measure
from evaluate.stats.calibration import Bin, Temperature, calibration_error, reliability
from evaluate.stats.metrics import (
    THRESHOLD,
    Confusion,
    choose_threshold,
    confusion,
    evaluate,
    evaluate_at,
    evaluate_pair,
    log_losses,
)
from evaluate.stats.pairs import PairedShare
from train.data.split import DROPPED
from train.runs.predictions import Predictions

HEAD, BASELINE = "head", "logistic baseline"
HALF, CHOSEN = f"{THRESHOLD:g}", "chosen on validation"
"""Names of the two thresholds, in metrics.json and on pages."""
RAW, CALIBRATED = "raw", "calibrated"

MAIN = ("roc_auc", "accuracy", "balanced_accuracy", "f1_fake", "f1_real", "kappa", "log_loss")
"""The measures that fit into a table with one run per row."""


@dataclass(frozen=True)
class Decisions:
    """The calls at one threshold: their confusion matrix and their measures."""

    threshold: float
    confusion: Confusion
    measures: dict[str, Measure]


@dataclass(frozen=True)
class Evaluated:
    """One model on one part: measures of its probabilities, and its calls by name of the threshold."""

    scores: dict[str, Measure]
    decisions: dict[str, Decisions]


@dataclass(frozen=True)
class PartCounts:
    """Clips of one part. `coverage` is the mean share of frames with a face, None if nothing was predicted;
    `few_faces` counts the clips whose coverage is too low to judge them.
    """

    real: int
    fake: int
    coverage: float | None
    few_faces: int


@dataclass(frozen=True)
class Reliability:
    """How well probabilities on the test part are calibrated: the expected calibration error, and the log-loss."""

    error: float
    log_loss: float
    bins: list[Bin]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run's numbers. `evaluated` goes by part (test, and val if there is one), then by HEAD and BASELINE.

    All intervals are over people, of whom the test part shows `people`.
    `temperature` is fitted on validation, None if that has too few clips; `reliability` goes by RAW, and with a
    temperature by CALIBRATED too. `difference` is the head minus its baseline on the test part, `paired` the paired
    share there by HEAD and BASELINE. `unnamed` counts the test clips of which the split does not say who is in them.
    `members` are the test measures, without intervals, of the runs that form an ensemble. `calls` are those that
    `detect` would make of the test clips, by class, `kinds` how well each kind of fake is found.
    """

    results: Results
    resamples: int
    seed: int
    counts: dict[str, PartCounts]
    evaluated: dict[str, dict[str, Evaluated]]
    people: int
    unnamed: int
    difference: Difference | None
    paired: dict[str, PairedShare]
    temperature: Temperature | None
    reliability: dict[str, Reliability]
    members: dict[str, dict[str, Measure]]
    calls: dict[str, Calls]
    kinds: list[Kind]


def evaluate_results(results: Results, resamples: int, seed: int) -> Evaluation:
    """Returns the numbers of `results`. Raises a UserError if there is no test part."""
    if not results.head.of(TEST).ids:
        raise UserError(f"{results.folder} has no clip in its test part; train with a split that has one.")
    pairs = {part: _evaluate(results, part, resamples, seed) for part in (TEST, VAL) if results.head.of(part).ids}
    test, people = results.head.of(TEST), results.people(results.head.of(TEST))
    baseline = baseline_of(results, test)
    temperature = find_temperature(results.head)
    band = band_around(THRESHOLD, temperature)
    return Evaluation(
        results,
        resamples,
        seed,
        _counts(results),
        {part: models for part, (models, _) in pairs.items()},
        len(np.unique(people)),
        results.unnamed(test),
        baseline and difference_of(test, baseline, pairs[TEST][1]),
        {name: results.paired_share(clips, resamples, seed) for name, clips in _models(test, baseline).items()},
        temperature,
        dict(_reliability(test, people, temperature, resamples, seed)),
        dict(_members(results)),
        calls_of(test, band),
        kinds_of_run(results, test, called_fake(test, band), resamples, seed),
    )


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Returns the contents of `metrics.json`: every number of the report, None for what is undefined."""
    results = evaluation.results
    return {
        "run": results.name,
        "fingerprint": results.config.fingerprint,
        "split": results.audit.split,
        "interval": {"kind": INTERVAL, "confidence": CONFIDENCE}
        | {"resamples": evaluation.resamples, "seed": evaluation.seed},
        "findings": results.findings,
        "counts": _asdicts(evaluation.counts),
        "parts": {part: _asdicts(models) for part, models in evaluation.evaluated.items()},
        "calls": _asdicts(evaluation.calls),
        "kinds": [dataclasses.asdict(kind) for kind in evaluation.kinds],
        "people": evaluation.people,
        "unnamed": evaluation.unnamed,
        "known": results.shared("identity"),
        "head_minus_baseline": evaluation.difference and dataclasses.asdict(evaluation.difference),
        "paired_share": _asdicts(evaluation.paired),
        "calibration": {
            "temperature": evaluation.temperature and evaluation.temperature.value,
            "validation_clips": dict(zip(("real", "fake"), results.head.of(VAL).counts, strict=True)),
            "made_worse": worse_by_calibration(evaluation),
            **_asdicts(evaluation.reliability),
        },
        "members": {
            member: {name: measure.value for name, measure in measures.items()}
            for member, measures in evaluation.members.items()
        },
    }


def worse_by_calibration(evaluation: Evaluation) -> list[str]:
    """Returns which errors on the test part the temperature made larger, "log-loss" and "calibration error"."""
    if evaluation.temperature is None:
        return []
    raw, calibrated = (evaluation.reliability[name] for name in (RAW, CALIBRATED))
    errors = {"log-loss": (raw.log_loss, calibrated.log_loss), "calibration error": (raw.error, calibrated.error)}
    return [name for name, (before, after) in errors.items() if after > before]


def _asdicts(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: dataclasses.asdict(value) for name, value in values.items()}


def _evaluate(
    results: Results, part: str, resamples: int, seed: int
) -> tuple[dict[str, Evaluated], dict[str, Measure]]:
    """Returns head and baseline, if there is one, on `part`, and the head minus the baseline."""
    head = results.head.of(part)
    clips = _models(head, baseline_of(results, head))
    chosen = {name: choose_on_validation(one) for name, one in _models(results.head, results.baseline).items()}
    thresholds = {
        name: {HALF: THRESHOLD} | ({} if threshold is None else {CHOSEN: threshold})
        for name, threshold in chosen.items()
    }
    first, *others = ((own.probabilities, list(thresholds[name].values())) for name, own in clips.items())
    people = results.people(head)
    if not others:
        measured = evaluate_at(first[1], head.labels, first[0], resamples, seed, people)
        return {HEAD: _evaluated(head, thresholds[HEAD], *measured)}, {}
    pair = evaluate_pair(head.labels, first, others[0], resamples, seed, people)
    models = {
        name: _evaluated(clips[name], thresholds[name], scores, calls)
        for name, (scores, calls) in ((HEAD, pair.first), (BASELINE, pair.second))
    }
    return models, pair.difference


def _models(head: Predictions, baseline: Predictions | None) -> dict[str, Predictions]:
    return {HEAD: head} | ({} if baseline is None else {BASELINE: baseline})


def _evaluated(
    clips: Predictions, thresholds: Mapping[str, float], scores: dict[str, Measure], calls: list[dict[str, Measure]]
) -> Evaluated:
    return Evaluated(
        scores,
        {
            name: Decisions(threshold, confusion(clips.labels, clips.probabilities, threshold), measures)
            for (name, threshold), measures in zip(thresholds.items(), calls, strict=True)
        },
    )


def _reliability(
    test: Predictions, people: np.ndarray, temperature: Temperature | None, resamples: int, seed: int
) -> Iterator[tuple[str, Reliability]]:
    sets = {RAW: test.probabilities}
    if temperature:
        sets[CALIBRATED] = temperature(test.probabilities)
    for name, probabilities in sets.items():
        bins = reliability(test.labels, probabilities, people, resamples, seed)
        loss = float(log_losses(test.labels, probabilities).mean())
        yield name, Reliability(calibration_error(bins), loss, bins)


def _members(results: Results) -> Iterator[tuple[str, dict[str, Measure]]]:
    for folder in results.config.members:
        member = read_member(folder, results.head.of(TEST))
        if member is not None:
            yield folder.name, evaluate(member.labels, member.probabilities, resamples=0)


def choose_on_validation(model: Predictions) -> float | None:
    """Returns the threshold that is best on the validation part of `model`, None if it lacks a class."""
    validation = model.of(VAL)
    return choose_threshold(validation.labels, validation.probabilities) if validation.ids else None


def _counts(results: Results) -> dict[str, PartCounts]:
    clips = Counter((row.part, row.label) for row in results.split.values())
    counts = {}
    for part in (*PARTS, DROPPED):
        coverage = results.head.of(part).coverage
        known = coverage[~np.isnan(coverage)]
        mean = float(known.mean()) if known.size else None
        few = int((coverage < LEAST_COVERAGE).sum())
        counts[part] = PartCounts(clips[part, REAL], clips[part, FAKE], mean, few)
    return counts
