"""SIGTERM at ten moments of every stage: the sentence and the status, nothing half-written, nothing done is lost."""

import csv
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from base.ending import INTERRUPTION, TERMINATED
from base.temporary import TEMPORARY
from cache.store import open_store, read_indexes
from tests.stages import STAGES, command, copy, environment, prepare, run
from train.runs.folder import DONE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
MOMENTS = 10
OF_ONNX_RUNTIME = ".ses"
"""A file of two lines that it leaves in the temporary folder whenever it is imported."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("stages"))


def finished_work(folder: Path) -> int:
    """Counts what no interruption may take away: rows, verdicts, finished trials and finished runs."""
    rows = sum(len(index.keys) for store in folder.glob("out/data/*/*-*") for index in read_indexes(open_store(store)))
    verdicts = sum(len(path.read_text().splitlines()) for path in folder.glob("out/verdicts.*"))
    return rows + verdicts + len(list(folder.rglob(DONE))) + finished_trials(folder)


def finished_trials(folder: Path) -> int:
    import sqlite3

    count = 0
    for path in folder.glob("out/sweeps/*/*.db"):
        with sqlite3.connect(path) as database:
            (count,) = database.execute("select count(*) from trials where state != 'RUNNING'").fetchone()
    return count


def left_behind(folder: Path) -> list[Path]:
    half = [path for path in folder.rglob(TEMPORARY + "*") if path.name.startswith(TEMPORARY)]
    return half + [path for path in (folder / "tmp").iterdir() if path.name != OF_ONNX_RUNTIME]


def processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def stop_after(seconds: float, words: str, folder: Path) -> None:
    """Starts the command, sends it SIGTERM, and checks how it ends."""
    process = subprocess.Popen(
        command(words, folder),
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    if process.returncode == TERMINATED:
        assert errors.splitlines()[-1] == INTERRUPTION, errors
    else:  # it had not begun yet, or had ended already
        assert process.returncode in (0, 1, -signal.SIGTERM), (process.returncode, errors)


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_lost_and_nothing_is_left(prepared, tmp_path, stage):
    words, undisturbed, folder = STAGES[stage], copy(prepared, tmp_path / "whole"), copy(prepared, tmp_path / "stopped")
    start = time.monotonic()
    whole = run(words, undisturbed)
    seconds, before = time.monotonic() - start, 0
    for moment in range(MOMENTS):
        stop_after((moment + 0.5) / MOMENTS * seconds, words, folder)
        assert left_behind(folder) == []
        assert processes_in(folder) == []
        assert finished_work(folder) >= before
        before = finished_work(folder)
    last = run(words, folder)
    assert (last.returncode, left_behind(folder)) == (whole.returncode, []), last.stderr
    assert finished_work(folder) >= finished_work(undisturbed)


def test_verdicts_are_there_once(prepared, tmp_path):
    folder = copy(prepared, tmp_path / "stopped")
    for seconds in (2.0, 3.0, 4.0):
        stop_after(seconds, STAGES["detect to CSV"], folder)
    run(STAGES["detect to CSV"], folder)
    with (folder / "out/verdicts.csv").open(newline="") as file:
        clips = [row["clip"] for row in csv.DictReader(file)]
    assert len(clips) == len(set(clips)) == 16
