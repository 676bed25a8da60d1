"""Frozen backbones with their preprocessing and pooling inside: uint8 RGB crops in, float32 features out.

A new backbone is one entry in `BACKBONES`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from base.errors import UserError
from base.progress import show
from cache.profile import FeatureProfile, Tap, needs_regions
from cache.schema import CROP_SIZE
from cache.weights import require_room_for
from extract.backbones.folding import fold_batch_norms
from extract.backbones.pooling import pool
from extract.backbones.weights import MOBILENETV2, RESNET50, Network, load_whole_network, obtain, require_same_weights

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Backbone:
    """One entry of the registry.

    `network` is cut behind the last layer that `taps` need; their features, one after another, are `features` numbers.
    """

    network: Network
    taps: tuple[Tap, ...]
    features: int


# Face and surround of a real video share camera, codec and light, those of a blended one do not: their difference
# cancels what is shared. Early layers see texture, which tells real from fake better than the last ones, trained to
# name objects.
_RESNET_TAPS = (
    Tap("conv3_block4_out", "face", "mean"),
    Tap("conv3_block4_out", "face", "std"),
    Tap("conv4_block6_out", "face-surround", "mean"),
)
_MOBILENET_TAPS = (
    Tap("block_6_expand_relu", "face", "mean"),
    Tap("block_6_expand_relu", "face", "std"),
    Tap("block_13_expand_relu", "face-surround", "mean"),
)


def _whole(layer: str) -> tuple[Tap, ...]:
    return (Tap(layer, "crop", "mean"),)


BACKBONES: dict[str, Backbone] = {
    "resnet50": Backbone(RESNET50, _RESNET_TAPS, 2048),
    # What the published notebook pools.
    "resnet50-top": Backbone(RESNET50, _whole("conv5_block3_out"), 2048),
    "resnet50-conv4": Backbone(RESNET50, _whole("conv4_block6_out"), 1024),
    "mobilenetv2": Backbone(MOBILENETV2, _MOBILENET_TAPS, 960),
    "mobilenetv2-top": Backbone(MOBILENETV2, _whole("out_relu"), 1280),
}

_WITHOUT_TAPS = {"resnet50": "resnet50-top", "resnet50-conv4": "resnet50-conv4", "mobilenetv2": "mobilenetv2-top"}
"""The backbones of profiles of version 1, by what they are called now."""


def backbone_of(profile: FeatureProfile) -> str:
    """Returns the name in `BACKBONES` of what makes the features of `profile`; a UserError if nothing does any more.

    Features of version 1 were pooled at the top; a run on them goes on with that network.
    """
    name = _WITHOUT_TAPS.get(profile.backbone, "") if profile.version == 1 else profile.backbone
    if name not in BACKBONES or (profile.version > 1 and BACKBONES[name].taps != profile.taps):
        raise UserError(
            f"no backbone makes the features of {profile.backbone}, version {profile.version}, with its taps any more; "
            "extract the features again and train on them."
        )
    return name


def build_backbone(name: str, weights: str, policy: str = "float32", fold: bool = False) -> "keras.Model":
    """Returns the frozen network: crops uint8 (B, 160, 160, 3) RGB -> features float32 (B, D).

    If a tap looks at the face's region, inputs are `crops` and `regions`, uint8 (B, 4): left, top, right and bottom of
    the face in pixels of the crop. `policy` is Keras' dtype policy of the network itself; pixels and pooling are
    float32 in any case. `weights` is "imagenet" (downloaded once by Keras), "random" (seeded, the same on every
    machine) or the path of an `.h5` file of the network without its top. Preprocessing is a 1x1 convolution: a plain
    layer, known to every export. With `fold`, batch norms are part of the convolutions, for a network that only runs.
    """
    import keras

    entry = BACKBONES[name]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        network = load_whole_network(entry.network, weights)
    finally:
        keras.config.set_dtype_policy(before)
    preprocess = keras.layers.Conv2D(3, 1, name="preprocess", dtype="float32")
    crops: Any = keras.Input((CROP_SIZE, CROP_SIZE, 3), dtype="uint8", name="crops")
    regions: Any = keras.Input((4,), dtype="uint8", name="regions") if needs_regions(entry.taps) else None
    pixels = preprocess(keras.layers.Rescaling(1.0, name="to_float", dtype="float32")(crops))
    layers = list(dict.fromkeys(tap.layer for tap in entry.taps))
    trunk = keras.Model(network.input, [network.get_layer(layer).output for layer in layers], name=_trunk_name(name))
    if fold:
        trunk = fold_batch_norms(trunk)
    features = pool(dict(zip(layers, trunk(pixels, training=False), strict=True)), regions, entry.taps)
    inputs = crops if regions is None else {"crops": crops, "regions": regions}
    model = keras.Model(inputs, features, name=name.replace("-", "_"))
    # Keras' kernels are (height, width, in, out).
    mix, shift = (np.array(values, np.float32) for values in (entry.network.mix, entry.network.shift))
    preprocess.set_weights([mix.T[None, None], shift])
    model.trainable = False
    return model


def _trunk_name(name: str) -> str:
    return BACKBONES[name].network.builder.lower()


def trunk_of(model: "keras.Model", name: str) -> "keras.Model":
    """Returns the network proper, from pixels to the tapped layers, in a `model` of `build_backbone(name)`."""
    return model.get_layer(_trunk_name(name))


def save_backbone(model: "keras.Model", name: str, path: Path) -> Path:
    """Writes the weights of `model`, as `build_backbone` returns it for `name`, to `path`, which it takes as `weights`.

    `path` ends in .weights.h5. The unused layers above the taps get the seeded random weights.
    """
    network = load_whole_network(BACKBONES[name].network, "random")
    for layer in trunk_of(model, name).layers:
        if layer.weights:
            network.get_layer(layer.name).set_weights(layer.get_weights())
    require_room_for(network, path.parent)
    network.save_weights(path)
    return path


def obtain_weights(name: str, weights: str) -> None:
    """Makes sure that `build_backbone` will get the `weights` of `name`; raises a UserError early if it cannot."""
    obtain(BACKBONES[name].network, weights)


def require_weights(profile: FeatureProfile, weights: str, run: Path) -> str:
    """Returns `weights`, of which `build_backbone` makes the network of `profile`; the `run` was trained with them.

    A UserError says that they are others, or cannot be had. Keras need not be started.
    """
    require_same_weights(weights, profile.weights, run)
    obtain_weights(backbone_of(profile), weights)
    return weights


def obtainable_weights(name: str) -> str:
    """Returns "imagenet" if those weights are in the cache or can be downloaded; else warns and returns "random"."""
    try:
        obtain_weights(name, "imagenet")
    except UserError as error:
        show(f"No ImageNet weights: {error}", beside=True)
        show(
            "Going on with RANDOM WEIGHTS: this shows that the pipeline works, not how accurate it can be.", beside=True
        )
        return "random"
    return "imagenet"


if __name__ == "__main__":
    show(obtainable_weights(sys.argv[1]))
