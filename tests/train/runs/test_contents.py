"""The run folder: what is written is what is read, and folders of earlier versions are still runs."""

import json
from dataclasses import fields, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from base.errors import UserError
from cache.profile import CropProfile, fingerprint
from cache.schema import TEST, TRAIN, VAL
from evaluate.report.stage import ReportConfig, write_report
from train.data.audit import Audit, Finding
from train.heads.architectures import HeadConfig, build_head
from train.runs.contents import RunContents, numbered_history, read_contents, write_run
from train.runs.folder import CROPS, latest
from train.runs.load import load_head, read_run
from train.runs.predictions import Predictions, SplitRow
from train.runs.recipe import RunConfig

PARTS = [TRAIN, TRAIN, VAL, VAL, TEST, TEST]
IDS = [f"{'fake' if number % 2 else 'real'}/p{number // 2}.mp4" for number in range(6)]


def contents() -> RunContents:
    labels, coverage = np.arange(6) % 2, np.linspace(0.5, 1, 6)
    distances = np.array([0.5, 1.25, np.nan] * 2)
    kinds = ["", "Deepfakes"] * 3
    split = {name: SplitRow(name, i % 2, PARTS[i], f"p{i // 2}", "", "", kinds[i]) for i, name in enumerate(IDS)}
    split["real/left out.mp4"] = SplitRow("real/left out.mp4", 0, "dropped", "", "", "")
    finding = Finding("identity", "p0", ["train", "test"], {"train": [IDS[0]]})
    return RunContents(
        config=RunConfig(kind=CROPS, config={}, profile=CropProfile(), fingerprint=fingerprint(CropProfile())),
        split=split,
        audit=Audit("identity", 1, ["One, two."], [finding]),
        history=numbered_history({"loss": [0.7, 1 / 3], "val_loss": [np.nan, 0.25]}),
        predictions=Predictions(IDS, labels, np.array(PARTS), np.linspace(0, 1, 6) / 3, coverage, distances),
        baseline=Predictions(IDS, labels, np.array(PARTS), np.linspace(1, 0, 6) / 7, coverage, distances),
        seconds=1.5,
    )


def test_what_is_written_is_read(tmp_path):
    expected = contents()
    folder = write_run(tmp_path / "run", lambda into: (into / "weights").touch() or expected)  # pyright: ignore
    found = read_contents(folder)
    assert (folder / "weights").is_file()
    assert found.config.versions["keras"] == keras.__version__
    assert replace(found.config, versions={}) == expected.config
    for name in ("split", "audit", "seconds"):
        assert getattr(found, name) == getattr(expected, name), name
    assert list(found.history) == ["epoch", "loss", "val_loss"]
    for name, values in expected.history.items():
        np.testing.assert_array_equal(found.history[name], values)
    for name in ("predictions", "baseline"):
        for field in fields(Predictions):
            pair = (getattr(getattr(run, name), field.name) for run in (found, expected))
            np.testing.assert_array_equal(*pair)  # pyright: ignore[reportCallIssue]


def test_a_run_that_cannot_be_written_whole_is_not_there(tmp_path):
    def fail(into: Path) -> RunContents:
        (into / "weights").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left on device"):
        write_run(tmp_path / "run", fail)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("of", ["predictions", "baseline"])
def test_a_probability_that_is_no_number_names_its_clip_and_is_not_written(tmp_path, broken, of):
    run = contents()
    getattr(run, of).probabilities[3] = broken
    with pytest.raises(UserError, match=rf"gives {IDS[3]} the probability {broken}, .*with a lower --learning-rate"):
        write_run(tmp_path / "run", lambda _: run)
    assert not list(tmp_path.iterdir())


def test_a_probability_in_a_file_that_is_no_number_names_its_line(tmp_path):
    folder = write_run(tmp_path / "run", lambda _: contents())
    text = (folder / "predictions.csv").read_text().splitlines()
    text[4] = f"{IDS[3]},1,val,nan,0.8,"
    (folder / "predictions.csv").write_text("\n".join(text))
    with pytest.raises(UserError, match="line 5 has 'nan' as 'probability', where a number >= 0"):
        read_contents(folder)


def test_predictions_that_the_split_does_not_have_are_refused(tmp_path):
    run = contents()
    split = {name: row for name, row in run.split.items() if name != IDS[3]}
    folder = write_run(tmp_path / "run", lambda _: replace(run, split=split))
    with pytest.raises(UserError, match=r"predictions\.csv has the clip 'fake/p1\.mp4', which the run's split"):
        read_contents(folder)


OLD_PROFILE = {
    "crops": {
        "sampling": "uniform", "detector": "haar", "detector_file": "", "margin": 0.3, "frames": 12, "size": 160,
        "no_face": "full_frame", "version": 3,
    },
    "backbone": "mobilenetv2", "weights": "random:0", "precision": "float32", "version": 1,
}  # fmt: skip
OLD_FINGERPRINT = "f70d26bdade1"


def write_old_run(folder: Path) -> HeadConfig:
    """Writes a run as version 0.1 did, file by file; returns its head."""
    folder.mkdir(parents=True)
    head = HeadConfig(units=4, dense=4)
    rows = [(name, i % 2, PARTS[i]) for i, name in enumerate(IDS)]
    split = "".join(f"{name},{label},{part},p{i // 2},,\n" for i, (name, label, part) in enumerate(rows))
    (folder / "split.csv").write_text("id,label,part,target,donor,source\n" + split)
    for file in ("predictions.csv", "baseline.csv"):
        lines = "".join(f"{name},{label},{part},0.{i + 1},1.0\n" for i, (name, label, part) in enumerate(rows))
        (folder / file).write_text("id,label,part,probability,coverage\n" + lines)
    (folder / "history.csv").write_text("epoch,loss,val_loss,val_auc\n1,0.7,0.6,0.5\n2,0.6,0.5,\n")
    (folder / "audit.json").write_text('{"split": "official", "dropped": 0, "notes": [], "findings": []}')
    config = {
        "config": {"features": None, "runs": "runs", "head": "lstm"},
        "features": "data/real and fake/features-mobilenetv2-0",
        "head": {"head": "lstm", "units": 4, "dropout": 0.3, "dense": 4, "differences": False},
        "size": 8,
        "profile": OLD_PROFILE,
        "fingerprint": OLD_FINGERPRINT,
        "origin": {"data": "/data", "weights": "random"},
        "versions": {"python": "3.11"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    build_head(head, 8).save_weights(folder / "head.weights.h5")
    (folder / "run.json").write_text('{"created": "2026-01-01T00:00:00+00:00", "seconds": 2.5}')
    return head


def test_a_run_of_an_earlier_version_still_loads(tmp_path):
    head = write_old_run(tmp_path / "runs" / "old")
    folder = latest(tmp_path / "runs")
    run, found = read_run(folder), read_contents(folder)
    assert run.head == head
    assert run.config.features_folders == [Path("data/real and fake/features-mobilenetv2-0")]
    assert load_head(run, run.profile).count_params() > 0
    assert found.predictions.probabilities.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert found.seconds == 2.5
    assert found.split[IDS[5]].owner == "p2"
    assert write_report(ReportConfig(run=folder, resamples=20)).is_file()
