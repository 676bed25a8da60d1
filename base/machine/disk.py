"""What is on a disk for good; whether an error means that one is full, or must not be written, and why in few words."""

import contextlib
import errno
import os
import re

NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
SIGNS = (
    *map(os.strerror, NUMBERS),
    "database or disk is full",
    "attempt to write a readonly database",
    "basic_ios::clear: iostream error",
)
"""What libraries in C say that raise errors of their own: HDF5 and TensorFlow, SQLite (two), OpenVINO."""
KEPT = "free some space or make it writable, and run again: finished work is kept"
_OF_HDF5 = re.compile(r"error message = '([^']+)'")


def flush(descriptor: int) -> None:
    """Waits until the file or folder that is open as `descriptor` is on the disk, so that it survives a power cut.

    macOS leaves it in the drive's own memory after `fsync`, and has another call.
    """
    import fcntl  # which Windows lacks

    if hasattr(fcntl, "F_FULLFSYNC"):
        with contextlib.suppress(OSError):  # a network's file system, which has `fsync` alone
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def reason(error: BaseException) -> str:
    """Returns why the `error`, of an operation on a file, came about.

    That is the system's text. HDF5 wraps it into a line of five hundred characters, with times and addresses of memory.
    """
    text = str(error)
    if named := _OF_HDF5.search(text):
        return named[1]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return next((sign for sign in SIGNS if sign in text), text.strip().split("\n")[0] or type(error).__name__)


def unwritable(place: object, error: BaseException, remedy: str = KEPT) -> str:
    """Returns the sentence on an `error` that means that the file or folder `place` cannot be written."""
    return f"{place} cannot be written ({reason(error)}); {remedy}."


def cannot_write(error: BaseException) -> bool:
    """Whether `error`, whichever library raised it, means that a disk is full or must not be written."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in NUMBERS
    return any(sign in str(error) for sign in SIGNS)
