"""python -m benchmarks.good_clips: how many of many good clips stage 1 fails without cause; run by hand, for hours.

A hundred small drawn clips in several containers are all good. They are extracted again and again as a user would:
each time by a new process, into a new store, with all cores otherwise idle or, with --load, busy. Each outcome is
counted, and each one but `ok` is written with its reason.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from base.command_line.parse import Parser
from base.ending import run
from base.machine.processors import usable_processors
from benchmarks.measure import write_rows
from cache.schema import OK
from cache.store import open_store, read_indexes
from extract.drawn.clip import Capture, Scene, draw_frames, encode
from extract.drawn.look import make_look

KINDS = (("mp4", "libx264"), ("mkv", "libx264"), ("mov", "libx264"), ("avi", "mpeg4"), ("mpg", "mpeg2video"))
SHORTEST, LONGEST = 12, 60
"""Frames of a clip."""
SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))"
"""A process that keeps a core busy until its parent is gone."""


def draw_good_clips(root: Path, count: int) -> None:
    """Draws `count` clips of 320 x 240 below `root`, half of them in real/ and half in fake/; the same each time."""
    for number in range(count):
        suffix, codec = KINDS[number % len(KINDS)]
        path = root / ("real", "fake")[number // len(KINDS) % 2] / f"{number:04}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = int(np.random.default_rng(number).integers(SHORTEST, LONGEST + 1))
        images = draw_frames(Scene(make_look(0, number), (0, number)), Capture(frames))
        encode(path, images, codec=codec, bit_rate=1_000_000)


def extract_once(data: Path) -> list[dict[str, str]]:
    """Extracts `data` in a new process; returns id, outcome and reason of each clip, and how a run died."""
    with tempfile.TemporaryDirectory() as out:
        flags = ["--data", data, "--out", out, "--backbone", "mobilenetv2", "--weights", "random"]
        ended = subprocess.run([sys.executable, "-m", "extract", *flags], capture_output=True, text=True, check=False)
        indexes = [
            index for store in Path(out, data.name).glob("features-*") for index in read_indexes(open_store(store))
        ]
        rows = [row for each in indexes for row in zip(each.keys, each.outcome, each.reason, strict=True)]
    clips = [{"id": key[0], "outcome": outcome, "reason": reason} for key, outcome, reason in rows]
    if ended.returncode:
        clips.append({"id": "", "outcome": f"run ended with {ended.returncode}", "reason": ended.stderr[-2000:]})
    return clips


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Runs `processes` that compute for nothing during the block."""
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def count_outcomes(clips: int, each: int, load: int) -> Iterator[dict[str, Any]]:
    """Yields the row of counts after each extraction of `each` clips, until it holds `clips` of them."""
    counts: Counter[str] = Counter()
    failures: list[dict[str, str]] = []
    loads: list[float] = []
    with tempfile.TemporaryDirectory() as folder, busy(load * usable_processors()):
        data, start = Path(folder, "good"), time.perf_counter()
        draw_good_clips(data, each)
        for done in range(each, clips + each, each):
            found = extract_once(data)
            counts.update(clip["outcome"] for clip in found)
            failures += [clip for clip in found if clip["outcome"] != OK]
            seconds = round(time.perf_counter() - start, 1)
            loads.append(round(os.getloadavg()[0], 1))
            facts = {"busy_processes_a_core": load, "clips": done, "clips_a_run": each, "seconds": seconds}
            facts["load_average"] = [min(loads), statistics.median(loads), max(loads)]
            yield {"name": f"load{load}", **facts, "outcomes": dict(counts), "failures": failures}


def main(argv: Sequence[str] | None = None) -> None:
    """Extracts, prints the counts after each run, and writes them."""
    parser: argparse.ArgumentParser = Parser(prog="python -m benchmarks.good_clips", description=__doc__)
    parser.add_argument("--clips", type=int, default=10_000, help="clips to extract in all")
    parser.add_argument("--each", type=int, default=100, help="clips in a run, each of which is a new process")
    parser.add_argument("--load", type=int, default=0, help="busy processes per core beside it")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("good-clips.json"), help="results file")
    arguments = parser.parse_args(argv)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for row in count_outcomes(arguments.clips, arguments.each, arguments.load):
        print(json.dumps(row), flush=True)
        write_rows(arguments.out, [row])


if __name__ == "__main__":
    run(main)
