"""Decoding and face detection in worker processes: a clip that hangs or kills its process costs only its own row.

Each thread talks to one process through a pipe of its own, so processes share nothing, and one that dies closes its
pipe. A pool with a shared queue also shares the queue's lock, and a process killed while holding it blocks all others:
pebble's pool hung in one of 18 runs with a kill.
"""

import contextlib
import math
import multiprocessing
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker, util
from typing import Any, TypeVar

from base.commands import flag
from base.errors import UserError
from extract.video.containers import ClipError
from extract.worker import READY, serve

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 8
"""Most answers per worker that wait for the consumer: bounds memory if that is slow."""
STARTS = 3
"""How many processes in a row may end before one is ready for work."""
DAEMONIC = (
    "clips are decoded in processes of their own, and a daemonic one, as of multiprocessing.Pool or Celery, may start "
    "none; use concurrent.futures.ProcessPoolExecutor (Celery: --pool threads), or judge frames decoded by yourself."
)
TRIES = 2
"""How often a clip may lose its process: the system kills some when memory is short."""


def map_clips(
    function: Callable[..., Result | Iterator[Result]],
    tasks: Iterable[tuple[Item, tuple]],
    workers: int,
    seconds: float,
    all_seconds: float = math.inf,
    tries: int = TRIES,
) -> Iterator[tuple[Item, Result | ClipError]]:
    """Yields each item with the result of `function(*arguments)`, or with a ClipError, in the order of completion.

    `tasks` yields (item, arguments). A generator function hands its result over in pieces: each is yielded at once,
    with the item. A call, or a piece, that takes longer than `seconds`, a call that takes longer than `all_seconds`
    with all its pieces, consumer and all, and one that loses its process `tries` times, is given up; the others go on.
    Workers are spawned, because a process that runs TensorFlow must not be forked, and end with this process. A
    UserError says that they cannot be started.
    """
    if multiprocessing.current_process().daemon:
        raise UserError(DAEMONIC)
    answers = _Answers(AHEAD * workers)
    processes = _Processes(seconds, all_seconds, tries)
    todo, lock = iter(tasks), threading.Lock()

    def work() -> None:
        try:
            while True:
                with lock:
                    task = next(todo, None)
                if task is None:
                    break
                item, arguments = task
                for piece in processes.call(function, arguments):
                    answers.put((item, piece))
            answers.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks for answers
            answers.put(error)

    for _ in range(workers):
        threading.Thread(target=work, daemon=True).start()
    try:
        yield from answers.of(workers)
    finally:
        answers.end()
        processes.end()


class _Answers:
    """What the workers' threads hand to the consumer: a queue that nobody waits for any more once it has ended."""

    def __init__(self, most: int) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(most)
        self._ended = False

    def put(self, answer: Any) -> None:
        """Adds an answer: a pair, None if its thread has no more, or an exception. Waits while the queue is full."""
        while not self._ended:
            with contextlib.suppress(queue.Full):
                self._queue.put(answer, timeout=0.2)
                return

    def of(self, threads: int) -> Iterator[Any]:
        """Yields the pairs until each of the threads has said that it has no more; raises what one has met."""
        while threads:
            answer = self._queue.get()
            if isinstance(answer, BaseException):
                raise answer
            threads -= answer is None
            if answer is not None:
                yield answer

    def end(self) -> None:
        """Lets go of every thread that waits to add something."""
        self._ended = True


class _Died(Exception):
    """The process ended during a call."""


class _Processes:
    """The worker processes: a thread takes an idle one, or starts one, and puts it back if it is still alive."""

    def __init__(self, seconds: float, all_seconds: float, tries: int) -> None:
        self._seconds, self._all_seconds, self._tries = seconds, all_seconds, tries
        self._idle: list[_Process] = []
        self._all: list[_Process] = []
        self._lock, self._ended = threading.Lock(), False
        # At the exit, `multiprocessing` would end those that are left by SIGTERM, which they do not hear, and wait.
        self._at_exit = util.Finalize(None, self.end, exitpriority=1)

    def call(self, function: Callable[..., Any], arguments: tuple) -> Iterator[Any]:
        """Yields what `function(*arguments)` gives, piece by piece; a ClipError at its end if it was given up."""
        code, given, tried = None, False, 0
        while tried < self._tries and not given:
            tried += 1
            process = self._take()
            end = time.monotonic() + self._all_seconds
            try:
                for piece in process.call(function, arguments, self._seconds, end):
                    given = True
                    yield piece
            except _Died:
                code = process.process.exitcode
            else:
                self._idle.append(process)
                return
            if process.timed_out:
                seconds = min(self._seconds, self._all_seconds)
                yield ClipError("timeout", f"was not finished after {seconds:g} s", passing=True)
                return
        reason = f"{'twice ' * (tried > 1)}ended the process that decoded it (exit code {code})"
        yield ClipError("crashed", reason, passing=True)

    def _take(self) -> "_Process":
        for _ in range(STARTS):
            with contextlib.suppress(IndexError):
                return self._idle.pop()
            with contextlib.suppress(OSError):  # there are too many processes, or open files
                process = self._start()
                if process.is_ready():
                    return process
        short = "memory, processes or open files may be short"
        raise UserError(f"{STARTS} worker processes in a row did not start: {short}; use {flag('workers', 1)}.")

    def _start(self) -> "_Process":
        with self._lock:
            if self._ended:
                raise UserError("the work was stopped.")
            process = _Process()
            self._all.append(process)
            return process

    def end(self) -> None:
        """Kills every process; running calls return at once."""
        if self._ended:
            # While the program exits, a thread that stopped for good may hold the lock.
            return
        with self._lock:
            self._ended = True
            for process in self._all:
                process.kill()
        self._at_exit.cancel()


class _Process:
    """A spawned process that runs one call after another."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, its_end = context.Pipe()
        self.process = context.Process(target=serve, args=(its_end,), daemon=True)
        with _ignoring_interrupts(), _without_main():
            self.process.start()
        its_end.close()  # else the pipe would stay open when the process dies
        self.timed_out = False

    def is_ready(self) -> bool:
        """Waits until the process accepts calls; returns False if it ended instead."""
        try:
            return self._pipe.recv() == READY
        except (EOFError, OSError):
            self.process.join()
            return False

    def call(self, function: Callable[..., Any], arguments: tuple, seconds: float, end: float) -> Iterator[Any]:
        """Yields the process's answers; if one takes `seconds`, or at the `end`, kills it and raises _Died."""
        try:
            self._pipe.send((function, arguments))
            while not self._is_late(min(seconds, end - time.monotonic())):
                ended, value = self._pipe.recv()
                if ended:
                    return
                if isinstance(value, RuntimeError):
                    raise value
                yield value
        except (EOFError, OSError):  # the pipe was closed, perhaps in the middle of an answer
            pass
        self.kill()
        raise _Died

    def _is_late(self, seconds: float) -> bool:
        self.timed_out = seconds <= 0 or not self._pipe.poll(seconds)
        return self.timed_out

    def kill(self) -> None:
        """Kills the process."""
        self.process.kill()
        self.process.join()


_MAIN_LOCK = threading.Lock()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Starts processes that do not run the user's program again, as spawned ones do to find functions in it.

    Their functions are all in modules. So a script without `if __name__ == "__main__"`, and one read from standard
    input, can judge clips.
    """
    main = sys.modules["__main__"].__dict__
    with _MAIN_LOCK:
        hidden = {name: main.pop(name) for name in ("__spec__", "__file__") if name in main}
        main["__spec__"] = None
        try:
            yield
        finally:
            main.update({"__spec__": None} | hidden)


@contextlib.contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Processes started in the block ignore Ctrl-C and SIGTERM: this process ends them.

    A terminal sends the one to all of them, and a service manager the other.
    """
    resource_tracker.ensure_running()  # else it starts inside the block and unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
