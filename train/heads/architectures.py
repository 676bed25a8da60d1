"""Temporal heads: features of twelve frames in, probability of fake out.

To add a head, write a builder and add it to `HEADS`. Builders take `keras.layers`, normalised features (B, 12, D) and
the mask, bool (B, 12), and return one vector per clip (B, U). Layers get the mask as an argument, so that padded frames
change neither output nor gradient. Only plain Keras layers are used, so the saved files load without this code; in
training, `layers` holds some in a form that computes the same for many heads at once (`train.heads.mapping`). Layers
must draw nothing at random: dropout comes after the vector.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from msgspec import Meta

from base.errors import UserError
from cache.schema import FRAMES

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor as Tensor

Builder = Callable[[Any, "Tensor", "Tensor", "HeadConfig"], "Tensor"]

Start = Literal["baseline", "nothing"]
"""What the logit of a head starts from: the baseline's, to which the head learns to add, or nothing, as published."""
STARTS = get_args(Start)

MOST_UNITS = 4096


@dataclass(frozen=True)
class HeadConfig:
    """The shape of a head: its name in `HEADS`, its `units`, dropout, and units of its `dense` layer.

    With `differences`, each frame's features are followed by their change since the previous frame. Runs made
    before there was a choice have no `start`, and their heads start from nothing.
    """

    head: str = "lstm"
    units: Annotated[int, Meta(ge=1, le=MOST_UNITS)] = 64
    dropout: Annotated[float, Meta(ge=0, le=1)] = 0.3
    dense: Annotated[int, Meta(ge=1, le=MOST_UNITS)] = 64
    differences: bool = False
    start: Start = "nothing"


def _lstm(layers: Any, frames: "Tensor", mask: "Tensor", config: HeadConfig) -> "Tensor":
    """Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 1997; the last frame's state."""
    return layers.LSTM(config.units, unroll=True, name="lstm")(frames, mask=mask)


def _bilstm(layers: Any, frames: "Tensor", mask: "Tensor", config: HeadConfig) -> "Tensor":
    """Graves & Schmidhuber, "Framewise phoneme classification with bidirectional LSTM", Neural Networks 2005."""
    both = layers.Bidirectional(layers.LSTM(config.units, unroll=True, name="lstm"), name="bilstm")
    return both(frames, mask=mask)


def _gru(layers: Any, frames: "Tensor", mask: "Tensor", config: HeadConfig) -> "Tensor":
    """Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014; the last frame's state."""
    return layers.GRU(config.units, unroll=True, name="gru")(frames, mask=mask)


def _attention(layers: Any, frames: "Tensor", mask: "Tensor", config: HeadConfig) -> "Tensor":
    """Lin et al., "A Structured Self-attentive Sentence Embedding", ICLR 2017: a learnt weighted mean over frames."""
    embedded = layers.Dense(config.units, activation="relu", name="embed")(frames)
    scores = layers.Dense(1, name="score")(layers.Dense(config.units, activation="tanh", name="look")(embedded))
    weights = layers.Softmax(axis=1, name="weights")(scores, mask=layers.Reshape((FRAMES, 1))(mask))
    return layers.Flatten(name="attended")(layers.Dot(axes=1)([weights, embedded]))


def _tcn(layers: Any, frames: "Tensor", mask: "Tensor", config: HeadConfig) -> "Tensor":
    """Bai et al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks", 2018 (arXiv:1803.01271).

    Causal: a frame sees only itself and earlier frames, so padding, which is at the end, reaches no other frame.
    """
    for number, dilation in enumerate(DILATIONS):
        options: Any = {"padding": "causal", "dilation_rate": dilation, "activation": "relu", "name": f"tcn_{number}"}
        convolve = layers.Conv1D(config.units, 3, **options)
        frames = layers.Add()([frames, convolve(frames)]) if number else convolve(frames)
    return layers.GlobalAveragePooling1D(name="mean")(frames, mask=mask)


def _mean(layers: Any, frames: "Tensor", mask: "Tensor", _: HeadConfig) -> "Tensor":
    """The mean over unpadded frames: it ignores order and motion, so other heads have to beat it."""
    return layers.GlobalAveragePooling1D(name="mean")(frames, mask=mask)


HEADS: dict[str, Builder] = {
    "lstm": _lstm,
    "bilstm": _bilstm,
    "gru": _gru,
    "attention": _attention,
    "tcn": _tcn,
    "mean": _mean,
}
DILATIONS = (1, 2, 4)
"""Dilations of the convolutions of `tcn`; together they look back over 14 frames."""


BRANCH = "branch"
"""The last layer of a head that starts from the baseline; it begins at zero."""


def build_head(config: HeadConfig, size: int) -> "keras.Model":
    """Returns the network: `features` float32 (B, 12, `size`) and `mask` bool (B, 12) -> probability (B, 1).

    Normalisation is a layer inside, whose weights training leaves alone. So is the baseline, if the head starts from
    it: the logit is then the baseline's plus that of a branch whose last layer begins at zero.
    """
    import keras

    require_buildable(config)
    layers = keras.layers
    features, mask = _inputs("features", size)
    # Not layers.Normalization: it keeps its statistics in the config, and HDF5 limits a config to 64 KB.
    normalise = layers.BatchNormalization(center=False, scale=False, epsilon=1e-9, trainable=False, name="normalise")
    normalised = normalise(features)
    clip = layers.Dropout(config.dropout, name="dropout")(_vector(layers, normalised, mask, config))
    if config.start == "nothing":
        probability = _last(clip, config, activation="sigmoid", dtype="float32")
    else:
        pooled = layers.GlobalAveragePooling1D(name="pooled")(normalised, mask=mask)
        baseline = layers.Dense(1, trainable=False, name="baseline")(pooled)
        logit = layers.Add(name="logit")([baseline, _last(clip, config)])
        probability = layers.Activation("sigmoid", dtype="float32", name="probability")(logit)
    return keras.Model({"features": features, "mask": mask}, probability, name=config.head)


def build_branch(config: HeadConfig, size: int, layers: Any) -> "keras.Model":
    """Returns the part of the head that learns: normalised `frames` float32 (B, 12, `size`) and `mask` -> logit (B, 1).

    In the place of dropout, `keep` float32 (B, U) multiplies the vectors of the clips. Builders take their `layers`.
    """
    import keras

    require_buildable(config)
    frames, mask = _inputs("frames", size)
    clip = _vector(layers, frames, mask, config)
    keep = keras.Input(clip.shape[1:], name="keep")
    logit = _last(layers.Multiply()([clip, keep]), config)
    return keras.Model({"frames": frames, "mask": mask, "keep": keep}, logit, name=config.head)


def _inputs(name: str, size: int) -> tuple["Tensor", "Tensor"]:
    """Returns the inputs for the frames, called `name`, and for the mask."""
    import keras

    frames: Any = keras.Input((FRAMES, size), name=name)
    mask: Any = keras.Input((FRAMES,), dtype="bool", name="mask")
    return frames, mask


def _vector(layers: Any, frames: "Tensor", mask: "Tensor", config: HeadConfig) -> "Tensor":
    """Returns the vector (B, U) of each clip."""
    return HEADS[config.head](layers, _with_differences(frames) if config.differences else frames, mask, config)


def _last(clip: "Tensor", config: HeadConfig, **options: Any) -> "Tensor":
    """Returns what the last layer, which has these `options`, makes (B, 1) of the vectors of the clips."""
    from keras import layers

    clip = layers.BatchNormalization(name="batch_norm")(clip)
    clip = layers.Dense(config.dense, activation="relu", name="dense")(clip)
    if config.start == "nothing":
        return layers.Dense(1, name="probability", **options)(clip)
    return layers.Dense(1, kernel_initializer="zeros", name=BRANCH, **options)(clip)


def weight_shapes(config: HeadConfig, size: int) -> list[tuple[int, ...]]:
    """Returns the shapes of the head's weights, without taking the memory of a head. Keras must have been started."""
    import keras

    def shapes() -> list[tuple[int, ...]]:
        with keras.StatelessScope(initialize_variables=False):
            return [tuple(weight.shape) for weight in build_head(config, size).weights]

    # Keras lists, per thread, weights that are still to get their values; this list ends with its thread.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(shapes).result()


def is_fixed(weight: str) -> bool:
    """Whether training leaves the weight of this name alone, because it is fitted beforehand."""
    return weight.startswith(("normalise/", "baseline/"))


def _with_differences(frames: "Tensor") -> "Tensor":
    import keras

    layers = keras.layers
    later, earlier = layers.Cropping1D((1, 0))(frames), layers.Cropping1D((0, 1))(frames)
    first: Any = (1, 0)
    change = layers.ZeroPadding1D(first)(layers.Subtract()([later, earlier]))
    return layers.Concatenate(name="differences")([frames, change])


def require_buildable(config: HeadConfig) -> None:
    """Raises a UserError if `config` is out of range or names no head."""
    if config.head not in HEADS:
        raise UserError(f"unknown head {config.head!r}; choose one of {', '.join(HEADS)}")
    if config.start not in STARTS:
        raise UserError(f"a head cannot start from {config.start!r}; choose one of {', '.join(STARTS)}")
    if not (1 <= config.units <= MOST_UNITS and 1 <= config.dense <= MOST_UNITS and 0 <= config.dropout < 1):
        raise UserError(
            f"units {config.units} and dense {config.dense} must be in 1 to {MOST_UNITS}, and dropout "
            f"{config.dropout:g} at least 0 and below 1; correct the flag"
        )
