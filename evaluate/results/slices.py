"""Where a run fails: its measures on parts of the test clips, and the clips it gets most confidently wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from evaluate.results.footage import Footage
from evaluate.results.read import Results
from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import evaluate
from train.runs.predictions import Predictions

SHOWN = ("roc_auc", "accuracy", "recall_real", "recall_fake")
RESAMPLES = 1000
MOST_WRONG = 20
PEOPLE = 20
"""People shown, those with the most errors first."""


@dataclass(frozen=True)
class Slice:
    """Test clips that have something in common: how many are real and fake, and the measures named in `SHOWN`."""

    name: str
    real: int
    fake: int
    measures: dict[str, Measure]


@dataclass(frozen=True, eq=False)
class Failures:
    """`slices` by what the clips were divided by; `wrong` are rows of `clips`, the most confident mistake first."""

    clips: Predictions
    slices: dict[str, list[Slice]]
    wrong: list[int]
    footage: Footage


def find_failures(results: Results, footage: Footage, seed: int) -> Failures:
    """Returns where the head of `results` fails on its test part, calls made at 0.5."""
    clips = results.head.of("test")
    known = [name in footage.places for name in clips.ids]
    divided: dict[str, list[str]] = {"Coverage, share of frames with a face": _named(clips.coverage, _COVERAGE)}
    if any(known):
        faces = [footage.face(name) if found else np.nan for name, found in zip(clips.ids, known, strict=True)]
        lasting = [footage.seconds(name) if found else np.nan for name, found in zip(clips.ids, known, strict=True)]
        divided["Size of the face, side of its box in pixels"] = _named(np.array(faces), _FACES)
        divided["Length of the clip, in seconds"] = _named(np.array(lasting), _SECONDS)
    divided["Part of the data set"] = [_folder(name) for name in clips.ids]
    slices = {title: list(_slices(clips, names, seed)) for title, names in divided.items()}
    if people := _people(results, clips, seed):
        slices["Person whose footage it is, those with two clips or more, most errors first"] = people
    return Failures(clips, slices, _most_wrong(clips), footage)


_Band = tuple[str, Callable[[np.ndarray], np.ndarray]]
_COVERAGE: list[_Band] = [
    ("under 0.5", lambda share: share < 0.5),
    ("0.5 to 0.9", lambda share: (share >= 0.5) & (share < 0.9)),
    ("0.9 and above", lambda share: share >= 0.9),
]
_FACES: list[_Band] = [
    ("no face", np.isnan),
    ("under 80", lambda side: side < 80),
    ("80 to 160", lambda side: (side >= 80) & (side < 160)),
    ("160 and above, more than a crop has", lambda side: side >= 160),
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


def _folder(name: str) -> str:
    return name.rpartition("/")[0] or "top folder"


def _slices(clips: Predictions, names: list[str], seed: int) -> Iterator[Slice]:
    """Yields the clips of each name, in the order of the names' bands, else by name."""
    order = [name for bands in (_COVERAGE, _FACES, _SECONDS) for name, _ in bands]
    for name in sorted(set(names), key=lambda name: (order.index(name) if name in order else 0, name)):
        yield _slice(clips, name, np.array([own == name for own in names]), seed)


def _slice(clips: Predictions, name: str, inside: np.ndarray, seed: int) -> Slice:
    labels = clips.labels[inside]
    found = evaluate(labels, clips.probabilities[inside], 0.5, RESAMPLES, seed)
    fakes = int(labels.sum())
    return Slice(name, len(labels) - fakes, fakes, {shown: found[shown] for shown in SHOWN})


def _people(results: Results, clips: Predictions, seed: int) -> list[Slice]:
    owners = [results.split[name].owner for name in clips.ids]
    names, person, counts = np.unique(owners, return_inverse=True, return_counts=True)
    errors = np.bincount(person, _is_wrong(clips), len(names))
    worst = [number for number in np.argsort(-errors, kind="stable") if counts[number] > 1][:PEOPLE]
    return [_slice(clips, str(names[number]), person == number, seed) for number in worst]


def _is_wrong(clips: Predictions) -> np.ndarray:
    return (clips.probabilities >= 0.5) != (clips.labels == 1)


def _most_wrong(clips: Predictions) -> list[int]:
    rows = np.flatnonzero(_is_wrong(clips))
    return rows[np.argsort(-np.abs(clips.probabilities[rows] - 0.5), kind="stable")][:MOST_WRONG].tolist()
