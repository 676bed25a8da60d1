"""Folders that last as long as the work in them: who owns one holds its lock, and others remove what is left behind."""

import contextlib
import errno
import os
import platform
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from base.progress import say

TEMPORARY = ".tmp-"
"""Prefix of folders for what is being written; the numbers of the process and of the machine that do so come next."""
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


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Gives a folder in the system's temporary folder, and removes it afterwards, and those of dead processes."""
    with own_folder(Path(tempfile.gettempdir()), SCRATCH) as folder:
        yield folder


@contextmanager
def own_folder(parent: Path, prefix: str) -> Iterator[Path]:
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
