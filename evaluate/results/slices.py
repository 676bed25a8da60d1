"""Where a run fails: its measures on slices of the test clips, and its most confident mistakes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cache.schema import LEAST_COVERAGE, TEST
from evaluate.results.footage import Footage
from evaluate.results.read import Results
from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import THRESHOLD, evaluate
from train.runs.predictions import Predictions

COLUMNS = ("roc_auc", "accuracy", "recall_real", "recall_fake")
"""The measures of a slice."""
RESAMPLES = 1000
MOST_WRONG = 20
MOST_SLICES = 20
"""People, and folders, that are listed: those with the most errors."""


@dataclass(frozen=True)
class Slice:
    """Test clips that have something in common: how many are real and fake, and the measures in `COLUMNS`."""

    name: str
    real: int
    fake: int
    measures: dict[str, Measure]


@dataclass(frozen=True)
class Slicing:
    """One way to divide the test clips: `key` names it for programs, `title` for people."""

    key: str
    title: str
    slices: list[Slice]


@dataclass(frozen=True, eq=False)
class Failures:
    """`slicings` of the test clips; `wrong` are rows of `clips`, the most confident mistake first.

    `footage` is empty if the cache no longer has the clips; then size of face and length of clip are unknown.
    """

    clips: Predictions
    slicings: list[Slicing]
    wrong: list[int]
    footage: Footage


def find_failures(results: Results, footage: Footage, seed: int) -> Failures:
    """Returns where the head of `results` fails on its test part, calls made at the default threshold."""
    clips, people = results.head.of(TEST), results.people(results.head.of(TEST))
    slicings = [
        Slicing(key, title, list(_slices(clips, names, people, seed)))
        for key, title, names in _divisions(clips, footage)
    ]
    if results.config.data_sets:
        sets = [name.partition("/")[0] for name in clips.ids]
        slicings.append(_worst(clips, "data-set", "Data set", sets, 1, people, seed))
    folders = [name.rpartition("/")[0] or "top folder" for name in clips.ids]
    slicings.append(_worst(clips, "folder", "Folder of the data set", folders, 1, people, seed))
    owners = [results.split[name].owner for name in clips.ids]
    title, every = "Person whose footage it is, with two clips or more; intervals over clips", np.arange(len(owners))
    slicings.append(_worst(clips, "person", title, owners, 2, every, seed))
    slicings = [slicing for slicing in slicings if slicing.slices]
    wrong = np.flatnonzero(_is_wrong(clips))
    surest = wrong[np.argsort(-np.abs(clips.probabilities[wrong] - THRESHOLD), kind="stable")]
    return Failures(clips, slicings, surest[:MOST_WRONG].tolist(), footage)


def _divisions(clips: Predictions, footage: Footage) -> Iterator[tuple[str, str, list[str]]]:
    """Yields key and title of each way to divide the clips, and the name of each clip's slice."""
    if not np.isnan(clips.coverage).all():
        yield "coverage", "Coverage, share of frames with a face", _named(clips.coverage, _COVERAGE)
    known = [name in footage.rows for name in clips.ids]
    if any(known):
        faces = [footage.face(name) if there else np.nan for name, there in zip(clips.ids, known, strict=True)]
        seconds = [footage.seconds(name) if there else np.nan for name, there in zip(clips.ids, known, strict=True)]
        yield "size", "Size of the face, side of its box in pixels", _named(np.array(faces), _FACES)
        yield "length", "Length of the clip, in seconds", _named(np.array(seconds), _SECONDS)


_Band = tuple[str, Callable[[np.ndarray], np.ndarray]]
_COVERAGE: list[_Band] = [
    (f"under {LEAST_COVERAGE:g}", lambda share: share < LEAST_COVERAGE),
    (f"{LEAST_COVERAGE:g} to 0.9", lambda share: (share >= LEAST_COVERAGE) & (share < 0.9)),
    ("0.9 and above", lambda share: share >= 0.9),
    ("unknown", np.isnan),
]
_FACES: list[_Band] = [
    ("no face", np.isnan),
    ("under 80", lambda side: side < 80),
    ("80 to 160", lambda side: (side >= 80) & (side < 160)),
    ("160 and above, larger than a crop", lambda side: side >= 160),
]
_SECONDS: list[_Band] = [
    ("under 5", lambda seconds: seconds < 5),
    ("5 to 10", lambda seconds: (seconds >= 5) & (seconds < 10)),
    ("10 to 20", lambda seconds: (seconds >= 10) & (seconds < 20)),
    ("20 and above", lambda seconds: seconds >= 20),
    ("not known", np.isnan),
]


def _named(values: np.ndarray, bands: list[_Band]) -> list[str]:
    return [next(name for name, holds in bands if holds(value)) for value in values]


def _slices(clips: Predictions, names: list[str], people: np.ndarray, seed: int) -> Iterator[Slice]:
    """Yields the slice of each name, in the order of the bands."""
    order = [name for bands in (_COVERAGE, _FACES, _SECONDS) for name, _ in bands]
    for name in sorted(set(names), key=order.index):
        yield _slice(clips, name, np.array([own == name for own in names]), people, seed)


def _slice(clips: Predictions, name: str, inside: np.ndarray, people: np.ndarray, seed: int) -> Slice:
    labels = clips.labels[inside]
    measures = evaluate(labels, clips.probabilities[inside], THRESHOLD, RESAMPLES, seed, people[inside])
    fakes = int(labels.sum())
    return Slice(name, len(labels) - fakes, fakes, {column: measures[column] for column in COLUMNS})


def _worst(
    clips: Predictions, key: str, title: str, names: Sequence[str], least: int, people: np.ndarray, seed: int
) -> Slicing:
    """Returns the clips divided by `names`, those of `least` clips with the most errors first.

    There may be thousands, each with a bootstrap of its own, so they are cut, and the title says at how many.
    """
    kinds, kind, counts = np.unique(names, return_inverse=True, return_counts=True)
    errors = np.bincount(kind, _is_wrong(clips), len(kinds))
    large = [number for number in np.argsort(-errors, kind="stable") if counts[number] >= least]
    cut = f" ({MOST_SLICES} of {len(large):,})" if len(large) > MOST_SLICES else ""
    slices = [_slice(clips, str(kinds[number]), kind == number, people, seed) for number in large[:MOST_SLICES]]
    return Slicing(key, f"{title}, most errors first{cut}", slices)


def _is_wrong(clips: Predictions) -> np.ndarray:
    return (clips.probabilities >= THRESHOLD) != (clips.labels == 1)
