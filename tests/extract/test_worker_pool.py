"""Workers: whatever one task does to its process, it costs that task alone."""

import os
import subprocess
import sys

import psutil
import pytest

from base.errors import UserError
from extract.worker_pool import map_clips
from tests import ROOT
from tests.extract.tasks import drip, work


def outcomes(kinds, seconds=3.0) -> dict:
    return dict(map_clips(work, ((kind, (kind,)) for kind in kinds), workers=2, seconds=seconds))


def test_hangs_crashes_and_failures_cost_their_own_row_only():
    bad = {
        "hang": "timeout",
        "segfault": "crashed",
        "exit": "crashed",
        "memory": "out_of_memory",
        "opencv": "out_of_memory",
        "broken": "unreadable",
    }
    good = [f"good {i}" for i in range(20)]
    found = outcomes([*bad, *good])
    assert {kind: found[kind].outcome for kind in bad} == bad
    assert [found[kind] for kind in good] == [kind.upper() for kind in good]
    assert {kind: found[kind].passing for kind in bad} == {kind: kind != "broken" for kind in bad}
    left = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert not [line for line in left if "spawn_main" in line]


@pytest.mark.slow
def test_pieces_that_come_in_time_may_not_come_for_ever():
    found = list(map_clips(drip, [("slow", (1000, 0.1)), ("quick", (2, 0.1))], 1, seconds=9.0, all_seconds=3.0))
    pieces = [piece for item, piece in found if item == "slow"]
    assert pieces[:3] == [0, 1, 2]
    assert pieces[-1].reason == "was not finished after 3 s"
    assert [piece for item, piece in found if item == "quick"] == [0, 1]


def test_a_clip_whose_process_was_killed_once_is_tried_again(tmp_path):
    tasks = [("innocent", ("innocent", tmp_path / "killed")), ("guilty", ("segfault",))]
    found = dict(map_clips(work, tasks, workers=2, seconds=10.0))
    assert found["innocent"] == "INNOCENT"
    assert found["guilty"].reason == "twice ended the process that decoded it (exit code -11)"


def test_the_only_try_of_a_clip_says_nothing_of_a_second():
    ((_, found),) = map_clips(work, [("segfault", ("segfault",))], workers=1, seconds=10.0, tries=1)
    assert found.reason == "ended the process that decoded it (exit code -11)"


def test_processes_that_the_system_does_not_start_are_told_in_a_sentence(monkeypatch):
    def refuse(self):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("extract.worker_pool._Process.__init__", refuse)
    with pytest.raises(UserError, match=r"3 worker processes in a row did not start: memory, processes or open files"):
        outcomes(["good"])


def test_a_bug_is_not_taken_for_a_bad_clip():
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        outcomes(["bug"])


def test_tasks_are_drawn_only_as_fast_as_they_are_taken():
    drawn = []

    def tasks():
        for i in range(100):
            drawn.append(i)
            yield i, (f"good {i}",)

    found = map_clips(work, tasks(), workers=1, seconds=3.0)
    next(found)
    assert len(drawn) < 12
    found.close()


SCRIPT = """
import math
from extract.worker_pool import map_clips

print(list(map_clips(math.sqrt, [(1, (4.0,))], 1, 60.0)), __name__, __spec__, __file__)
"""


@pytest.mark.parametrize("how", ["a file", "standard input"])
def test_a_script_without_a_guard_is_run_once(tmp_path, how):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [str(path)] if how == "a file" else ["-"]
    given = None if how == "a file" else SCRIPT
    found = subprocess.run(
        [sys.executable, *words], input=given, env=environment, capture_output=True, text=True, check=False
    )
    assert (found.stdout, found.stderr) == (f"[(1, 2.0)] __main__ None {path if how == 'a file' else '<stdin>'}\n", "")
