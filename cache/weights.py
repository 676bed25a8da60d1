"""Loading weights from an HDF5 file into a network that is already built: all of them, or an error."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


class WrongWeights(Exception):
    """A file without the weights of this network; the text says what is wrong."""


def load_weights(network: "keras.Model", path: Path) -> None:
    """Loads the weights in `path` into `network`; raises WrongWeights unless every layer got its own."""
    try:
        with warnings.catch_warnings():
            # Keras only warns about a layer that the file lacks, and keeps its initial weights.
            warnings.simplefilter("error", UserWarning)
            network.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError, AttributeError, RuntimeError, UserWarning) as error:
        raise WrongWeights(str(error).strip().split("\n")[0]) from None
