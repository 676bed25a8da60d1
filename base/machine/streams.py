"""A command's standard streams: its caller may have closed them, or lead them to a full disk."""

import io
import os
import sys
from typing import Any, TextIO

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""By the numbers of their descriptors."""


class OutputLost(Exception):
    """Stdout or stderr cannot be written; `error` says why. What comes after is dropped."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error


def prepare_streams() -> None:
    """Makes the streams of a command ready for any name and any end.

    File names may hold any bytes, and a terminal may lack letters. An error while writing becomes OutputLost, which
    nobody takes for one of a file. A stream that the caller closed, for which Python has None, leads to /dev/null.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _replacement(number, mode))
        elif stream is getattr(sys, f"__{name}__"):  # else somebody reads along
            setattr(sys, name, _input(stream) if mode == "r" else _output(stream))


def _input(stream: io.TextIOWrapper) -> TextIO:
    stream.reconfigure(errors="surrogateescape")
    return stream


def _output(stream: io.TextIOWrapper) -> TextIO:
    raw = _Output(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),  # pyright: ignore[reportArgumentType] - as Python does
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Output(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            # Python would write the rest once more at its end, and fail again.
            _lead_to_nowhere(self.fileno())
            raise OutputLost(error) from None


def _replacement(number: int, mode: str) -> Any:
    """Returns a stream that leads to /dev/null, where its descriptor then leads too.

    Else the next file to be opened would get its number, and what C code prints would land in that file.
    """
    try:
        os.fstat(number)  # a file that was opened since has this number; it keeps it
    except OSError:
        _lead_to_nowhere(number)
    return open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123 - a stream, open until the end


def _lead_to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == number:
        os.set_inheritable(number, True)  # worker processes find it closed otherwise
    else:
        os.dup2(nowhere, number)
        os.close(nowhere)
