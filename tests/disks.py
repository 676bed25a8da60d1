"""Disks that are small or read-only, as a test makes them where the system lets it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def mount(*words: object) -> None:
    """Mounts, or skips the test where that is not allowed."""
    tried = shutil.which("mount") and subprocess.run(["mount", *map(str, words)], capture_output=True, check=False)
    if not tried or tried.returncode != 0:
        pytest.skip("mounting is not allowed here")


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Puts an empty disk of `size` bytes under the existing `folder`."""
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    try:
        yield
    finally:
        _unmount(folder)


@contextlib.contextmanager
def read_only_disk(folder: Path) -> Iterator[None]:
    """Keeps everyone, root as well, from writing into `folder` or below, as a disk that is mounted so."""
    mount("--bind", folder, folder)
    try:
        mount("-o", "remount,ro,bind", folder)
        yield
    finally:
        _unmount(folder)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Keeps everyone from writing into `folder` or below, by its folders' modes; root by a disk."""
    below = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    with contextlib.ExitStack() as stack:
        for path in below:
            path.chmod(0o555)
            stack.callback(path.chmod, 0o755)
        if os.access(folder, os.W_OK):  # root does not mind
            stack.enter_context(read_only_disk(folder))
        yield


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", folder], check=True)
