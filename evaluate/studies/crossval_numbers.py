"""The numbers of a cross-validation: how well heads judge people they never saw, with intervals over people."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cache.schema import FAKE, REAL, VideoRecord
from evaluate.results.calls import Calls
from evaluate.results.kinds import Judged, Kind, measure_kinds
from evaluate.stats.band import band_around
from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import THRESHOLD, difference_measures, evaluate
from evaluate.stats.pairs import UNKNOWN, paired_share, share_of_pairs, source_rows


@dataclass(frozen=True, eq=False)
class Verdicts:
    """The probability of fake of N clips in each of R repetitions by models that did not see them, float64 (R, N).

    `folds` int (R, N) says in which fold a clip was tested, `trained_on` how many people were in train, on average.
    """

    trained_on: float
    head: np.ndarray
    baseline: np.ndarray
    folds: np.ndarray


@dataclass(frozen=True)
class Model:
    """One model on clips of people it never saw, with 95 % intervals over people.

    `pooled` is the ROC AUC of all verdicts together, `within` that of pairs of clips that the same model judged,
    `paired` how often a fake scores above the real clip it was made from, or above those of its person. `found` is the
    share of fakes called fake, `alarms` that of real clips; `fakes` and `reals` count the calls, as a mean over the
    repetitions that adds up to whole clips. `kinds` counts those of all repetitions.
    """

    pooled: Measure
    within: Measure
    paired: Measure
    by_repetition: list[float]
    found: Measure
    alarms: Measure
    fakes: Calls
    reals: Calls
    kinds: list[Kind]


@dataclass(frozen=True)
class Point:
    """The pooled ROC AUC of head and baseline with so many people in train, on average."""

    trained_on: float
    head: Measure
    baseline: Measure


@dataclass(frozen=True)
class Numbers:
    """What a cross-validation found. `difference` is head minus baseline, `gain` all people minus half of them."""

    clips: int
    fakes: int
    groups: int
    unnamed: int
    folds: int
    repetitions: int
    head: Model
    baseline: Model
    difference: Measure
    curve: list[Point]
    gain: Measure | None


def measure(
    records: Sequence[VideoRecord],
    verdicts: Sequence[Verdicts],
    group: Callable[[VideoRecord], str],
    resamples: int,
    seed: int,
) -> Numbers:
    """Returns the numbers of `verdicts`, one for each share of people trained on, all of them last."""
    names, own = np.unique([group(record) for record in records], return_inverse=True)
    labels, last = np.array([record.label for record in records]), verdicts[-1]
    repetitions = len(last.head)
    every, people = np.tile(labels, repetitions), np.tile(own, repetitions)

    def minus(one: np.ndarray, other: np.ndarray) -> Measure:
        first, second = ((values.ravel(), THRESHOLD) for values in (one, other))
        return difference_measures(every, first, second, resamples, seed, people)["roc_auc"]

    def area(values: np.ndarray) -> Measure:
        return evaluate(every, values.ravel(), THRESHOLD, resamples, seed, people)["roc_auc"]

    half = min(verdicts, key=lambda one: abs(one.trained_on - last.trained_on / 2))
    return Numbers(
        len(records),
        int(labels.sum()),
        len(names),
        sum(not record.target for record in records),
        int(last.folds.max()) + 1,
        repetitions,
        _model(records, last.head, last.folds, own, resamples, seed),
        _model(records, last.baseline, last.folds, own, resamples, seed),
        minus(last.head, last.baseline),
        [Point(one.trained_on, area(one.head), area(one.baseline)) for one in verdicts],
        minus(last.head, half.head) if half is not last else None,
    )


def _model(
    records: Sequence[VideoRecord], scores: np.ndarray, folds: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> Model:
    """Returns the measures of `scores` float64 (R, N) of clips tested in `folds` int (R, N)."""
    labels, repetitions = np.array([record.label for record in records]), len(scores)
    band = band_around(THRESHOLD, None)
    every, people = np.tile(labels, repetitions), np.tile(groups, repetitions)
    measures = evaluate(every, scores.ravel(), band.high, resamples, seed, people)
    right = measures["recall_real"]
    sources = source_rows([record.id for record in records], [record.source for record in records])
    repeated = [np.where(sources == UNKNOWN, UNKNOWN, sources + number * len(records)) for number in range(repetitions)]
    calls = [[band.call(score) for score in repetition] for repetition in scores.tolist()]
    judged = Judged(every, scores.ravel(), scores.ravel() >= band.high, np.concatenate(repeated), people)
    return Model(
        measures["roc_auc"],
        _within(labels, scores, folds, groups, resamples, seed),
        paired_share(every, scores.ravel(), np.concatenate(repeated), people, resamples, seed).share,
        [value for one in scores if (value := evaluate(labels, one, resamples=0)["roc_auc"].value) is not None],
        measures["recall_fake"],
        Measure(*(None if end is None else 1 - end for end in (right.value, right.high, right.low))),
        _counted(calls, labels == FAKE),
        _counted(calls, labels == REAL),
        measure_kinds([record.kind for record in records] * repetitions, judged, None, resamples, seed),
    )


def _within(
    labels: np.ndarray, scores: np.ndarray, folds: np.ndarray, groups: np.ndarray, resamples: int, seed: int
) -> Measure:
    """Returns how often a fake scores above a real clip that the same model judged."""
    fake, real = (scores[:, labels == label] for label in (FAKE, REAL))
    same = folds[:, labels == FAKE, None] == folds[:, None, labels == REAL]
    wins = (np.sign(fake[:, :, None] - real[:, None]) + 1) / 2
    above, pairs = (same * wins).sum(axis=0), same.sum(axis=0).astype(np.float64)
    return share_of_pairs(labels, above, pairs, groups, resamples, seed)


def _counted(calls: Sequence[Sequence[str]], rows: np.ndarray) -> Calls:
    """Returns how the clips `rows` bool (N,) are called in a repetition, on average, rounded so that they add up."""
    counts = Counter(call for repetition in calls for call, own in zip(repetition, rows, strict=True) if own)
    exact = {name: counts[name] / len(calls) for name in ("Fake", "Unsure", "Real")}
    whole = {name: int(value) for name, value in exact.items()}
    left = int(rows.sum()) - sum(whole.values())
    for name in sorted(exact, key=lambda name: whole[name] - exact[name])[:left]:
        whole[name] += 1
    return Calls(whole["Fake"], whole["Real"], whole["Unsure"])


RISING = "The curve is still rising"


def curve_sentence(numbers: Numbers, many: str) -> str:
    """Returns what the learning curve over `many`, people or source videos, says, or that it does not."""
    if numbers.gain is None or numbers.gain.value is None:
        return f"There are too few {many} for a curve."
    gain = f"All {many} instead of about half of them give {numbers.gain.value:+.3f} in ROC AUC"
    if numbers.gain.low is None or numbers.gain.high is None:
        return f"{gain}; whether more {many} would help, so few cannot say."
    ends = f"{gain} (95 % interval {numbers.gain.low:+.3f} to {numbers.gain.high:+.3f})"
    if numbers.gain.low > 0:
        return f"{RISING}: more {many} would help. {ends}."
    return f"Whether more {many} would help, the curve does not say. {ends}."
