"""A small network of factored 3D convolutions over crops, trained from scratch: what motion alone can give.

Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018: R(2+1)D, where each 3D
convolution is one over space followed by one over time, with batch norm and a rectifier between them.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from base.errors import UserError
from base.flags import option
from base.keras_start import choose_backend, start_keras
from base.progress import passing_bar
from cache.profile import Profile, crops_of, fingerprint
from cache.schema import CROP_SIZE, FRAMES
from train.end_to_end.config import EndToEndConfig, require_sensible
from train.end_to_end.stage import Outcome, StartingRun, read_starting_run, train_and_write
from train.runs.folder import CONFIG, CROPS, choose_name
from train.runs.live import lasting
from train.runs.load import load_saved, require_intact
from train.runs.recipe import MOST_WIDTH, Cnn3dShape, RunConfig
from train.runs.replay import crops_replay, once
from train.runs.trained import save_head

if TYPE_CHECKING:
    import keras

WEIGHTS = "network.weights.h5"
STAGES = 4


@dataclass(frozen=True)
class Cnn3dConfig(EndToEndConfig):
    """How to train the network."""

    learning_rate: float = option(1e-3, "Adam's learning rate at its highest")
    epochs: int = option(40, "epochs at most; all of them where there is no validation part")
    patience: int = option(10, "epochs without a lower validation loss after which training stops")
    batch: int = option(8, "clips a batch, of twelve crops each")
    accumulate: int = option(1, "batches whose mean gradient makes one step")
    width: int = option(Cnn3dShape.width, "channels of the first stage; the other three have 2, 3 and 4 times as many")
    dropout: float = option(Cnn3dShape.dropout, "share of the clip's vector that is dropped in training")

    @property
    def shape(self) -> Cnn3dShape:
        """The fields that decide the network."""
        return Cnn3dShape(self.width, self.dropout)


def train_cnn3d(config: Cnn3dConfig) -> Path:
    """Trains the network on the crops and the split of a finished run; returns the new run folder.

    A UserError says what keeps it from that.
    """
    require_sensible(config)
    _require_buildable(config.shape)
    choose_backend()
    name = choose_name(config.runs, config.name, "cnn3d")
    start = read_starting_run(config)
    start_keras()
    import keras

    config = replace(config, run=start.folder)
    keras.utils.set_random_seed(config.seed)
    network = build_cnn3d(config.shape, config.precision)
    return train_and_write(config, start, name, network, lambda folder: _write(network, config, start, folder))


def _write(trained: "keras.Model", config: Cnn3dConfig, start: StartingRun, folder: Path) -> Outcome:
    from train.end_to_end.crops import CropSequence
    from train.end_to_end.loop import Advance

    # Built as detection builds it, whatever precision it was trained in.
    network = build_cnn3d(config.shape)
    network.set_weights(trained.get_weights())
    save_head(network, folder, WEIGHTS)
    batches = CropSequence(start.clips, np.arange(len(start.clips.records)), config.batch)
    with passing_bar(total=len(batches), unit="batch", desc="scores") as bar:
        probabilities = network.predict(batches, verbose=0, callbacks=[Advance(bar)])[:, 0]  # pyright: ignore[reportArgumentType]
    profile = crops_of(start.contents.config.profile)
    run_config = RunConfig(
        command="cnn3d",
        kind=CROPS,
        about="R(2+1)D on crops",
        config=lasting(config),
        network=config.shape,
        replay=crops_replay(once(network), regions=False),
        origin=start.contents.config.origin,
        profile=profile,
        fingerprint=fingerprint(profile),
    )
    return Outcome(run_config, probabilities, [])


def load_cnn3d(folder: Path, config: RunConfig[Profile]) -> "keras.Model":
    """Returns the network of the run in `folder`, given its config; a UserError if the folder holds none."""
    if config.network is None:
        raise UserError(f"{folder / CONFIG} describes no network over crops; train it again.")
    require_intact(folder / WEIGHTS, least_bytes(config.network))
    start_keras()
    network = build_cnn3d(config.network)
    load_saved(network, folder / WEIGHTS, config.replay)
    return network


def least_bytes(shape: Cnn3dShape) -> int:
    """Returns a number of bytes that the weights of the network are not below, known without building it."""
    return 4 * 400 * shape.width**2


def _require_buildable(shape: Cnn3dShape) -> None:
    if not (1 <= shape.width <= MOST_WIDTH and 0 <= shape.dropout < 1):
        raise UserError(
            f"width {shape.width} has to lie in 1 to {MOST_WIDTH}, dropout {shape.dropout:g} in 0 to below 1; "
            "mend the flag."
        )


@dataclass(frozen=True, eq=False)
class _Frames:
    """The frames that exist, as factors (B, 12, 1, 1, 1) and as a batch norm's mask (B, 12, 1, 1)."""

    factor: Any
    mask: Any


def build_cnn3d(shape: Cnn3dShape, policy: str = "float32") -> "keras.Model":
    """Returns the network: crops uint8 (B, 12, 160, 160, 3) RGB and mask bool (B, 12) -> probability of fake (B, 1).

    A masked frame changes nothing: it is zero wherever a convolution over time sees it, no batch norm counts it, and
    the mean over time leaves it out. All layers are plain Keras: the saved files load without this code.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return _build(shape)
    finally:
        keras.config.set_dtype_policy(before)


def _build(shape: Cnn3dShape) -> "keras.Model":
    import keras

    layers = keras.layers
    crops = keras.Input((FRAMES, CROP_SIZE, CROP_SIZE, 3), dtype="uint8", name="crops")
    mask: Any = keras.Input((FRAMES,), dtype="bool", name="mask")
    factor = layers.Reshape((FRAMES, 1, 1, 1))(layers.Rescaling(1.0)(mask))
    frames = _Frames(factor, layers.Reshape((FRAMES, 1, 1))(factor))
    clip: Any = layers.Rescaling(1 / 127.5, -1.0)(crops)
    clip = layers.Activation("relu")(_factored(clip, 3, shape.width, 2, frames))
    for stage in range(1, STAGES + 1):
        clip = _block(clip, stage * shape.width, frames)
    clip = layers.AveragePooling3D((1, *clip.shape[2:4]))(clip)
    clip = layers.Reshape((FRAMES, STAGES * shape.width))(clip)
    clip = layers.Dropout(shape.dropout, name="dropout")(layers.GlobalAveragePooling1D()(clip, mask=mask))
    probability = layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(clip)
    return keras.Model({"crops": crops, "mask": mask}, probability, name="cnn3d")


def _block(clip: Any, channels: int, frames: _Frames) -> Any:
    """A residual block that halves height and width (He et al., CVPR 2016)."""
    import keras

    layers = keras.layers
    shortcut = layers.Conv3D(channels, 1, strides=(1, 2, 2), use_bias=False)(clip)
    shortcut = _norm(shortcut, frames)
    return layers.Activation("relu")(layers.Add()([_factored(clip, clip.shape[-1], channels, 2, frames), shortcut]))


def _factored(clip: Any, inputs: int, channels: int, stride: int, frames: _Frames) -> Any:
    """A convolution over space with `stride`, then one over time; together they have the weights of a full one."""
    import keras

    layers = keras.layers
    # Section 3.5 of the paper, for 3 x 3 x 3.
    between = max(1, 27 * inputs * channels // (9 * inputs + 3 * channels))
    clip = layers.Conv3D(between, (1, 3, 3), strides=(1, stride, stride), padding="same", use_bias=False)(clip)
    clip = layers.Activation("relu")(_norm(clip, frames))
    return _norm(layers.Conv3D(channels, (3, 1, 1), padding="same", use_bias=False)(clip), frames)


def _norm(clip: Any, frames: _Frames) -> Any:
    """Batch norm over the frames that exist; the others are zero, as a kernel sees them beyond a clip's end."""
    import keras

    clip = keras.layers.BatchNormalization(momentum=0.9)(clip, mask=frames.mask)
    return keras.layers.Multiply()([clip, frames.factor])
