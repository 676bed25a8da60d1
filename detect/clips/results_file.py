"""Verdicts written down: a table for people, CSV and JSON Lines for programs, and a file to go on with."""

import contextlib
import csv
import fcntl
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from cache.files import writing
from cache.schema import UserError, printable
from detect.detector.verdict import Verdict

Style = Literal["table", "csv", "jsonl"]
COLUMNS = (
    "clip",
    "face",
    "faces",
    "verdict",
    "probability",
    "calibrated",
    "coverage",
    "looks_fake_seconds",
    "reason",
    "judge",
)
TITLE = f"{'verdict':<10} {'p(fake)':>7} {'calibrated':>10} {'coverage':>8}  clip"


def lines(verdicts: Sequence[Verdict], style: Style, judge: str, threshold: float) -> str:
    """Returns the lines, each ended, that say the `verdicts` on one clip by `judge`, whose name goes with each."""
    if style == "table":
        return "".join(_table_line(verdict, threshold) + "\n" for verdict in verdicts)
    if style == "jsonl":
        said = [verdict.as_dict() | {"faces": len(verdicts), "judge": judge} for verdict in verdicts]
        return "".join(json.dumps(values | {"clip": printable(values["clip"])}) + "\n" for values in said)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        _csv_row(verdict, len(verdicts), judge, threshold) for verdict in verdicts
    )
    return text.getvalue()


def header(style: Style) -> str:
    """Returns the line that comes before all others, "" where there is none."""
    return {"table": TITLE + "\n", "csv": ",".join(COLUMNS) + "\n", "jsonl": ""}[style]


def fake_spans(verdict: Verdict, threshold: float) -> list[tuple[float, float]]:
    """Returns the spans in seconds, apart from each other, whose windows look fake."""
    spans: list[tuple[float, float]] = []
    for moment in verdict.timeline:
        if moment.probability is None or moment.probability < threshold:
            continue
        if spans and moment.start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], moment.end)
        else:
            spans.append((moment.start, moment.end))
    return spans


def _spans(verdict: Verdict, threshold: float) -> str:
    return " ".join(f"{start:.1f}-{end:.1f}" for start, end in fake_spans(verdict, threshold))


def _table_line(verdict: Verdict, threshold: float) -> str:
    probability, calibrated = map(_number, (verdict.probability, verdict.calibrated))
    face = f" face {verdict.face}" if verdict.face > 1 else ""
    spans = _spans(verdict, threshold)
    notes = [printable(verdict.reason)] if verdict.reason else []
    notes += [f"looks fake at {spans} s"] if spans else []
    said = f"  ({'; '.join(notes)})" if notes else ""
    return (
        f"{verdict.verdict:<10} {probability or '-':>7} {calibrated or '-':>10} {verdict.coverage:>8.2f}  "
        f"{printable(verdict.clip)}{face}{said}"
    )


def _csv_row(verdict: Verdict, faces: int, judge: str, threshold: float) -> list[Any]:
    return [
        printable(verdict.clip),
        verdict.face,
        faces,
        verdict.verdict,
        "" if verdict.probability is None else repr(verdict.probability),
        "" if verdict.calibrated is None else repr(verdict.calibrated),
        f"{verdict.coverage:.4f}",
        _spans(verdict, threshold),
        printable(verdict.reason),
        judge,
    ]


def _csv_values(line: str) -> dict[str, str]:
    return dict(zip(COLUMNS, next(csv.reader([line], strict=True)), strict=True))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


class ResultFile:
    """A file of verdicts that grows clip by clip and is gone on with after an interruption: each clip is in it once.

    Its name ends in .csv or .jsonl. `verdicts` are those of each clip that is in it. A UserError says why it cannot be.
    """

    def __init__(self, path: Path, judge: str) -> None:
        if path.suffix not in (".csv", ".jsonl"):
            raise UserError(f"--out {path} is neither .csv nor .jsonl; give a name that ends in one of them.")
        self.path, self.judge = path, judge
        self.style: Style = "csv" if path.suffix == ".csv" else "jsonl"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}); choose another --out.") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until the file is closed, or this process ends
            self.verdicts = self._read()
        except BlockingIOError:
            self.close()
            raise UserError(f"{path} is being written by another call; wait for it, or choose another --out.") from None
        except UserError:
            self.close()
            raise

    def of(self, clip: str) -> list[str]:
        """Returns the verdicts on `clip` that are in the file, none if it is not."""
        return self.verdicts.get(printable(clip), [])

    def __contains__(self, clip: object) -> bool:
        return printable(str(clip)) in self.verdicts

    def add(self, verdicts: Sequence[Verdict], threshold: float) -> None:
        """Writes the `verdicts` on one clip, and sees to it that they are on the disk."""
        self._write(lines(verdicts, self.style, self.judge, threshold))
        self.verdicts[printable(verdicts[0].clip)] = [verdict.verdict for verdict in verdicts]

    def close(self) -> None:
        """Lets go of the file."""
        with contextlib.suppress(OSError):  # that what could not be written still cannot be has been told already
            self._file.close()

    def _write(self, text: str) -> None:
        with writing(self.path):
            self._file.write(text.encode())
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self) -> dict[str, list[str]]:
        """Returns what the file says, and cuts off a clip whose lines were not all written."""
        self._file.seek(0)
        start = header(self.style).encode()
        content = self._file.read()
        if start.startswith(content):  # new, or ended within its first line
            self._file.truncate(0)
            self._write(start.decode())
            return {}
        if not content.startswith(start):
            raise UserError(f"{self.path} is no file of verdicts; choose another --out, or remove it.")
        found: dict[str, list[str]] = {}
        verdicts: list[str] = []
        place = whole = len(start)
        for line in content[len(start) :].splitlines(keepends=True):
            place += len(line)
            if not line.endswith(b"\n"):
                break
            values = self._values(line.decode(errors="replace"))
            verdicts.append(values["verdict"])
            if len(verdicts) == values["faces"]:
                found[values["clip"]], verdicts, whole = verdicts, [], place
        self._file.truncate(whole)
        return found

    def _values(self, line: str) -> dict[str, Any]:
        try:
            values = json.loads(line) if self.style == "jsonl" else _csv_values(line)
            read = {"clip": str(values["clip"]), "verdict": str(values["verdict"]), "faces": int(values["faces"])}
            judge = str(values["judge"])
            if read["faces"] < 1:
                raise ValueError
        except (ValueError, KeyError, TypeError, csv.Error, RecursionError):
            shown = printable(line.strip())[:60]
            raise UserError(f"{self.path} holds {shown!r}, which is no verdict; choose another --out.") from None
        if judge != self.judge:
            raise UserError(f"{self.path} holds verdicts by {judge!r}, not by {self.judge!r}; choose another --out.")
        return read
