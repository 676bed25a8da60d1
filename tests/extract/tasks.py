"""What workers are given to do in tests, apart from what takes long to import: a task's time includes that."""

import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from extract.video.containers import ClipError, naming_failures


def drip(pieces: int, seconds: float) -> Iterator[int]:
    """Hands over so many pieces, one each so many `seconds`."""
    for piece in range(pieces):
        time.sleep(seconds)
        yield piece


def work(kind: str, mark: Path | None = None) -> str:
    """What a clip can do to the process that decodes it."""
    if mark is not None and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        time.sleep(600)
    if kind == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "exit":
        os._exit(3)
    if kind == "memory":
        raise MemoryError
    if kind == "opencv":
        raise cv2.error("OpenCV(4.14.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 136 bytes")
    if kind == "broken":
        raise ClipError("unreadable", "it is broken")
    if kind == "bug":
        raise ZeroDivisionError
    return kind.upper()


def fail_once(path: Path, *_: object) -> tuple[str, str]:
    """Takes the place of `crop_and_checksum`: does what the file's name says the first time, and reads it the next."""
    mark = path.with_suffix(".tried")
    if not mark.exists():
        mark.touch()
        if path.stem == "files":
            error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            with naming_failures(path):
                raise error
        if path.stem == "threads":
            with naming_failures(path):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        work(path.stem, path.with_suffix(".killed") if path.stem == "killed" else None)
    return path.stem, "checksum"
