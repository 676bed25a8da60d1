"""The index of runs: every finished run is on it, whatever its folder holds, and nothing of somebody else's is lost."""

import json
import re

import pytest

from base.errors import UserError
from evaluate import runs_index
from evaluate.printed import report
from evaluate.report.stage import ReportConfig
from evaluate.runs_index import PAGE, RunsConfig, find_lines, list_runs, refresh
from reelcheck.cli import dispatch
from tests.evaluate.report.test_report import CONFIG, HOSTILE, Reader, write_run
from tests.refused import as_somebody_else, folder_of_all
from tests.stores import pairs, write_features
from train.runs.folder import latest


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    for number, name in enumerate(("one", "two & three")):
        run = write_run(folder / name)
        (run / "run.json").write_text(json.dumps({"created": f"2026-01-0{number + 1}T10:20:30+00:00"}))
    return folder


def test_a_line_says_what_a_run_is_and_links_to_its_report(runs, capsys):
    refresh(runs)
    page = report(ReportConfig(run=runs / "two & three", resamples=20))
    area = json.loads(page.with_name("metrics.json").read_text())["parts"]["test"]["head"]["scores"]["roc_auc"]
    shown = Reader((runs / PAGE).read_text())
    interval = "{value:.3f} [{low:.3f}, {high:.3f}]".format(**area)
    assert f"two & three lstm resnet50 my set official {interval} 2026-01-02 10:20 report" in shown.text
    assert "one lstm resnet50 my set official not evaluated 2026-01-01 10:20 none yet" in shown.text
    assert f"reelcheck eval --run {runs / 'NAME'} measures one" in shown.text
    assert ("href", "two%20%26%20three/report/report.html") in shown.values
    capsys.readouterr()
    assert list_runs(RunsConfig(runs)) == runs / PAGE
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["run", "head"]
    assert [interval in first, "2026-01-01" in second] == [True, True]


def test_the_split_is_the_one_that_was_taken_not_auto(tmp_path):
    write_run(tmp_path / "one", settings=CONFIG | {"split": "auto"})
    (line,) = find_lines(tmp_path)
    assert line.split == "official"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("run.json", "["),
        ("run.json", '{"created": 3}'),
        ("config.json", '{"config": []}'),
        ("config.json", "[" * 100_000),
        ("report/metrics.json", '{"parts": {"test": {"head": {"scores": {"roc_auc": {"value": 7}}}}}}'),
    ],
)
def test_a_damaged_run_is_a_line_and_no_number(runs, file, text):
    (runs / "one" / "report").mkdir()
    (runs / "one" / file).write_text(text)
    (runs / "begun").mkdir()
    two, one = find_lines(runs)
    assert (two.name, two.problem) == ("two & three", "")
    assert (one.name, one.area) == ("one", None)
    assert (str(runs / "one" / file) in one.problem) == ("report" not in file)
    refresh(runs)
    assert "one" in Reader((runs / PAGE).read_text()).text


def test_hostile_names_do_nothing(tmp_path):
    write_run(tmp_path / "<script>x", settings={"head": HOSTILE, "split": HOSTILE})
    refresh(tmp_path)
    text = (tmp_path / PAGE).read_text()
    assert text.count("<script>") == 1  # the one that sorts
    assert HOSTILE in Reader(text.partition("<script>")[0] + "</body></html>").words


def test_a_page_of_somebody_else_is_left_alone(runs):
    (runs / PAGE).write_text("my site")
    refresh(runs)
    assert (runs / PAGE).read_text() == "my site"
    with pytest.raises(UserError, match=r"index\.html exists but is not an index of runs"):
        list_runs(RunsConfig(runs))
    with pytest.raises(UserError, match="there is no folder"):
        list_runs(RunsConfig(runs / "absent"))


def test_of_many_runs_the_newest_are_listed_and_the_others_counted(runs, monkeypatch):
    monkeypatch.setattr(runs_index, "MOST_RUNS", 1)
    refresh(runs)
    shown = Reader((runs / PAGE).read_text()).text
    assert "2 runs, the newest first. The newest 1 of 2 are listed." in shown
    assert "2026-01-01" not in shown


def test_training_writes_the_index(tmp_path, capsys):
    features = write_features(tmp_path, pairs()).folder
    runs = tmp_path / "runs"
    dispatch(["train", "--features", str(features), "--runs", str(runs), "--head", "mean", "--epochs", "1"])
    assert "mean mobilenetv2 set official" in Reader((runs / PAGE).read_text()).text
    assert capsys.readouterr().out.splitlines()[-1] == str(runs / "mean-mobilenetv2-official")


def test_a_run_that_may_not_be_read_costs_only_itself():
    with folder_of_all() as runs:
        for name in ("mine", "theirs"):
            write_run(runs / name).chmod(0o755)
        (runs / "theirs" / "run.json").chmod(0)
        with as_somebody_else():
            lines = {line.name: line for line in find_lines(runs)}
            assert latest(runs).name == "mine"
    assert lines["mine"].problem == ""
    assert "cannot be read (Permission denied)" in lines["theirs"].problem


def with_history(folder, columns, rows):
    (folder / "history.csv").write_text("\n".join([columns, *rows]) + "\n")


def curves(path):
    """Returns the legend's texts and the number of lines of each figure of the page."""
    figures = re.findall(r"<svg.*?</svg>", path.read_text(), re.DOTALL)
    return [re.findall(r"<text[^>]*>([^<]*)</text>", one) for one in figures]


def test_the_curves_of_several_runs_lie_over_each_other(tmp_path):
    for number in range(6):
        folder = write_run(tmp_path / f"_run{number} $\\frac")
        (folder / "run.json").write_text(json.dumps({"created": f"2026-01-0{number + 1}T10:20:30+00:00"}))
        with_history(folder, "epoch,loss,val_loss,val_auc", ["0,,0.7,0.5", "1,0.6,0.5,0.9", "2,0.5,nan,nan"])
    refresh(tmp_path)
    loss, area = curves(tmp_path / PAGE)
    for texts in (loss, area):
        named = [text.strip() for text in texts if "_run" in text]
        assert named == [f"_run{number} $\\frac" for number in (5, 4, 3, 2)]
    assert "Loss on validation, epoch by epoch, of 6 runs. The newest 4 are named" in (tmp_path / PAGE).read_text()
    assert "binary cross-entropy (nats)" in loss
    assert "ROC AUC" in area


@pytest.mark.parametrize(
    "rows",
    [["0,,1e308,inf"], ["1e300,1,2,3"], ["0,,,"], ["x,1,2,3"], []],
)
def test_a_history_that_cannot_be_drawn_leaves_its_run_in_the_list(tmp_path, rows):
    with_history(write_run(tmp_path / "one"), "epoch,loss,val_loss,val_auc", rows)
    refresh(tmp_path)
    assert "one lstm" in Reader((tmp_path / PAGE).read_text()).text
    assert not curves(tmp_path / PAGE)


def test_the_curves_are_those_of_the_newest_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(runs_index, "MOST_CURVES", 2)
    for number in range(3):
        with_history(write_run(tmp_path / f"run{number}"), "epoch,loss,val_loss", ["1,0.6,0.5", "2,0.5,0.4"])
    refresh(tmp_path)
    assert "of 2 runs" in (tmp_path / PAGE).read_text()
