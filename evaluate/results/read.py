"""A finished run folder as evaluation reads it: its files, without the network."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache.schema import TEST, VAL, UserError
from evaluate.stats.calibration import Temperature, fit_temperature
from train.runs.folder import DONE, ENSEMBLE, require_finished
from train.runs.predictions import Predictions, SplitRow, read_predictions, read_rows, read_split, require_split

PUBLISHED = "published"
"""The `kind` in the config of a run by the published recipe."""


@dataclass(frozen=True, eq=False)
class Results:
    """Everything a report needs of one run.

    `split` gives label, part and owner of each clip by id. `seconds` is how long training took, None if unknown.
    `history` has a float64 (E,) column by name, one value per epoch, NaN where the run wrote nothing. `baseline` has
    the predictions of the logistic regression for the same clips as `head`.
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
        """The name of the run's folder."""
        return self.folder.resolve().name

    @property
    def verb(self) -> str:
        """The command that makes a run like this one."""
        kind = self.config.get("kind")
        return self.config.get("command") or (kind if kind in (ENSEMBLE, PUBLISHED) else "train")

    def people(self, clips: Predictions) -> np.ndarray:
        """Returns whose footage each of `clips` is, int64 (N,): equal numbers stand for the same person."""
        return np.unique([self.split[name].owner for name in clips.ids], return_inverse=True)[1]


def read_results(folder: Path) -> Results:
    """Returns the run in `folder`. Raises a UserError that names what is missing, damaged or inconsistent."""
    require_finished(folder)
    split = read_split(folder / "split.csv")
    head, baseline = (_predictions(folder / name, split) for name in ("predictions.csv", "baseline.csv"))
    config = _read_json(folder / "config.json", {"config": dict, "profile": dict, "fingerprint": str, "versions": dict})
    audit = _read_json(folder / "audit.json", {"split": str, "dropped": int, "notes": list, "findings": list})
    _check_findings(audit["findings"], folder / "audit.json")
    return Results(
        folder, config, _seconds(folder / DONE), audit, split, _read_history(folder / "history.csv"), head, baseline
    )


def read_member(folder: Path, clips: Predictions) -> Predictions | None:
    """Returns the predictions of the run in `folder` for `clips`, in its own order; None if it lacks them."""
    try:
        require_finished(folder)
        predictions = read_predictions(folder / "predictions.csv").of(TEST)
    except UserError:
        return None
    return predictions if sorted(predictions.ids) == sorted(clips.ids) else None


def read_temperature(folder: Path) -> Temperature | None:
    """Returns the temperature of the run in `folder`, fitted on its validation part; None if that is impossible."""
    path = folder / "predictions.csv"
    return find_temperature(read_predictions(path)) if path.exists() else None


def find_temperature(predictions: Predictions) -> Temperature | None:
    """Returns the temperature of `predictions`, fitted on their validation part; None if that is impossible."""
    validation = predictions.of(VAL)
    return fit_temperature(validation.labels, validation.probabilities) if validation.ids else None


def _predictions(path: Path, split: dict[str, SplitRow]) -> Predictions:
    predictions = read_predictions(path)
    require_split(predictions, split, path)
    return predictions


def _read_json(path: Path, keys: dict[str, type]) -> dict[str, Any]:
    """Returns the JSON object in `path`, which must have `keys` with values of these types."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; train the run again to write it.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); train the run again to write it.") from None
    for name, kind in keys.items():
        if not isinstance(values, dict) or not isinstance(values.get(name), kind):
            raise UserError(f"{path} has no {name!r} that is a {kind.__name__}; train the run again to write it.")
    return values


def _seconds(path: Path) -> float | None:
    seconds = _read_json(path, {"created": str}).get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else None


def _check_findings(findings: list[Any], path: Path) -> None:
    for number, finding in enumerate(findings, start=1):
        keys = {"kind": str, "name": str, "parts": list, "videos": dict}
        if not isinstance(finding, dict) or not all(isinstance(finding.get(key), kind) for key, kind in keys.items()):
            raise UserError(f"{path}: finding {number} lacks one of {', '.join(keys)}; train the run again.")
        if not all(map(_texts, [finding["parts"], *finding["videos"].values()])):
            raise UserError(f"{path}: finding {number} has parts or videos that are not lists of names; train again.")


def _texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _read_history(path: Path) -> dict[str, np.ndarray]:
    rows = list(read_rows(path, ("epoch", "loss")))
    names = rows[0][1].keys() if rows else ()
    return {name: np.array([_number(values[name], path, line) for line, values in rows]) for name in names}


def _number(text: str, path: Path, line: int) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        raise UserError(f"{path}, line {line}: {text!r} is not a number; train the run again.") from None
