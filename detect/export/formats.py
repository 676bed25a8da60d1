"""The networks of an export: those of layers alone, what they are given, and how they are read back."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.schema import CROP_SIZE, FRAMES
from detect.detector.converted import silenced
from detect.detector.formats import FORMATS, load_network
from train.runs.replay import Network

if TYPE_CHECKING:
    import keras

Clips = dict[str, np.ndarray]
"""What detectors take, by name: `crops` uint8 (N, 12, 160, 160, 3), `mask` bool (N, 12), maybe `regions`."""


def each_clip(clips: Clips) -> Iterator[dict[str, np.ndarray]]:
    """Yields the inputs of a detector for one clip after another."""
    for number in range(len(clips["mask"])):
        yield {name: values[[number]] for name, values in clips.items()}


def backbone_inputs(clip: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the inputs of a backbone for the twelve frames of one `clip`, the inputs of a detector."""
    return {name: values[0] for name, values in clip.items() if name != "mask"}


def detector_of_layers(backbone: "keras.Model", head: "keras.Model") -> "keras.Model":
    """Returns the detector made of layers alone: HDF5 confuses an operation, such as reshape, with the layer."""
    import keras

    inputs: dict[str, Any] = {
        "crops": keras.Input((FRAMES, CROP_SIZE, CROP_SIZE, 3), dtype="uint8", name="crops"),
        "mask": keras.Input((FRAMES,), dtype="bool", name="mask"),
    }
    frames = inputs["crops"]
    if len(backbone.inputs) > 1:
        inputs["regions"] = keras.Input((FRAMES, 4), dtype="uint8", name="regions")
        frames, backbone = _packed(frames, inputs["regions"]), _unpacking(backbone)
    features = keras.layers.TimeDistributed(backbone, name="backbone")(frames)
    return keras.Model(inputs, head({"features": features, "mask": inputs["mask"]}), name="detector")


PIXELS = CROP_SIZE * CROP_SIZE * 3


def _packed(crops: Any, regions: Any) -> Any:
    """Returns each frame's pixels and region as one vector: TimeDistributed hands on one input."""
    import keras

    pixels = keras.layers.Reshape((FRAMES, PIXELS), dtype="uint8", name="pixels")(crops)
    return keras.layers.Concatenate(dtype="uint8", name="pixels_and_regions")([pixels, regions])


def _unpacking(backbone: "keras.Model") -> "keras.Model":
    """Returns `backbone` as a network that takes a vector of `_packed`."""
    import keras

    layers = keras.layers
    vector = keras.Input((PIXELS + 4,), dtype="uint8", name="pixels_and_regions")
    column = layers.Reshape((PIXELS + 4, 1), dtype="uint8", name="column")(vector)
    crops = layers.Cropping1D((0, 4), dtype="uint8", name="pixels")(column)
    regions = layers.Cropping1D((PIXELS, 0), dtype="uint8", name="region")(column)
    inputs = {
        "crops": layers.Reshape((CROP_SIZE, CROP_SIZE, 3), dtype="uint8", name="crop")(crops),
        "regions": layers.Reshape((4,), dtype="uint8", name="edges")(regions),
    }
    return keras.Model(vector, backbone(inputs), name="backbone_of_vectors")


def read_network(path: Path, format: str) -> Network:
    """Returns the network in `path`, loaded as somebody without this project loads it."""
    if FORMATS[format].package:
        return load_network(path, format)
    with silenced():
        return FORMATS[format].read(path)
