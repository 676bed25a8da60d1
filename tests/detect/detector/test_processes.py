"""Other people's processes: where a detector cannot judge, it says so at once instead of hanging."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from base.errors import UserError
from tests import ROOT
from tests.clips import counting_images, write_clip
from tests.detect.stream.test_stream import detector

FORKED = """
import os, sys, threading
import numpy as np
from base.errors import UserError
from base.keras_start import start_keras
from tests.detect.stream.test_stream import detector

LOADED = detector()
FRAMES = np.zeros((3, 64, 96, 3), np.uint8)
TRIES = {
    "judge": lambda: LOADED.judge_frames(FRAMES),
    "wrap": lambda: LOADED.with_scorer(lambda scorer: scorer),
    "keras": start_keras,
}

if sys.argv[1] == "keras":
    start_keras()
if os.fork() == 0:
    try:
        TRIES[sys.argv[1]]()
    except UserError as error:
        print(error, flush=True)
        os._exit(0)
    os._exit(1)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.parametrize("what", ["judge", "wrap", pytest.param("keras", marks=pytest.mark.slow)])
def test_what_was_loaded_before_a_fork_says_so_after_it(what):
    """As gunicorn does with --preload. Networks hang there: a fork copies no threads."""
    command = [sys.executable, "-W", "ignore", "-c", FORKED, what]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "would wait for ever in" in done.stdout
    assert "after the fork" in done.stdout


def judge(clip: Path) -> str:
    """What a worker of a pool does: it loads a detector of its own."""
    try:
        return detector().judge_clip(clip).verdict
    except UserError as error:
        return str(error)


def judge_frames(count: int) -> str:
    return detector().judge_frames(np.zeros((count, 64, 96, 3), np.uint8)).verdict


def test_a_daemonic_worker_says_what_to_use_instead(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", counting_images(3))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert "daemonic" in (sentence := pool.apply(judge, (clip,)))
        assert "use concurrent.futures.ProcessPoolExecutor" in sentence
        assert pool.apply(judge_frames, (3,)) in ("Real", "Unsure")  # which starts no process


def test_an_executor_judges_clips(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", counting_images(3))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(judge, clip).result() in ("Real", "Unsure")
