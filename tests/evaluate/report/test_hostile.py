"""Reports of runs that are odd, damaged or foreign: one sentence, no half report, nothing claimed that is not so."""

import json
import re

import pytest

from base.errors import UserError
from evaluate.report.stage import ReportConfig, write_report
from tests.evaluate.report.test_report import clips, write_run


def page(folder, resamples: int = 20, seed: int = 0) -> str:
    return write_report(ReportConfig(run=folder, resamples=resamples, seed=seed)).read_text(encoding="utf-8")


def edit(path, change) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_a_negative_seed_is_refused(tmp_path):
    with pytest.raises(UserError, match="--seed -1"):
        page(write_run(tmp_path / "run"), seed=-1)


def test_text_that_is_no_unicode_is_shown_replaced(tmp_path):
    folder = write_run(tmp_path / "run", notes=["before \ud800 after"])
    assert "before ? after" in page(folder)


@pytest.mark.slow
def test_a_threshold_is_only_said_to_be_chosen_where_one_was(tmp_path):
    rows = [row for row in clips() if row[2] != "val" or row[1] == 1]
    text = page(write_run(tmp_path / "one", rows))
    assert "Training stopped on the validation clips" in text
    assert "the threshold was chosen" not in text
    assert "the threshold was chosen" in page(write_run(tmp_path / "both"))


def test_dropped_clips_are_counted_without_a_guess_why(tmp_path):
    text = page(write_run(tmp_path / "run", [*clips(), ("left.mp4", 1, "dropped")]))
    assert "Clips in no part: 1." in text


@pytest.mark.slow
def test_the_two_confusion_figures_are_told_apart_by_their_descriptions(tmp_path):
    labels = re.findall(r'aria-label="(Confusion[^"]*)"', page(write_run(tmp_path / "run")))
    assert len(set(labels)) == len(labels) == 2


@pytest.mark.parametrize("videos", [{"train": 3}, {"test": [["a"]]}, {"test": "abc"}])
def test_findings_that_are_none_are_refused(tmp_path, videos):
    folder = write_run(tmp_path / "run")
    finding = {"kind": "identity", "name": "id1", "parts": ["train", "test"], "videos": videos}
    edit(folder / "audit.json", lambda values: values["findings"].append(finding))
    with pytest.raises(
        UserError, match=r"audit\.json has .* as 'findings\[0\]\.videos.*, where a (list|text) is expected"
    ):
        page(folder)
    assert not (folder / "report").exists()


def test_json_nested_without_end_is_refused(tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "audit.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"audit\.json cannot be read as JSON"):
        page(folder)


@pytest.mark.slow
def test_a_history_without_losses_draws_no_figure(tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "history.csv").write_text("epoch,loss,val_loss\n1,,\n2,,\n")
    page(folder)
    assert not (folder / "report/figures/training.png").exists()


@pytest.mark.parametrize("value", ["0_1.0", " 0.5", "0x1p-1"])
def test_probabilities_are_plain_numbers(tmp_path, value):
    folder = write_run(tmp_path / "run")
    path = folder / "predictions.csv"
    rows = path.read_text().splitlines()
    rows[3] = ",".join([*rows[3].split(",")[:3], value, "1.0"])
    path.write_text("\n".join(rows))
    with pytest.raises(UserError, match=r"predictions\.csv .*line 4 has .* as 'probability'"):
        page(folder)
