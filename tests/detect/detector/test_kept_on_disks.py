"""Whatever befalls the folder where converted networks are kept, `detect` gives Keras' verdict."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from base.outside import kept
from extract.drawn.dataset import DrawnConfig, draw_dataset
from tests import ROOT
from tests.crops import write_source
from tests.disks import read_only_disk, small_disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NEAR = 1e-5


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> list[str]:
    """A command that judges a clip by a run."""
    folder = tmp_path_factory.mktemp("source")
    clips = draw_dataset(DrawnConfig(folder / "clips", people=2, clips=1, youtube=0, fakes=1, workers=1))
    words = ["-m", "detect", str(next(clips.rglob("*.mp4"))), "--run", str(write_source(folder)), "--json"]
    return [sys.executable, *words]


def start(command: list[str], cache: Path) -> "subprocess.Popen[str]":
    where = {**os.environ, kept.VARIABLE: str(cache)}
    return subprocess.Popen(
        command, cwd=ROOT, env=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def score(process: "subprocess.Popen[str]") -> float:
    out, errors = process.communicate(timeout=300)
    assert "Traceback" not in errors, errors
    return json.loads(out)["probability"]


@pytest.fixture(scope="module")
def by_keras(command, tmp_path_factory) -> float:
    return score(start([*command, "--engine", "keras"], tmp_path_factory.mktemp("unused")))


@pytest.fixture(scope="module")
def filled(command, by_keras, tmp_path_factory) -> Path:
    """A folder that holds the run's networks."""
    cache = tmp_path_factory.mktemp("filled")
    assert score(start(command, cache)) == pytest.approx(by_keras, abs=NEAR)
    return cache


def _cut(cache: Path) -> None:
    for path in cache.glob("*/network.*"):
        os.truncate(path, path.stat().st_size // 2)


def _flip(cache: Path) -> None:
    for path in cache.glob("*/network.bin"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def _swap(cache: Path) -> None:
    """Gives each network's folder the content of another one."""
    folders = sorted(cache.iterdir())
    for folder in folders:
        folder.rename(folder.with_suffix(".was"))
    for folder, other in zip(folders, folders[1:] + folders[:1], strict=True):
        other.with_suffix(".was").rename(folder)


def _foreign(cache: Path) -> None:
    for folder in list(cache.iterdir()):
        shutil.rmtree(folder)
        folder.write_text("no folder of ours")


@pytest.mark.parametrize("harm", [_cut, _flip, _foreign])
def test_what_is_damaged_is_made_again(command, by_keras, filled, tmp_path, harm):
    cache = Path(shutil.copytree(filled, tmp_path / "cache"))
    harm(cache)
    assert score(start(command, cache)) == pytest.approx(by_keras, abs=NEAR)


def test_a_network_in_the_place_of_another_is_never_used(command, by_keras, filled, tmp_path):
    cache = Path(shutil.copytree(filled, tmp_path / "cache"))
    _swap(cache)
    assert score(start(command, cache)) == pytest.approx(by_keras, abs=NEAR)


@contextmanager
def _a_small_disk(cache: Path) -> Iterator[None]:
    with small_disk(cache, 64 << 10):
        yield


@contextmanager
def _a_file_in_its_place(cache: Path) -> Iterator[None]:
    cache.rmdir()
    cache.write_text("no folder")
    yield


@pytest.mark.parametrize("disk", [_a_small_disk, read_only_disk, _a_file_in_its_place, nullcontext])
def test_two_at_once_on_a_disk_of_each_kind(command, by_keras, tmp_path, disk):
    cache = tmp_path / "cache"
    cache.mkdir()
    with disk(cache):
        both = [start(command, cache) for _ in range(2)]
        assert [score(process) for process in both] == pytest.approx([by_keras] * 2, abs=NEAR)


def test_one_that_is_killed_while_it_converts_leaves_nothing_half_made(command, by_keras, tmp_path):
    cache = tmp_path / "cache"
    process = start(command, cache)
    while not any(cache.rglob("*")):
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert score(start(command, cache)) == pytest.approx(by_keras, abs=NEAR)
