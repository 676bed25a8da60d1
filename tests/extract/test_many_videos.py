"""Two thousand clips: memory stays bounded, and the last hundred go as fast as the first."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from cache.contents import load
from cache.store import open_store
from extract.drawn.dataset import DrawnConfig, draw_dataset
from tests import ROOT

LARGEST = 3e9
"""Bytes that all processes of a run may hold together."""


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_thousand_clips_take_bounded_memory_and_constant_time(tmp_path):
    data = tmp_path / "many"
    few = draw_dataset(DrawnConfig(tmp_path / "few", people=4, clips=2, youtube=2, fakes=10, workers=2))
    drawn = sorted(few.rglob("*.mp4"))
    (data / "Celeb-real").mkdir(parents=True)
    for i in range(2000):
        os.link(drawn[i % len(drawn)], data / f"Celeb-real/id{i}_0000.mp4")
    flags = ["--data", data, "--out", tmp_path / "out", "--backbone", "mobilenetv2", "--weights", "random"]
    process = subprocess.Popen([sys.executable, "-m", "extract", *map(str, flags)], cwd=ROOT, stdout=subprocess.DEVNULL)
    watch = Watch(psutil.Process(process.pid), tmp_path / "out")
    assert process.wait() == 0
    watch.thread.join()
    contents = load(open_store(next((tmp_path / "out/many").glob("features-*"))))
    assert len(contents.records) == 2000
    print(f"at most {watch.largest / 1e9:.2f} GB; videos/s by quarter: {watch.rates()}")
    assert watch.largest < LARGEST
    early, late = watch.memory[len(watch.memory) // 4], watch.memory[-len(watch.memory) // 10]
    assert late < 1.2 * early, "memory grows with the number of videos"
    assert min(watch.rates()[1:]) > 0.7 * max(watch.rates()[1:]), "the run slows down"


class Watch:
    """Follows a run: bytes of it and its workers, and how many rows are in its crops' shards, twice a second."""

    def __init__(self, process: psutil.Process, out: Path) -> None:
        self._process, self._out = process, out
        self.memory: list[int] = []
        self.sizes: list[tuple[float, int]] = []
        self.thread = threading.Thread(target=self._follow)
        self.thread.start()

    @property
    def largest(self) -> int:
        return max(self.memory)

    def _follow(self) -> None:
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self.memory.append(sum(member.memory_info().rss for member in family))
                shards = self._out.glob("many/crops-*/shard-*.h5")
                self.sizes.append((time.perf_counter(), sum(shard.stat().st_size for shard in shards)))
            except (psutil.NoSuchProcess, FileNotFoundError):
                pass
            time.sleep(0.5)

    def rates(self) -> list[float]:
        """Videos a second in each quarter of what was written."""
        total = self.sizes[-1][1]
        times = [next(when for when, size in self.sizes if size >= total * part / 4) for part in range(1, 5)]
        start = next(when for when, size in self.sizes if size > 0)
        return [round(500 / (after - before), 2) for before, after in zip([start, *times], times, strict=False)]
