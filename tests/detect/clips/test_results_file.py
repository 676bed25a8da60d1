"""Verdicts in files: what is written is read again, half a line is not, and other things are refused."""

import csv
import errno
import fcntl
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from base.errors import UserError
from detect.clips.judged_by import JudgedBy
from detect.clips.results_file import ResultFile
from detect.clips.verdict_lines import COLUMNS, OLDER, fake_spans, header, lines
from detect.detector.verdict import SeenFrame, Verdict, WindowScore
from evaluate.results.about_run import AboutRun, MeasuredArea
from evaluate.stats.band import band_around

JUDGE = JudgedBy(("run",), 0.5)


def verdict(clip: str, kind: Literal["Real", "Fake"] = "Real", face=1, timeline=()):
    return Verdict(clip, kind, 0.25, 0.125, 1.0, "", (), face, tuple(timeline))


def several(clip):
    return [verdict(clip), verdict(clip, "Fake", 2), verdict(clip, "Real", 3)]


NAMES = ["a.mp4", 'with, "quotes".mp4', "line\nbreak\r.mp4", "ünï ☃.mp4", "bad\udce9.mp4", "\x85\u2028.mp4", ""]


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_what_is_written_is_gone_on_with(tmp_path, name):
    path = tmp_path / "deep" / name
    for clip in NAMES:
        file = ResultFile(path, JUDGE)
        assert file.of(clip) == []
        file.add(several(clip) if clip == "a.mp4" else [verdict(clip, "Fake")])
        file.close()
    file = ResultFile(path, JUDGE)
    file.close()
    assert all(clip in file for clip in NAMES)
    assert file.of("a.mp4") == ["Real", "Fake", "Real"]
    assert "b.mp4" not in file


def test_without_locks_a_file_grows_and_stderr_says_so(tmp_path, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    file = ResultFile(tmp_path / "out.csv", JUDGE)
    file.add([verdict("a.mp4")])
    file.close()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{tmp_path / 'out.csv'} is on a file system without locks (Function not implemented):")
    assert (tmp_path / "out.csv").read_text().count("\n") == 2


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_a_file_cut_anywhere_loses_the_cut_clip_alone(tmp_path, name):
    path = tmp_path / name
    file = ResultFile(path, JUDGE)
    for clip in ("a", "b"):
        file.add(several(clip))
    file.close()
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        file = ResultFile(path, JUDGE)
        for clip in ("a", "b"):
            if clip not in file:
                file.add(several(clip))
        file.close()
        assert path.read_bytes() == whole, length


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("out.csv", b"something else\n", "not a file of verdicts"),
        ("out.csv", header("csv").encode() + b"1,2\n", "which is not a verdict"),
        ("out.jsonl", b"[1]\n", "which is not a verdict"),
        ("out.jsonl", b"\xff\xfe\n", "which is not a verdict"),
        ("out.jsonl", b"[" * 100_000 + b"\n", "which is not a verdict"),
        (
            "out.jsonl",
            lines([verdict("a")], "jsonl", JudgedBy(("other",), 0.5)).encode(),
            r"made otherwise \(run other, not run\)",
        ),
        *(
            ("out.csv", (header("csv") + lines([verdict("a")], "csv", by)).encode(), what)
            for by, what in (
                (JudgedBy(("run",), 0.9), r"--threshold 0\.9, not 0\.5"),
                (JudgedBy(("run",), 0.5, faces=2), "--faces 2, not 1"),
                (JudgedBy(("run",), 0.5, window=6.0), r"--timeline 6, not off"),
            )
        ),
        (
            "out.jsonl",
            lines([verdict("a")], "jsonl", JUDGE).replace('"faces": 1', '"faces": 0').encode(),
            "not a verdict",
        ),
        ("out.txt", b"", "neither .csv nor .jsonl"),
    ],
)
def test_another_file_is_refused_and_left_as_it_is(tmp_path, name, content, what):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=what):
        ResultFile(path, JUDGE)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        ResultFile(tmp_path / "file" / "out.csv", JUDGE)


def test_two_calls_do_not_write_one_file_at_once(tmp_path):
    file = ResultFile(tmp_path / "out.csv", JUDGE)
    with pytest.raises(UserError, match="is being written by another call"):
        ResultFile(tmp_path / "out.csv", JUDGE)
    file.close()
    ResultFile(tmp_path / "out.csv", JUDGE).close()


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = ResultFile(tmp_path / "out.csv", JUDGE)
    monkeypatch.setattr("detect.clips.results_file.flush", full)
    with pytest.raises(UserError, match="No space left"):
        file.add([verdict("a")])
    file.close()


def test_a_reason_is_one_line():
    failed = replace(verdict("x.mp4"), verdict="Failed", probability=None, reason="two\nlines")
    assert lines([failed], "table", JUDGE).count("\n") == 1


def test_the_same_is_said_in_each_style():
    windows = [(0, 6, 0.7, 1.0), (3, 9, 0.67, 1.0), (6, 12, None, 0.0), (9, 15, 0.9, 1.0), (12, 18, 0.1, 1.0)]
    said = [verdict("x.mp4", "Fake", timeline=[WindowScore(*values) for values in windows])]
    assert fake_spans(said[0]) == [(0, 15)]
    assert fake_spans(replace(said[0], band=band_around(0.6, None))) == [(9, 15)]  # the others are too close to call
    assert "looks fake at 0.0-15.0 s" in lines(said, "table", JUDGE)
    (row,) = csv.DictReader((header("csv") + lines(said, "csv", JUDGE)).splitlines())
    assert tuple(row) == COLUMNS
    assert (row["probability"], row["looks_fake_seconds"]) == ("0.25", "0.0-15.0")
    values = json.loads(lines(said, "jsonl", JUDGE))
    assert len(values["timeline"]) == 5
    assert (values["runs"], values["threshold"]) == (["run"], 0.5)
    assert (row["runs"], row["threshold"]) == ("run", "0.5")


def test_how_good_the_run_is_stands_in_each_line():
    tested = AboutRun(("run",), MeasuredArea(0.8, 0.7, 0.9, 64))
    one = replace(verdict("x.mp4"), verdict="Unsure", run=tested)
    (row,) = csv.DictReader((header("csv") + lines([one], "csv", JUDGE)).splitlines())
    assert (row["evaluated"], row["roc_auc"], row["roc_auc_low"], row["roc_auc_high"]) == ("yes", "0.8", "0.7", "0.9")
    assert float(row["unsure_above"]) == pytest.approx(1 / 3)
    values = json.loads(lines([one], "jsonl", JUDGE))
    assert values["run"]["roc_auc"] == {"value": 0.8, "low": 0.7, "high": 0.9, "clips": 64, "known": 0}
    assert values["band"]["threshold"] == 0.5
    assert "too close to call" in lines([one], "table", JUDGE)
    (row,) = csv.DictReader((header("csv") + lines([verdict("x.mp4")], "csv", JUDGE)).splitlines())
    assert (row["evaluated"], row["roc_auc"]) == ("no", "")
    assert json.loads(lines([verdict("x.mp4")], "jsonl", JUDGE))["run"]["roc_auc"] is None


@pytest.mark.parametrize("columns", OLDER)
def test_a_file_of_before_goes_on_with_the_columns_it_has(tmp_path, columns):
    path = tmp_path / "out.csv"
    older = ",".join(columns) + "\n" + lines([verdict("a.mp4")], "csv", JUDGE, columns)
    path.write_text(older)
    file = ResultFile(path, JUDGE)
    assert file.of("a.mp4") == ["Real"]
    file.add([verdict("b.mp4")])
    file.close()
    assert path.read_text() == older + older.splitlines(keepends=True)[1].replace("a.mp4", "b.mp4")
    values = json.loads(lines([verdict("a.mp4")], "jsonl", JUDGE))
    path = tmp_path / "out.jsonl"
    path.write_text(json.dumps({name: value for name, value in values.items() if name not in ("run", "band")}) + "\n")
    file = ResultFile(path, JUDGE)
    file.close()
    assert file.of("a.mp4") == ["Real"]


def test_a_picture_is_marked_in_each_style():
    still = replace(verdict("x.png"), frames=(SeenFrame(0.0, "face", (1, 2, 3, 4)),))
    assert "one frame only" in lines([still], "table", JUDGE)
    (row,) = csv.DictReader((header("csv") + lines([still], "csv", JUDGE)).splitlines())
    assert row["note"] == json.loads(lines([still], "jsonl", JUDGE))["note"] == still.note
    assert "motion" in still.note
    assert verdict("x.mp4").note == ""


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_an_ensemble_of_runs_with_any_names_is_known_again(tmp_path, name):
    several = JudgedBy(("real and fake", 'a, "b"'), 0.25)
    file = ResultFile(tmp_path / name, several)
    file.add([verdict("x.mp4")])
    file.close()
    again = ResultFile(tmp_path / name, several)
    again.close()
    assert again.of("x.mp4") == ["Real"]
    with pytest.raises(UserError, match="made otherwise"):
        ResultFile(tmp_path / name, JudgedBy(("real", 'fake/a, "b"'), 0.25))


class Broken(io.FileIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_verdicts_that_cannot_be_read_end_the_work_and_stay(tmp_path, monkeypatch, name):
    (path := tmp_path / name).write_bytes(b"verdicts")
    monkeypatch.setattr(Path, "open", lambda path, _: Broken(path, "a+"))
    with pytest.raises(UserError, match=rf"{path} cannot be read \(Input/output error\)"):
        ResultFile(path, JUDGE)
    monkeypatch.undo()
    assert path.read_bytes() == b"verdicts"
