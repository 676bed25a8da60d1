"""A trained head into its run folder: weights, split, audit, history, predictions, and all that repeats it."""

import dataclasses
import datetime
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.files import write_csv
from cache.schema import VideoRecord, coverage_of
from cache.store import ORIGIN
from train.data.split import DROPPED
from train.data.training_set import TrainingSet
from train.heads.architectures import HeadConfig
from train.runs.folder import CONFIG, DONE, PREDICTION_COLUMNS, save_head, write_json, write_run

if TYPE_CHECKING:
    import keras

    from train.heads.training import History

PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn", "h5py", "opencv-python-headless", "av")


@dataclass(frozen=True, eq=False)
class Trained:
    """A head, how it went, and what it and the baseline, float (R,), say of the clips that are in any part."""

    shape: HeadConfig
    head: "keras.Model"
    history: "History"
    probabilities: np.ndarray
    baseline: np.ndarray
    seconds: float


def record(
    folder: Path, config: Any, material: TrainingSet, trained: Trained, more: Mapping[str, Any] = MappingProxyType({})
) -> Path:
    """Writes the run `folder` of a head trained on `material` as the dataclass `config` says; returns it.

    `more` is what its config.json says beyond that.
    """

    def fill(into: Path) -> None:
        write_split(into, material)
        write_history(into, trained.history)
        used, contents = material.used, material.contents
        clips = [contents.records[row] for row in used], material.parts[used].tolist()
        for name, values in (("predictions.csv", trained.probabilities), ("baseline.csv", trained.baseline)):
            write_predictions(into / name, *clips, values, contents.status[used])
        save_head(trained.head, into)
        write_json(into / CONFIG, {**recipe(config, material, trained.shape), **more})
        write_done(into, trained.seconds)

    return write_run(folder, fill)


def write_split(folder: Path, material: TrainingSet) -> None:
    """Writes `split.csv` and `audit.json`."""
    columns = ("id", "label", "part", "target", "donor", "source")
    rows = [
        (record.id, record.label, part, record.target, record.donor, record.source)
        for record, part in zip(material.contents.records, material.split.parts, strict=True)
    ]
    write_csv(folder / "split.csv", columns, rows)
    found = [dataclasses.asdict(finding) for finding in material.findings]
    dropped = material.split.parts.count(DROPPED)
    told = {"split": material.split.kind, "dropped": dropped, "notes": material.split.notes, "findings": found}
    write_json(folder / "audit.json", told)


def write_history(folder: Path, history: "History") -> None:
    """Writes `history.csv`, a row an epoch."""
    epochs = zip(*history.values(), strict=True)
    write_csv(folder / "history.csv", ["epoch", *history], [(i, *values) for i, values in enumerate(epochs, 1)])


def write_predictions(
    path: Path, records: Sequence[VideoRecord], parts: Sequence[str], probabilities: np.ndarray, status: np.ndarray
) -> None:
    """Writes what a run says of R clips: their probabilities of fake, float (R,), and how many faces were found."""
    columns = zip(records, parts, probabilities, coverage_of(status), strict=True)
    rows = [(record.id, record.label, part, float(value), coverage) for record, part, value, coverage in columns]
    write_csv(path, PREDICTION_COLUMNS, rows)


def write_done(folder: Path, seconds: float) -> None:
    """Writes `run.json`, which makes the folder a finished run."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(folder / DONE, {"created": created, "seconds": round(seconds, 3)})


def recipe(config: Any, material: TrainingSet, shape: HeadConfig) -> dict[str, Any]:
    """Returns everything needed to repeat the run, and to rebuild its head."""
    store = material.contents.store
    return {
        "config": dataclasses.asdict(config),
        "features": store.folder,
        "head": dataclasses.asdict(shape),
        "size": material.contents.arrays.shape[2],
        "profile": dataclasses.asdict(store.profile),
        "fingerprint": store.fingerprint,
        "origin": _origin(store.folder),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Returns the versions of Python and the packages that a run depends on."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _origin(folder: Path) -> dict[str, str]:
    """Returns where extraction found videos and weights; nothing where the features came without that."""
    try:
        return json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
