"""Decoding and face detection in worker processes: a clip that hangs or kills its process costs only its own row."""

import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from extract.video import ClipError

Item = TypeVar("Item")
Result = TypeVar("Result")

CRASHED = "crashed"
AHEAD = 8
"""Tasks under way or done and not yet taken, per worker: bounds memory however slow the consumer is."""


@dataclass(frozen=True)
class _Task(Generic[Item]):
    """One call: whose it is, its arguments, and whether it has lost its process before."""

    item: Item
    arguments: tuple
    again: bool = False


def map_clips(
    function: Callable[..., Result], tasks: Iterable[tuple[Item, tuple]], workers: int, seconds: float
) -> Iterator[tuple[Item, Result | ClipError]]:
    """Yields each item with `function(*arguments)` or the ClipError that stands for it, as they are finished.

    `tasks` gives (item, arguments). A call that takes over `seconds` is given up, and so is one that loses its process
    twice: once may be the system's doing, which ends processes when memory is short. Workers start afresh (no fork of a
    process that runs TensorFlow) and end when this process does.
    """
    pending: dict[concurrent.futures.Future, _Task[Item]] = {}
    context: Any = multiprocessing.get_context("spawn")
    with ProcessPool(max_workers=workers, context=context, initializer=_prepare_worker) as pool:

        def start(task: _Task[Item]) -> None:
            pending[pool.schedule(function, args=list(task.arguments), timeout=seconds)] = task

        def finish() -> Iterator[tuple[Item, Result | ClipError]]:
            for future in concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED).done:
                task = pending.pop(future)
                result = _result(future, seconds)
                if isinstance(result, ClipError) and result.outcome == CRASHED and not task.again:
                    start(replace(task, again=True))
                else:
                    yield task.item, result

        try:
            for item, arguments in tasks:
                start(_Task(item, arguments))
                while len(pending) >= AHEAD * workers:
                    yield from finish()
            while pending:
                yield from finish()
        except BaseException:
            pool.stop()
            raise


def _result(future: concurrent.futures.Future, seconds: float) -> Any:
    try:
        return future.result()
    except ClipError as error:
        return error
    except TimeoutError:
        return ClipError("timeout", f"was not finished after {seconds:g} s")
    except ProcessExpired as error:
        return ClipError(CRASHED, f"twice ended the process that decoded it (exit code {error.exitcode})")
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
