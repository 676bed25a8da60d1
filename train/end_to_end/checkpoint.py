"""The checkpoint of an end-to-end training: one .npz file of numbers with checksums, no pickle, whole or absent.

It holds everything that the next epoch depends on, so an interrupted training ends with the same numbers as one that
ran through.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from base.commands import flag
from base.errors import UserError
from base.files import make_folder, replace_with, writing
from base.outside.arrays import read_arrays
from base.outside.content import NO_FILE, WrongContent
from base.outside.values import WrongValue, parse, parse_json, shown


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
    """Returns the checkpoint at `path`, None if there is none.

    A UserError says what is wrong with it, or that it was written with other `settings`.
    """
    try:
        arrays = read_arrays(path)
        earlier = parse(dict[str, Any], parse_json(str(arrays["settings"])))
        progress = _progress(arrays)
        found = Checkpoint(progress, _numbers(arrays, "network"), _numbers(arrays, "optimizer"))
    except FileNotFoundError:
        return None
    except (*NO_FILE, WrongContent, WrongValue, KeyError) as error:
        raise UserError(f"{path} is no interrupted training ({error}); remove it to start again.") from None
    _require_same(path, earlier, json.loads(json.dumps(settings, default=str)))
    return found


def _progress(arrays: Mapping[str, np.ndarray]) -> TrainingProgress:
    """Returns the progress in `arrays`; raises WrongContent, or KeyError."""
    losses, best, seconds = arrays["losses"], arrays["best"], arrays["seconds"]
    if losses.dtype != np.float64 or losses.shape != (len(np.atleast_1d(losses)), 2) or np.isinf(losses).any():
        raise WrongContent("its losses are no pairs of numbers")
    if best.dtype != np.int64 or best.shape != () or not 0 <= best < len(losses):
        raise WrongContent(f"its best epoch is {shown(best.tolist())} of {len(losses) - 1}")
    if seconds.dtype != np.float64 or seconds.shape != () or not 0 <= seconds < np.inf:
        raise WrongContent(f"it took {shown(seconds.tolist())} seconds")
    pairs = [(loss, val_loss) for loss, val_loss in losses.tolist()]
    return TrainingProgress(pairs, int(best), _numbers(arrays, "kept"), float(seconds))


def _numbers(arrays: Mapping[str, np.ndarray], kind: str) -> list[np.ndarray]:
    """Returns the arrays of `kind` in their order; raises WrongContent unless all numbers are finite."""
    names = sorted(name for name in arrays if re.fullmatch(rf"{kind}\d{{5}}", name))
    for name in names:
        if arrays[name].dtype.kind not in "fiub" or not np.isfinite(arrays[name]).all():
            raise WrongContent(f"its {name} has something else than finite numbers")
    return [arrays[name] for name in names]


def restore(variables: Sequence[Any], numbers: Sequence[np.ndarray], path: Path) -> None:
    """Assigns `numbers`, read from `path`, to Keras `variables`; a UserError if they do not fit."""
    expected = [(tuple(variable.shape), variable.dtype) for variable in variables]
    if expected != [(array.shape, array.dtype.name) for array in numbers]:
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
