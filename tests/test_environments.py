"""Whatever a user's environment is, the numbers are the same, or one sentence says why not before any work."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.schema import UserError
from detect.export.stage import ExportConfig, export
from evaluate.compare.stage import CompareConfig, compare
from evaluate.protocols import ProtocolsConfig, protocols
from evaluate.published import PublishedConfig, published
from evaluate.report import stage as report_stage
from extract.config import ExtractConfig
from extract.pipeline import extract
from reelcheck.demo import DemoConfig, demo
from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
from train.end_to_end.finetune import FinetuneConfig, finetune
from train.fit import FitConfig, fit
from train.sweep.stage import SweepConfig, sweep

ABSENT = Path("absent")
"""Where a stage's input would be: it says so only when it has come to its work."""
TRAINING: dict[str, Callable[[Path], object]] = {
    "features": lambda to: extract(ExtractConfig(ABSENT, to, show=to / "blends.png")),
    "train": lambda to: fit(FitConfig(features=ABSENT, runs=to)),
    "sweep": lambda to: sweep(SweepConfig(features=ABSENT, sweeps=to)),
    "finetune": lambda to: finetune(FinetuneConfig(run=ABSENT, runs=to)),
    "cnn3d": lambda to: train_cnn3d(Cnn3dConfig(run=ABSENT, runs=to)),
    "protocols": lambda to: protocols(ProtocolsConfig(features=ABSENT, out=to)),
    "published": lambda to: published(PublishedConfig(ABSENT, to)),
    "export": lambda to: export(ExportConfig(run=ABSENT, out=to / "onnx")),
}
COMPARE: Callable[[Path], object] = lambda to: compare(CompareConfig((ABSENT,), out=to))  # noqa: E731


@pytest.mark.parametrize("verb", [*TRAINING, "compare"])
def test_where_a_result_goes_is_asked_before_the_work(verb, tmp_path):
    (tmp_path / "file").touch()
    remedy = {"features": "show", "sweep": "sweeps"}.get(
        verb, "runs" if verb in ("train", "finetune", "cnn3d") else "out"
    )
    sentence = rf"file/?\S* cannot be written \(Not a directory\); choose another --{remedy}\.$"
    with pytest.raises(UserError, match=sentence):
        (TRAINING | {"compare": COMPARE})[verb](tmp_path / "file")


def test_where_a_report_goes_is_asked_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "report").touch()
    monkeypatch.setattr(report_stage, "read_results", lambda run: None)
    monkeypatch.setattr(report_stage, "evaluate_results", lambda *_: pytest.fail("it worked first"))
    with pytest.raises(UserError, match=r"report cannot be written \(Not a directory\); make it writable"):
        report_stage.write_report(report_stage.ReportConfig(run=tmp_path))


@pytest.mark.parametrize("verb", [*TRAINING, "demo"])
def test_a_backend_that_cannot_be_used_is_refused_before_the_work(verb, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    stages = TRAINING | {"demo": lambda to: demo(DemoConfig(to))}
    with pytest.raises(
        UserError, match=r"the Keras backend theano cannot be used here; set KERAS_BACKEND to tensorflow"
    ):
        stages[verb](tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
