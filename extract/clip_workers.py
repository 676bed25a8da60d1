"""Decoding and face detection in worker processes: a clip that hangs or kills its process costs only its own row.

Each thread of a pool talks to one process through a pipe of its own. A pool whose processes share a queue shares its
lock too, and a process that is killed while it holds that takes all of them along: pebble's was seen to hang in
one of 18 runs with a kill. Here nothing is shared, and a process that dies closes its pipe.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from multiprocessing import connection, resource_tracker
from typing import Any, TypeVar

from cache.schema import UserError
from extract.clips.decode import ClipError

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 8
"""Tasks under way or done and not yet taken, per worker: bounds memory however slow the consumer is."""
READY = "ready"
STARTS = 3
"""How often in a row a process may end before it is ready."""
TRIES = 2
"""How often a clip may lose its process: once may be the system's doing, which ends processes when memory is short."""


def map_clips(
    function: Callable[..., Result], tasks: Iterable[tuple[Item, tuple]], workers: int, seconds: float
) -> Iterator[tuple[Item, Result | ClipError]]:
    """Yields each item with `function(*arguments)` or the ClipError that stands for it, as they are finished.

    `tasks` gives (item, arguments). A call that takes over `seconds` or loses its process twice is given up and the
    rest goes on. Workers start afresh (no fork of a process that runs TensorFlow) and end when this process does. A
    UserError says that they cannot be started.
    """
    pending: dict[Future, Item] = {}
    processes = _Processes(seconds)
    with ThreadPoolExecutor(workers) as threads:
        try:
            for item, arguments in tasks:
                pending[threads.submit(processes.call, function, arguments)] = item
                while len(pending) >= AHEAD * workers:
                    yield from _take_finished(pending)
            while pending:
                yield from _take_finished(pending)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            processes.end()


def _take_finished(pending: dict[Future, Any]) -> Iterator[tuple[Any, Any]]:
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        yield pending.pop(future), future.result()


class _Died(Exception):
    """A process ended in the middle of a call."""


class _Processes:
    """Processes that wait for work: threads take one, or start one, and put it back if it is still alive."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._idle: list[_Process] = []
        self._all: list[_Process] = []
        self._lock, self._ended = threading.Lock(), False

    def call(self, function: Callable[..., Any], arguments: tuple) -> Any:
        """Returns `function(*arguments)`, or the ClipError that it raised or that stands for its end."""
        code = None
        for _ in range(TRIES):
            process = self._take()
            try:
                result = process.call(function, arguments, self._seconds)
            except _Died:
                code = process.process.exitcode
            else:
                self._idle.append(process)
                return result
            if process.timed_out:
                return ClipError("timeout", f"was not finished after {self._seconds:g} s")
        return ClipError("crashed", f"twice ended the process that decoded it (exit code {code})")

    def _take(self) -> "_Process":
        for _ in range(STARTS):
            try:
                return self._idle.pop()
            except IndexError:
                process = self._start()
            if process.is_ready():
                return process
        raise UserError(
            f"processes that are to decode ended {STARTS} times as they started; see whether memory is short, or take "
            "fewer with WORKERS=1."
        )

    def _start(self) -> "_Process":
        with self._lock:
            if self._ended:
                raise UserError("the work was given up.")
            process = _Process()
            self._all.append(process)
            return process

    def end(self) -> None:
        """Kills every process; calls under way come back at once."""
        with self._lock:
            self._ended = True
            for process in self._all:
                process.kill()


class _Process:
    """A spawned process that does one call after another."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _deaf():
            self.process.start()
        theirs.close()  # or the pipe would stay open when the process dies
        self.timed_out = False

    def is_ready(self) -> bool:
        """Waits until the process takes calls; False if it ended instead."""
        try:
            return self._pipe.recv() == READY
        except (EOFError, OSError):
            self.process.join()
            return False

    def call(self, function: Callable[..., Any], arguments: tuple, seconds: float) -> Any:
        """Returns what the process answers; raises _Died, and lets no process live, if that is nothing in time."""
        try:
            self._pipe.send((function, arguments))
            self.timed_out = not self._pipe.poll(seconds)
            answer = None if self.timed_out else self._pipe.recv()
        except (EOFError, OSError):  # it closed the pipe, maybe in the middle of its answer
            answer = None
        if answer is None:
            self.kill()
            raise _Died
        returned, value = answer
        if returned or isinstance(value, ClipError):
            return value
        raise value

    def kill(self) -> None:
        """Ends the process, whatever it does."""
        self.process.kill()
        self.process.join()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Starts processes that do not hear Ctrl-C, which a terminal sends to all of them: this process ends them."""
    resource_tracker.ensure_running()  # or it would be started in the block, and undo what the block does
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: connection.Connection) -> None:
    """What a worker process does: answers calls until its parent is gone."""
    import cv2

    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe.send(READY)
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(function, arguments))


def _answer(function: Callable[..., Any], arguments: tuple) -> tuple[bool, Any]:
    """Returns whether the call came back, and with what; a bug as an exception that shows where it was."""
    try:
        return True, function(*arguments)
    except ClipError as error:
        return False, error
    except MemoryError:
        return False, ClipError("out_of_memory", "needs more memory than there is")
    except Exception:  # noqa: BLE001 - it is raised again where the call came from
        return False, RuntimeError(f"in a worker process:\n{traceback.format_exc()}")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
