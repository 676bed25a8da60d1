"""From a features folder to a run folder that says everything, and back to a head."""

import csv
import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from base.errors import UserError
from cache.contents import load
from cache.profile import CropProfile, FeatureProfile
from cache.schema import coverage_of
from cache.store import EXTRACTED, ORIGIN, create_store
from evaluate.report.stage import ReportConfig, write_report
from evaluate.results.read import read_results
from evaluate.studies.protocols import ProtocolsConfig, protocols
from tests import ROOT
from tests.stores import PROFILE, pairs, real, write_features
from train import fit as fit_stage
from train.data.baseline import fit_baseline
from train.data.clips import Clips
from train.data.training_set import newest_features
from train.fit import FitConfig, fit
from train.heads.architectures import HEADS
from train.runs.folder import CONFIG, WEIGHTS, latest
from train.runs.load import load_head, read_run


def quick(store, runs, **changes) -> FitConfig:
    return FitConfig(**{"features": store.folder, "runs": runs, "epochs": 3, "units": 8, "dense": 8} | changes)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_features(tmp_path_factory.mktemp("data"), pairs())


@pytest.fixture(scope="module")
def run_folder(store, tmp_path_factory):
    return fit(quick(store, tmp_path_factory.mktemp("runs"), split="official"))


def test_a_run_folder_has_everything_and_evaluation_accepts_it(run_folder, store):
    found = read_results(run_folder)
    assert run_folder.name == "lstm-mobilenetv2-official"
    assert {path.name for path in run_folder.iterdir()} == {
        "config.json", "split.csv", "audit.json", "history.csv", "head.weights.h5", "model.keras", "model.h5",
        "predictions.csv", "baseline.csv", "neighbours.npz", "run.json",
    }  # fmt: skip
    assert list(found.history) == ["epoch", "loss", "val_loss", "val_auc"]
    assert found.config.fingerprint == store.fingerprint
    assert found.config.versions["keras"] == keras.__version__
    assert {finding.kind for finding in found.audit.findings} <= {"identity", "source"}
    assert len(found.head.ids) == len(pairs())


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
def test_saved_networks_give_the_stored_probabilities_with_plain_keras(store, tmp_path, name):
    folder = fit(quick(store, tmp_path, head=name))
    contents = load(store)
    stored = np.array([float(row["probability"]) for row in rows_of(folder / "predictions.csv")])
    run = read_run(folder)
    networks: list[Any] = [keras.models.load_model(folder / file) for file in ("model.h5", "model.keras")]
    for network in (*networks, load_head(run, run.profile)):
        inputs = {"features": contents.arrays.astype(np.float32), "mask": contents.mask}
        np.testing.assert_allclose(np.asarray(network.predict_on_batch(inputs))[:, 0], stored, atol=1e-6)


def test_both_models_are_written_row_by_row_with_coverage(run_folder, store):
    contents, rows = load(store), rows_of(run_folder / "split.csv")
    clips = Clips(contents.arrays, contents.mask, contents.labels)
    used = np.flatnonzero([row["part"] != "dropped" for row in rows])
    train = np.flatnonzero([row["part"] == "train" for row in rows])
    owners = [row["target"] for row in rows]
    expected = fit_baseline(clips, train, owners).probabilities(used)
    written = rows_of(run_folder / "baseline.csv")
    np.testing.assert_allclose([float(row["probability"]) for row in written], expected, atol=1e-12)
    for name in ("baseline.csv", "predictions.csv"):
        found = [(row["id"], float(row["coverage"])) for row in rows_of(run_folder / name)]
        assert found == [(contents.records[i].id, coverage_of(contents.seen.status)[i]) for i in used]
    assert len({coverage for _, coverage in found}) > 3


def test_the_same_config_gives_the_same_files(store, tmp_path, run_folder):
    again = fit(quick(store, tmp_path, split="official"))
    for name in ("history.csv", "predictions.csv", "baseline.csv", "split.csv", "audit.json"):
        assert (again / name).read_bytes() == (run_folder / name).read_bytes(), name


@pytest.mark.slow
def test_the_same_in_another_process(store, tmp_path, run_folder):
    flags = ["--features", str(store.folder), "--runs", str(tmp_path), "--epochs=3", "--units=8", "--dense=8"]
    command = [sys.executable, "-m", "train", "fit", *flags]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == str(tmp_path / run_folder.name)
    assert "leak audit" in found.stdout
    assert (tmp_path / run_folder.name / "predictions.csv").read_bytes() == (
        run_folder / "predictions.csv"
    ).read_bytes()


def test_a_head_learns_to_tell_unseen_people_apart(store, tmp_path):
    folder = fit(quick(store, tmp_path, split="identity", epochs=30, learning_rate=1e-2, patience=30))
    tested = [row for row in rows_of(folder / "predictions.csv") if row["part"] == "test"]
    assert tested
    assert np.mean([(float(row["probability"]) > 0.5) == (row["label"] == "1") for row in tested]) >= 0.8


def test_names_are_free_or_refused(store, tmp_path):
    folders = [fit(quick(store, tmp_path, epochs=1, head="mean")).name for _ in range(2)]
    assert folders == ["mean-mobilenetv2-official", "mean-mobilenetv2-official-2"]
    for name, message in (
        (folders[0], "is there already"),
        ("../x", "not the name of a folder"),
        (".x", "not the name"),
    ):
        with pytest.raises(UserError, match=message):
            fit(quick(store, tmp_path, name=name))
    assert latest(tmp_path).name == folders[1]
    assert {path.name for path in tmp_path.iterdir()} == set(folders)


def test_trainings_started_at_the_same_moment_both_survive(store, tmp_path, monkeypatch):
    """The second ends while the first, which has chosen the same name, is still training."""
    train_all, second = fit_stage.train_all, []

    def train_beside_another(*arguments):
        monkeypatch.setattr(fit_stage, "train_all", train_all)
        second.append(fit(quick(store, tmp_path, epochs=1, head="mean")))
        return train_all(*arguments)

    monkeypatch.setattr(fit_stage, "train_all", train_beside_another)
    first = fit(quick(store, tmp_path, epochs=2, head="mean"))
    assert [second[0].name, first.name] == ["mean-mobilenetv2-official", "mean-mobilenetv2-official-2"]
    assert [len(rows_of(folder / "history.csv")) for folder in (second[0], first)] == [2, 3]
    assert {path.name for path in tmp_path.iterdir()} == {first.name, second[0].name}


def test_everything_in_a_run_folder_is_on_the_disk(store, tmp_path, monkeypatch):
    """What a file holds was synced as it is, and after that its folder."""
    last: dict[int, int] = {}

    def flush(descriptor: int) -> None:
        status = os.fstat(descriptor)
        last[status.st_ino] = status.st_mtime_ns

    monkeypatch.setattr("base.files.flush", flush)
    folder = fit(quick(store, tmp_path / "new" / "runs", epochs=1, head="mean"))
    write_report(ReportConfig(folder, resamples=5))
    below = list((tmp_path / "new").rglob("*"))
    assert {"head.weights.h5", "model.keras", "model.h5", "report.html", "roc.svg", "tables.tex"} <= {
        path.name for path in below
    }
    assert [path for path in below if last.get(path.stat().st_ino) != path.stat().st_mtime_ns] == []


def test_a_run_that_breaks_off_leaves_nothing(store, tmp_path, monkeypatch):
    def fail(head, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("train.runs.trained.save_head", fail)
    with pytest.raises(UserError, match="No space left on device"):
        fit(quick(store, tmp_path))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="no finished run"):
        latest(tmp_path)


def test_a_head_refuses_features_of_another_profile(run_folder):
    run = read_run(run_folder)
    other = replace(PROFILE, crops=CropProfile(margin=0.0))
    with pytest.raises(UserError, match=r"crops\.margin=0\.3 instead of crops\.margin=0\.0"):
        load_head(run, other)


def copy_with(run_folder, tmp_path, name, content) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in run_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("change", [
    {"profile": {"backbone": "resnet50"}}, {"fingerprint": "0"}, {"size": "16"}, {"size": -1}, {"head": {"head": "x"}},
    {"head": {"units": 3, "code": "import os"}}, {"head": None},
])  # fmt: skip
def test_a_changed_config_is_refused(run_folder, tmp_path, change):
    config = json.loads((run_folder / CONFIG).read_text())
    folder = copy_with(run_folder, tmp_path, CONFIG, json.dumps(config | change).encode())
    with pytest.raises(UserError, match="train the run again"):
        read_run(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_config_that_is_none_is_refused(run_folder, tmp_path, content):
    with pytest.raises(UserError, match="train the run again"):
        read_run(copy_with(run_folder, tmp_path, CONFIG, content))


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_damaged_weights_are_refused(run_folder, tmp_path, content):
    run = read_run(copy_with(run_folder, tmp_path, WEIGHTS, content))
    with pytest.raises(UserError, match="does not hold the weights"):
        load_head(run, run.profile)


def test_weights_of_another_head_are_refused(store, run_folder, tmp_path):
    other = fit(quick(store, tmp_path, units=4, epochs=1))
    run = read_run(copy_with(run_folder, tmp_path, WEIGHTS, (other / WEIGHTS).read_bytes()))
    with pytest.raises(UserError, match="does not hold the weights"):
        load_head(run, run.profile)


def test_features_that_cannot_be_trained_on(tmp_path):
    crops = create_store(tmp_path / "set", CropProfile())
    with pytest.raises(UserError, match="holds crops, not features"):
        fit(FitConfig(features=crops.folder))
    with pytest.raises(UserError, match="holds no features or crops"):
        fit(FitConfig(features=tmp_path))
    one = write_features(tmp_path, [real(person, 0) for person in range(9)])
    with pytest.raises(UserError, match="9 real and 0 fake"):
        fit(FitConfig(features=one.folder, runs=tmp_path / "runs", split="random"))
    with pytest.raises(UserError, match="there are no features below"):
        newest_features(tmp_path / "absent")


def test_features_that_are_not_finite_are_damage(tmp_path):
    with np.errstate(over="ignore"):
        poisoned = write_features(tmp_path, pairs(4, 1), strength=1e6)
    with pytest.raises(UserError, match=r"shard-.*\.h5 is damaged: its array has numbers that are not finite; run"):
        fit(quick(poisoned, tmp_path / "runs"))
    with pytest.raises(UserError, match="has numbers that are not finite"):
        protocols(ProtocolsConfig(poisoned.folder, (poisoned.folder,), out=tmp_path / "out"))


def test_the_newest_features_are_those_whose_videos_were_gone_through_last(tmp_path):
    """Those of earlier versions do not say when: they come before the others, and of them the last written counts."""
    stores = [
        write_features(tmp_path, pairs(4), profile=FeatureProfile(CropProfile(margin=margin), "mobilenetv2"))
        for margin in (0.1, 0.2, 0.3)
    ]
    os.utime(stores[0].manifest)
    assert newest_features(tmp_path) == stores[0].folder
    for number in (1, 2):
        (stores[number].folder / ORIGIN).write_text(json.dumps({EXTRACTED: f"2026-01-0{number}T10:00:00.000001+00:00"}))
    os.utime(stores[1].manifest)
    assert newest_features(tmp_path) == stores[2].folder


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"epochs": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"seed": -1}]
)
def test_settings_out_of_range_are_refused(store, tmp_path, wrong):
    with pytest.raises(UserError, match="correct the flag"):
        fit(quick(store, tmp_path, **wrong))


def test_both_classes_weigh_the_same_in_training_unless_told_otherwise(tmp_path, step_weights):
    uneven = write_features(tmp_path, [record for record in pairs() if record.label or record.id.endswith("0.mp4")])
    folder = fit(quick(uneven, tmp_path / "runs", epochs=1, batch=1000, head="mean"))
    assert {row["part"] for row in rows_of(folder / "split.csv")} == {"train", "val", "test"}
    real_weight, fake_weight = step_weights()
    assert real_weight == pytest.approx(fake_weight)
    fit(quick(uneven, tmp_path / "runs", epochs=1, batch=1000, head="mean", class_weights=False))
    real_weight, fake_weight = step_weights()
    assert fake_weight > 2 * real_weight


def test_every_setting_is_in_the_recipe(run_folder):
    recipe = json.loads((run_folder / CONFIG).read_text())["config"]
    assert set(recipe) == {field.name for field in dataclasses.fields(FitConfig)} - {"log"}
