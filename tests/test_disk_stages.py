"""Every stage on a disk that is full, fills, or must not be written: one sentence, and the next call completes it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from base.temporary import TEMPORARY
from reelcheck.cli import error_status
from tests.disks import mount, read_only_disk, small_disk
from tests.stages import STAGES, copy, prepare, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PAGE = 4096


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("stages"))


def size_of(folder: Path) -> int:
    """Returns how much of a disk `folder` takes, in whole pages."""
    return sum(-(-path.lstat().st_size // PAGE) * PAGE for path in folder.rglob("*") if path.is_file())


@contextmanager
def disk(folder: Path, size: int) -> Iterator[None]:
    """Puts a disk of `size` bytes under `out` in `folder`, with what `out` held."""
    out, held = folder / "out", folder / "held"
    shutil.move(out, held)
    out.mkdir()
    with small_disk(out, size):
        shutil.copytree(held, out, symlinks=True, dirs_exist_ok=True)
        yield


def is_a_sentence(done: subprocess.CompletedProcess[str], words: str, reason: str) -> None:
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: "), done.stderr
    assert re.search(rf"cannot be written \({reason}\)", last)
    assert len(last) < 400, last
    assert done.returncode == error_status(words.split()[0])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_fills(prepared, whole, tmp_path, stage, share):
    words, folder = STAGES[stage], copy(prepared, tmp_path / "full")
    before = size_of(folder / "out")
    needed = whole(stage) - before
    with disk(folder, max(PAGE, before + int(share * needed))):  # of size 0 it would have no end
        done = run(words, folder)
        if share and done.returncode in (0, 1):
            return  # small files fit into what is left of a page
        is_a_sentence(done, words, "(No space left on device|database or disk is full)")
        assert list(folder.glob(f"out/**/{TEMPORARY}*")) == []
        mount("-o", "remount,size=1g", folder / "out")
        assert run(words, folder).returncode in (0, 1)


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """How much `out` takes after a stage that nothing stopped."""
    sizes: dict[str, int] = {}

    def size(stage: str) -> int:
        if stage not in sizes:
            folder = copy(prepared, tmp_path_factory.mktemp("whole") / "folder")
            assert run(STAGES[stage], folder).returncode in (0, 1)
            sizes[stage] = size_of(folder / "out")
        return sizes[stage]

    return size


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_must_not_be_written(prepared, tmp_path, stage):
    words, folder = STAGES[stage], copy(prepared, tmp_path / "read-only")
    with read_only_disk(folder / "out"):
        is_a_sentence(run(words, folder), words, "Read-only file system")
