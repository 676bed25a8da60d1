"""What takes seconds to make and is the same whenever it is made: made once, and kept in the user's cache folder."""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import UserError
from base.files import Unwritable, require_writable, write_folder, write_json
from base.outside.content import WrongContent, checksum
from base.outside.values import parse, read_json
from base.temporary import scratch_folder

INDEX = "kept.json"
VARIABLE = "REELCHECK_CACHE"
"""The environment variable that names another folder."""
UNUSED = 90 * 86_400
"""Seconds after which what nobody has used is removed."""
REMEDY = "it is made again whenever it is needed"


@dataclass(frozen=True)
class _Index:
    key: dict[str, Any]
    checksums: dict[str, str]


class _Taken(Exception):
    """Another process made the same meanwhile."""


def cache_folder() -> Path:
    """Returns the folder of what can be made again: REELCHECK_CACHE, else `reelcheck` in XDG_CACHE_HOME or ~/.cache."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "reelcheck")


@contextlib.contextmanager
def kept(key: Mapping[str, object], fill: Callable[[Path], object]) -> Iterator[Path]:
    """Gives the folder that `fill` fills with what `key` stands for: that of an earlier call, or a new one.

    A folder is used while its files are those that were written, and made again if not. Where none can be kept, on a
    disk that is full or read-only, it is there for the block alone.
    """
    folder = _folder_of(key)
    if not is_kept(key):
        try:
            _make(folder, key, fill)
        except Unwritable:
            with scratch_folder() as scratch:
                fill(scratch)
                yield scratch
            return
    with contextlib.suppress(OSError):
        os.utime(folder)
    yield folder


def is_kept(key: Mapping[str, object]) -> bool:
    """Returns whether what `key` stands for is at hand: in a folder of the user's own, with the files as written."""
    folder = _folder_of(key)
    try:
        index = parse(_Index, read_json(folder / INDEX))
        return (
            bool(index.checksums)
            and _name(index.key) == folder.name
            and folder.stat().st_uid == os.geteuid()
            and all(Path(name).name == name and checksum(folder / name) == one for name, one in index.checksums.items())
        )
    except (OSError, WrongContent, ValueError, UserError):
        return False


def _folder_of(key: Mapping[str, object]) -> Path:
    return cache_folder() / _name(key)


def _name(key: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


def _make(folder: Path, key: Mapping[str, object], fill: Callable[[Path], object]) -> None:
    def fill_and_list(into: Path) -> None:
        fill(into)
        checksums = {path.name: checksum(path) for path in sorted(into.iterdir())}
        write_json(into / INDEX, {"key": key, "checksums": checksums})

    def refuse() -> Path:
        raise _Taken

    require_writable(folder.parent, REMEDY)
    _remove_unused(folder.parent)
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(_Taken):
        write_folder(folder, fill_and_list, refuse)


def _remove_unused(parent: Path) -> None:
    for folder in parent.glob("*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > UNUSED:
                shutil.rmtree(folder, ignore_errors=True)
