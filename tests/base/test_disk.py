"""Disks that are full or read-only: one sentence, a store that verifies, and a next run that completes it."""

import errno
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from base.errors import UserError
from base.temporary import TEMPORARY
from cache.__main__ import main as cache_command
from cache.contents import Contents, load
from cache.store import open_store, verify
from extract import pipeline, unit
from extract.config import ExtractConfig
from tests import ROOT
from tests.clips import write_clip
from tests.disks import mount, read_only, small_disk
from tests.fakes import FakeEngine
from tests.stores import pairs, write_features


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Six clips and a text."""
    root = tmp_path_factory.mktemp("disk") / "set"
    (root / "Celeb-real").mkdir(parents=True)
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 255, (12, 160, 160, 3), np.uint8)
        write_clip(root / f"Celeb-real/id{number}_0000.mp4", list(noise), options={"crf": "1"})
    (root / "Celeb-real/id6_0000.mp4").write_text("no video")
    return root


@pytest.fixture
def config(clips, tmp_path, monkeypatch) -> ExtractConfig:
    monkeypatch.setattr(unit, "make_engine", FakeEngine)
    monkeypatch.setattr(unit, "SHARD_ROWS", 2)
    return ExtractConfig(clips, tmp_path / "data", "mobilenetv2", "random", detector="none")


@pytest.fixture(scope="module")
def whole(clips, tmp_path_factory) -> Contents:
    """What a run finds that nothing stopped."""
    out = tmp_path_factory.mktemp("whole")
    assert run_extract(clips, out).returncode == 0
    return contents_below(out)


# Shards of two rows, a file that is not to grow past so many bytes, and no network to load.
PROGRAM = """
import resource, signal, sys
import extract.unit as unit, extract.__main__ as command
from tests.fakes import FakeEngine
if __name__ == "__main__":
    limit = int(sys.argv.pop(1))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    unit.SHARD_ROWS, unit.make_engine = 2, FakeEngine
    command.run(command.main)
"""


def run_extract(data: Path, out: Path, largest: int = 2**40) -> subprocess.CompletedProcess:
    flags = {"data": data, "out": out, "backbone": "mobilenetv2", "weights": "random", "detector": "none"}
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    program = [sys.executable, "-c", PROGRAM, str(largest), *words]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)


def contents_below(out: Path) -> Contents:
    return load(open_store(next(out.glob("*/features-*"))))


def is_intact(out: Path) -> None:
    """Asserts that whatever there is below `out` is complete and nothing half-written lies about."""
    for profile in out.rglob("profile.json"):
        assert verify(open_store(profile.parent)) == []
    assert not list(out.rglob(TEMPORARY + "*"))


def is_the_same(found: Contents, expected: Contents) -> None:
    assert found.records == expected.records
    assert found.failures == expected.failures
    np.testing.assert_array_equal(found.arrays, expected.arrays)
    for name, values in vars(expected.seen).items():
        np.testing.assert_array_equal(getattr(found.seen, name), values)


def says_so_in_a_sentence(done: subprocess.CompletedProcess, reason: str) -> None:
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert re.match(rf"error: \S+ cannot be written \({reason}\); (free some space|choose another folder)", last)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# Files in the order in which they are written: each store's profile, manifest and origin, then shards of the two.
@pytest.mark.parametrize("written", [0, 2, 5, 7, 10])
def test_a_disk_that_fills_stops_the_run_and_the_next_one_completes_it(config, whole, monkeypatch, written):
    write, count = Path.write_bytes, 0

    def fill(path, content):
        nonlocal count
        count += 1
        write(path, content[: len(content) // 2] if count > written else content)
        if count > written:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(UserError, match=r"cannot be written \(No space left on device\); "):
            pipeline.extract(config)
    is_intact(config.out)
    is_the_same(load(open_store(pipeline.extract(config))), whole)
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize("largest", [10, 2000, 200_000])
def test_a_file_that_may_not_grow_ends_the_command_in_a_sentence(config, whole, largest):
    says_so_in_a_sentence(run_extract(config.data, config.out, largest), "File too large")
    is_intact(config.out)
    is_the_same(load(open_store(pipeline.extract(config))), whole)


@pytest.mark.parametrize("kilobytes", [900, 4000])
def test_a_file_system_that_is_full_ends_the_command_in_a_sentence(config, whole, kilobytes):
    config.out.mkdir()
    with small_disk(config.out, kilobytes << 10):
        says_so_in_a_sentence(run_extract(config.data, config.out), "No space left on device")
        is_intact(config.out)
        mount("-o", "remount,size=100m", config.out)
        is_the_same(load(open_store(pipeline.extract(config))), whole)


def test_a_read_only_store_is_read_and_not_written(tmp_path, config, capsys):
    folder = pipeline.extract(config)
    before = load(open_store(folder))
    with read_only(config.out):
        for command in ("info", "verify"):
            assert cache_command([command, str(folder)]) == 0
        is_the_same(load(open_store(folder)), before)
        with pytest.raises(UserError, match=f"{config.out} cannot be written .*; choose another folder with --out"):
            pipeline.extract(config)
        with pytest.raises(UserError, match=r"cannot be written .*; choose another folder with --out"):
            pipeline.extract(replace(config, margin=0.1))
        with pytest.raises(UserError, match="cannot be written"):
            cache_command(["export", str(folder)])
    is_the_same(load(open_store(pipeline.extract(config))), before)


@pytest.mark.parametrize("left", ["temporary", "damaged"])
def test_a_read_only_store_cannot_be_cleared(tmp_path, config, left):
    folder = pipeline.extract(config)
    if left == "temporary":
        (left_behind := folder / f"{TEMPORARY}1-shard-x.h5").write_bytes(b"half")
        os.utime(left_behind, (0, 0))
    else:
        os.truncate(open_store(folder).shards[0], 700)
    with read_only(config.out), pytest.raises(UserError, match=f"{config.out} cannot be written"):
        pipeline.extract(config)
    pipeline.extract(config)
    is_intact(config.out)


def test_an_export_that_does_not_fit_is_refused(tmp_path, monkeypatch):
    store = write_features(tmp_path, pairs(2, 1))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(1000))
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        cache_command(["export", str(store.folder), "--out", str(tmp_path / "to" / "x")])
    assert [path.name for path in (tmp_path / "to").iterdir() if path.suffix == ".h5"] == []
