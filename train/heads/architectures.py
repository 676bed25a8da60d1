"""Temporal heads: features of twelve frames in, probability of fake out.

A new head is one builder here and its entry in `HEADS`. Builders take normalised features (B, 12, D) and the mask
bool (B, 12), and return one vector a clip (B, U). Layers get the mask as an argument, so that padded frames change
neither output nor gradient, and only plain Keras layers are used: the saved files load without any of this code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cache.schema import FRAMES, UserError

if TYPE_CHECKING:
    import keras

Builder = Callable[["keras.KerasTensor", "keras.KerasTensor", "HeadConfig"], "keras.KerasTensor"]

MOST_UNITS = 4096


@dataclass(frozen=True)
class HeadConfig:
    """The shape of a head: its builder's name, its `units`, share dropped in training, units of `dense`.

    With `differences` each frame's features are followed by their change since the frame before.
    """

    head: str = "lstm"
    units: int = 64
    dropout: float = 0.3
    dense: int = 64
    differences: bool = False


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
    """Lin et al., "A Structured Self-attentive Sentence Embedding", ICLR 2017: a mean that weighs the frames itself."""
    import keras

    layers = keras.layers
    embedded = layers.Dense(config.units, activation="relu", name="embed")(frames)
    scores = layers.Dense(1, name="score")(layers.Dense(config.units, activation="tanh", name="look")(embedded))
    weights = layers.Softmax(axis=1, name="weights")(scores, mask=layers.Reshape((FRAMES, 1))(mask))
    return layers.Flatten(name="attended")(layers.Dot(axes=1)([weights, embedded]))


def _tcn(frames: "keras.KerasTensor", mask: "keras.KerasTensor", config: HeadConfig) -> "keras.KerasTensor":
    """Bai et al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks", 2018 (arXiv:1803.01271).

    Causal: a frame sees those before it alone, so that padding, which is at the end, reaches none.
    """
    import keras

    layers = keras.layers
    for number, dilation in enumerate(DILATIONS):
        options: Any = {"padding": "causal", "dilation_rate": dilation, "activation": "relu", "name": f"tcn_{number}"}
        convolve = layers.Conv1D(config.units, 3, **options)
        frames = layers.Add()([frames, convolve(frames)]) if number else convolve(frames)
    return layers.GlobalAveragePooling1D(name="mean")(frames, mask=mask)


def _mean(frames: "keras.KerasTensor", mask: "keras.KerasTensor", _: HeadConfig) -> "keras.KerasTensor":
    """The mean over the frames that are there: no order, no motion, hence what the others have to beat."""
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
"""Frames between those that a convolution of `tcn` joins: together they look back over fourteen."""


def build_head(config: HeadConfig, size: int) -> "keras.Model":
    """Returns the network: `features` float32 (B, 12, `size`) and `mask` bool (B, 12) -> probability (B, 1).

    Normalisation is inside, as a layer of weights that training leaves alone.
    """
    import keras

    require_buildable(config)
    layers = keras.layers
    features = keras.Input((FRAMES, size), name="features")
    mask: Any = keras.Input((FRAMES,), dtype="bool", name="mask")
    # Not layers.Normalization: it keeps its numbers in the config, where HDF5 has room for 64 KB.
    normalise = layers.BatchNormalization(center=False, scale=False, epsilon=1e-9, trainable=False, name="normalise")
    frames = normalise(features)
    if config.differences:
        frames = _with_differences(frames)
    clip = HEADS[config.head](frames, mask, config)
    clip = layers.BatchNormalization(name="batch_norm")(layers.Dropout(config.dropout, name="dropout")(clip))
    clip = layers.Dense(config.dense, activation="relu", name="dense")(clip)
    probability = layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(clip)
    return keras.Model({"features": features, "mask": mask}, probability, name=config.head)


def _with_differences(frames: "keras.KerasTensor") -> "keras.KerasTensor":
    import keras

    layers = keras.layers
    later, earlier = layers.Cropping1D((1, 0))(frames), layers.Cropping1D((0, 1))(frames)
    first: Any = (1, 0)
    change = layers.ZeroPadding1D(first)(layers.Subtract()([later, earlier]))
    return layers.Concatenate(name="differences")([frames, change])


def parse_head(values: Mapping[str, Any], where: str) -> HeadConfig:
    """Returns the config whose fields are `values`; a UserError about anything else calls it `where`."""
    try:
        config = HeadConfig(**values)
        require_buildable(config)
    except (TypeError, UserError) as error:
        raise UserError(f"{where} describes no head of this version ({error}); train the run again.") from None
    return config


def require_buildable(config: HeadConfig) -> None:
    """Raises a UserError if no head has this `config`."""
    if config.head not in HEADS:
        raise UserError(f"{config.head!r} is no head; choose one of {', '.join(HEADS)}")
    if not (1 <= config.units <= MOST_UNITS and 1 <= config.dense <= MOST_UNITS and 0 <= config.dropout < 1):
        raise UserError(
            f"units {config.units} and dense {config.dense} have to lie in 1 to {MOST_UNITS}, "
            f"dropout {config.dropout:g} in 0 to below 1; mend the flag"
        )
