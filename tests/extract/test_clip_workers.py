"""Workers: whatever one task does to its process, it costs that task alone."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from extract.clip_workers import map_clips
from extract.clips.decode import ClipError


def work(kind: str, mark: Path | None = None) -> str:
    """What a clip can do to the process that decodes it."""
    if mark is not None and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        time.sleep(600)
    if kind == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "exit":
        os._exit(3)
    if kind == "memory":
        raise MemoryError
    if kind == "broken":
        raise ClipError("unreadable", "it is broken")
    if kind == "bug":
        raise ZeroDivisionError
    return kind.upper()


def outcomes(kinds, seconds=3.0) -> dict:
    return dict(map_clips(work, ((kind, (kind,)) for kind in kinds), workers=2, seconds=seconds))


def test_hangs_crashes_and_failures_cost_their_own_row_only():
    bad = {
        "hang": "timeout",
        "segfault": "crashed",
        "exit": "crashed",
        "memory": "out_of_memory",
        "broken": "unreadable",
    }
    good = [f"good {i}" for i in range(20)]
    found = outcomes([*bad, *good])
    assert {kind: found[kind].outcome for kind in bad} == bad
    assert [found[kind] for kind in good] == [kind.upper() for kind in good]
    assert "timeout" not in found["segfault"].reason
    left = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert not [line for line in left if "spawn_main" in line]


def test_a_clip_whose_process_was_killed_once_is_tried_again(tmp_path):
    tasks = [("innocent", ("innocent", tmp_path / "killed")), ("guilty", ("segfault",))]
    found = dict(map_clips(work, tasks, workers=2, seconds=10.0))
    assert found["innocent"] == "INNOCENT"
    assert found["guilty"].reason == "twice ended the process that decoded it (exit code -11)"


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
