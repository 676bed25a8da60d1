"""Files and folders that are complete or absent: written under a temporary name, synced, then renamed.

When a call returns, the file and its name are on the disk: a power cut undoes neither.
"""

import csv
import errno
import io
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from base.errors import UserError
from base.machine.disk import KEPT, cannot_write, flush, unwritable
from base.temporary import TEMPORARY, own_folder
from base.text import harmless, is_break, printable

MADE_OF_NAME = 40
"""Bytes by which names made of a given one may be longer: NAME-seed12, .training-NAME.npz."""


class Unwritable(UserError):
    """Something cannot be written: work that goes on without one of its parts need not try the next."""


@contextmanager
def writing(place: Path, remedy: str = KEPT) -> Iterator[None]:
    """Turns an OSError in the block into an Unwritable with `remedy`: `place` is read-only, or its disk full or broken.

    It also converts what C libraries raise instead.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, UserError) or not (isinstance(error, OSError) or cannot_write(error)):
            raise
        raise Unwritable(unwritable(printable(str(place)), error, remedy)) from None


def require_writable(folder: Path, remedy: str) -> None:
    """Raises a UserError that ends with `remedy` if nothing can be written into `folder`, or if it cannot be made.

    For the start of work that ends there. It leaves nothing behind, not even `folder`.
    """
    with writing(folder, remedy):
        absent = list(itertools.takewhile(lambda path: not path.exists(), (folder, *folder.absolute().parents)))
        existing = absent[-1].absolute().parent if absent else folder
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(4096))
        for path in absent:
            _require_name(existing, path.name)


def require_place(path: Path, remedy: str) -> None:
    """Raises a UserError that ends with `remedy` unless the file `path` can be written into a folder that is there.

    None is made: a folder that is not there is more often a slip than a wish.
    """
    with writing(path, remedy):
        if path.is_dir():
            raise UserError(f"{path} is a folder, and a file is to be written; {remedy}.")
        if not path.parent.exists():
            raise UserError(f"{path} cannot be written: there is no folder {path.parent}; make it, or {remedy}.")
        require_writable(path.parent, remedy)
        _require_name(path.parent, path.name)


def _require_name(folder: Path, name: str) -> None:
    """Raises an OSError unless `name`, and the longer names that are made of it, can be given in `folder`."""
    if any(map(is_break, name)):
        raise OSError(errno.EINVAL, "a name has no line break and no control character")
    with _temporary(folder / (name + "-" * MADE_OF_NAME)) as probe:
        probe.mkdir()


def replace_with(path: Path, write: Callable[[Path], object]) -> Path:
    """Lets `write` fill a temporary file beside `path`, then renames it to `path`; returns `path`.

    After a crash at any moment, `path` is the old file, the new one or absent, never a part of one.
    """
    with _temporary(path) as temporary:
        write(temporary)
        sync(temporary)
        temporary.replace(path)
    sync(path.parent)
    return path


def write_text(path: Path, text: str) -> Path:
    """Writes `text` to `path` as UTF-8, completely or not at all; returns `path`."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> Path:
    """Writes `content` to `path`, completely or not at all; returns `path`."""
    return replace_with(path, lambda temporary: temporary.write_bytes(content))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Writes a CSV file, its header `columns` and then `rows`, completely or not at all; returns `path`.

    No text in it is a formula to a spreadsheet; `base.outside.values` gives the texts back.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(harmless, columns))
    writer.writerows(map(harmless, row) for row in rows)
    return write_text(path, text.getvalue())


def write_json(path: Path, values: object) -> Path:
    """Writes `values` as JSON, paths as text, completely or not at all; returns `path`."""
    return write_text(path, json.dumps(values, indent=1, allow_nan=False, default=str) + "\n")


def write_folder(folder: Path, fill: Callable[[Path], object], if_taken: Callable[[], Path] | None = None) -> Path:
    """Lets `fill` write files into a temporary folder, then renames that in one step; returns the folder's path.

    That is `folder`. If something is there by then, `if_taken` returns the path to take instead; without it, that is a
    UserError, as is a disk that cannot be written.
    """
    with writing(folder, "free the disk or the name"):
        make_folder(folder.parent)
        with _temporary(folder) as temporary:
            temporary.mkdir()
            fill(temporary)
            _sync_all_below(temporary)
            folder = _rename(temporary, folder, if_taken)
        sync(folder.parent)
    return folder


def _rename(temporary: Path, folder: Path, if_taken: Callable[[], Path] | None) -> Path:
    while True:
        try:
            return temporary.rename(folder)
        except OSError as error:
            if if_taken is None or error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        folder = if_taken()


def make_folder(path: Path) -> Path:
    """Makes the folder `path`, and those above it that are absent; returns `path`."""
    absent = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in absent:
        sync(folder.parent)
    return path


def point_link(link: Path, target: str) -> Path:
    """Makes `link` a symbolic link to `target`, in one step where there is an earlier link; returns `link`."""
    with _temporary(link) as temporary:
        temporary.symlink_to(target)
        temporary.replace(link)
    sync(link.parent)
    return link


def sync(path: Path) -> None:
    """Flushes the file or folder `path` to the disk, so that it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def _sync_all_below(folder: Path) -> None:
    """Flushes `folder` and everything in it, whoever wrote that."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(parent, name))
        sync(Path(parent))


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Gives the temporary path for `path`, of the same name, for Keras chooses the format by it."""
    with own_folder(path.parent, TEMPORARY) as folder:
        yield folder / path.name


def require_room(folder: Path, size: int) -> None:
    """Raises an OSError unless `size` bytes fit on the disk of `folder`; for what HDF5 writes.

    When the disk fills under an open file, HDF5 crashes the process with SIGSEGV.
    """
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
