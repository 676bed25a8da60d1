"""Loading weights from an HDF5 file into a network that is already built: all of them, or an error."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from base.files import require_room
from base.outside.content import WrongContent, require_regular
from cache.hdf5 import inside, open_hdf5

if TYPE_CHECKING:
    import keras

FILE_OVERHEAD = 1_000_000
"""Bytes that a file of a network may take beyond its weights: names, shapes, and the tables of HDF5."""
MOST_UNPACKED = 4
"""Bytes of weights for each byte of their file: weights hardly compress, so a file that claims more fills memory."""


class WrongWeights(Exception):
    """A file without the weights of this network; the text says what is wrong."""


def load_weights(network: "keras.Model", path: Path) -> None:
    """Loads the weights in `path` into `network`; raises WrongWeights unless every layer got its own, all finite."""
    require_weights_file(path)
    try:
        with warnings.catch_warnings():
            # Keras only warns about a layer that the file lacks, and keeps its initial weights.
            warnings.simplefilter("error", UserWarning)
            network.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError, AttributeError, RuntimeError, UserWarning) as error:
        raise WrongWeights(str(error).strip().split("\n")[0]) from None
    for weight in network.weights:
        if not np.isfinite(np.asarray(weight)).all():
            raise WrongWeights(f"its {weight.path} has numbers that are not finite")


def require_weights_file(path: Path) -> None:
    """Raises WrongWeights unless `path` is an HDF5 file with everything inside it."""
    try:
        size = require_regular(path)
        with open_hdf5(path) as (_, file):
            names: list[str] = []
            file.visit_links(names.append)
            arrays = [item.nbytes for name in names if isinstance(item := inside(file, name), h5py.Dataset)]
    except (WrongContent, OSError) as error:
        raise WrongWeights(" ".join(str(error).split())) from None
    if sum(arrays) > MOST_UNPACKED * size:
        raise WrongWeights(f"it claims {sum(arrays):,} bytes of weights in a file of {size:,}")


def require_room_for(network: "keras.Model", folder: Path, files: int = 1) -> None:
    """Raises an OSError unless so many `files` with the weights of `network` fit on the disk of `folder`."""
    require_room(folder, files * (4 * network.count_params() + FILE_OVERHEAD))
