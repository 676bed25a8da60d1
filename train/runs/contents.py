"""What a run folder holds beside its networks: one record, written and read here and nowhere else."""

import importlib.metadata
import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from base.errors import UserError
from base.files import write_csv, write_folder, write_json
from base.outside.values import explained, now, read_csv, shown
from cache.profile import Profile
from train.data.audit import Audit
from train.runs.folder import AGAIN, AUDIT, BASELINE, CONFIG, DONE, HISTORY, PREDICTIONS, SCORES, SPLIT, free_name
from train.runs.live import forget_live, keep_live
from train.runs.predictions import (
    Predictions,
    SplitRow,
    read_predictions,
    read_split,
    require_split,
    write_predictions,
    write_split,
)
from train.runs.recipe import Done, RunConfig, checksums, read_config, read_object

PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn", "h5py", "opencv-python-headless", "av")


@dataclass(frozen=True, eq=False)
class RunContents:
    """A run without its networks.

    `split` gives label, part and people of each clip; `history` a float64 (E,) column of E epochs by name, NaN where
    there is no value; `baseline` is the logistic regression on the clips of `predictions`, None beside the scores of
    another detector; `seconds` is how long training took, None if that is not known, and `created` when the run was
    finished, "" until it is.
    """

    config: RunConfig[Profile]
    split: dict[str, SplitRow]
    audit: Audit
    history: dict[str, np.ndarray]
    predictions: Predictions
    baseline: Predictions | None
    seconds: float | None
    created: str = ""


def write_run(folder: Path, save: Callable[[Path], RunContents]) -> Path:
    """Writes a finished run, whole or not at all; returns its folder.

    That is `folder`, or its name with a number if another run took the name while this one trained. `save` writes the
    run's networks, if it has any, into the folder that it gets, and returns everything else.
    """

    def fill(into: Path) -> None:
        contents = save(into)
        keep_live(folder, into)
        write_split(into / SPLIT, contents.split)
        write_json(into / AUDIT, asdict(contents.audit))
        _write_history(into / HISTORY, contents.history)
        write_predictions(into / PREDICTIONS, contents.predictions)
        if contents.baseline is not None:
            write_predictions(into / BASELINE, contents.baseline)
        write_json(into / CONFIG, replace(contents.config, versions=versions()).entries())
        seconds = contents.seconds and round(contents.seconds, 3)
        write_json(into / DONE, asdict(Done(now(), seconds, checksums(into))))

    written = write_folder(folder, fill, lambda: folder.with_name(free_name(folder.parent, None, folder.name)))
    forget_live(folder)
    return written


def read_contents(folder: Path) -> RunContents:
    """Returns what the run in `folder` holds; a UserError names what is missing, damaged or does not fit the rest."""
    config = read_config(folder)
    split = read_split(folder / SPLIT)
    predictions = _predictions(folder / PREDICTIONS, split)
    baseline = None if config.kind == SCORES else _predictions(folder / BASELINE, split)
    audit, done = read_object(folder / AUDIT, Audit), read_object(folder / DONE, Done)
    history = read_history(folder)
    return RunContents(config, split, audit, history, predictions, baseline, done.seconds, done.created)


def numbered_history(columns: Mapping[str, Any], first: int = 1) -> dict[str, np.ndarray]:
    """Returns a history of `columns`, each a value an epoch, its epochs numbered from `first`."""
    arrays = {name: np.asarray(values, np.float64) for name, values in columns.items()}
    count = len(next(iter(arrays.values()), ()))
    return {"epoch": np.arange(first, first + count), **arrays}


def versions() -> dict[str, str]:
    """Returns the versions of Python and the packages that a run depends on."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _write_history(path: Path, history: Mapping[str, np.ndarray]) -> None:
    columns = [["" if math.isnan(value) else value for value in values.tolist()] for values in history.values()]
    write_csv(path, list(history), zip(*columns, strict=True))


def read_history(folder: Path) -> dict[str, np.ndarray]:
    """Returns the history of the run in `folder`, float64 (E,) by column; a UserError says what is wrong in it."""
    path = folder / HISTORY
    with explained(path, "CSV", AGAIN):
        rows = list(read_csv(path, ("epoch", "loss")))
    names = rows[0][1].keys() if rows else ()
    return {name: np.array([_number(values[name], path, line) for line, values in rows]) for name in names}


def _number(text: str, path: Path, line: int) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        raise UserError(f"{path}, line {line}: {shown(text)} is not a number; train the run again.") from None


def _predictions(path: Path, split: Mapping[str, SplitRow]) -> Predictions:
    predictions = read_predictions(path)
    require_split(predictions, split, path)
    return predictions
