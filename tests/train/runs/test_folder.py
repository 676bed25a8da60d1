"""The newest run is the one that says so, whatever the times of its files are after a copy or a checkout."""

import json
import os
import shutil

from evaluate.runs_index import find_lines
from tests.train.runs.test_contents import contents
from train.runs.contents import write_run
from train.runs.folder import DONE, latest, listed_name, newest_first


def write_done(runs, name, created, mtime) -> None:
    (runs / name).mkdir(parents=True)
    (runs / name / DONE).write_text(json.dumps({"created": created} if created else {}))
    os.utime(runs / name / DONE, (mtime, mtime))


def test_the_newest_run_is_the_one_that_was_finished_last(tmp_path):
    for name in ("b", "c", "a"):
        write_run(tmp_path / name, lambda _: contents())
    for number, name in enumerate(("a", "c", "b")):
        os.utime(tmp_path / name / DONE, (number, number))
    assert latest(tmp_path).name == "a"
    assert [folder.name for folder in newest_first(tmp_path)] == ["a", "c", "b"]


def test_a_copied_folder_of_runs_has_the_same_order(tmp_path):
    for number, second in enumerate((10, 30, 20)):
        write_done(tmp_path / "runs", f"run{number}", f"2026-01-01T00:00:{second}+00:00", 1000)
    shutil.copytree(tmp_path / "runs", tmp_path / "copy", copy_function=shutil.copy)
    os.utime(tmp_path / "copy" / "run0" / DONE)
    assert [folder.name for folder in newest_first(tmp_path / "copy")] == ["run1", "run2", "run0"]
    assert [line.name for line in find_lines(tmp_path / "copy")] == ["run1", "run2", "run0"]


def test_runs_that_do_not_say_when_come_after_those_that_do_in_the_order_of_their_files(tmp_path):
    write_done(tmp_path, "old", "", 2000)
    write_done(tmp_path, "older", "", 1000)
    write_done(tmp_path, "said", "2026-01-01T00:00:00+00:00", 10)
    assert [folder.name for folder in newest_first(tmp_path)] == ["said", "old", "older"]


def test_runs_of_one_second_are_told_apart_by_their_files_where_they_say_no_more(tmp_path):
    """As earlier versions wrote it."""
    for name, mtime in (("z", 10), ("a", 20)):
        write_done(tmp_path, name, "2026-01-01T00:00:00+00:00", mtime)
    assert latest(tmp_path).name == "a"


def test_links_to_runs_are_none_of_their_own(tmp_path):
    write_done(tmp_path, "run", "2026-01-01T00:00:00+00:00", 10)
    (tmp_path / "best").symlink_to("run")
    assert [folder.name for folder in newest_first(tmp_path)] == ["run"]


def test_a_name_is_that_which_its_folder_lists(tmp_path):
    """On a disk where case makes no difference, `Sweep` is the folder `sweep`; here both can be there."""
    (tmp_path / "sweep").mkdir()
    assert listed_name(tmp_path / "Sweep") == "sweep"
    (tmp_path / "Sweep").mkdir()
    assert listed_name(tmp_path / "Sweep") == "Sweep"
    assert listed_name(tmp_path / "other") == "other"
