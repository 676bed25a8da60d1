"""The 3D network: what is masked changes nothing, and its run folder is one that evaluation and detection take."""

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from base.errors import UserError
from cache.schema import FRAMES
from cache.store import create_store, find_rows
from detect.detector.load import open_detector
from evaluate.report.stage import ReportConfig, write_report
from evaluate.results.read import read_results
from extract.steps import rows_from_store
from tests.crops import PROFILE, draw_crops, mask_with, rows_of, write_source
from train.end_to_end.cnn3d import WEIGHTS, Cnn3dConfig, Cnn3dShape, build_cnn3d, train_cnn3d
from train.end_to_end.finetune import FinetuneConfig, finetune
from train.runs.folder import CONFIG, HISTORY, MODEL_H5, MODEL_KERAS, PREDICTIONS
from train.runs.folder import WEIGHTS as HEAD_WEIGHTS
from train.runs.load import read_run
from train.runs.recipe import read_config

SHAPE = Cnn3dShape(width=4)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def run_folder(source, tmp_path_factory) -> Path:
    return train_cnn3d(
        Cnn3dConfig(run=source, runs=tmp_path_factory.mktemp("runs"), width=4, epochs=4, patience=4, batch=3,
                    learning_rate=1e-2)
    )  # fmt: skip


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    network = build_cnn3d(SHAPE)
    # Statistics and offsets as after training; those of the start, zeros and ones, hide what leaks.
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([weight + random.uniform(0.05, 0.3, weight.shape) for weight in layer.get_weights()])
    return network


def judged(network: keras.Model, crops: np.ndarray, mask: np.ndarray, **how) -> float:
    return float(np.asarray(network({"crops": crops[None], "mask": mask[None]}, **how))[0, 0])


def test_what_is_in_a_masked_frame_changes_nothing(network):
    crops = draw_crops(np.random.default_rng(1), label=0)
    other = crops.copy()
    other[5:] = 255 - other[5:]
    for training in (False, True):
        keras.utils.set_random_seed(0)
        network.get_layer("dropout").seed_generator.state.assign([0, 0])  # pyright: ignore
        first = judged(network, crops, mask_with(5), training=training)
        network.get_layer("dropout").seed_generator.state.assign([0, 0])  # pyright: ignore
        assert judged(network, other, mask_with(5), training=training) == first
    assert abs(judged(network, crops, mask_with(12)) - judged(network, other, mask_with(12))) > 1e-3


def test_a_masked_frame_is_like_no_frame_at_all(network):
    """The same five frames, padded before and after them: the network is blind to where they lie."""
    crops = draw_crops(np.random.default_rng(1), label=0)
    moved, mask = np.roll(crops, 3, axis=0), np.roll(mask_with(5), 3)
    assert judged(network, moved, mask) == pytest.approx(judged(network, crops, mask_with(5)), abs=1e-6)


def test_padding_does_not_count_in_the_statistics_of_training():
    """Five frames, or each of the five twice: what padding fills up the twelve has no part in mean and variance."""
    crops = draw_crops(np.random.default_rng(1), label=0)
    twice = np.concatenate([crops[:5], crops[:5], np.full_like(crops[:2], 255)])
    found = []
    for clip, frames in ((crops, 5), (twice, 10)):
        keras.utils.set_random_seed(0)
        network = build_cnn3d(SHAPE)
        judged(network, clip, mask_with(frames), training=True)
        first = next(layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization))
        found.append(np.array(first.get_weights()[2:]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-6)
    assert np.abs(found[0][0]).max() > 1e-3


def test_the_order_of_frames_matters(network):
    light = np.linspace(20, 235, FRAMES).astype(np.uint8)[:, None, None, None]
    crops = np.broadcast_to(light, (FRAMES, 160, 160, 3))
    shuffled = crops[np.random.default_rng(0).permutation(FRAMES)]
    assert abs(judged(network, shuffled, mask_with(12)) - judged(network, crops, mask_with(12))) > 1e-5


def test_the_factored_convolution_has_the_parameters_of_a_full_one():
    found = build_cnn3d(Cnn3dShape(width=16))
    kernels: list[Any] = [layer.weights[0].shape for layer in found.layers if isinstance(layer, keras.layers.Conv3D)]
    assert {kernel[:3] for kernel in kernels} == {(1, 3, 3), (3, 1, 1), (1, 1, 1)}
    space, time = ([k for k in kernels if k[:3] == size] for size in ((1, 3, 3), (3, 1, 1)))
    for first, second in zip(space[1:], time[1:], strict=True):
        full = 27 * first[3] * second[4]
        assert 0.97 * full < np.prod(first) + np.prod(second) <= full


def test_bfloat16_takes_the_same_weights_and_gives_nearly_the_same(network):
    rough = build_cnn3d(SHAPE, "mixed_bfloat16")
    rough.set_weights(network.get_weights())
    crops = draw_crops(np.random.default_rng(1), label=0)
    assert judged(rough, crops, mask_with(7)) == pytest.approx(judged(network, crops, mask_with(7)), abs=0.02)
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_evaluation_takes_its_folder_for_a_run(run_folder, source):
    found = read_results(run_folder)
    assert {path.name for path in run_folder.iterdir()} == (
        {path.name for path in source.iterdir()} - {HEAD_WEIGHTS} | {WEIGHTS}
    )
    assert found.config.kind == "crops"
    assert read_config(run_folder).profile == PROFILE.crops
    assert "R(2+1)D on crops" in write_report(ReportConfig(run=run_folder, resamples=20)).read_text()


@pytest.mark.slow
def test_it_learns(run_folder):
    losses = [float(row["loss"]) for row in rows_of(run_folder / HISTORY)[1:]]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
def test_detection_and_plain_keras_give_the_stored_probabilities(run_folder, source):
    stored = {row["id"]: float(row["probability"]) for row in rows_of(run_folder / PREDICTIONS)}
    networks = [keras.models.load_model(run_folder / name) for name in (MODEL_KERAS, MODEL_H5)]
    detector = open_detector(run_folder)
    store = create_store(read_run(source).config.features_folders[0].parent, PROFILE.crops)
    for row in detector.with_features(rows_from_store(list(find_rows(store).values()))):
        assert row.array is not None
        assert detector.probability(row) == pytest.approx(stored[row.id], abs=1e-5)
        for saved in networks:
            found = judged(saved, row.array, row.seen.status != 0)  # pyright: ignore
            assert found == pytest.approx(stored[row.id], abs=1e-5)


@pytest.mark.slow
def test_what_does_not_fit_is_refused(run_folder, tmp_path):
    with pytest.raises(UserError, match="judges crops and has no head"):
        finetune(FinetuneConfig(run=run_folder, runs=tmp_path))
    with pytest.raises(UserError, match=r"without a backbone; leave out --weights"):
        open_detector(run_folder, weights="random")
    with pytest.raises(UserError, match="width 0 has to lie in 1 to 256"):
        train_cnn3d(Cnn3dConfig(run=run_folder, runs=tmp_path, width=0))
    damaged = shutil.copytree(run_folder, tmp_path / "damaged")
    (damaged / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(UserError, match="does not hold the weights of the run"):
        open_detector(damaged)
    (damaged / CONFIG).write_text((run_folder / CONFIG).read_text().replace('"network"', '"net"'))
    with pytest.raises(UserError, match="describes no network over crops"):
        open_detector(damaged)
