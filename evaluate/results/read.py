"""A finished run folder as evaluation sees it: files only, nothing of how they were made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache.schema import TEST, VAL, UserError
from evaluate.stats.calibration import Temperature, fit_temperature
from train.runs.contents import read_contents
from train.runs.folder import PREDICTIONS, require_finished
from train.runs.predictions import Predictions, SplitRow, read_predictions


@dataclass(frozen=True, eq=False)
class Results:
    """Everything a report needs of one run.

    `split` gives label, part and owner of each clip by id; `seconds` is how long training took, if the run says;
    `history` a float64 (E,) column of E epochs by name, NaN where the run wrote nothing; `baseline` is the logistic
    regression on the same clips as `head`.
    """

    folder: Path
    config: dict[str, Any]
    seconds: float | None
    audit: dict[str, Any]
    split: dict[str, SplitRow]
    history: dict[str, np.ndarray]
    head: Predictions
    baseline: Predictions

    @property
    def name(self) -> str:
        """The run's name, that of its folder."""
        return self.folder.resolve().name

    def people(self, clips: Predictions) -> np.ndarray:
        """Returns whose footage each of `clips` is, as int64 (N,): equal numbers are the same person's."""
        return np.unique([self.split[name].owner for name in clips.ids], return_inverse=True)[1]


def read_results(folder: Path) -> Results:
    """Returns the run in `folder`; a UserError names what is missing, damaged or does not fit the rest."""
    run = read_contents(folder)
    return Results(
        folder, run.config, run.seconds, run.audit, run.split, run.history, head=run.predictions, baseline=run.baseline
    )


def read_member(folder: Path, clips: Predictions) -> Predictions | None:
    """Returns what the run in `folder` says of `clips`, in its own order; None if it is gone or judges others."""
    try:
        require_finished(folder)
        found = read_predictions(folder / PREDICTIONS).of(TEST)
    except UserError:
        return None
    return found if sorted(found.ids) == sorted(clips.ids) else None


def read_temperature(folder: Path) -> Temperature | None:
    """Returns the temperature that calibrates the run in `folder`, None if it has no predictions on validation."""
    path = folder / PREDICTIONS
    return find_temperature(read_predictions(path)) if path.exists() else None


def find_temperature(predictions: Predictions) -> Temperature | None:
    """Returns the temperature that calibrates `predictions`, None if there are none on validation."""
    validation = predictions.of(VAL)
    return fit_temperature(validation.labels, validation.probabilities) if validation.ids else None
