"""Command lines made from config dataclasses, so that each default and help text is written once, beside its stage."""

import argparse
import contextlib
import dataclasses
import difflib
import gc
import os
import re
import signal
import sys
import traceback
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cache.commands import flag
from cache.machine.disk import cannot_write, unwritable
from cache.machine.memory import out_of_memory, shortage
from cache.machine.streams import OutputLost, prepare_streams
from cache.machine.system import lack_of_system
from cache.progress import show
from cache.schema import UserError, printable_lines

BUG = 70
"""The exit status of an error that nobody foresaw (EX_SOFTWARE of sysexits.h); 1 says that a clip is fake."""
INTERRUPTED, TERMINATED = 130, 143
"""The exit statuses of Ctrl-C and SIGTERM: 128 and the number of the signal, as shells count."""
INTERRUPTION = "interrupted; finished work is kept."
_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s]+@")
"""That of an address, as in postgresql://user:password@host; no error repeats it, wherever it was typed."""


def option(default: Any, text: str, **kind: Any) -> Any:
    """Returns a dataclass field with a `default`; `text` is the help of its flag and says the unit.

    `kind` are arguments of `add_argument`, for flags that are read in another way than their type says.
    """
    return dataclasses.field(default=default, metadata={"help": text, "kind": kind})


def required(text: str) -> Any:
    """Returns a dataclass field without a default; `text` is the help of its flag."""
    return dataclasses.field(metadata={"help": text})


def add_flags(parser: argparse.ArgumentParser, config: type) -> None:
    """Adds one `--flag` to `parser` for each field of the dataclass `config`."""
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        is_required = field.default is dataclasses.MISSING
        text = field.metadata.get("help", "")
        if not is_required and field.default not in (None, "", ()):
            text += f" (default: {_as_typed(field.default)})"
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            required=is_required,
            default=argparse.SUPPRESS,
            help=text.replace("%", "%%"),
            **_kind(hints[field.name]) | field.metadata.get("kind", {}),
        )


def read_flags(arguments: argparse.Namespace, config: type) -> Any:
    """Returns a `config` with the flags in `arguments`; the other fields keep their defaults."""
    names = {field.name for field in dataclasses.fields(config)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(arguments).items()}
    return config(**{name: value for name, value in values.items() if name in names})


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UserErrors, so that `run` alone decides the exit status."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> typing.NoReturn:
        """Raises a UserError instead of printing the usage; of an unknown flag, it names the nearest one there is."""
        unknown = re.match(r"unrecognized arguments: --([\w-]+)", message)
        if not unknown:
            raise UserError(f"{message}; {self.prog} --help lists the flags.")
        known = [name.removeprefix("--") for name in self._option_string_actions]
        near = difflib.get_close_matches(unknown[1], known, 1)
        hint = f"did you mean {flag(near[0])}? " if near else ""
        raise UserError(f"{flag(unknown[1])} is no flag of {self.prog}; {hint}{self.prog} --help lists the flags.")


def parse_flags(program: str, about: str, config: type, argv: Sequence[str] | None = None) -> Any:
    """Returns the `config` that the command line `argv` describes; a UserError names an unknown flag."""
    parser = Parser(prog=program, description=about)
    add_flags(parser, config)
    return read_flags(parser.parse_args(argv), config)


@dataclasses.dataclass(frozen=True)
class Command:
    """One of several stages behind a door: what runs it, on which config, what it does, and its verb of `reelcheck`."""

    stage: Callable[[Any], object]
    config: type
    text: str
    verb: str


def run_command(program: str, commands: Mapping[str, Command], argv: Sequence[str] | None = None) -> object:
    """Runs the command that `argv` begins with on the flags that follow; prints and returns the path it wrote.

    Returns None where it was only asked which commands there are.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else "--help"
    if name in ("-h", "--help"):
        show("\n".join([f"usage: {program} COMMAND [--flags]", *(f"  {n:<12} {c.text}" for n, c in commands.items())]))
        return None
    if name not in commands:
        raise UserError(f"{name!r} is no command of {program}; take one of {', '.join(commands)}.")
    command = commands[name]
    written = command.stage(parse_flags(f"reelcheck {command.verb}", command.text, command.config, words[1:]))
    show(written)
    return written


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


def _as_typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _kind(hint: Any) -> dict[str, Any]:
    """Returns the argparse arguments that parse a value of the type `hint`."""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if typing.get_origin(hint) is typing.Literal:
        return {"choices": typing.get_args(hint)}
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return {"type": lambda text: tuple(item(part) for part in text.split(",") if part), "metavar": "A,B,..."}
    return {"type": hint, "metavar": {Path: "PATH", int: "N", float: "X"}.get(hint, "NAME")}
