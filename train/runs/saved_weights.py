"""The weights files of a run: checksums when they are written, and nothing but what was written when they are read."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from base.errors import UserError
from base.outside.content import WrongContent, checksum, reading
from cache.weights import WrongWeights, load_weights, require_weights_file
from train.runs.folder import DONE
from train.runs.recipe import Done, read_object
from train.runs.replay import Network, Replay

if TYPE_CHECKING:
    import keras


def checksums(folder: Path) -> dict[str, str]:
    """Returns the checksum of each weights file in `folder` by name."""
    return {path.name: checksum(path) for path in sorted(folder.glob("*.weights.h5")) if path.is_file()}


def require_intact(path: Path, least: int) -> None:
    """Raises a UserError unless `path` in a run folder is the weights file that was written, of `least` bytes or more.

    So a network that no file of this size can fill is not built. Runs made before have no checksum.
    """
    known = read_object(path.with_name(DONE), Done).weights.get(path.name)
    try:
        require_weights_file(path, least)
        with reading(path):
            if known not in (None, checksum(path)):
                raise WrongWeights("its bytes are not those that were written")
    except (WrongWeights, WrongContent, OSError) as error:
        raise _wrong(path, error) from None


def load_saved(network: "keras.Model", path: Path, replay: Replay | None) -> None:
    """Loads the weights in `path` into `network`, which has to give the clip of `replay` its probability again.

    `replay` is what config.json says of it, None in runs made before. A UserError says what does not hold.
    """
    try:
        load_weights(network, path)
        if replay is not None:
            _require_same(network, replay)
    except (WrongWeights, OSError) as error:
        raise _wrong(path, error) from None


def _require_same(network: "keras.Model", replay: Replay) -> None:
    try:
        clip = replay.clip(regions=False)
        inputs = {one.name: tuple(one.shape[1:]) for one in network.inputs}
        if inputs != {name: values.shape[1:] for name, values in clip.items()}:
            raise ValueError("it is a clip of another network")
    except ValueError as error:
        raise WrongWeights(f"the clip to try it on is damaged: {error}") from None
    # Compiled, for the next clip needs that too.
    if damage := replay.damage(lambda inputs: np.asarray(network.predict_on_batch(dict(inputs))), clip):
        raise WrongWeights(damage)


def once(network: "keras.Model") -> Network:
    """Returns `network` for a single call: it is not compiled, which takes longer than it saves."""
    return lambda inputs: np.asarray(network(dict(inputs), training=False))


def _wrong(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} does not hold the weights of the run ({error}); train it again.")
