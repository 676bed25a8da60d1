"""Files that are whole or absent: written beside their final name, synced, renamed."""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cache.schema import UserError

TEMPORARY = ".tmp-"
"""Prefix of a file that is being written; one that is left over belongs to a process that died."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns what goes wrong in the block into a UserError: `folder` is read-only, its disk is full or broken."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror or error}); "
            "free some space or make it writable, and run again: what is written is kept."
        ) from None


def replace_with(path: Path, write: Callable[[Path], object]) -> Path:
    """Lets `write` fill a temporary file in the folder of `path`, then makes it `path` in one step; returns `path`.

    After a crash at any moment `path` is the old file, the new one, or absent; never a part of one.
    """
    # The suffix stays: writers such as Keras go by it.
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        write(temporary)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
    return path


def write_text(path: Path, text: str) -> Path:
    """Writes `text` to `path` as UTF-8, whole or not at all; returns `path`."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> Path:
    """Writes `content` to `path`, whole or not at all; returns `path`."""
    return replace_with(path, lambda temporary: temporary.write_bytes(content))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Writes a CSV file with a line of `columns` above its `rows`, whole or not at all; returns `path`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return write_text(path, text.getvalue())


def sync(path: Path) -> None:
    """Makes what was written to the file or folder `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Removes what writers that died left in `folder`. Only for whoever holds the folder's writer lock."""
    for path in folder.glob(TEMPORARY + "*"):
        path.unlink()
