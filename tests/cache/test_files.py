"""Files are complete or absent, and are on the disk when the call returns."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.files import TEMPORARY, replace_with, write_text
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
