"""Files and folders that are complete or absent: written under a temporary name, synced, then renamed.

When a call returns, the file and its name are on the disk: a power cut undoes neither.
"""

import contextlib
import csv
import errno
import io
import itertools
import json
import os
import platform
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from base.errors import UserError
from base.machine.disk import KEPT, cannot_write, flush, unwritable
from base.progress import say
from base.text import harmless, is_break, printable

TEMPORARY = ".tmp-"
"""Prefix of folders for what is being written; the numbers of the process and of the machine that do so come next."""
MADE_OF_NAME = 40
"""Bytes by which names made of a given one may be longer: NAME-seed12, .training-NAME.npz."""
SCRATCH = "reelcheck-"
"""Prefix of folders in the system's temporary folder; the same numbers follow."""
LOCK = ".lock"
"""File in such a folder that its owner holds locked, so that nobody takes it for left behind."""
ABANDONED = 86_400.0
"""Seconds after which it counts as left behind where a lock does not tell: without one, or on another machine."""
_OWNER = re.compile(rf"(?:{re.escape(TEMPORARY)}|{SCRATCH})(\d{{1,9}})(?:@([0-9a-f]{{8}}))?-")
_HERE = f"{zlib.crc32(platform.node().encode()):08x}"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
"""What file systems answer that have no locks, such as NFS and Lustre in many places; macOS has both of the last."""


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


def lock(descriptor: int, path: Path, tell: Callable[[str], object] = say) -> bool:
    """Locks `path`, which is open as `descriptor`, until that is closed or the process ends; returns whether it did.

    Raises BlockingIOError if another process holds the lock. Where the file system has no locks, it tells that in a
    sentence and returns False: the caller goes on, but must not take what it finds for left behind.
    """
    try:
        _hold(descriptor)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        tell(f"{path} is on a file system without locks ({error.strerror}): two that write there at once are not "
             "kept apart, so start no second one.")  # fmt: skip
        return False
    return True


def _hold(descriptor: int) -> None:
    """Locks what is open as `descriptor` until that is closed; raises BlockingIOError if another process has."""
    import fcntl  # which Windows lacks

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


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
    with _own_folder(path.parent, TEMPORARY) as folder:
        yield folder / path.name


def require_room(folder: Path, size: int) -> None:
    """Raises an OSError unless `size` bytes fit on the disk of `folder`; for what HDF5 writes.

    When the disk fills under an open file, HDF5 crashes the process with SIGSEGV.
    """
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Gives a folder in the system's temporary folder, and removes it afterwards, and those of dead processes."""
    with _own_folder(Path(tempfile.gettempdir()), SCRATCH) as folder:
        yield folder


@contextmanager
def _own_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Gives a new folder in `parent`, and removes it afterwards, and those that dead processes left there.

    While it lasts, this process holds its `LOCK`, which the system releases whenever the process ends.
    """
    remove_abandoned(parent, prefix)
    lock_file = _locked_folder(parent, f"{prefix}{os.getpid()}@{_HERE}-")
    folder = Path(lock_file.name).parent
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            with lock_file:
                _clear(folder)
            folder.rmdir()


def _locked_folder(parent: Path, beginning: str) -> IO[str]:
    """Makes a folder in `parent`; returns its `LOCK`, locked where there are locks and open until it is closed.

    A file that can be written is locked, for only then NFS asks the server. Before it is locked, another process may
    take the folder for left behind and remove it: then the next one is tried.
    """
    while True:
        path = Path(tempfile.mkdtemp(prefix=beginning, dir=parent), LOCK)
        with contextlib.suppress(FileNotFoundError):
            file = path.open("w")
            try:
                _hold(file.fileno())
            except BlockingIOError:
                file.close()
                continue
            except OSError:  # without locks, its age has to tell
                pass
            if path.exists():
                return file
            file.close()


def remove_abandoned(folder: Path, prefix: str = TEMPORARY) -> None:
    """Removes what processes that are gone left half-written in `folder`; what a live one is writing stays."""
    for path in folder.glob(prefix + "*"):
        with contextlib.suppress(OSError):  # another call may be faster, or the leftover may be somebody else's
            if owner := _OWNER.match(path.name):
                _remove_if_abandoned(path, is_ours=owner[2] == _HERE)


def _remove_if_abandoned(path: Path, is_ours: bool) -> None:
    """Removes `path` if no lock is held in it, or none can be and it is old; `is_ours` says that this machine made it.

    The locks of some file systems are not seen by other machines.
    """
    is_old = time.time() - path.lstat().st_mtime > ABANDONED
    try:
        with (path / LOCK).open("r+") as file:
            _hold(file.fileno())
            if is_ours or is_old:
                _clear(path)
    except BlockingIOError:
        return
    except OSError:  # of an earlier version, or without locks, or its process was killed before it had locked it
        if is_old:
            _remove(path)
    if is_ours or is_old:
        path.rmdir()  # which is refused unless it is empty


def _clear(folder: Path) -> None:
    """Empties a folder whose lock is held, of that lock last: a process killed before leaves what the next finds.

    The folder itself goes once the lock is closed: NFS keeps the name of a file that is open.
    """
    for path in folder.iterdir():
        if path.name != LOCK:
            _remove(path)
    (folder / LOCK).unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
