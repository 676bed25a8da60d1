"""A head that is added by a builder and an entry in HEADS alone goes through every stage."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from base.errors import UserError
from cache.schema import FRAMES
from detect.detector.load import open_detector
from detect.export.stage import ExportConfig, export
from evaluate.report.stage import ReportConfig, write_report
from extract.steps import features_of
from tests.crops import write_source
from train.fit import FitConfig, fit
from train.heads.architectures import HEADS
from train.runs.ensemble import EnsembleConfig, ensemble
from train.runs.folder import WEIGHTS
from train.runs.load import load_head, read_run
from train.runs.replay import crops_clip
from train.sweep.stage import SweepConfig, sweep


def greatest(layers, frames, mask, config):
    """The greatest value of each unit over the unpadded frames; a unit is never below zero."""
    embedded = layers.Dense(config.units, activation="relu", name="embed")(frames)
    shown = layers.Rescaling(1.0, name="shown")(layers.Reshape((FRAMES, 1))(mask))
    return layers.GlobalMaxPooling1D(name="greatest")(layers.Multiply()([embedded, shown]))


@pytest.fixture(scope="module", autouse=True)
def added():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(HEADS, "max", greatest)
        yield


@pytest.fixture(scope="module")
def features(short_profile, tmp_path_factory):
    source = write_source(tmp_path_factory.mktemp("data"), profile=short_profile)
    return read_run(source).config.features_folders[0]


def quick(features, runs, **changes) -> FitConfig:
    return FitConfig(**{"features": features, "runs": runs, "head": "max", "epochs": 2, "val": 0.25} | changes)


@pytest.fixture(scope="module")
def runs(features, tmp_path_factory):
    """The ensemble of two seeds, and a wide head before a narrow layer."""
    folder = tmp_path_factory.mktemp("runs")
    joined = fit(quick(features, folder, name="joined", seeds=2, units=8, dense=8))
    return joined, fit(quick(features, folder, name="wide", units=1024, dense=8))


def judge(folder: Path) -> float:
    detector, clip = open_detector(folder), crops_clip(regions=True)
    inputs = clip["crops"], clip["regions"], clip["mask"]
    arrays = features_of(*inputs, detector.engine) if detector.engine else clip["crops"]
    return float(detector.probabilities(arrays, *inputs[1:])[0])


@pytest.mark.parametrize("number", [0, 1])
def test_it_is_trained_evaluated_and_detects(runs, number):
    assert write_report(ReportConfig(runs[number], resamples=100)).exists()
    assert 0 < judge(runs[number]) < 1


def test_it_joins_others(runs, features, tmp_path):
    other = fit(quick(features, tmp_path, name="mean", head="mean", units=4, dense=4))
    assert 0 < judge(ensemble(EnsembleConfig((runs[1], other), runs=tmp_path))) < 1


def test_it_is_swept(features, tmp_path):
    small = {
        "trials": 3,
        "units": (4, 6),
        "dense": 4,
        "epochs": 3,
        "first_rung": 1,
        "best": 1,
        "places": 2,
        "val": 0.25,
    }
    sweep(SweepConfig(features, tmp_path / "sweeps", tmp_path / "runs", heads=("max",), components=6, **small))
    assert 0 < judge(tmp_path / "runs/best") < 1


@pytest.mark.slow
@pytest.mark.parametrize("format", ["keras", "onnx"])
def test_it_is_exported(runs, tmp_path, format):
    folder = export(ExportConfig(run=runs[1], format=format, out=tmp_path / "out"))  # compares it with the run
    if format == "onnx":
        assert judge(folder) == pytest.approx(judge(runs[1]), abs=1e-3)


def test_a_file_of_too_few_weights_is_refused_before_they_are_loaded(runs, tmp_path):
    run = read_run(shutil.copytree(runs[1], tmp_path / "run"))
    with (run.folder / WEIGHTS).open("r+b") as file:
        file.truncate(4 * run.size * 1024)
    with pytest.raises(UserError, match=r"bytes, and the network of its config\.json needs [\d,]+ or more"):
        load_head(run, run.profile)


def test_padded_frames_do_not_count(runs):
    run = read_run(runs[1])
    head, random = load_head(run, run.profile), np.random.default_rng(0)
    frames, mask = random.normal(0, 1, (1, FRAMES, run.size)).astype(np.float32), np.arange(FRAMES)[None] < 5
    padded = np.where(mask[..., None], frames, 1e3).astype(np.float32)
    one, other = (np.asarray(head({"features": each, "mask": mask})) for each in (frames, padded))
    np.testing.assert_array_equal(one, other)
