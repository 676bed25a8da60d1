"""Names that a run or an output cannot have: every command says so in one line before it reads anything."""

from collections.abc import Callable
from pathlib import Path

import pytest

from base.errors import UserError
from cache.commands import export as export_store
from detect.clips.config import DetectConfig
from detect.clips.config import check as check_detect
from detect.export.stage import ExportConfig, export
from evaluate.compare.stage import CompareConfig, _name, compare
from evaluate.studies.protocols import ProtocolsConfig, protocols
from evaluate.studies.published import PublishedConfig, published
from extract.config import ExtractConfig
from extract.pipeline import extract
from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
from train.end_to_end.finetune import FinetuneConfig, finetune
from train.fit import FitConfig, fit
from train.runs.ensemble import EnsembleConfig, ensemble
from train.sweep.stage import SweepConfig, sweep

ABSENT = Path("absent")
NAMED: dict[str, Callable[[Path, str], object]] = {
    "train": lambda runs, name: fit(FitConfig(ABSENT, runs, name)),
    "train several": lambda runs, name: fit(FitConfig(ABSENT, runs, name, seeds=2)),
    "ensemble": lambda runs, name: ensemble(EnsembleConfig((ABSENT, ABSENT), runs, name)),
    "finetune": lambda runs, name: finetune(FinetuneConfig(ABSENT, runs, name)),
    "cnn3d": lambda runs, name: train_cnn3d(Cnn3dConfig(ABSENT, runs, name)),
    "sweep": lambda runs, name: sweep(SweepConfig(ABSENT, runs / "sweeps", runs, name)),
}
PLACED: dict[str, Callable[[Path], object]] = {
    "features": lambda out: extract(ExtractConfig(ABSENT, out, weights="random")),
    "train": lambda out: fit(FitConfig(ABSENT, out)),
    "compare": lambda out: compare(CompareConfig((ABSENT, ABSENT), out)),
    "compare, its runs": lambda out: compare(CompareConfig((ABSENT, ABSENT), out.parent, runs_folder=out)),
    "protocols": lambda out: protocols(ProtocolsConfig(ABSENT, out=out)),
    "published": lambda out: published(PublishedConfig(ABSENT, out)),
    "export": lambda out: export(ExportConfig(ABSENT, out=out)),
    "cache export": lambda out: export_store(ABSENT, out),
    "detect": lambda out: check_detect(DetectConfig(out=out.with_name(f"{out.name}.csv"))),
    "detect, its page": lambda out: check_detect(DetectConfig(html=out.with_name(f"{out.name}.html"))),
}
WRONG = {"too long": "n" * 235, "far too long": "n" * 300, "letters of two bytes": "ä" * 120, "newline": "a\nb"}


@pytest.mark.parametrize(
    "name", [*WRONG.values(), "a/b", "..", ".hidden", ""], ids=[*WRONG, "slash", "up", "dot", "no"]
)
@pytest.mark.parametrize("stage", NAMED)
def test_a_name_is_refused_first(tmp_path, stage, name):
    with pytest.raises(UserError, match=r"choose another --name\.$|is not the name of a folder") as told:
        NAMED[stage](tmp_path / "runs", name)
    assert str(told.value).isprintable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("stage", PLACED)
def test_a_place_is_refused_first(tmp_path, stage, name):
    with pytest.raises(UserError, match=r"cannot be written \(.*\); choose another (folder with )?--") as told:
        PLACED[stage](tmp_path / name)
    assert str(told.value).isprintable()
    assert list(tmp_path.iterdir()) == []


def test_a_name_made_of_many_runs_is_short_in_bytes_too():
    assert _name(["one", "two"]) == "one-vs-two"
    assert _name(["é" * 40, "b" * 100]) == "é" * 40 + "-vs-" + "b" * 16 + "-and-2-runs"
    assert len(_name(["漢" * 50] * 3).encode()) <= 120
