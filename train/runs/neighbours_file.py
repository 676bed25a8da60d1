"""`neighbours.npz` of a run: the training clips, by which it can be said that others are unlike them."""

from pathlib import Path
from typing import Any

import numpy as np

from base.errors import UserError
from base.outside.arrays import read_arrays
from base.outside.content import NO_FILE, WrongContent
from train.data.neighbours import AXES, BLOCKS, Neighbours
from train.runs.folder import NEIGHBOURS

_ARRAYS = {"centre": np.float32, "axes": np.float32, "points": np.float32, "limits": np.float32, "owners": np.int32}


def write_neighbours(neighbours: Neighbours | None, folder: Path) -> None:
    """Writes them into the run `folder`, if there are any."""
    if neighbours:
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in vars(neighbours).items()}
        np.savez(folder / NEIGHBOURS, **arrays)


def read_neighbours(folder: Path) -> Neighbours | None:
    """Returns those in the `folder` of a run or an export; None where it has none, as earlier ones."""
    path = folder / NEIGHBOURS
    try:
        arrays = read_arrays(path)
        numbers: dict[str, Any] = {"near": float(arrays["near"]), "apart": float(arrays["apart"])}
        numbers["people"] = int(arrays["people"])
        found = Neighbours(**{name: arrays[name] for name in _ARRAYS}, **numbers)
        _require_whole(found)
        return found
    except NO_FILE:
        return None
    except (WrongContent, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not hold the run's training clips ({error}); train it again.") from None


def _require_whole(found: Neighbours) -> None:
    """Raises ValueError unless the shapes of all arrays belong together and all numbers are finite."""
    size, clips = len(found.centre), len(found.points)
    shapes = {
        "centre": (size,),
        "axes": (size, AXES),
        "points": (clips, BLOCKS, AXES),
        "limits": (BLOCKS,),
        "owners": (clips,),
    }
    for name, dtype in _ARRAYS.items():
        array = getattr(found, name)
        if array.shape != shapes[name] or array.dtype != dtype or not np.isfinite(array).all():
            raise ValueError(f"its {name} are not finite {np.dtype(dtype)} {shapes[name]}")
    if not (clips and (found.limits > 0).all() and 0 < found.near < np.inf and 0 <= found.apart < np.inf):
        raise ValueError("it has no clips, or no limits")
