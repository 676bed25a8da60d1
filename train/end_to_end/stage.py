"""What the end-to-end stages share: the run that they start from, and the run folder that they write."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from base.errors import Unreadable, UserError
from base.files import Unwritable
from base.progress import say
from cache.profile import Profile, crops_of
from cache.schema import is_blend_id
from train.end_to_end.config import EndToEndConfig
from train.end_to_end.crop_set import CropSet, find_crops
from train.runs.contents import RunContents, numbered_history, read_contents, write_run
from train.runs.folder import CONFIG, SPLIT, latest
from train.runs.live import Live, forget_live, live_folder
from train.runs.predictions import predictions_of
from train.runs.recipe import RunConfig

if TYPE_CHECKING:
    import keras

    from train.end_to_end.checkpoint import TrainingProgress
    from train.end_to_end.crops import Blending

BASELINE_NOTE = (
    "The baseline is the one of the run that this training started from: it judges features of the untuned backbone."
)


@dataclass(frozen=True, eq=False)
class StartingRun:
    """The run that a stage starts from, and the crops of its clips."""

    folder: Path
    contents: RunContents
    clips: CropSet


def read_starting_run(config: EndToEndConfig) -> StartingRun:
    """Returns the run that `config` names, with its crops; a UserError says what is missing."""
    folder = config.run or latest(config.runs)
    contents = read_contents(folder)
    features = contents.config.folders_of_clips
    if not features:
        raise UserError(f"{folder / CONFIG} does not say where its features are; train the run again.")
    profile = crops_of(contents.config.profile)
    clips = find_crops(features, profile, folder / SPLIT, even=config.data_set_weights)
    return StartingRun(folder, _without_blends(contents), clips)


def _without_blends(contents: RunContents) -> RunContents:
    """Returns a run without the blended clips of its features folder, which have no crops."""
    return replace(
        contents,
        split={name: row for name, row in contents.split.items() if not is_blend_id(name)},
        predictions=contents.predictions.of_videos(),
        baseline=contents.baseline and contents.baseline.of_videos(),
    )


@dataclass(frozen=True, eq=False)
class Outcome:
    """The trained networks' part of a run.

    `config` lacks what every such run has; `probabilities` float (N,) of fake are those of the starting run's clips, as
    are their `distances` from the training clips; `notes` are what a reader of the results should know.
    """

    config: RunConfig[Profile]
    probabilities: np.ndarray
    notes: list[str]
    distances: np.ndarray | None = None


def train_and_write(
    config: EndToEndConfig,
    start: StartingRun,
    name: str,
    network: "keras.Model",
    save: Callable[[Path], Outcome],
    blending: "Blending | None" = None,
) -> Path:
    """Trains `network` on the crops of `start`, and goes on where that was interrupted; returns the run folder `name`.

    With `blending`, train gets blended clips too.

    `save` writes the trained networks into a folder; everything else that belongs into a run folder is added here.
    """
    from train.end_to_end.loop import train_on_crops

    checkpoint = config.runs / f".training-{name}.npz"
    forget_live(config.runs / name)  # of a training that failed in this process
    live = Live(live_folder(config.runs / name)) if config.log == "tensorboard" else None
    progress = train_on_crops(network, start.clips, config, checkpoint, blending, live)
    say(_ending(progress))
    try:
        folder = write_run(config.runs / name, lambda into: _contents(start, progress, save(into)))
    except (Unwritable, Unreadable):
        raise  # once the disk has room, or can be read again, the training is of use
    except UserError:
        checkpoint.unlink(missing_ok=True)  # else the next try would end like this one
        raise
    checkpoint.unlink(missing_ok=True)
    return folder


def _contents(start: StartingRun, progress: "TrainingProgress", outcome: Outcome) -> RunContents:
    clips, losses = start.clips, np.array(progress.losses)
    history = {"loss": losses[:, 0], "val_loss": losses[:, 1]}
    parts, audit, begun = clips.parts.tolist(), start.contents.audit, start.contents.config
    notes = list(dict.fromkeys([*audit.notes, BASELINE_NOTE, *outcome.notes]))
    folders = begun.features_folders
    features = None if begun.data_sets else str(folders[0]) if len(folders) == 1 else folders
    return replace(
        start.contents,
        config=replace(outcome.config, source=str(start.folder), features=features, data_sets=begun.data_sets),
        audit=replace(audit, notes=notes),  # the split is that of the starting run
        history=numbered_history(history, first=0),
        predictions=predictions_of(clips.records, parts, outcome.probabilities, clips.seen, outcome.distances),
        seconds=progress.seconds,
    )


def _ending(progress: "TrainingProgress") -> str:
    """Returns how a training ended, as a sentence for the terminal."""
    losses = [val_loss for _, val_loss in progress.losses]
    if math.isnan(losses[0]):
        return f"{progress.epoch} epochs; there is no validation part, so the last weights are kept."
    if not progress.best:
        return f"No epoch has a lower validation loss than the start ({losses[0]:.4f}), so the starting weights stay."
    return f"The weights of epoch {progress.best} are kept (validation loss {losses[progress.best]:.4f})."
