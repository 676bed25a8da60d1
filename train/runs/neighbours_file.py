"""`neighbours.npz` of a run: the training clips, by which it can be said that others are unlike them."""

from pathlib import Path

import numpy as np

from base.errors import UserError
from base.outside.arrays import read_arrays
from base.outside.content import NO_FILE, WrongContent
from train.data.neighbours import Neighbours
from train.runs.folder import NEIGHBOURS


def write_neighbours(neighbours: Neighbours | None, folder: Path) -> None:
    """Writes them into the run `folder`, if there are any."""
    if neighbours:
        arrays = {"centre": neighbours.centre, "axes": neighbours.axes, "points": neighbours.points}
        numbers = {"limit": np.array(neighbours.limit), "people": np.array(neighbours.people)}
        np.savez(folder / NEIGHBOURS, **arrays, **numbers)  # pyright: ignore[reportArgumentType]


def read_neighbours(folder: Path) -> Neighbours | None:
    """Returns those in the `folder` of a run or an export; None where it has none, as earlier ones."""
    path = folder / NEIGHBOURS
    try:
        arrays = read_arrays(path)
        limit, people = float(arrays["limit"]), int(arrays["people"])
        found = Neighbours(arrays["centre"], arrays["axes"], arrays["points"], limit, people)
        _require_whole(found)
        return found
    except NO_FILE:
        return None
    except (WrongContent, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not hold the run's training clips ({error}); train it again.") from None


def _require_whole(found: Neighbours) -> None:
    """Raises ValueError unless the shapes of all arrays belong together and all numbers are finite."""
    (size, width), clips = found.axes.shape, len(found.points)
    shapes = {"centre": (size,), "axes": (size, width), "points": (clips, width)}
    for name, shape in shapes.items():
        array = getattr(found, name)
        if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
            raise ValueError(f"its {name} are not finite float32 {shape}")
    if not (clips and 0 < found.limit < np.inf):
        raise ValueError("it has no clips, or no limit")
