"""Temporal heads: features of twelve frames in, probability of fake out.

A new head is one builder here and its entry in `HEADS`. Builders take normalised features (B, 12, D) and the mask
bool (B, 12), and return one vector a clip (B, U). Layers get the mask as an argument, so that padded frames change
neither output nor gradient, and only plain Keras layers are used: the saved files load without any of this code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.schema import FRAMES, UserError

if TYPE_CHECKING:
    import keras

Builder = Callable[["keras.KerasTensor", "keras.KerasTensor", "HeadConfig"], "keras.KerasTensor"]

LEAST_VARIANCE = 1e-3
"""Floor of a feature's variance, in means of all features' variances: what hardly moves is not blown up."""
STATISTICS_CLIPS = 256
MOST_UNITS = 4096


@dataclass(frozen=True)
class HeadConfig:
    """The shape of a head: its builder's name, recurrent `units`, share dropped in training, units of `dense`."""

    head: str = "lstm"
    units: int = 64
    dropout: float = 0.3
    dense: int = 64


def _lstm(frames: "keras.KerasTensor", mask: "keras.KerasTensor", config: HeadConfig) -> "keras.KerasTensor":
    """Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 1997; the last frame's state."""
    import keras

    return keras.layers.LSTM(config.units, name="lstm")(frames, mask=mask)


def _gru(frames: "keras.KerasTensor", mask: "keras.KerasTensor", config: HeadConfig) -> "keras.KerasTensor":
    """Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014; the last frame's state."""
    import keras

    return keras.layers.GRU(config.units, name="gru")(frames, mask=mask)


def _mean(frames: "keras.KerasTensor", mask: "keras.KerasTensor", _: HeadConfig) -> "keras.KerasTensor":
    """The mean over the frames that are there: no order, no motion, hence what the others have to beat."""
    import keras

    return keras.layers.GlobalAveragePooling1D(name="mean")(frames, mask=mask)


HEADS: dict[str, Builder] = {"lstm": _lstm, "gru": _gru, "mean": _mean}


def build_head(config: HeadConfig, size: int) -> "keras.Model":
    """Returns the network: `features` float32 (B, 12, `size`) and `mask` bool (B, 12) -> probability (B, 1).

    Normalisation is inside, as a layer of weights that training leaves alone; `set_normalisation` fills it.
    """
    import keras

    require_buildable(config)
    layers = keras.layers
    features = keras.Input((FRAMES, size), name="features")
    mask: Any = keras.Input((FRAMES,), dtype="bool", name="mask")
    # Not layers.Normalization: it keeps its numbers in the config, where HDF5 has room for 64 KB.
    normalise = layers.BatchNormalization(center=False, scale=False, epsilon=1e-9, trainable=False, name="normalise")
    frames = normalise(features)
    clip = HEADS[config.head](frames, mask, config)
    clip = layers.BatchNormalization(name="batch_norm")(layers.Dropout(config.dropout, name="dropout")(clip))
    clip = layers.Dense(config.dense, activation="relu", name="dense")(clip)
    probability = layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(clip)
    return keras.Model({"features": features, "mask": mask}, probability, name=config.head)


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


def frame_statistics(features: np.ndarray, mask: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and variance, float32 (D,), over the frames of the clips `rows` that are not padding.

    `features` is (N, 12, D), `mask` bool (N, 12). Sums are kept in float64: float16 ends at 65,504.
    """
    count, total, squares = 0, np.zeros(features.shape[2]), np.zeros(features.shape[2])
    for start in range(0, len(rows), STATISTICS_CLIPS):
        part = rows[start : start + STATISTICS_CLIPS]
        frames = features[part][mask[part]].astype(np.float64)
        count, total, squares = count + len(frames), total + frames.sum(0), squares + np.square(frames).sum(0)
    mean = total / count
    variance = np.maximum(squares / count - np.square(mean), 0)
    return mean.astype(np.float32), np.maximum(variance, LEAST_VARIANCE * variance.mean()).astype(np.float32)


def set_normalisation(model: "keras.Model", mean: np.ndarray, variance: np.ndarray) -> None:
    """Makes `model`, as `build_head` returns it, subtract `mean` and divide by the root of `variance`, both (D,)."""
    model.get_layer("normalise").set_weights([mean, variance])
