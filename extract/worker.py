"""What a worker process of `extract.worker_pool` does: it answers one call after another."""

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import connection
from types import GeneratorType
from typing import Any

from base.machine.memory import out_of_memory
from extract.video.containers import ClipError

READY = "ready"


def serve(pipe: connection.Connection) -> None:
    """The main function of a worker process: answers calls until its parent is gone. It says `READY` first."""
    import cv2

    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe.send(READY)
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        for value in _answers(function, arguments):
            pipe.send((False, value))
        pipe.send((True, None))


def _answers(function: Callable[..., Any], arguments: tuple) -> Iterator[Any]:
    """Yields the result, or each piece of one; last a ClipError, or a RuntimeError with the traceback of a bug."""
    try:
        result = function(*arguments)
        if isinstance(result, GeneratorType):
            yield from result
        else:
            yield result
    except ClipError as error:
        yield error
    except Exception as error:  # noqa: BLE001 - the caller raises it again
        if out_of_memory(error):  # which OpenCV says in words of its own
            yield ClipError("out_of_memory", "needs more memory than there is", passing=True)
        else:
            yield RuntimeError(f"in a worker process:\n{traceback.format_exc()}")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
