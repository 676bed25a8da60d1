"""How a command ends: its exit status, the one line for an error, and what Ctrl-C and SIGTERM do."""

import contextlib
import gc
import os
import re
import signal
import sys
import traceback
import typing
from collections.abc import Callable

from base.errors import UserError
from base.machine.disk import cannot_write, unwritable
from base.machine.memory import out_of_memory, shortage
from base.machine.streams import OutputLost, prepare_streams
from base.machine.system import lack_of_system
from base.text import printable_lines

BUG = 70
"""The exit status of an error that nobody foresaw (EX_SOFTWARE of sysexits.h); 1 says that a clip is fake."""
INTERRUPTED, TERMINATED = 130, 143
"""The exit statuses of Ctrl-C and SIGTERM: 128 and the number of the signal, as shells count."""
INTERRUPTION = "interrupted; finished work is kept."
_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s]+@")
"""That of an address, as in postgresql://user:password@host; no error repeats it, wherever it was typed."""


def run(main: Callable[[], int | None], error_status: int = 2) -> typing.NoReturn:
    """Runs a command and exits with its status.

    A UserError is printed as one line and gives `error_status`, Ctrl-C gives 130, SIGTERM 143, a reader of the output
    that went away 141, and any other error its traceback and `BUG`.
    """
    prepare_streams()
    # No command opens a window, and a backend meant for one, or for a notebook, need not be installed here.
    os.environ["MPLBACKEND"] = "agg"
    with _Signals() as signals:
        status = _ending(main, error_status, signals)
    # What an interrupted prediction still reads ahead in threads goes now: they cannot end once Python itself does, and
    # TensorFlow would wait for them for ever.
    if "keras" in sys.modules:
        gc.collect()
    sys.exit(status)


class _Signals:
    """Interrupts a command, while the block lasts, when Ctrl-C or SIGTERM comes, as from systemd and docker stop.

    What a stage does at the one it thus does at the other too. `came` is the signal's number, 0 before: it tells the
    two apart, and remembers them where a library has turned the interruption into an error of its own.
    """

    def __init__(self) -> None:
        self.came = 0

    def __enter__(self) -> "_Signals":
        heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._interrupt) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before or signal.SIG_DFL)

    def _interrupt(self, number: int, _: object) -> None:
        self.came = number
        raise _Interrupted


class _Interrupted(KeyboardInterrupt):
    """An interruption, as a class of its own.

    Where a KeyboardInterrupt itself passes through an `exec`, as in a dataclass that is being made, Python ends by
    SIGINT, whatever status it is told later.
    """


def _ending(main: Callable[[], int | None], error_status: int, signals: _Signals) -> int:
    """Returns the status with which `main` ends, and prints why if that is no regular end."""
    try:
        status = _status(main)
        if signals.came == signal.SIGTERM:  # a stage that Ctrl-C ends regularly
            raise KeyboardInterrupt
    except OutputLost as lost:
        # A reader (head, less) that has closed the pipe knows.
        broken, reason = isinstance(lost.error, BrokenPipeError), lost.error.strerror
        text = f"error: the output cannot be written ({reason}); free its disk, or send it elsewhere."
        status = 141 if broken else _ended(error_status, text)
    except KeyboardInterrupt:
        status = _interrupted(signals)
    except Exception as error:  # noqa: BLE001 - a bug, or in other words an interruption, a full disk or a lack of memory
        if signals.came:
            status = _interrupted(signals)
        elif isinstance(error, UserError):
            status = _ended(error.status or error_status, f"error: {error}")
        elif cannot_write(error):
            place = getattr(error, "filename", None) or "a file"
            status = _ended(error_status, f"error: {unwritable(place, error)}")
        elif out_of_memory(error):
            status = _ended(error_status, f"error: {shortage(error)}")
        else:
            status = _ended(BUG, traceback.format_exc().rstrip())
    return status


def _interrupted(signals: _Signals) -> int:
    return _ended(TERMINATED if signals.came == signal.SIGTERM else INTERRUPTED, INTERRUPTION)


def _status(main: Callable[[], int | None]) -> int:
    if lack := lack_of_system():
        raise UserError(lack)
    try:
        status = main() or 0
    except SystemExit as ended:  # argparse's --help
        status = int(ended.code or 0)
    sys.stdout.flush()
    return status


def _ended(status: int, text: str) -> int:
    """Returns `status` after printing `text`, and what stdout still holds, as far as they can be written."""
    text = printable_lines(_PASSWORD.sub(r"\1:***@", text))
    for stream, line in ((sys.stdout, ""), (sys.stderr, f"{text}\n")):
        with contextlib.suppress(OutputLost):
            stream.write(line)
            stream.flush()
    return status
