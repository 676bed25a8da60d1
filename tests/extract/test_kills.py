"""SIGKILL at random moments: nothing is lost, duplicated or unreadable, and the end is that of an undisturbed run.

KILLS=1000 pytest -m slow tests/extract/test_kills.py does it a thousand times.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from base.temporary import TEMPORARY
from cache.contents import load
from cache.store import open_store, read_indexes, verify
from tests import ROOT
from tests.clips import counting_images, write_clip

SILENT: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
# Shards of two rows, so that a kill can fall between any two, and no network, so that most of the time is real work.
PROGRAM = """
import extract.unit as unit, extract.__main__ as command
from tests.fakes import FakeEngine
if __name__ == "__main__":
    unit.SHARD_ROWS, unit.make_engine = 2, FakeEngine
    command.run(command.main)
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Forty clips, two of them texts."""
    root = tmp_path_factory.mktemp("killed") / "set"
    (root / "Celeb-real").mkdir(parents=True)
    for i in range(38):
        write_clip(root / f"Celeb-real/id{i}_0000.mp4", counting_images(10 + i), options={"bf": "2"})
    for i in (38, 39):
        (root / f"Celeb-real/id{i}_0000.mp4").write_text("no video")
    return root


def command(clips: Path, out: Path) -> list[str]:
    flags = {"data": clips, "out": out, "backbone": "mobilenetv2", "weights": "random", "workers": 2}
    return [
        sys.executable,
        "-c",
        PROGRAM,
        *(word for name, value in flags.items() for word in (f"--{name}", str(value))),
    ]


def kill_group(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def kill_parent(process: subprocess.Popen) -> None:
    process.kill()


def kill_worker(process: subprocess.Popen) -> None:
    """Kills one process that decodes; the run has to go on and end well."""
    try:
        children = [
            child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())
        ]
        if children:
            random.choice(children).kill()
    except psutil.NoSuchProcess:
        return
    if random.random() < 0.5:  # every other time the run is killed as well before it ends
        assert process.wait(120) == 0
    else:
        time.sleep(random.uniform(0, 0.5))
        kill_group(process)


WAYS: list[Callable[[subprocess.Popen], None]] = [kill_group, kill_parent, kill_worker]


def kill_often(clips: Path, out: Path, times: int, seconds: float) -> Counter:
    """Starts extraction until `times` runs, or a part of each, were killed; counts what they had written by then.

    A whole run takes `seconds`, or less: the first one may have read everything from a cold disk.
    """
    left = Counter()
    while left["killed"] < times:
        process = subprocess.Popen(command(clips, out), cwd=ROOT, start_new_session=True, **SILENT)
        start = time.perf_counter()
        try:
            process.wait(random.uniform(0.4, 0.95) * seconds)
            seconds = time.perf_counter() - start
        except subprocess.TimeoutExpired:
            WAYS[left["killed"] % len(WAYS)](process)
            left["killed"] += 1
        process.wait(120)
        features = next((out / "set").glob("features-*"), None)
        shards = len(list(features.glob("shard-*.h5"))) if features else 0
        left[f"{shards} shards"] += 1
        if shards >= 18:  # nearly done: begin anew, or most of the kills would hit runs with nothing to do
            is_whole(clips, out)
            subprocess.run(["rm", "-r", str(out)], check=True)
    return left


def is_whole(clips: Path, out: Path) -> None:
    """Resumes below `out` and asserts that it then is what an undisturbed run gives."""
    subprocess.run(command(clips, out), cwd=ROOT, check=True, capture_output=True)
    for kind in ("features-*", "crops-*"):
        found, expected = (load(open_store(next((place / "set").glob(kind)))) for place in (out, out.parent / "whole"))
        assert found.records == expected.records
        assert found.checksums == expected.checksums
        assert found.failures == expected.failures
        assert found.missing == []
        np.testing.assert_array_equal(found.arrays, expected.arrays)
        for name, values in vars(expected.seen).items():
            np.testing.assert_array_equal(getattr(found.seen, name), values)
        assert verify(found.stores[0]) == []
        keys = Counter(key for index in read_indexes(found.stores[0]) for key in index.keys)
        assert max(keys.values()) == 1, "a video was extracted twice"
    assert not [path for path in out.rglob("*") if path.name.startswith(TEMPORARY)]


def no_process_left(out: Path) -> None:
    left = []
    for _ in range(100):
        left = [process for process in psutil.process_iter() if str(out) in " ".join(_line(process))]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"{left} are still there")


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def survives(clips: Path, folder: Path, times: int) -> None:
    start = time.perf_counter()
    subprocess.run(command(clips, folder / "whole"), cwd=ROOT, check=True, capture_output=True)
    print(kill_often(clips, folder / "killed", times, time.perf_counter() - start))
    is_whole(clips, folder / "killed")
    no_process_left(folder / "killed")


def test_kills_lose_nothing(clips, tmp_path):
    survives(clips, tmp_path, 2)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_kills_lose_nothing(clips, tmp_path):
    survives(clips, tmp_path, int(os.environ.get("KILLS", "200")))


def test_workers_end_with_a_parent_that_is_killed(clips, tmp_path):
    process = subprocess.Popen(command(clips, tmp_path), cwd=ROOT, start_new_session=True, **SILENT)
    children: list[psutil.Process] = []
    for _ in range(200):
        children = psutil.Process(process.pid).children(recursive=True)
        if len(children) >= 2:
            break
        time.sleep(0.05)
    assert len(children) >= 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
