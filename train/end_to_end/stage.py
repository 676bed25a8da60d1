"""What the end-to-end stages share: their settings, the run they start from, and the run folder they write."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.files import write_csv
from cache.profile import Profile, crops_of, fingerprint
from cache.schema import UserError
from train.end_to_end.config import EndToEndConfig
from train.runs.folder import CONFIG, latest, read_config, write_json, write_run
from train.runs.write import versions, write_done, write_predictions

if TYPE_CHECKING:
    import keras

    from train.end_to_end.checkpoint import TrainingProgress
    from train.end_to_end.crops import CropSet

BASELINE_NOTE = "The baseline is that of the run this one started from: on features of a backbone that was not tuned."


@dataclass(frozen=True, eq=False)
class StartingRun:
    """The run that a stage starts from, with its config and profile, and the crops of its clips."""

    folder: Path
    config: dict[str, Any]
    profile: Profile
    clips: "CropSet"


def read_starting_run(config: EndToEndConfig) -> StartingRun:
    """Returns the run that `config` names, with its crops; a UserError says what is missing. Keras has been started."""
    from train.end_to_end.crops import find_crops

    folder = config.run or latest(config.runs)
    found, profile = read_config(folder)
    try:
        features = Path(found["features"])
    except (KeyError, TypeError):
        raise UserError(f"{folder / CONFIG} does not say where its features are; train the run again.") from None
    return StartingRun(folder, found, profile, find_crops(features, crops_of(profile), folder / "split.csv"))


@dataclass(frozen=True, eq=False)
class Written:
    """What a stage says of the networks that it wrote into a run folder.

    `recipe` is what config.json says beyond what follows from the source; `probabilities` float (N,) of fake belong to
    the clips of the source; `notes` are what a reader of the results should know.
    """

    recipe: dict[str, Any]
    probabilities: np.ndarray
    notes: list[str]


def train_and_write(
    config: EndToEndConfig, source: StartingRun, name: str, network: "keras.Model", write: Callable[[Path], Written]
) -> Path:
    """Trains `network` on the crops of `source`, going on where that was interrupted; returns the run folder `name`.

    `write` writes the trained networks into a folder; what else belongs into a run's is added here, run.json last.
    """
    from train.end_to_end.loop import train_on_crops

    checkpoint = config.runs / f".training-{name}.npz"
    progress = train_on_crops(network, source.clips, config, checkpoint)
    print(_outcome(progress))
    folder = write_run(config.runs / name, lambda folder: _write_rest(folder, source, progress, write(folder)))
    checkpoint.unlink(missing_ok=True)
    return folder


def _write_rest(folder: Path, source: StartingRun, progress: "TrainingProgress", written: Written) -> None:
    for name in ("split.csv", "baseline.csv"):
        shutil.copyfile(source.folder / name, folder / name)
    _write_audit(folder, source, [BASELINE_NOTE, *written.notes])
    losses = [[None if math.isnan(value) else value for value in pair] for pair in progress.losses]
    write_csv(folder / "history.csv", ("epoch", "loss", "val_loss"), [(i, *pair) for i, pair in enumerate(losses)])
    clips = source.clips
    write_predictions(
        folder / "predictions.csv", clips.records, clips.parts.tolist(), written.probabilities, clips.status
    )
    write_json(folder / CONFIG, {**_recipe(source), **written.recipe})
    write_done(folder, progress.seconds)


def _write_audit(folder: Path, source: StartingRun, notes: Sequence[str]) -> None:
    """Writes the audit of the source, whose split this is, with `notes` that it has not got yet."""
    told = json.loads((source.folder / "audit.json").read_text(encoding="utf-8"))
    more = [note for note in notes if note not in told["notes"]]
    write_json(folder / "audit.json", told | {"notes": [*told["notes"], *more]})


def _recipe(source: StartingRun) -> dict[str, Any]:
    return {
        "source": str(source.folder),
        "features": source.config["features"],
        "origin": source.config.get("origin", {}),
        "versions": versions(),
    }


def profile_entries(profile: Profile) -> dict[str, Any]:
    """Returns the entries of config.json that say what a run judges."""
    return {"profile": dataclasses.asdict(profile), "fingerprint": fingerprint(profile)}


def _outcome(progress: "TrainingProgress") -> str:
    """Returns how a training ended as a sentence for the terminal."""
    losses = [val_loss for _, val_loss in progress.losses]
    if math.isnan(losses[0]):
        return f"{progress.epoch} epochs; no validation part, the last weights are kept."
    if not progress.best:
        return f"No epoch has a lower validation loss than {losses[0]:.4f} at the start, so its weights are kept."
    return f"The weights of epoch {progress.best} are kept (validation loss {losses[progress.best]:.4f})."
