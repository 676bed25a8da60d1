"""Frozen backbones with their preprocessing inside: uint8 RGB crops in, float32 features out.

A new backbone is one entry in `BACKBONES`.
"""

import contextlib
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from cache.commands import flag
from cache.keras_start import start_keras
from cache.schema import CROP_SIZE, UserError
from cache.weights import WrongWeights, load_weights

if TYPE_CHECKING:
    import keras

BackboneName = Literal["resnet50", "resnet50-conv4", "mobilenetv2"]


@dataclass(frozen=True)
class Backbone:
    """One entry of the registry.

    `builder` names the function of `keras.applications`, `layer` the output that is averaged over space to `features`
    numbers. Preprocessing is `mix` (3, 3) applied to a pixel's (R, G, B), plus `shift`.
    """

    builder: str
    layer: str
    features: int
    mix: tuple[tuple[float, float, float], ...]
    shift: tuple[float, float, float]


_SWAP = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
_CAFFE = (-103.939, -116.779, -123.68)
_UNIT = ((1 / 127.5, 0.0, 0.0), (0.0, 1 / 127.5, 0.0), (0.0, 0.0, 1 / 127.5))

BACKBONES: dict[str, Backbone] = {
    # He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; Caffe's BGR minus the ImageNet mean.
    "resnet50": Backbone("ResNet50", "conv5_block3_out", 2048, _SWAP, _CAFFE),
    # The same network, one stage earlier: less of what ImageNet asked for, more of texture.
    "resnet50-conv4": Backbone("ResNet50", "conv4_block6_out", 1024, _SWAP, _CAFFE),
    # Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018; pixels in [-1, 1].
    "mobilenetv2": Backbone("MobileNetV2", "out_relu", 1280, _UNIT, (-1.0, -1.0, -1.0)),
}

RANDOM_SEED = 0
DOWNLOAD_TIMEOUT = 20.0
"""Seconds without an answer until a download of weights is given up."""


def identify_weights(weights: str) -> str:
    """Returns the text for `weights` ("imagenet", "random" or a file's path) in a profile, without loading them.

    "imagenet" needs no hash: Keras checks that of the download.
    """
    if weights == "imagenet":
        return weights
    if weights == "random":
        return f"random:{RANDOM_SEED}"
    path = Path(weights)
    if not path.is_file():
        raise UserError(
            f"{weights} is not a weights file; give {flag('weights', 'imagenet')}, random, or the path of an .h5 file."
        )
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def require_weights(weights: str, known: str, run: Path) -> None:
    """Raises a UserError unless `weights` are those of `run`, whose profile calls them `known`."""
    if identify_weights(weights) != known:
        remedy = f"give that file with {flag('weights', '...')}"
        raise UserError(f"{weights} is not the weights file that {run} was trained with; {remedy}.")


def build_backbone(name: str, weights: str, policy: str = "float32") -> "keras.Model":
    """Returns the frozen network: uint8 (B, 160, 160, 3) RGB -> float32 (B, D) features.

    `policy` is Keras' dtype policy of the network itself; pixels and the average over space are float32 in any case.
    `weights` is "imagenet" (downloaded once by Keras), "random" (seeded, the same on every machine) or the path of an
    `.h5` file of the network without its top. Preprocessing is a 1x1 convolution: a plain layer, known to every export.
    """
    import keras

    entry = BACKBONES[name]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        network = _load(entry.builder, weights)
    finally:
        keras.config.set_dtype_policy(before)
    preprocess = keras.layers.Conv2D(3, 1, name="preprocess", dtype="float32")
    crops = keras.Input((CROP_SIZE, CROP_SIZE, 3), dtype="uint8", name="crops")
    pixels = preprocess(keras.layers.Rescaling(1.0, name="to_float", dtype="float32")(crops))
    trunk = keras.Model(network.input, network.get_layer(entry.layer).output, name=entry.builder.lower())
    features = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")(trunk(pixels, training=False))
    model = keras.Model(crops, features, name=name.replace("-", "_"))
    # Keras' kernels are (height, width, in, out).
    preprocess.set_weights([np.array(entry.mix, np.float32).T[None, None], np.array(entry.shift, np.float32)])
    model.trainable = False
    return model


def trunk_of(model: "keras.Model", name: str) -> "keras.Model":
    """Returns the network proper, pixels to pooled layer, in `model`, which `build_backbone` made of `name`."""
    return model.get_layer(BACKBONES[name].builder.lower())


def save_backbone(model: "keras.Model", name: str, path: Path) -> Path:
    """Writes the weights of `model`, as `build_backbone` returns it for `name`, to `path`, which it takes as `weights`.

    `path` ends in .weights.h5. Unused layers above the pooled one get the seeded random weights.
    """
    network = _load(BACKBONES[name].builder, "random")
    for layer in trunk_of(model, name).layers:
        if layer.weights:
            network.get_layer(layer.name).set_weights(layer.get_weights())
    network.save_weights(path)
    return path


def _load(builder: str, weights: str) -> "keras.Model":
    import keras

    if weights == "imagenet":
        return _download(builder)
    make = getattr(keras.applications, builder)
    shape = (CROP_SIZE, CROP_SIZE, 3)
    # A fixed name, because weight files contain it: Keras' counted names would give each file another hash.
    pixels = keras.Input(shape, name="pixels")
    network = make(include_top=False, weights=None, input_shape=shape, input_tensor=pixels)
    if weights == "random":
        _randomise(network)
        return network
    try:
        load_weights(network, Path(weights))
    except WrongWeights as error:
        raise UserError(f"{weights} does not hold weights of {builder} without its top ({error}).") from None
    return network


def _download(builder: str) -> "keras.Model":
    import socket

    import keras

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        make = getattr(keras.applications, builder)
        return make(include_top=False, weights="imagenet", input_shape=(CROP_SIZE, CROP_SIZE, 3))
    except Exception as error:  # noqa: BLE001 - Keras wraps whatever went wrong in a bare Exception
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"the ImageNet weights of {builder} are not in Keras' cache and cannot be downloaded ({reason}); "
            f"give a file with {flag('weights', 'path.h5')}, or {flag('weights', 'random')} to try the pipeline."
        ) from None
    finally:
        socket.setdefaulttimeout(before)


def _randomise(network: "keras.Model") -> None:
    """Fills `network` with seeded He-normal kernels (He et al., ICCV 2015) from NumPy, the same on any Keras backend.

    Terms of residual sums are damped. Otherwise activations would double block by block and overflow float16.
    """
    import keras

    random = np.random.default_rng(RANDOM_SEED)
    damped = {
        tensor._keras_history.operation.name
        for layer in network.layers
        if isinstance(layer, keras.layers.Add)
        for tensor in layer.input
    }
    for layer in network.layers:
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


def obtainable_weights(name: str) -> str:
    """Returns "imagenet" if those weights are in the cache or can be downloaded; else warns and returns "random"."""
    start_keras()
    try:
        # Keras reports a download on stdout, where our answer goes.
        with contextlib.redirect_stdout(sys.stderr):
            _download(BACKBONES[name].builder)
    except UserError as error:
        print(f"No ImageNet weights: {error}", file=sys.stderr)
        print(
            "Going on with RANDOM WEIGHTS: this shows that the pipeline works, not how accurate it can be.",
            file=sys.stderr,
        )
        return "random"
    return "imagenet"


if __name__ == "__main__":
    print(obtainable_weights(sys.argv[1]))
