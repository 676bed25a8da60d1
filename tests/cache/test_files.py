"""Files are complete or absent, and are on the disk when the call returns."""

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.files import TEMPORARY, lock, replace_with, require_writable, write_text
from cache.schema import UserError
from tests import ROOT
from train.runs.folder import write_folder as write_run


@pytest.fixture
def synced(monkeypatch) -> list[tuple[Path, list[str]]]:
    """Each path that is synced, a folder with the names that it held then."""
    calls: list[tuple[Path, list[str]]] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        names = sorted(file.name for file in path.iterdir()) if path.is_dir() else []
        calls.append((path, names))

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


def fill_run(folder: Path) -> None:
    write_text(folder / "run.json", "{}")


@pytest.mark.parametrize(
    "write",
    [lambda path: write_text(path, "x"), lambda path: write_run(path, fill_run)],
    ids=["file", "run folder"],
)
def test_the_folder_is_synced_after_the_rename(tmp_path: Path, synced, write: Callable[[Path], Path]):
    """Without this, a power cut can undo the rename although the call has returned."""
    write(tmp_path / "final")
    assert (tmp_path, ["final"]) in synced


def test_a_file_is_synced_before_it_gets_its_name(tmp_path: Path, synced):
    write_text(tmp_path / "final", "x")
    assert [path.name.startswith(TEMPORARY) for path, _ in synced] == [True, False]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = write_text(tmp_path / "final", "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("new")
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        replace_with(path, fail)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("final", "old")]


@pytest.mark.parametrize("folder", ["", "runs", "a/b/c"])
def test_a_folder_that_can_be_written_is_left_as_it_is(tmp_path: Path, folder: str):
    require_writable(tmp_path / folder, "choose another")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/a/runs cannot be written \(Not a directory\); choose another --runs\.$"):
        require_writable(tmp_path / "file" / "a" / "runs", "choose another --runs")

    def read_only(dir: Path) -> None:
        assert dir == tmp_path
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(UserError, match=r"runs cannot be written \(Read-only file system\)"):
        require_writable(tmp_path / "runs", "choose another --runs")


def test_a_relative_folder_is_looked_for_from_here(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    require_writable(Path("runs/deeper"), "choose another")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_of(tmp_path: Path, number: int, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    told: list[str] = []
    with (tmp_path / "file").open("w") as one, (tmp_path / "file").open("w") as other:
        assert lock(one.fileno(), tmp_path / "file", told.append)
        with pytest.raises(BlockingIOError):
            lock(other.fileno(), tmp_path / "file", told.append)
        assert told == []
        monkeypatch.setattr(fcntl, "flock", refuse)
        assert not lock(other.fileno(), tmp_path / "file", told.append)
    assert told == [
        f"{tmp_path / 'file'} is on a file system without locks ({os.strerror(number)}): two that write there at once "
        "are not kept apart, so start no second one."
    ]


def test_other_failures_of_a_lock_are_none_of_that(tmp_path: Path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        lock(descriptor, tmp_path)


def test_hdf5_asks_for_no_locks(tmp_path: Path):
    """It would be refused them on some file systems, when it writes Keras' weights after training."""
    program = "import sys, cache, h5py; h5py.File(sys.argv[1], 'w').close()"
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_USE_FILE_LOCKING"}
    path = tmp_path / "weights.h5"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = subprocess.run([sys.executable, "-c", program, path], check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0
