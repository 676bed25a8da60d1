"""What a stage tells while it works: sentences and progress bars. A command prints them, the Python API does not.

Whatever is printed goes through here, because a name of a clip, a person or a run in it may hold any character.
"""

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

from base.text import printable_lines

# tqdm prints between its bars, not into them.
_SINK: ContextVar[Callable[[str], object]] = ContextVar("sink", default=tqdm.write)
_BARS: ContextVar[bool] = ContextVar("bars", default=True)


def say(text: str) -> None:
    """Prints the sentence `text`, or hands it to whoever asked for quiet."""
    _SINK.get()(printable_lines(text))


def show(text: object, *, beside: bool = False, end: str = "\n") -> None:
    """Prints `text`, the output of a command, at once; with `beside` to stderr, beside that output."""
    stream = sys.stderr if beside else sys.stdout
    with tqdm.external_write_mode(stream):  # between bars, not into them
        print(printable_lines(str(text)), end=end, file=stream, flush=True)


def progress_bar(*, shown: bool = True, **options: Any) -> tqdm:
    """Returns a progress bar with tqdm's `options`; a hidden one where it is not `shown` or bars were asked away."""
    return tqdm(**options, mininterval=0.5, disable=not (shown and _BARS.get()))


def passing_bar(*, shown: bool = True, **options: Any) -> tqdm:
    """Returns a progress bar that is wiped out at its end, and is shown by a command itself on a terminal alone."""
    seen = sys.stderr.isatty() and multiprocessing.parent_process() is None
    return progress_bar(shown=shown and seen, leave=False, **options)


def doing(what: str, *, shown: bool = True) -> tqdm:
    """Returns a context manager that shows `what` is being done, where nobody knows how long it takes.

    It is a line on a terminal, wiped out when the block ends.
    """
    return passing_bar(shown=shown, desc=f"{printable_lines(what)} ...", bar_format="{desc}")


@contextmanager
def quiet(sink: Callable[[str], object], bars: bool) -> Iterator[None]:
    """Hands each sentence of the block to `sink` instead of printing it; without `bars` shows no progress bar."""
    tokens = _SINK.set(sink), _BARS.set(bars)
    try:
        yield
    finally:
        _SINK.reset(tokens[0])
        _BARS.reset(tokens[1])
