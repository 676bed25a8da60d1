"""Temporal heads: features of twelve frames in, probability of fake out.

To add a head, write a builder and add it to `HEADS`. Builders take normalised features (B, 12, D) and the mask, bool
(B, 12), and return one vector per clip (B, U). Layers get the mask as an argument, so that padded frames change neither
output nor gradient. Only plain Keras layers are used, so the saved files load without this code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from msgspec import Meta

from base.errors import UserError
from cache.schema import FRAMES

if TYPE_CHECKING:
    import keras

Builder = Callable[["keras.KerasTensor", "keras.KerasTensor", "HeadConfig"], "keras.KerasTensor"]

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


def _lstm(frames: "keras.KerasTensor", mask: "keras.KerasTensor", config: HeadConfig) -> "keras.KerasTensor":
    """Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 1997; the last frame's state."""
    import keras

    return keras.layers.LSTM(config.units, unroll=True, name="lstm")(frames, mask=mask)


def _bilstm(frames: "keras.KerasTensor", mask: "keras.KerasTensor", config: HeadConfig) -> "keras.KerasTensor":
    """Graves & Schmidhuber, "Framewise phoneme classification with bidirectional LSTM", Neural Networks 2005."""
    import keras

    both = keras.layers.Bidirectional(keras.layers.LSTM(config.units, unroll=True, name="lstm"), name="bilstm")
    return both(frames, mask=mask)


def _gru(frames: "keras.KerasTensor", mask: "keras.KerasTensor", config: HeadConfig) -> "keras.KerasTensor":
    """Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014; the last frame's state."""
    import keras

    return keras.layers.GRU(config.units, unroll=True, name="gru")(frames, mask=mask)


def _attention(frames: "keras.KerasTensor", mask: "keras.KerasTensor", config: HeadConfig) -> "keras.KerasTensor":
    """Lin et al., "A Structured Self-attentive Sentence Embedding", ICLR 2017: a learnt weighted mean over frames."""
    import keras

    layers = keras.layers
    embedded = layers.Dense(config.units, activation="relu", name="embed")(frames)
    scores = layers.Dense(1, name="score")(layers.Dense(config.units, activation="tanh", name="look")(embedded))
    weights = layers.Softmax(axis=1, name="weights")(scores, mask=layers.Reshape((FRAMES, 1))(mask))
    return layers.Flatten(name="attended")(layers.Dot(axes=1)([weights, embedded]))


def _tcn(frames: "keras.KerasTensor", mask: "keras.KerasTensor", config: HeadConfig) -> "keras.KerasTensor":
    """Bai et al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks", 2018 (arXiv:1803.01271).

    Causal: a frame sees only itself and earlier frames, so padding, which is at the end, reaches no other frame.
    """
    import keras

    layers = keras.layers
    for number, dilation in enumerate(DILATIONS):
        options: Any = {"padding": "causal", "dilation_rate": dilation, "activation": "relu", "name": f"tcn_{number}"}
        convolve = layers.Conv1D(config.units, 3, **options)
        frames = layers.Add()([frames, convolve(frames)]) if number else convolve(frames)
    return layers.GlobalAveragePooling1D(name="mean")(frames, mask=mask)


def _mean(frames: "keras.KerasTensor", mask: "keras.KerasTensor", _: HeadConfig) -> "keras.KerasTensor":
    """The mean over unpadded frames: it ignores order and motion, so other heads have to beat it."""
    import keras

    return keras.layers.GlobalAveragePooling1D(name="mean")(frames, mask=mask)


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
    features = keras.Input((FRAMES, size), name="features")
    mask: Any = keras.Input((FRAMES,), dtype="bool", name="mask")
    # Not layers.Normalization: it keeps its statistics in the config, and HDF5 limits a config to 64 KB.
    normalise = layers.BatchNormalization(center=False, scale=False, epsilon=1e-9, trainable=False, name="normalise")
    normalised = frames = normalise(features)
    if config.differences:
        frames = _with_differences(frames)
    clip = HEADS[config.head](frames, mask, config)
    clip = layers.BatchNormalization(name="batch_norm")(layers.Dropout(config.dropout, name="dropout")(clip))
    clip = layers.Dense(config.dense, activation="relu", name="dense")(clip)
    if config.start == "nothing":
        probability = layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(clip)
    else:
        pooled = layers.GlobalAveragePooling1D(name="pooled")(normalised, mask=mask)
        baseline = layers.Dense(1, trainable=False, name="baseline")(pooled)
        branch = layers.Dense(1, kernel_initializer="zeros", name=BRANCH)(clip)
        logit = layers.Add(name="logit")([baseline, branch])
        probability = layers.Activation("sigmoid", dtype="float32", name="probability")(logit)
    return keras.Model({"features": features, "mask": mask}, probability, name=config.head)


def least_bytes(config: HeadConfig, size: int) -> int:
    """Returns a number of bytes that the weights of the head are not below, known without building it."""
    if config.head == "mean":
        return 4 * size * config.dense
    return 4 * config.units * (size + config.units)


def is_fixed(weight: str) -> bool:
    """Whether training leaves the weight of this name alone, because it is fitted beforehand."""
    return weight.startswith(("normalise/", "baseline/"))


def _with_differences(frames: "keras.KerasTensor") -> "keras.KerasTensor":
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
