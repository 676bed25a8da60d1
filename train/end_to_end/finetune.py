"""Fine-tuning: a finished run's backbone and head as one network over crops, trained a little further end to end."""

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.cli import option, start_keras
from cache.profile import FeatureProfile
from cache.schema import CROP_SIZE, FRAMES, UserError, mask_of
from train.end_to_end.config import EndToEndConfig, require_sensible
from train.end_to_end.stage import Outcome, StartingRun, profile_entries, read_starting_run, train_and_write
from train.runs.folder import BACKBONE_WEIGHTS, free_name
from train.runs.load import Run, load_head, read_run
from train.runs.trained import save_head

if TYPE_CHECKING:
    import keras

RANDOM_NOTE = (
    "The backbone had random weights before it was tuned, and its lower layers have them still, so the accuracy shows "
    "the plumbing only."
)


@dataclass(frozen=True)
class FinetuneConfig(EndToEndConfig):
    """What to tune, and how."""

    layers: int = option(
        30, "how many layers with weights to train, from the backbone's end; batch norms stay as they are"
    )
    weights: str | None = option(None, "the backbone's weights, if they have moved since the features were made")


def finetune(config: FinetuneConfig) -> Path:
    """Tunes a finished run as `config` says; returns the new run folder. A UserError says why that cannot be.

    The result is a run like any other, on features of the tuned backbone, which lies beside the head. Where no epoch
    has a lower validation loss than the run began with, backbone and head are as they were.
    """
    require_sensible(config)
    if config.layers < 0:
        raise UserError(f"--layers {config.layers} is below 0; give how many of the backbone's layers to train.")
    start_keras()
    source = read_starting_run(config)
    run = read_run(source.folder)
    config = replace(config, run=source.folder)
    name = free_name(config.runs, config.name, f"{source.folder.name}-tuned")
    backbone, head = _load(run, config)

    def write(folder: Path) -> Outcome:
        profile = _save_backbone(backbone, run.profile, folder)
        save_head(head, folder)
        notes = [RANDOM_NOTE] if run.profile.weights.startswith("random") else []
        return Outcome(_recipe(config, run, profile), _probabilities(head, profile, source, folder), notes)

    return train_and_write(config, source, name, join(backbone, head), write)


def _load(run: Run, config: FinetuneConfig) -> tuple["keras.Model", "keras.Model"]:
    """Returns the run's backbone, its last layers open, and its head, every batch norm closed."""
    import keras

    from extract.backbones.networks import build_backbone, require_weights, trunk_of

    weights = config.weights or run.weights
    require_weights(weights, run.profile.weights, run.folder)
    keras.utils.set_random_seed(config.seed)
    backbone = build_backbone(run.profile.backbone, weights, config.precision)
    head = load_head(run, run.profile)
    open_layers(backbone, trunk_of(backbone, run.profile.backbone), config.layers)
    for layer in head.layers:
        # A batch of few clips says too little of means and variances; those of the whole train part are there.
        layer.trainable = layer.trainable and not isinstance(layer, keras.layers.BatchNormalization)
    return backbone, head


def open_layers(backbone: "keras.Model", trunk: "keras.Model", count: int) -> None:
    """Makes the last `count` layers of `trunk` that have weights trainable, but for its batch norms, and nothing else.

    `trunk` is the network proper inside `backbone`.
    """
    import keras

    weighty = [layer for layer in trunk.layers if layer.weights]
    opened = weighty[max(0, len(weighty) - count) :]
    backbone.trainable = True  # and all that is in it, which is then closed one by one
    for layer in (*backbone.layers, *trunk.layers):
        if layer is not trunk:
            layer.trainable = layer in opened and not isinstance(layer, keras.layers.BatchNormalization)


def join(backbone: "keras.Model", head: "keras.Model") -> "keras.Model":
    """Returns one network: crops uint8 (B, 12, 160, 160, 3) and mask bool (B, 12) -> probability of fake (B, 1).

    The frames of all clips go through the backbone as one batch: reshaped, because TimeDistributed traces it twelve
    times over.
    """
    import keras

    crops = keras.Input((FRAMES, CROP_SIZE, CROP_SIZE, 3), dtype="uint8", name="crops")
    mask: Any = keras.Input((FRAMES,), dtype="bool", name="mask")
    frames = keras.ops.reshape(crops, (-1, CROP_SIZE, CROP_SIZE, 3))
    features = keras.ops.reshape(backbone(frames), (-1, FRAMES, backbone.output.shape[-1]))
    return keras.Model({"crops": crops, "mask": mask}, head({"features": features, "mask": mask}), name="end_to_end")


def _save_backbone(backbone: "keras.Model", profile: FeatureProfile, folder: Path) -> FeatureProfile:
    """Writes the tuned backbone's weights; returns the profile of features that are made with them."""
    from extract.backbones.networks import identify_weights, save_backbone

    path = save_backbone(backbone, profile.backbone, folder / BACKBONE_WEIGHTS)
    return replace(profile, weights=identify_weights(str(path)))


def _probabilities(head: "keras.Model", profile: FeatureProfile, source: StartingRun, folder: Path) -> np.ndarray:
    """Returns the probability of fake of each clip, float32 (N,): by stored weights and features, as detection does."""
    from extract.backbones.engines import make_engine
    from extract.steps import Clock, rows_from_store, rows_with_features
    from train.data.batches import Clips
    from train.heads.training import predict

    clips = source.clips
    engine = make_engine(profile.backbone, str(folder / BACKBONE_WEIGHTS), 0, profile.precision, "keras")
    rows = rows_with_features(rows_from_store(clips.places), engine, Clock())
    features = {row.id: row.array for row in rows if row.array is not None}
    arrays = np.stack([features[record.id] for record in clips.records])
    return predict(head, Clips(arrays, mask_of(clips.status), clips.labels), np.arange(len(arrays)))


def _recipe(config: FinetuneConfig, run: Run, profile: FeatureProfile) -> dict[str, Any]:
    return {
        "command": "finetune",
        "about": f"{run.head.head} and {profile.backbone}, tuned end to end from {run.folder.name}",
        "config": dataclasses.asdict(config),
        "head": dataclasses.asdict(run.head),
        "size": run.size,
        # Beside this file, wherever the folder goes.
        "origin": {**run.config.get("origin", {}), "weights": BACKBONE_WEIGHTS},
        **profile_entries(profile),
    }
