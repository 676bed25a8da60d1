"""Decoding and face detection in worker processes: a clip that hangs or kills its process costs only its own row."""

import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from extract.video import ClipError

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 8
"""Tasks under way or done and not yet taken, per worker: bounds memory however slow the consumer is."""


def map_clips(
    function: Callable[..., Result], tasks: Iterable[tuple[Item, tuple]], workers: int, seconds: float
) -> Iterator[tuple[Item, Result | ClipError]]:
    """Yields each item with `function(*arguments)` or the ClipError that stands for it, as they are finished.

    `tasks` gives (item, arguments). A call that takes over `seconds` or loses its process is given up and the rest goes
    on. Workers start afresh (no fork of a process that runs TensorFlow) and end when this process does.
    """
    pending: dict[concurrent.futures.Future, Item] = {}
    context: Any = multiprocessing.get_context("spawn")
    with ProcessPool(max_workers=workers, context=context, initializer=_prepare_worker) as pool:
        try:
            for item, arguments in tasks:
                pending[pool.schedule(function, args=list(arguments), timeout=seconds)] = item
                if len(pending) >= AHEAD * workers:
                    yield from _take_finished(pending, seconds)
            while pending:
                yield from _take_finished(pending, seconds)
        except BaseException:
            pool.stop()
            raise


def _take_finished(pending: dict[concurrent.futures.Future, Any], seconds: float) -> Iterator[tuple[Any, Any]]:
    done, _ = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
    for future in done:
        yield pending.pop(future), _result(future, seconds)


def _result(future: concurrent.futures.Future, seconds: float) -> Any:
    try:
        return future.result()
    except ClipError as error:
        return error
    except TimeoutError:
        return ClipError("timeout", f"was not finished after {seconds:g} s")
    except ProcessExpired as error:
        return ClipError("crashed", f"ended the process that decoded it (exit code {error.exitcode})")
    except MemoryError:
        return ClipError("out_of_memory", "needs more memory than there is")


def _prepare_worker() -> None:
    import cv2

    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
