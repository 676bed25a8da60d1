"""From videos to verdicts on a system that has only what Linux and macOS share, in every process."""

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.clips import write_real_and_fake
from tests.without_linux import environment

PROGRAM = """
import logging, os, sys
import reelcheck
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
assert not hasattr(os, "sched_getaffinity") and not os.path.exists("/proc/self")
features = reelcheck.extract("clips", backbone="mobilenetv2", weights="random", detector="none", workers=1)
run = reelcheck.train(features=features, split="random", test=0.5, head="mean", epochs=1)
print(reelcheck.judge("clips/real/0.mp4", reelcheck.load_detector(run)).probability)
"""
RUN = "runs/run"
CHAIN = (
    "features --data clips --backbone mobilenetv2 --weights random --detector none --workers 2",
    "features --data clips --backbone mobilenetv2 --weights random --detector none --backend loky --out by-loky",
    "train --split random --test 0.5 --epochs 2 --name run",
    "sweep --split random --test 0.5 --val 0.25 --trials 4 --heads mean,lstm --jobs 2 --epochs 2 --best 1",
    f"eval --run {RUN} --resamples 20",
    f"export --run {RUN} --format onnx --out exported",
    f"detect clips/real --run {RUN} --out keras.csv",
    "detect clips/real --run exported --out onnx.csv",
    "stream clips/real/0.mp4 --run exported",
    "cache verify FEATURES",
)
"""Commands, each of which reads what those before it wrote."""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    write_real_and_fake(tmp_path / "clips")
    (tmp_path / "site").mkdir()
    return tmp_path


def run(words: Sequence[str], work: Path, locks: bool) -> str:
    """Runs Python in `work` on the words; returns what it printed."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=work,
        env=environment(work / "site", locks),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), (words, done.stdout, done.stderr)  # 1: a clip is fake
    return done.stdout


def test_features_a_head_and_a_verdict(work):
    *lines, probability = run(["-c", PROGRAM], work, locks=False).splitlines()
    assert 0 <= float(probability) <= 1
    assert sum("is on a file system without locks (Operation not supported)" in line for line in lines) >= 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("locks", [True, False])
def test_every_stage(work, locks):
    printed = {}
    for words in CHAIN:
        features = next(work.glob("data/clips/features-*"), work)
        printed[words] = run(["-m", "reelcheck", *words.replace("FEATURES", str(features)).split()], work, locks)
    assert "16 ok, 0 failed of 16 videos" in printed[CHAIN[0]]
    assert "16 ok, 0 failed of 16 videos" in printed[CHAIN[1]]
    assert ("without locks" in printed[CHAIN[0]]) != locks
    assert (work / RUN / "report" / "report.html").is_file()
    assert "every byte is as it was written" in printed[CHAIN[-1]]
    events = list(map(json.loads, printed[CHAIN[-2]].splitlines()))
    assert [event["event"] for event in events][-2:] == ["verdict", "ended"]
    keras, onnx = (read_probabilities(work / f"{name}.csv") for name in ("keras", "onnx"))
    assert len(keras) == 8
    np.testing.assert_allclose(onnx, keras, atol=1e-3)


def read_probabilities(path: Path) -> list[float]:
    with path.open(newline="") as file:
        return [float(row["probability"]) for row in csv.DictReader(file)]
