"""What the terminal says of requests that fail: one line each, and few of them.

The libraries below the page log a traceback of a hundred lines for each of many requests that anybody can send.
"""

import contextlib
import logging
import time
import traceback
from collections.abc import Iterator

from base.machine.streams import OutputLost
from base.progress import show

MOST_LINES, SECONDS = 20, 60.0
"""Lines that are printed in so many seconds; the rest is counted."""
LONGEST = 300
"""Characters of a line."""
LOGGERS = ("uvicorn.error", "asyncio", "reelcheck.web")


class ShortLog(logging.Handler):
    """Prints a line for each record: of an exception, what it was and where, and never more than a few lines.

    What the terminal does not take, because its reader is gone or its disk full, is dropped: no line ends a thread.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._since, self._lines = -SECONDS, 0

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`, which keeps threads apart."""
        if time.monotonic() - self._since > SECONDS:
            self.tell_rest()
            self._since = time.monotonic()
        self._lines += 1
        if self._lines <= MOST_LINES:
            _print(_line_of(record))

    def tell_rest(self) -> None:
        """Prints how many lines were left out since it last did."""
        if self._lines > MOST_LINES:
            _print(f"... and {self._lines - MOST_LINES} more lines like these")
        self._lines = 0


def _line_of(record: logging.LogRecord) -> str:
    line, error = record.getMessage().strip(), record.exc_info and record.exc_info[1]
    if not error:
        return line[:LONGEST]
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({frame.filename}, line {frame.lineno})" for frame in last)
    return f"{line}: {type(error).__name__}: {error}"[:LONGEST] + where


def _print(line: str) -> None:
    with contextlib.suppress(OutputLost):
        show(line, beside=True)


@contextlib.contextmanager
def short_log() -> Iterator[None]:
    """Has what is logged within the block printed by a `ShortLog` alone: absl's handler would fail where it fails."""
    log, loggers = ShortLog(), [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addHandler(log)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(log)
            logger.propagate = True
        log.tell_rest()
