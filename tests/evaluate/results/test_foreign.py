"""Runs on features of another program: trained, swept, cross-validated and reported; what needs clips refuses."""

import numpy as np
import pytest

from base.errors import UserError
from cache.imported import import_features
from detect.clips.config import DetectConfig
from detect.clips.stage import detect
from detect.detector.load import open_detector, open_ensemble
from detect.export.stage import ExportConfig, export
from evaluate.report.stage import ReportConfig, write_report
from evaluate.studies.cross_validation import CrossvalConfig, crossval
from tests.stores import pairs
from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
from train.end_to_end.finetune import FinetuneConfig, finetune
from train.fit import FitConfig, fit
from train.sweep.config import SweepConfig
from train.sweep.stage import sweep

REFUSED = r"clip\.vit made was brought in from outside, and nothing here can make it of a clip"


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    root, records = tmp_path_factory.mktemp("foreign"), pairs()
    labels = np.array([record.label for record in records])
    values = np.random.default_rng(0).normal(labels[:, None], 1, (len(records), 20)).astype(np.float32)
    columns = {name: np.array([getattr(one, name) for one in records]) for name in ("id", "target", "donor", "part")}
    columns["source"] = np.array([record.source for record in records])
    np.savez(root / "clips.npz", allow_pickle=False, features=values, label=labels, **columns)
    return import_features(root / "clips.npz", "clip.vit", None, root / "data")


@pytest.fixture(scope="module")
def run(features, tmp_path_factory):
    runs = tmp_path_factory.mktemp("foreign") / "runs"
    return fit(FitConfig(features, runs, epochs=2, units=4, dense=4, seeds=2))


def test_heads_ensembles_and_reports_work(run):
    assert run.name == "lstm-clip.vit-official"
    page = write_report(ReportConfig(run=run, resamples=20))
    card = (page.parent / "model-card.md").read_text()
    assert "20 numbers a frame, made by clip.vit and brought in" in card
    assert "faces found by" not in card
    assert "Another program made what was judged" in page.read_text()


def test_sweeps_and_cross_validations_work(features, tmp_path):
    small = {"heads": ("mean",), "units": (4,), "dense": 4, "trials": 2, "epochs": 2, "best": 1}
    sweep(SweepConfig(features, tmp_path / "sweeps", tmp_path / "runs", components=0, **small))
    assert (tmp_path / "runs" / "sweep-trial0").exists() or (tmp_path / "runs" / "sweep-trial1").exists()
    crossval(CrossvalConfig(features, tmp_path / "cv", folds=3, repeats=1, head="mean", epochs=2, curve=False))


def test_what_needs_clips_refuses_in_a_sentence(run, tmp_path):
    member = run.with_name(f"{run.name}-seed0")
    (tmp_path / "clip.mp4").touch()
    for folder in (run, member):
        with pytest.raises(UserError, match=REFUSED):
            detect(DetectConfig(run=folder, video=(str(tmp_path / "clip.mp4"),)))
        with pytest.raises(UserError, match=REFUSED):
            open_detector(folder)
        with pytest.raises(UserError, match=REFUSED):
            export(ExportConfig(run=folder, out=tmp_path / "out"))
    with pytest.raises(UserError, match=REFUSED):
        open_ensemble([member, run.with_name(f"{run.name}-seed1")])
    with pytest.raises(UserError, match=REFUSED):
        finetune(FinetuneConfig(run=member, runs=tmp_path))
    with pytest.raises(UserError, match=REFUSED):
        train_cnn3d(Cnn3dConfig(run=member, runs=tmp_path))
