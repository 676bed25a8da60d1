"""The weights of backbones: from Keras' download, from a file, or random; and what stands for them in a profile."""

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from base.commands import flag
from base.errors import UserError
from base.files import make_folder, replace_with
from base.machine.memory import out_of_memory
from base.outside.content import WrongContent, is_regular, open_regular
from base.progress import progress_bar
from cache.hdf5 import open_hdf5
from cache.schema import CROP_SIZE
from cache.weights import WrongWeights, load_weights, require_weights_file

if TYPE_CHECKING:
    import keras

RANDOM_SEED = 0
SUFFIXES = (".h5", ".hdf5")
DOWNLOAD_TIMEOUT, CONNECT_TIMEOUT = 20.0, 5.0
"""Seconds without an answer until a download of weights, and the first connection for one, are given up."""
NO_HEAD = (405, 501)
"""What servers answer that give files, but say nothing of them."""
PIECE = 1 << 18
"""Bytes of a download between two looks at its progress."""


@dataclass(frozen=True)
class Network:
    """A network of `keras.applications` without its top, made by the function called `builder`.

    Keras gets its ImageNet weights, `count` numbers, from `url`. It wants pixels as `mix` (3, 3) applied to (R, G, B),
    plus `shift`.
    """

    builder: str
    url: str
    count: int
    mix: tuple[tuple[float, float, float], ...]
    shift: tuple[float, float, float]

    @property
    def file(self) -> str:
        """The file's name, in Keras' cache too."""
        return self.url.rpartition("/")[2]

    def is_cached(self) -> bool:
        """Returns whether Keras, which need not be started, has the whole file in its cache."""
        # A file of HDF5 is a little larger than the float32 numbers in it.
        files = (folder / self.file for folder in _cache_folders())
        return any(file.is_file() and file.stat().st_size >= 4 * self.count for file in files)


_URL = "https://storage.googleapis.com/tensorflow/keras-applications"
RESNET50 = Network(
    "ResNet50",
    f"{_URL}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    23_587_712,
    mix=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    shift=(-103.939, -116.779, -123.68),
)
"""He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; Caffe's BGR minus the ImageNet mean."""
MOBILENETV2 = Network(
    "MobileNetV2",
    f"{_URL}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{CROP_SIZE}_no_top.h5",
    2_257_984,
    mix=((1 / 127.5, 0.0, 0.0), (0.0, 1 / 127.5, 0.0), (0.0, 0.0, 1 / 127.5)),
    shift=(-1.0, -1.0, -1.0),
)
"""Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018; pixels in [-1, 1]."""


def obtain(network: Network, weights: str) -> None:
    """Makes sure that `load_whole_network` will get the `weights` of `network`, for the start of long work.

    Downloads those of ImageNet, without starting Keras, if its cache lacks them. Raises a UserError within seconds if
    the server of that download has not got them for us, or if a file holds too few numbers for the network.
    """
    if weights == "imagenet" and not network.is_cached():
        _require_answer(network)
        download(network)
    elif weights not in ("imagenet", "random"):
        _require_numbers(network, Path(weights))


def _cache_folders() -> list[Path]:
    """Returns where `keras.utils.get_file` keeps weights; the second, where it may not write into the first."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return [Path(folder, "models") for folder in (home, Path(tempfile.gettempdir(), ".keras"))]


def _require_answer(network: Network) -> None:
    try:
        # By the library that Keras downloads with, so that it goes through the same proxy.
        urllib.request.urlopen(urllib.request.Request(network.url, method="HEAD"), timeout=CONNECT_TIMEOUT).close()
    except urllib.error.HTTPError as error:
        if error.code not in NO_HEAD:
            raise _no_download(network, f"the server says {error.code} {error.reason}") from None
    except OSError as error:
        raise _no_download(network, getattr(error, "reason", error)) from None


def _require_numbers(network: Network, path: Path) -> None:
    """Raises a UserError if the weights file `path` holds fewer numbers than `network` has."""
    sizes: list[int] = []
    try:
        with open_hdf5(path) as (_, file):
            file.visititems(lambda _, item: sizes.append(item.size or 0) if isinstance(item, h5py.Dataset) else None)
    except WrongContent as error:
        raise _other_network(network, path, error) from None
    if sum(sizes) < network.count:
        raise _other_network(network, path, f"it has {sum(sizes):,} numbers, and they are {network.count:,}")


def identify_weights(weights: str) -> str:
    """Returns the text for `weights` ("imagenet", "random" or a file's path) in a profile, without loading them.

    "imagenet" needs no hash: Keras checks that of the download.
    """
    if weights == "imagenet":
        return weights
    if weights == "random":
        return f"random:{RANDOM_SEED}"
    path = Path(weights)
    if path.suffix not in SUFFIXES or not is_regular(path):
        raise UserError(
            f"{weights} is not a weights file; give {flag('weights', 'imagenet')}, random, or the path of an .h5 file."
        )
    try:
        require_weights_file(path)
    except WrongWeights as error:
        raise UserError(f"{weights} is not a weights file ({error}); give the path of another .h5 file.") from None
    with open_regular(path) as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def require_same_weights(weights: str, known: str, run: Path) -> None:
    """Raises a UserError unless `weights` are those of `run`, whose profile calls them `known`."""
    # A file is only read where the run was trained with one.
    is_file = weights not in ("imagenet", "random")
    if is_file and not is_regular(Path(weights)):
        identify_weights(weights)  # says so
    if is_file != known.startswith("sha256:") or identify_weights(weights) != known:
        remedy = f"give that file with {flag('weights', '...')}"
        raise UserError(f"{weights} is not the weights file that {run} was trained with; {remedy}.")


def load_whole_network(network: Network, weights: str) -> "keras.Model":
    """Returns `network` without its top as a model; `weights` as in a profile."""
    import keras

    if weights == "imagenet":
        return _imagenet(network)
    make = getattr(keras.applications, network.builder)
    shape = (CROP_SIZE, CROP_SIZE, 3)
    # A fixed name, because weight files contain it: Keras' counted names would give each file another hash.
    pixels = keras.Input(shape, name="pixels")
    model = make(include_top=False, weights=None, input_shape=shape, input_tensor=pixels)
    if weights == "random":
        _randomise(model)
        return model
    try:
        load_weights(model, Path(weights))
    except WrongWeights as error:
        raise _other_network(network, weights, error) from None
    return model


def download(network: Network) -> None:
    """Puts the ImageNet weights of `network` into Keras' cache, under a bar; a UserError says why it cannot.

    Keras itself checks their hash before it loads them.
    """
    first, second = _cache_folders()
    folder = first if os.access(first.parent, os.W_OK) else second  # as Keras chooses
    try:
        replace_with(make_folder(folder) / network.file, lambda path: _fetch(network, path))
    except OSError as error:
        raise _no_download(network, getattr(error, "reason", error)) from None
    if not network.is_cached():
        raise _no_download(network, "it was cut off")


def _fetch(network: Network, path: Path) -> None:
    with urllib.request.urlopen(network.url, timeout=DOWNLOAD_TIMEOUT) as answer, path.open("wb") as file:
        size = answer.length
        with progress_bar(total=size, unit="B", unit_scale=True, desc=f"download {network.builder}") as bar:
            while piece := answer.read(PIECE):
                file.write(piece)
                bar.update(len(piece))


def _imagenet(network: Network) -> "keras.Model":
    """Returns `network` with the weights of ImageNet that lie in Keras' cache."""
    import keras

    obtain(network, "imagenet")
    make = getattr(keras.applications, network.builder)
    try:
        return make(include_top=False, weights="imagenet", input_shape=(CROP_SIZE, CROP_SIZE, 3))
    except Exception as error:  # Keras wraps whatever went wrong in a bare Exception
        if out_of_memory(error):
            raise
        raise _no_download(network, error) from None


def _no_download(network: Network, error: object) -> UserError:
    reason = str(error).strip().split("\n")[0]
    return UserError(
        f"the ImageNet weights of {network.builder} are not in Keras' cache and cannot be downloaded ({reason}); put "
        f"{network.url} into {_cache_folders()[0]}, give a file with {flag('weights', 'path.h5')}, or "
        f"{flag('weights', 'random')} to try the pipeline."
    )


def _other_network(network: Network, weights: object, reason: object) -> UserError:
    return UserError(f"{weights} does not hold weights of {network.builder} without its top ({reason}).")


def _randomise(model: "keras.Model") -> None:
    """Fills `model` with seeded He-normal kernels (He et al., ICCV 2015) from NumPy, the same on any Keras backend.

    Terms of residual sums are damped. Otherwise activations would double block by block and overflow float16.
    """
    import keras

    random = np.random.default_rng(RANDOM_SEED)
    makers = {id(layer.output): layer.name for layer in model.layers}
    sums = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    damped = {makers[id(tensor)] for layer in sums for tensor in layer.input}
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(_random_weight(random, weight.name, weight.shape, layer.name in damped))


def _random_weight(random: np.random.Generator, name: str, shape: tuple[int, ...], damped: bool) -> np.ndarray:
    if "kernel" in name:
        # A depthwise kernel is (height, width, channels, 1): each output sees one channel.
        inputs = shape[0] * shape[1] * (1 if shape[3] == 1 else shape[2])
        return random.normal(0, np.sqrt(2 / inputs), shape).astype(np.float32)
    if "gamma" in name:
        return np.full(shape, 0.25 if damped else 1.0, np.float32)
    return (np.ones if "variance" in name else np.zeros)(shape, np.float32)
