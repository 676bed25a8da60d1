"""What the terminal says of requests that fail: one line each, and few of them.

The libraries below the page print a traceback of a hundred lines for each of many requests that anybody can send.
"""

import io
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from typing import TextIO

from base.machine.streams import OutputLost

MOST_LINES, SECONDS = 20, 60.0
"""Lines that are printed in so many seconds; the rest is counted."""
LONGEST = 300
"""Characters of a line."""
FRAME = re.compile(r'\s+File "(?P<file>.*)", line (?P<line>\d+)')
WITHIN = re.compile(r"\s|Traceback \(most recent|During handling of|The above exception|Exception Group")


class ShortLog(io.TextIOBase):
    """Prints what is written to it on `terminal`: of a traceback its last line, and never more than a few lines.

    What the terminal does not take, because its reader is gone or its disk full, is dropped: no line ends a thread.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._threads = threading.local()  # pieces of two threads' lines would mix
        self._lock = threading.Lock()
        self._since, self._lines = -SECONDS, 0

    def write(self, text: str, /) -> int:
        """Takes `text`, which may be a part of a line; returns its length."""
        begun = getattr(self._threads, "begun", "")
        *lines, self._threads.begun = (begun + text).split("\n")
        for line in lines:
            self._take(line)
        return len(text)

    def flush(self) -> None:
        """Flushes the terminal."""
        with suppress(OutputLost):
            self._terminal.flush()

    def tell_rest(self) -> None:
        """Prints how many lines were left out since it last did."""
        if self._lines > MOST_LINES:
            self._send(f"... and {self._lines - MOST_LINES} more lines like these\n")
        self._lines = 0

    def _take(self, line: str) -> None:
        if frame := FRAME.match(line):
            self._threads.place = f" ({frame['file']}, line {frame['line']})"
        elif line and not WITHIN.match(line):
            place = getattr(self._threads, "place", "")
            self._threads.place = ""
            self._print(line[:LONGEST] + place)

    def _print(self, line: str) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._since > SECONDS:
                self.tell_rest()
                self._since = now
            self._lines += 1
            if self._lines <= MOST_LINES:
                self._send(line + "\n")

    def _send(self, text: str) -> None:
        with suppress(OutputLost):
            self._terminal.write(text)
            self._terminal.flush()


@contextmanager
def short_log() -> Iterator[None]:
    """Has all errors within the block printed through a `ShortLog`."""
    log = ShortLog(sys.stderr)
    with redirect_stderr(log):
        yield
    log.tell_rest()
