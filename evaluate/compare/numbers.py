"""Runs with the same test clips, compared in pairs: each measure with its interval, each difference tested."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from base.errors import UserError
from cache.schema import FAKE, REAL, TEST
from evaluate.page.repeat import compare_command
from evaluate.results.kinds import Kind, kinds_of_run
from evaluate.results.measures import CHOSEN, HALF, choose_on_validation
from evaluate.results.read import Results
from evaluate.results.versus_baseline import Difference, baseline_of, head_minus_baseline
from evaluate.stats.bootstrap import CONFIDENCE, INTERVAL, Measure, ends
from evaluate.stats.metrics import THRESHOLD, difference_measures, evaluate
from evaluate.stats.paired_tests import (
    DeLong,
    McNemar,
    Wilcoxon,
    accuracy_error,
    clips_needed,
    delong,
    holm,
    mcnemar,
    wilcoxon,
)
from evaluate.stats.pairs import PairedShare
from train.runs.folder import SCORES
from train.runs.predictions import Predictions

LEVEL = 0.05
"""A difference is called clear if its corrected p-value is below this, and its interval over people leaves 0 out."""
TESTS = {"mcnemar": "accuracy", "delong": "roc_auc", "wilcoxon": "log_loss"}
"""The tests of a pair, and the measure that each is about."""


@dataclass
class Corrected:
    """A p-value, and what Holm's correction over all tests of the comparison makes of it; None without a test."""

    p: float | None
    corrected: float | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """A run's predictions on the test clips, sorted by id, and its measures with intervals over people.

    `difference` is the run minus its own baseline, if it has one, `against_baseline` DeLong's test of it, `paired` its
    paired share. `left_out` counts the run's other test clips, which another detector has no score of.
    """

    name: str
    results: Results
    clips: Predictions
    left_out: int
    threshold: float
    over_people: dict[str, Measure]
    difference: Difference | None
    paired: PairedShare
    against_baseline: Corrected
    kinds: list[Kind]

    @property
    def calls(self) -> np.ndarray:
        """bool (N,): the clips called fake."""
        return self.clips.probabilities >= self.threshold

    @property
    def epoch_seconds(self) -> float | None:
        """Mean duration of a training epoch, None if the run does not tell."""
        epochs = int((self.results.history.get("epoch", np.empty(0)) > 0).sum())  # epoch 0 is the baseline
        return self.results.seconds / epochs if self.results.seconds is not None and epochs else None


@dataclass(frozen=True)
class Pair:
    """How two models differ: each measure of `first` minus that of `second`, and three tests.

    `corrected` are the tests' p-values after Holm's correction over all tests of the comparison; `needed` is how many
    clips would reveal a difference in accuracy and in ROC AUC as large as the one measured.
    """

    first: str
    second: str
    over_people: dict[str, Measure]
    mcnemar: McNemar
    delong: DeLong
    wilcoxon: Wilcoxon
    needed: dict[str, int | None]
    corrected: dict[str, float | None] = dataclasses.field(default_factory=dict)

    def is_clear(self, test: str) -> bool:
        """Tells whether `test` and the interval over people of its measure both say that the models differ."""
        p, interval = self.corrected[test], ends(self.over_people[TESTS[test]])
        return p is not None and p < LEVEL and interval is not None and not interval[0] <= 0 <= interval[1]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All models and pairs. `calls` names the threshold, HALF or CHOSEN; `people` counts those in the test clips."""

    models: list[Model]
    pairs: list[Pair]
    calls: str
    people: int
    resamples: int
    seed: int

    @property
    def clips(self) -> int:
        """The number of test clips."""
        return len(self.models[0].clips.ids)


def compare_results(runs: Sequence[Results], chosen: bool, resamples: int, seed: int) -> Comparison:
    """Returns the comparison of `runs` on their test part, which must hold the same clips in all of them.

    Where another detector has no score of some, these clips are left out of all. Calls are made at the default
    threshold, or if `chosen` at each run's own threshold from validation. Raises a UserError that says how the test
    parts differ.
    """
    if len(runs) < 2:
        example = compare_command(["runs/x", "runs/y"], {})
        raise UserError(f"a comparison needs two runs or more; name them as in {example}.")
    names = _names(runs)
    parts = _common(runs, [_ordered(run.head.of(TEST)) for run in runs])
    people = runs[0].people(parts[0])
    models = [
        _model(name, run, part, _threshold(run, chosen), people, resamples, seed)
        for name, run, part in zip(names, runs, parts, strict=True)
    ]
    pairs = [_pair(one, two, people, resamples, seed) for one, two in itertools.combinations(models, 2)]
    _correct(models, pairs)
    calls = CHOSEN if chosen else HALF
    return Comparison(models, pairs, calls, len(np.unique(people)), resamples, seed)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Returns the contents of `comparison.json`: every number of the page, None for what is undefined."""
    return {
        "clips": comparison.clips,
        "fake": int(comparison.models[0].clips.labels.sum()),
        "people": comparison.people,
        "calls": comparison.calls,
        "interval": {"kind": INTERVAL, "confidence": CONFIDENCE}
        | {"resamples": comparison.resamples, "seed": comparison.seed},
        "models": {
            model.name: {
                "run": str(model.results.folder),
                "fingerprint": model.results.config.fingerprint,
                "split": model.results.audit.split,
                "left_out": model.left_out,
                "threshold": model.threshold,
                "epoch_seconds": model.epoch_seconds,
                "over_people": {name: dataclasses.asdict(measure) for name, measure in model.over_people.items()},
                "head_minus_baseline": model.difference and dataclasses.asdict(model.difference),
                "against_baseline": dataclasses.asdict(model.against_baseline),
                "paired_share": dataclasses.asdict(model.paired),
                "kinds": [dataclasses.asdict(kind) for kind in model.kinds],
            }
            for model in comparison.models
        },
        "pairs": [dataclasses.asdict(pair) for pair in comparison.pairs],
    }


def _names(runs: Sequence[Results]) -> list[str]:
    for one, other in itertools.combinations([run.folder for run in runs], 2):
        if one.samefile(other):
            raise UserError(f"{one.resolve()} is named twice; compare different runs.")
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def _ordered(clips: Predictions) -> Predictions:
    return clips.rows(np.argsort(np.array(clips.ids, object), kind="stable"))


def _common(runs: Sequence[Results], parts: Sequence[Predictions]) -> list[Predictions]:
    """Returns the test clips that all `runs` have; only the scores of other detectors may lack some."""
    for run, part in zip(runs, parts, strict=True):
        if not part.ids:
            raise UserError(f"{run.folder} has no clip in its test part; train with a split that has one.")
    ours = [pair for pair in zip(runs, parts, strict=True) if pair[0].config.kind != SCORES]
    for run, part in ours[1:]:
        _require_same_clips(*ours[0], run, part)
    known = set.intersection(*(set(part.ids) for part in parts))
    common = [part.rows(np.flatnonzero([name in known for name in part.ids])) for part in parts]
    for run, part in zip(runs[1:], common[1:], strict=True):
        _require_same_labels(runs[0], common[0], run, part)
    real, fake = ((common[0].labels == label).sum() for label in (REAL, FAKE))
    if any(len(part.ids) > len(known) for part in parts) and not (real and fake):
        folders = " and ".join(str(run.folder) for run in runs)
        raise UserError(
            f"{folders} have {real} real and {fake} fake test clips in common, and some of each are needed; give "
            "scores of more clips, or compare runs of one data set."
        )
    return common


def _require_same_clips(one: Results, first: Predictions, other: Results, second: Predictions) -> None:
    for run, extra in ((one, set(first.ids) - set(second.ids)), (other, set(second.ids) - set(first.ids))):
        if extra:
            raise UserError(
                f"{one.folder} and {other.folder} do not test on the same clips: {len(extra)} are in {run.folder} "
                f"alone, {min(extra)!r} first; compare runs of one data set and one split."
            )


def _require_same_labels(one: Results, first: Predictions, other: Results, second: Predictions) -> None:
    if (wrong := np.flatnonzero(first.labels != second.labels)).size:
        raise UserError(
            f"{one.folder} and {other.folder} give {first.ids[wrong[0]]!r} different labels; one of them was changed: "
            "train it again."
        )


def _threshold(run: Results, chosen: bool) -> float:
    threshold = choose_on_validation(run.head) if chosen else THRESHOLD
    if threshold is None:
        raise UserError(
            f"{run.folder} has no validation part with both classes to choose a threshold on; compare at {THRESHOLD}."
        )
    return threshold


def _model(
    name: str, run: Results, clips: Predictions, threshold: float, people: np.ndarray, resamples: int, seed: int
) -> Model:
    baseline = baseline_of(run, clips)
    return Model(
        name,
        run,
        clips,
        len(run.head.of(TEST).ids) - len(clips.ids),
        threshold,
        evaluate(clips.labels, clips.probabilities, threshold, resamples, seed, people),
        baseline and head_minus_baseline(clips, baseline, people, resamples, seed),
        run.paired_share(clips, resamples, seed),
        Corrected(baseline and delong(clips.labels, clips.probabilities, baseline.probabilities).p),
        kinds_of_run(run, clips, clips.probabilities >= threshold, resamples, seed),
    )


def _pair(one: Model, two: Model, people: np.ndarray, resamples: int, seed: int) -> Pair:
    labels, clips = one.clips.labels, len(one.clips.ids)
    first, second = one.clips.probabilities, two.clips.probabilities
    sides = ((first, one.threshold), (second, two.threshold))
    over_people = difference_measures(labels, *sides, resamples, seed, people)
    calls, area = mcnemar(labels, one.calls, two.calls), delong(labels, first, second)
    error = accuracy_error(calls.first, calls.second, clips)
    needed = {
        "accuracy": clips_needed((calls.first - calls.second) / clips, error, clips),
        "roc_auc": clips_needed(area.difference or 0.0, area.error or 0.0, clips),
    }
    return Pair(one.name, two.name, over_people, calls, area, wilcoxon(labels, first, second), needed)


def _correct(models: Sequence[Model], pairs: Sequence[Pair]) -> None:
    """Corrects each p-value over all tests that the comparison makes: three a pair, and one a model."""
    tests = [(pair, test) for pair in pairs for test in TESTS]
    values = [getattr(pair, test).p for pair, test in tests] + [model.against_baseline.p for model in models]
    corrected = holm(values)
    for (pair, test), value in zip(tests, corrected[: len(tests)], strict=True):
        pair.corrected[test] = value
    for model, value in zip(models, corrected[len(tests) :], strict=True):
        model.against_baseline.corrected = value
