"""The checkpoint of an end-to-end training: one .npz file of numbers with checksums, no pickle, whole or absent.

It holds everything that the next epoch depends on, so an interrupted training ends with the same numbers as one that
ran through.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache.commands import flag
from cache.files import make_folder, replace_with, writing
from cache.schema import UserError


@dataclass(frozen=True, eq=False)
class TrainingProgress:
    """The outcome of E epochs.

    `losses` holds E + 1 pairs of training and validation loss, NaN where there is none; epoch 0 is measured before any
    training. `kept` are the network's weights after the epoch `best`. `seconds` is the time of all epochs.
    """

    losses: list[tuple[float, float]]
    best: int
    kept: list[np.ndarray]
    seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return len(self.losses) - 1

    def after(self, loss: float, val_loss: float, numbers: list[np.ndarray], seconds: float) -> "TrainingProgress":
        """Returns the progress after one more epoch.

        That epoch becomes the best if its `val_loss` is below all earlier ones, or if there is no validation (NaN).
        """
        better = np.isnan(val_loss) or val_loss < self.losses[self.best][1]
        best, kept = (self.epoch + 1, numbers) if better else (self.best, self.kept)
        return TrainingProgress([*self.losses, (loss, val_loss)], best, kept, self.seconds + seconds)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """`progress`, and the variables of `network` and `optimizer` after its last epoch."""

    progress: TrainingProgress
    network: list[np.ndarray]
    optimizer: list[np.ndarray]


def write_checkpoint(path: Path, settings: Mapping[str, Any], checkpoint: Checkpoint) -> Path:
    """Writes `checkpoint` and the `settings` of its training to `path`, replacing what was there; returns `path`."""
    lists = {"kept": checkpoint.progress.kept, "network": checkpoint.network, "optimizer": checkpoint.optimizer}
    arrays = {f"{name}{i:05}": array for name, numbers in lists.items() for i, array in enumerate(numbers)}
    arrays |= {name: np.array(getattr(checkpoint.progress, name)) for name in ("losses", "best", "seconds")}
    arrays["settings"] = np.array(json.dumps(settings, default=str))
    with writing(path.parent):
        make_folder(path.parent)
        return replace_with(path, lambda temporary: np.savez(temporary, **arrays))  # pyright: ignore[reportArgumentType]


def read_checkpoint(path: Path, settings: Mapping[str, Any]) -> Checkpoint | None:
    """Returns the checkpoint at `path`, None if there is none; a UserError if it was written with other `settings`."""
    if not path.exists():
        return None
    try:
        # numpy does not close a file that it opened and that is no archive.
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in sorted(file.files)}
        _require_same(path, json.loads(str(arrays["settings"])), json.loads(json.dumps(settings, default=str)))
        kept, network, optimizer = (
            [array for name, array in arrays.items() if name.startswith(kind)]
            for kind in ("kept", "network", "optimizer")
        )
        losses = [(float(loss), float(val_loss)) for loss, val_loss in arrays["losses"]]
        return Checkpoint(
            TrainingProgress(losses, int(arrays["best"]), kept, float(arrays["seconds"])), network, optimizer
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no interrupted training ({error}); remove it to start again.") from None


def restore(variables: Sequence[Any], numbers: Sequence[np.ndarray], path: Path) -> None:
    """Assigns `numbers`, read from `path`, to Keras `variables`; a UserError if they do not fit."""
    if [tuple(variable.shape) for variable in variables] != [array.shape for array in numbers]:
        raise UserError(f"{path} holds another network's training; remove it to start again.")
    for variable, array in zip(variables, numbers, strict=True):
        variable.assign(array)


def _require_same(path: Path, earlier: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    names = sorted(name for name in earlier.keys() | asked.keys() if earlier.get(name) != asked.get(name))
    if names:
        changes = ", ".join(f"{name}={earlier.get(name)} instead of {name}={asked.get(name)}" for name in names)
        raise UserError(
            f"{path} is an interrupted training with {changes}; "
            f"give its flags to go on with it, choose another {flag('name')}, or remove the file."
        )
