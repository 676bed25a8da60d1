"""Backbone and head tuned end to end: from the numbers of the run it starts from to a run like any other."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from base.errors import UserError
from cache.manifest import write_manifest
from cache.store import ORIGIN, create_store, find_rows, open_writer
from detect.detector.load import open_detector
from evaluate.report.stage import ReportConfig, write_report
from evaluate.results.read import read_results
from extract.backbones.engines import make_engine
from extract.backbones.networks import build_backbone, save_backbone, trunk_of
from extract.blended_rows import blend_records, rows_with_blends
from extract.steps import Clock, rows_from_store, rows_with_features
from tests.crops import PROFILE, RECORDS, rows_of, write_crops, write_source
from train.data.clips import balanced_weights
from train.end_to_end import finetune as finetune_stage
from train.end_to_end import stage as end_to_end_stage
from train.end_to_end.finetune import FinetuneConfig, finetune, open_layers
from train.fit import FitConfig, fit
from train.runs.folder import (
    BACKBONE_WEIGHTS,
    BASELINE,
    CONFIG,
    HISTORY,
    MODEL_KERAS,
    PREDICTIONS,
    SPLIT,
    WEIGHTS,
)
from train.runs.load import read_run

LAYERS = 6
"""Of these three are convolutions, the others their batch norms."""


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


def config_of(source: Path, runs: Path, **changes) -> FinetuneConfig:
    config = FinetuneConfig(
        run=source,
        runs=runs,
        layers=LAYERS,
        learning_rate=1e-4,
        warmup_epochs=0,
        epochs=2,
        batch=3,
        accumulate=1,
        augment=False,
    )
    return replace(config, **changes)


@pytest.fixture(scope="module")
def tuned(source, tmp_path_factory) -> Path:
    return finetune(config_of(source, tmp_path_factory.mktemp("runs")))


def weighted_loss(folder: Path, part: str) -> float:
    rows = rows_of(folder / PREDICTIONS)
    train = np.array([int(row["label"]) for row in rows if row["part"] == "train"])
    chosen = [row for row in rows if row["part"] == part]
    labels = np.array([int(row["label"]) for row in chosen])
    fake = np.array([float(row["probability"]) for row in chosen])
    losses = -np.log(np.where(labels == 1, fake, 1 - fake)) * balanced_weights(train)[labels]
    return float(losses.mean())


def test_it_starts_where_the_frozen_model_ended(tuned, source):
    first = rows_of(tuned / HISTORY)[0]
    assert (first["epoch"], first["loss"]) == ("0", "")
    assert float(first["val_loss"]) == pytest.approx(weighted_loss(source, "val"), abs=1e-3)


def test_training_lowers_the_loss_and_the_kept_weights_are_the_best(tuned):
    history = rows_of(tuned / HISTORY)
    assert len(history) == 3
    assert float(history[2]["loss"]) < float(history[1]["loss"])
    assert weighted_loss(tuned, "val") == pytest.approx(min(float(row["val_loss"]) for row in history), abs=2e-3)


@pytest.mark.slow
def test_only_the_last_layers_change_and_no_batch_norm(tuned):
    before, after = (
        trunk_of(build_backbone("mobilenetv2", weights), "mobilenetv2")
        for weights in ("random", str(tuned / BACKBONE_WEIGHTS))
    )
    layers = [layer for layer in before.layers if layer.weights]
    for number, layer in enumerate(layers):
        pairs = zip(layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True)
        norm = isinstance(layer, keras.layers.BatchNormalization)
        opened = number >= len(layers) - LAYERS and not norm
        assert [np.array_equal(*pair) for pair in pairs] == [not opened] * len(layer.weights), layer.name


def test_the_heads_batch_norm_stays_too(tuned, source):
    for name, same in (("batch_norm", True), ("normalise", True), ("dense", False)):
        heads = [keras.models.load_model(folder / MODEL_KERAS) for folder in (source, tuned)]
        first, second = (head.get_layer(name).get_weights() for head in heads)  # pyright: ignore
        assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True)) == same


def test_what_is_open_is_what_trains():
    backbone = build_backbone("resnet50-conv4", "random")
    trunk = trunk_of(backbone, "resnet50-conv4")
    for count, kernels in ((0, 0), (2, 1), (1000, 42 + 1)):
        open_layers(backbone, trunk, count)
        names = [variable.path for variable in backbone.trainable_variables if "kernel" in variable.name]
        assert len(names) == kernels
        assert not [name for name in names if "bn" in name]


@pytest.mark.slow
def test_a_saved_backbone_gives_the_same_features_and_its_unused_top_the_same_file(tmp_path):
    crops = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3), np.uint8)
    backbone = build_backbone("resnet50-conv4", "random")
    kernel = trunk_of(backbone, "resnet50-conv4").get_layer("conv4_block6_3_conv")
    kernel.set_weights([1.5 * weight for weight in kernel.get_weights()])
    paths = [save_backbone(backbone, "resnet50-conv4", tmp_path / f"{name}.weights.h5") for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    again = build_backbone("resnet50-conv4", str(paths[0]))
    expected = np.asarray(backbone.predict_on_batch(crops))
    np.testing.assert_allclose(np.asarray(again.predict_on_batch(crops)), expected, rtol=1e-6)


def test_evaluation_takes_it_for_a_run(tuned, source):
    found = read_results(tuned)
    assert {path.name for path in tuned.iterdir()} == {path.name for path in source.iterdir()} | {BACKBONE_WEIGHTS}
    assert len(found.head.ids) == len(RECORDS)
    for name in (SPLIT, BASELINE):
        assert (tuned / name).read_bytes() == (source / name).read_bytes()
    run = read_run(tuned)
    assert run.weights == str(tuned / BACKBONE_WEIGHTS)
    assert run.profile == replace(PROFILE, weights=run.profile.weights)
    assert run.profile.weights.startswith("sha256:")
    assert "random weights before it was tuned" in found.audit.notes[-1]
    page = write_report(ReportConfig(run=tuned, resamples=20)).read_text()
    assert "lstm and mobilenetv2, tuned end to end from source" in page
    assert f"reelcheck finetune --run {source}" in page


@pytest.mark.slow
def test_detection_gives_the_stored_probability_wherever_the_folder_went(tuned, source, tmp_path):
    moved = shutil.copytree(tuned, tmp_path / "moved")
    detector = open_detector(moved)
    features = read_run(source).config.features_folders[0]
    store = create_store(features.parent, PROFILE.crops)
    stored = {row["id"]: float(row["probability"]) for row in rows_of(tuned / PREDICTIONS)}
    for row in detector.with_features(rows_from_store(list(find_rows(store).values()))):
        assert row.array is not None
        assert detector.probability(row) == pytest.approx(stored[row.id], abs=1e-3)
    (moved / BACKBONE_WEIGHTS).write_bytes((moved / BACKBONE_WEIGHTS).read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="is not the weights file that"):
        open_detector(moved)


@pytest.mark.slow  # what it goes through is tested on a small network in test_loop
def test_interrupted_and_resumed_is_uninterrupted(source, tuned, tmp_path, monkeypatch):
    from train.end_to_end.loop import write_checkpoint

    def stop(path, settings, found):
        write_checkpoint(path, settings, found)
        raise KeyboardInterrupt

    config = config_of(source, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("train.end_to_end.loop.write_checkpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            finetune(config)
    assert [path.name for path in tmp_path.iterdir()] == [".training-source-tuned.npz"]
    with pytest.raises(UserError, match="layers=6 instead of layers=2; give its flags"):
        finetune(replace(config, layers=2))
    resumed = finetune(config)
    assert [path.name for path in tmp_path.iterdir()] == ["source-tuned"]
    for name in (HISTORY, PREDICTIONS, BACKBONE_WEIGHTS, WEIGHTS):
        assert (resumed / name).read_bytes() == (tuned / name).read_bytes(), name


def test_missing_crops_are_one_sentence_with_the_command(source, tmp_path):
    features = read_run(source).config.features_folders[0]
    bare = shutil.copytree(features, tmp_path / "set" / features.name)
    shutil.copytree(source, tmp_path / "run")
    recipe = json.loads((source / CONFIG).read_text())
    (tmp_path / "run" / CONFIG).write_text(json.dumps(recipe | {"features": str(bare)}))
    config = config_of(tmp_path / "run", tmp_path / "runs")
    sentence = r"lacks the crops of {} of 12 clips, '{}' first; make them with .*features .*, keeping the crops"
    with pytest.raises(UserError, match=sentence.format(12, RECORDS[0].id)):
        finetune(config)
    crops = create_store(features.parent, PROFILE.crops).folder
    (tmp_path / "set" / crops.name).mkdir()
    shutil.copy(crops / "profile.json", tmp_path / "set" / crops.name)
    shard = sorted(crops.glob("shard-*.h5"))[0]
    shutil.copy(shard, tmp_path / "set" / crops.name)
    with pytest.raises(UserError, match=sentence.format(6, ".*")):
        finetune(config)


def test_what_cannot_be_tuned_is_refused(source, tmp_path):
    with pytest.raises(UserError, match="is below 0"):
        finetune(config_of(source, tmp_path, layers=-1))
    with pytest.raises(UserError, match="no finished run"):
        finetune(config_of(tmp_path, tmp_path))
    with pytest.raises(UserError, match="is not the weights file that"):
        finetune(config_of(source, tmp_path, weights="imagenet"))
    with pytest.raises(UserError, match="is there already"):
        finetune(config_of(source, source.parent, name="source"))


@pytest.mark.slow
def test_a_run_on_real_clips_and_blends_is_tuned_with_blends_alone(source, tmp_path):
    """The features have blended rows, the crops do not: the tuned run is on the videos."""
    records = [record for record in RECORDS if record.label == 0]
    crops = write_crops(tmp_path, records)
    features = create_store(tmp_path / "set", PROFILE)
    rows = [*records, *blend_records(records, 1)]
    write_manifest(features.manifest, rows)
    stored = rows_from_store(list(find_rows(crops).values()))
    with open_writer(features) as writer:
        engine = make_engine(PROFILE.backbone, "random", name="keras")
        writer.append(list(rows_with_features(rows_with_blends(stored, rows), engine, Clock())))
    (features.folder / ORIGIN).write_text(json.dumps({"weights": "random"}))
    start = fit(FitConfig(features.folder, tmp_path / "runs", "start", epochs=1, fixed_epochs=1, units=8, dense=8))
    with pytest.raises(UserError, match=r"without --blend, the train part of .* holds 4 real and 0 fake"):
        finetune(config_of(start, tmp_path / "runs"))
    with pytest.raises(UserError, match=r"--blend 2\.0 is no share"):
        finetune(config_of(start, tmp_path / "runs", blend=2.0))
    folder = finetune(config_of(start, tmp_path / "runs", blend=1.0, epochs=1))
    results = read_results(folder)
    assert results.head.ids == [record.id for record in records]
    assert results.config.config["blend"] == 1.0


def test_crops_that_are_missing_are_told_before_keras_is_started(source, tmp_path, monkeypatch):
    def missing(*_, **__):
        raise UserError("no crops")

    monkeypatch.setattr(finetune_stage, "start_keras", lambda: pytest.fail("it started Keras first"))
    monkeypatch.setattr(end_to_end_stage, "find_crops", missing)
    with pytest.raises(UserError, match="no crops"):
        finetune(config_of(source, tmp_path))
