"""Files that are complete or absent: written under a temporary name, synced, then renamed."""

import csv
import errno
import fcntl
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cache.progress import say
from cache.schema import UserError

TEMPORARY = ".tmp-"
"""Prefix of a file that is being written. A leftover one belongs to a process that died."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems answer that have no locks, such as NFS and Lustre in many places."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns an OSError in the block into a UserError: `folder` is read-only, or its disk is full or broken."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror or error}); "
            "free some space or make it writable, and run again: finished work is kept."
        ) from None


def require_writable(folder: Path, remedy: str) -> None:
    """Raises a UserError that ends with `remedy` if nothing can be written into `folder`, or if it cannot be made.

    For the start of work that ends there. It leaves nothing behind, not even `folder`.
    """
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror or error}); {remedy}.") from None


def lock(descriptor: int, path: Path, tell: Callable[[str], object] = say) -> bool:
    """Locks `path`, which is open as `descriptor`, until that is closed or the process ends; returns whether it did.

    Raises BlockingIOError if another process holds the lock. Where the file system has no locks, it tells that in a
    sentence and returns False: the caller goes on, but must not take what it finds for left behind.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        tell(f"{path} is on a file system without locks ({error.strerror}): two that write there at once are not "
             "kept apart, so start no second one.")  # fmt: skip
        return False
    return True


def replace_with(path: Path, write: Callable[[Path], object]) -> Path:
    """Lets `write` fill a temporary file beside `path`, then renames it to `path`; returns `path`.

    After a crash at any moment, `path` is the old file, the new one or absent, never a part of one.
    """
    # The suffix stays, because Keras chooses the format by it.
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
    """Writes `text` to `path` as UTF-8, completely or not at all; returns `path`."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> Path:
    """Writes `content` to `path`, completely or not at all; returns `path`."""
    return replace_with(path, lambda temporary: temporary.write_bytes(content))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Writes a CSV file, its header `columns` and then `rows`, completely or not at all; returns `path`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return write_text(path, text.getvalue())


def sync(path: Path) -> None:
    """Flushes the file or folder `path` to the disk, so that it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Removes the temporary files of dead writers from `folder`. The caller must hold the folder's writer lock."""
    for path in folder.glob(TEMPORARY + "*"):
        path.unlink()
