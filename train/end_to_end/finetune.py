"""Fine-tuning: the backbone and head of a finished run, as one network over crops, trained a little further."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from base.commands import flag
from base.errors import UserError
from base.flags import option
from base.keras_start import choose_backend, start_keras
from base.progress import passing_bar
from cache.profile import FeatureProfile, fingerprint
from cache.schema import CROP_SIZE, FRAMES, TRAIN
from train.data.neighbours import find_neighbours, people_of
from train.data.split import require_both_classes
from train.end_to_end.config import EndToEndConfig, require_sensible
from train.end_to_end.stage import Outcome, StartingRun, read_starting_run, train_and_write
from train.runs.folder import BACKBONE_WEIGHTS, choose_name, latest
from train.runs.live import lasting
from train.runs.load import Run, load_head, read_run
from train.runs.neighbours_file import write_neighbours
from train.runs.recipe import RunConfig
from train.runs.replay import Replay
from train.runs.trained import most_telling, replay_of, save_head

if TYPE_CHECKING:
    import keras

    from train.end_to_end.crops import Blending

RANDOM_NOTE = (
    "The backbone had random weights before it was tuned, and its lower layers still have them, so the accuracy says "
    "nothing about the method."
)


@dataclass(frozen=True)
class FinetuneConfig(EndToEndConfig):
    """What to tune, and how."""

    layers: int = option(30, "layers with weights to train, counted from the backbone's end; batch norms stay frozen")
    blend: float = option(
        0.0, "share of the real clips, 0 to 1, that come with a blended clip in each epoch, as a fake to train on"
    )
    weights: str | None = option(None, "file of the backbone's weights, if it has moved since the features were made")


def finetune(config: FinetuneConfig) -> Path:
    """Fine-tunes a finished run as `config` says; returns the new run folder. A UserError says what keeps it from that.

    The result is a run like any other, on features of the tuned backbone, whose weights lie beside the head's. If no
    epoch lowers the validation loss, backbone and head stay as they were.
    """
    require_sensible(config)
    if config.layers < 0:
        raise UserError(f"{flag('layers', config.layers)} is below 0; give the number of backbone layers to train.")
    if not 0 <= config.blend <= 1:
        raise UserError(f"{flag('blend', config.blend)} is no share; give 0 to 1.")
    choose_backend()
    folder = config.run or latest(config.runs)
    name = choose_name(config.runs, config.name, f"{folder.name}-tuned")
    config, run = replace(config, run=folder), read_run(folder)

    from extract.backbones.networks import require_weights

    weights = require_weights(run.profile, config.weights or run.weights, run.folder)
    start = read_starting_run(config)
    labels = start.clips.labels[start.clips.rows(TRAIN)]
    if not config.blend:
        require_both_classes(labels.tolist(), f"without {flag('blend')}, the train part of {start.folder} holds")
    start_keras()
    from train.data.clips import Clips
    from train.heads.training import predict

    backbone, head = _load(run, weights, config)

    def save(folder: Path) -> Outcome:
        profile = _save_backbone(backbone, run.profile, folder)
        save_head(head, folder)
        notes = [RANDOM_NOTE] if run.profile.weights.startswith("random") else []
        arrays, masks = _features(profile, start, folder), start.clips.seen.mask
        clips = Clips(arrays, masks, start.clips.labels)
        probabilities = predict(head, clips, np.arange(len(arrays)))
        neighbours, distances = find_neighbours(clips, start.clips.parts, people_of(start.clips.records))
        write_neighbours(neighbours, folder)
        row = most_telling(probabilities)
        replay = replay_of(head, arrays[row], masks[row])
        return Outcome(_run_config(config, run, profile, replay), probabilities, notes, distances)

    return train_and_write(config, start, name, join(backbone, head), save, _blending(config))


def _blending(config: FinetuneConfig) -> "Blending | None":
    from extract.clips.blends import blend
    from train.end_to_end.crops import Blending

    return Blending(blend, config.blend) if config.blend else None


def _load(run: Run, weights: str, config: FinetuneConfig) -> tuple["keras.Model", "keras.Model"]:
    """Returns the run's backbone with `weights`, its last layers trainable, and its head. Batch norms are frozen."""
    import keras

    from extract.backbones.networks import backbone_of, build_backbone, trunk_of

    keras.utils.set_random_seed(config.seed)
    backbone = build_backbone(backbone_of(run.profile), weights, config.precision)
    head = load_head(run, run.profile)
    open_layers(backbone, trunk_of(backbone, backbone_of(run.profile)), config.layers)
    for layer in head.layers:
        # A batch of few clips gives poor means and variances; the head has those of the whole train part.
        layer.trainable = layer.trainable and not isinstance(layer, keras.layers.BatchNormalization)
    return backbone, head


def open_layers(backbone: "keras.Model", trunk: "keras.Model", count: int) -> None:
    """Makes the last `count` layers with weights of `trunk`, the network inside `backbone`, trainable, and no others.

    Batch norms stay frozen.
    """
    import keras

    weighty = [layer for layer in trunk.layers if layer.weights]
    opened = weighty[max(0, len(weighty) - count) :]
    backbone.trainable = True  # sets every layer inside; the loop then freezes them one by one
    for layer in (*backbone.layers, *trunk.layers):
        if layer is not trunk:
            layer.trainable = layer in opened and not isinstance(layer, keras.layers.BatchNormalization)


def join(backbone: "keras.Model", head: "keras.Model") -> "keras.Model":
    """Returns one network: crops uint8 (B, 12, 160, 160, 3) and mask bool (B, 12) -> probability of fake (B, 1).

    If the backbone takes the faces' regions, they are an input too: `regions` uint8 (B, 12, 4).
    The frames of all clips go through the backbone as one batch. They are reshaped, because TimeDistributed would
    trace the backbone twelve times.
    """
    import keras

    crops = keras.Input((FRAMES, CROP_SIZE, CROP_SIZE, 3), dtype="uint8", name="crops")
    mask: Any = keras.Input((FRAMES,), dtype="bool", name="mask")
    frames = keras.ops.reshape(crops, (-1, CROP_SIZE, CROP_SIZE, 3))
    inputs: dict[str, Any] = {"crops": crops, "mask": mask}
    if len(backbone.inputs) > 1:
        inputs["regions"] = keras.Input((FRAMES, 4), dtype="uint8", name="regions")
        frames = {"crops": frames, "regions": keras.ops.reshape(inputs["regions"], (-1, 4))}
    features = keras.ops.reshape(backbone(frames), (-1, FRAMES, backbone.output.shape[-1]))
    return keras.Model(inputs, head({"features": features, "mask": mask}), name="end_to_end")


def _save_backbone(backbone: "keras.Model", profile: FeatureProfile, folder: Path) -> FeatureProfile:
    """Writes the tuned backbone's weights; returns the profile of features made with them."""
    from extract.backbones.networks import backbone_of, save_backbone
    from extract.backbones.weights import identify_weights

    path = save_backbone(backbone, backbone_of(profile), folder / BACKBONE_WEIGHTS)
    return replace(profile, weights=identify_weights(str(path)))


def _features(profile: FeatureProfile, start: StartingRun, folder: Path) -> np.ndarray:
    """Returns the features of each clip, float16 (N, 12, D), by the stored weights, as detection computes them."""
    from extract.backbones.engines import make_engine
    from extract.backbones.networks import backbone_of
    from extract.steps import Clock, rows_from_store, rows_with_features

    clips = start.clips
    engine = make_engine(backbone_of(profile), str(folder / BACKBONE_WEIGHTS), 0, profile.precision, "keras")
    features: dict[str, np.ndarray] = {}
    with passing_bar(total=len(clips.records), unit="clip", desc="features") as bar:
        for names in clips.by_store():
            stored = [clips.stored[row] for row in names.values()]
            for row in rows_with_features(rows_from_store(stored), engine, Clock()):
                bar.update()
                if row.array is not None:
                    features[clips.records[names[row.id]].id] = row.array
    if broken := [record.id for record in clips.records if record.id not in features]:
        raise UserError(
            f"the tuned backbone gives features that are not finite of {len(broken)} of {len(clips.records)} clips, "
            f"{broken[0]} first; train it again with a lower {flag('learning_rate')}."
        )
    return np.stack([features[record.id] for record in clips.records])


def _run_config(config: FinetuneConfig, run: Run, profile: FeatureProfile, replay: Replay) -> RunConfig[FeatureProfile]:
    return RunConfig(
        command="finetune",
        about=f"{run.head.head} and {profile.backbone}, tuned end to end from {run.folder.name}",
        config=lasting(config),
        head=run.head,
        size=run.size,
        # A name beside this file, so that the folder can be moved.
        origin=replace(run.config.origin, weights=BACKBONE_WEIGHTS),
        tuned_from=run.config.tuned_from or run.profile.weights,
        profile=profile,
        fingerprint=fingerprint(profile),
        replay=replay,
    )
