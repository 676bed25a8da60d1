"""Judging clips, where no network is needed."""

import pytest

from base.errors import UserError
from detect.clips import stage
from detect.clips.config import DetectConfig, check
from detect.detector.judge import VerdictAndCrops
from detect.detector.verdict import failed


def test_missing_clips_are_named_before_a_model_is_loaded(tmp_path, monkeypatch, capsys):
    there = tmp_path / "there.mp4"
    there.touch()

    def no_model(_):
        raise UserError("no model")

    monkeypatch.setattr(stage, "open_judge", no_model)
    with pytest.raises(UserError, match="no model"):
        stage.detect(DetectConfig(video=(str(there), str(tmp_path / "absent\u202e.mp4"))))
    assert capsys.readouterr().err == f"{tmp_path}/absent\\u202e.mp4: there is no such file.\n"


def test_the_last_line_counts_the_verdicts():
    assert stage.summary({"Real": 1200, "Fake": 3, "Failed": 1}) == "1,204 verdicts: 3 Fake, 1,200 Real, 1 Failed."


@pytest.mark.parametrize("other", ["OUT.png", "folder/../out.png"])
def test_two_sheets_that_may_be_one_file_are_refused(other, tmp_path):
    """Where case makes no difference, as on most disks of macOS, the second would replace the first."""
    (tmp_path / "folder").mkdir()
    check(DetectConfig(show=tmp_path / "out.png", explain=tmp_path / "folder" / "out.png"))
    with pytest.raises(UserError, match=r"--show and --explain both name .*out\.png; give each a name of its own"):
        check(DetectConfig(show=tmp_path / "out.png", explain=tmp_path / other))


def test_a_picture_is_named_only_if_it_was_drawn(tmp_path, capsys):
    config = DetectConfig(html=tmp_path / "all.html")
    missing: VerdictAndCrops = (failed("a.mp4", "missing", "it is not there"), None)
    cases: tuple[list[list[VerdictAndCrops]], ...] = ([], [[missing]])
    for judged in cases:
        with stage._drawing(None, config) as draw:  # pyright: ignore[reportArgumentType]
            for one in judged:
                draw(one)
        assert (capsys.readouterr().err != "") == bool(judged) == (tmp_path / "all.html").exists()
