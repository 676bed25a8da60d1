"""What workers are given to do in tests, apart from what takes long to import: a task's time includes that."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from extract.video.containers import ClipError


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
    if kind == "broken":
        raise ClipError("unreadable", "it is broken")
    if kind == "bug":
        raise ZeroDivisionError
    return kind.upper()
