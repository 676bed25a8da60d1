"""A file of verdicts that a later call continues."""

import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from base.commands import flag
from base.errors import UserError
from base.files import make_folder, sync, writing
from base.machine.disk import flush
from base.outside.content import WrongContent, reading, require_regular
from base.outside.values import MOST_SHOWN
from base.progress import show
from base.temporary import lock
from base.text import printable
from detect.clips.judged_by import JudgedBy, WrittenVerdict, read_line
from detect.clips.verdict_lines import COLUMNS, OLDER, Style, header, lines
from detect.detector.verdict import Verdict

MOST_LINE = 2**24
"""Bytes of a line that is read; a long clip's timeline has thousands."""
_JSON_START = b'{"clip": "'


def require_suffix(path: Path) -> None:
    """Raises a UserError unless `path` ends in .csv or .jsonl."""
    if path.suffix not in (".csv", ".jsonl"):
        raise UserError(f"{flag('out', path)} is neither .csv nor .jsonl; give a name that ends in one of them.")


def _require_regular(path: Path) -> None:
    try:
        require_regular(path)
    except WrongContent as error:
        raise UserError(f"{path} is not a file of verdicts ({error}); choose another {flag('out')}.") from None


class ResultFile:
    """A file of verdicts that grows clip by clip; the next call continues it, so that each clip is in it once.

    Its name ends in .csv or .jsonl. `verdicts` has those of each clip in the file. A UserError says why the file cannot
    be used.
    """

    def __init__(self, path: Path, by: JudgedBy) -> None:
        require_suffix(path)
        self.path, self.by = path, by
        self.style: Style = "csv" if path.suffix == ".csv" else "jsonl"
        self._columns = COLUMNS
        with writing(path, f"choose another {flag('out')}"):
            make_folder(path.parent)
            if path.exists():
                _require_regular(path)
            self._file = path.open("a+b")
            sync(path.parent)
        try:
            lock(self._file.fileno(), path, tell=partial(show, beside=True))
            self.verdicts = self._read()
        except BlockingIOError:
            self.close()
            raise UserError(
                f"{path} is being written by another call; wait for it, or choose another {flag('out')}."
            ) from None
        except UserError:
            self.close()
            raise

    def of(self, clip: str) -> list[str]:
        """Returns the verdicts on `clip` that are in the file, an empty list if it has none."""
        return self.verdicts.get(printable(clip), [])

    def __contains__(self, clip: object) -> bool:
        return printable(str(clip)) in self.verdicts

    def add(self, verdicts: Sequence[Verdict]) -> None:
        """Writes the `verdicts` on one clip, and waits until they are on the disk."""
        self._write(lines(verdicts, self.style, self.by, self._columns))
        self.verdicts[printable(verdicts[0].clip)] = [verdict.verdict for verdict in verdicts]

    def close(self) -> None:
        """Closes the file."""
        with contextlib.suppress(OSError):  # a failure to write was reported when it happened
            self._file.close()

    def _write(self, text: str) -> None:
        with writing(self.path):
            self._file.write(text.encode())
            self._file.flush()
            flush(self._file.fileno())

    def _read(self) -> dict[str, list[str]]:
        """Returns the verdicts on each clip in the file, and cuts off a clip whose lines were not all written."""
        with reading(self.path):
            clips, whole = self._whole_clips()
        with writing(self.path):
            self._file.truncate(whole)
        return clips

    def _whole_clips(self) -> tuple[dict[str, list[str]], int]:
        """Returns the verdicts on each clip, and where the last whole clip ends."""
        self._file.seek(0)
        if self.style == "csv":
            self._read_header()
        clips: dict[str, list[str]] = {}
        verdicts: list[str] = []
        whole = self._file.tell()
        while line := self._file.readline(MOST_LINE):
            if self._is_cut_off(line):
                break
            read = self._line(line.decode(errors="replace"))
            verdicts.append(read.verdict)
            if len(verdicts) == read.faces:
                clips[read.clip], verdicts, whole = verdicts, [], self._file.tell()
        return clips, whole

    def _is_cut_off(self, line: bytes) -> bool:
        """Returns whether `line` is the beginning of a verdict, as a killed call leaves it."""
        begun = self.style == "csv" or line.startswith(_JSON_START) or _JSON_START.startswith(line)
        return begun and len(line) < MOST_LINE and not line.endswith(b"\n")

    def _read_header(self) -> None:
        """Reads the first line, and writes it into a new file, or into one that ends within it."""
        known = {f"{','.join(columns)}\n".encode(): columns for columns in (COLUMNS, *OLDER)}
        first = self._file.readline(MOST_LINE)
        if first in known:
            self._columns = known[first]
        elif header(self.style).encode().startswith(first):
            with writing(self.path):
                self._file.truncate(0)
            self._write(header(self.style))
        else:
            raise UserError(f"{self.path} is not a file of verdicts; choose another {flag('out')}, or remove it.")

    def _line(self, line: str) -> WrittenVerdict:
        try:
            read = read_line(line, self._columns if self.style == "csv" else None)
        except WrongContent:
            found = printable(line[:MOST_SHOWN].strip())
            raise UserError(
                f"{self.path} holds {found!r}, which is not a verdict; choose another {flag('out')}."
            ) from None
        if read.by != self.by:
            different = read.by.differences(self.by)
            raise UserError(f"{self.path} holds verdicts made otherwise ({different}); choose another {flag('out')}.")
        return read
