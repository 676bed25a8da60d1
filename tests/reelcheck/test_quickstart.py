"""From a folder of videos to a report by one command, and the sentence that says whether the result is of use."""

import dataclasses
from functools import partial
from pathlib import Path

import pytest

from evaluate.results.about_run import DRAWN, RANDOM, AboutRun, MeasuredArea
from evaluate.studies import cross_validation
from evaluate.studies.cross_validation import CrossvalConfig
from reelcheck.cli import dispatch
from reelcheck.quickstart import good_enough
from tests.clips import write_real_and_fake


def test_a_folder_becomes_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    quick = partial(CrossvalConfig, epochs=2, repeats=1, folds=2, curve=False, head="mean")
    monkeypatch.setattr(cross_validation, "CrossvalConfig", quick)
    data = write_real_and_fake(tmp_path / "clips")
    words = ["--backbone", "mobilenetv2", "--weights", "random", "--open"]
    assert dispatch(["quickstart", str(data), *words]) == 0
    out = capsys.readouterr().out
    *_, times, verdict, page = out.splitlines()
    assert Path(page).is_file()
    assert opened == [Path(page).resolve().as_uri()]
    assert times.startswith("It took ")
    assert [name in times for name in ("features", "train", "crossval", "eval")] == [True] * 4
    assert verdict == f"Not good enough to use: {RANDOM}."
    (folds,) = Path("crossval").glob("*/crossval.html")
    assert folds.parent.name == Path(page).parents[1].name  # the run's, so that no other data set's takes its place
    assert f"\n{folds}\n" in out


AREA = MeasuredArea(0.9, 0.8, 0.95, 100)


@pytest.mark.parametrize(("about", "said"), [
    (AboutRun(("x",), AREA, doubts=(RANDOM,)), "Not good enough to use: the backbone has random weights"),
    (AboutRun(("x",), AREA, doubts=(RANDOM, DRAWN)), f"Not good enough to use: {RANDOM}; {DRAWN}."),
    (AboutRun(("x",)), "nobody knows"),
    (AboutRun(("x",), dataclasses.replace(AREA, value=None)), "nobody knows"),
    (AboutRun(("x",), dataclasses.replace(AREA, low=0.5)), "Not good enough to use: of its 100 test clips, a fake "
     "scores above a real one in 90% of pairs, and the truth may lie anywhere from 50% to 95%, where chance is 50%"),
    (AboutRun(("x",), AREA), "Better than chance on people and footage like its test clips: "),
])  # fmt: skip
def test_it_says_no_more_than_the_test_part_holds(about, said):
    assert said in good_enough(about, Path("runs/x"))
