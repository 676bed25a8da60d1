"""Where an end-to-end training stands, in one file of numbers: whole or absent, and no pickle.

The file is an .npz archive, whose parts carry checksums. It holds everything that the next epoch depends on, so that
a training that was interrupted goes on as if it had not been.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache.files import replace_with, writing
from cache.schema import UserError


@dataclass(frozen=True, eq=False)
class TrainingProgress:
    """What E epochs gave.

    `losses` holds E + 1 pairs of training and validation loss, that of epoch 0 measured before any training; NaN where
    there is none. `kept` are the network's numbers after the epoch `best`. `seconds` is what all epochs took.
    """

    losses: list[tuple[float, float]]
    best: int
    kept: list[np.ndarray]
    seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return len(self.losses) - 1

    def after(self, loss: float, val_loss: float, numbers: list[np.ndarray], seconds: float) -> "TrainingProgress":
        """Returns the progress after one more epoch, which is the best if nothing earlier has as low a `val_loss`.

        Without validation (NaN) the last epoch is the best.
        """
        better = np.isnan(val_loss) or val_loss < self.losses[self.best][1]
        best, kept = (self.epoch + 1, numbers) if better else (self.best, self.kept)
        return TrainingProgress([*self.losses, (loss, val_loss)], best, kept, self.seconds + seconds)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """`progress`, and the numbers of `network` and `optimizer` after its last epoch."""

    progress: TrainingProgress
    network: list[np.ndarray]
    optimizer: list[np.ndarray]


def write_checkpoint(path: Path, settings: Mapping[str, Any], found: Checkpoint) -> Path:
    """Writes `found` and the `settings` of its training to `path`, in place of what was there; returns `path`."""
    lists = {"kept": found.progress.kept, "network": found.network, "optimizer": found.optimizer}
    arrays = {f"{name}{i:05}": array for name, numbers in lists.items() for i, array in enumerate(numbers)}
    arrays |= {name: np.array(getattr(found.progress, name)) for name in ("losses", "best", "seconds")}
    arrays["settings"] = np.array(json.dumps(settings, default=str))
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        return replace_with(path, lambda temporary: np.savez(temporary, **arrays))  # pyright: ignore[reportArgumentType]


def read_checkpoint(path: Path, settings: Mapping[str, Any]) -> Checkpoint | None:
    """Returns what `path` holds, None if it is not there; a UserError if it was written with other `settings`."""
    if not path.exists():
        return None
    try:
        # Opened here: numpy forgets to close a file that is no archive.
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
    """Assigns `numbers`, which came from `path`, to Keras `variables`; a UserError if they do not fit."""
    if [tuple(variable.shape) for variable in variables] != [array.shape for array in numbers]:
        raise UserError(f"{path} holds another network's training; remove it to start again.")
    for variable, array in zip(variables, numbers, strict=True):
        variable.assign(array)


def _require_same(path: Path, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    names = sorted(name for name in found.keys() | asked.keys() if found.get(name) != asked.get(name))
    if names:
        told = ", ".join(f"{name}={found.get(name)} instead of {name}={asked.get(name)}" for name in names)
        raise UserError(
            f"{path} is a training that was interrupted, with {told}; "
            "give its flags to go on with it, choose another --name, or remove the file."
        )
