"""SIGTERM in the middle of real stages: the sentence and the status, nothing half-written, and nothing done is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from base.temporary import TEMPORARY
from cache.schema import OK
from cache.store import open_store, read_indexes
from extract.config import ExtractConfig
from extract.drawn.dataset import DrawnConfig, draw_dataset
from extract.pipeline import extract
from tests import ROOT
from train.fit import FitConfig, fit

pytestmark = pytest.mark.slow
ENDING = "interrupted; finished work is kept."


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    return draw_dataset(DrawnConfig(folder / "drawn", people=4, clips=2, youtube=0, fakes=8, workers=1))


@pytest.fixture(scope="module")
def run(data):
    features = extract(ExtractConfig(data, data.parent / "data", "mobilenetv2", "random"))
    return fit(FitConfig(features=features, runs=data.parent / "runs", epochs=2, name="drawn"))


def start(*words: object) -> subprocess.Popen[str]:
    """Starts a command in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "reelcheck", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[str], whole_group: bool) -> None:
    """Sends SIGTERM, as docker stop does, or to all processes, as systemd does; checks how the command ends."""
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert errors.splitlines()[-1:] == [ENDING], errors
    assert "Traceback" not in errors
    assert process.returncode == 143


def left_in(folder: Path) -> list[Path]:
    return list(folder.rglob(f"{TEMPORARY}*"))


def wait_for(condition, process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("moment", ["store", "shard"])
def test_features(data, tmp_path, moment, whole_group):
    out = tmp_path / "data"
    words = ["features", "--data", data, "--out", out, "--backbone", "mobilenetv2", "--weights", "random"]
    process = start(*words)
    pattern = {"store": "features-*/manifest.csv", "shard": "features-*/shard-*.h5"}[moment]
    wait_for(lambda: list(out.rglob(pattern)), process)
    stop(process, whole_group)
    assert left_in(out) == []
    (folder,) = out.rglob("features-*")
    done = sum(len(index.keys) for index in read_indexes(open_store(folder)))
    assert (done > 0) == (moment == "shard")
    extract(ExtractConfig(data, out, "mobilenetv2", "random"))
    outcomes = [outcome for index in read_indexes(open_store(folder)) for outcome in index.outcome]
    assert set(outcomes) == {OK}


@pytest.mark.parametrize("wait", [0.0, 1.0])
def test_train(run, data, tmp_path, wait):
    (features,) = (data.parent / "data").rglob("features-*")
    runs = tmp_path / "runs"
    process = start("train", "--features", features, "--runs", runs, "--epochs", 100_000, "--patience", 100_000)
    wait_for(lambda: left_in(runs) or time.sleep(3) or True, process)
    time.sleep(wait)
    stop(process, whole_group=False)
    assert not runs.exists() or list(runs.iterdir()) == []
