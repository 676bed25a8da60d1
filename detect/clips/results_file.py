"""Writes verdicts: a table for people, CSV and JSON Lines for programs, and a file that a later call continues."""

import contextlib
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from base.cells import harmless
from base.commands import flag
from base.errors import UserError
from base.files import lock, make_folder, sync, writing
from base.machine.disk import flush
from base.outside.content import WrongContent, reading, require_regular
from base.outside.values import MOST_SHOWN
from base.progress import show
from base.text import printable
from detect.clips.judged_by import RUNS_JOIN, JudgedBy, WrittenVerdict, read_line
from detect.detector.band import Band
from detect.detector.verdict import Verdict
from evaluate.results.about_run import AboutRun

Style = Literal["table", "csv", "jsonl"]
KINDS = ("Fake", "Unsure", "Real", "Undecided", "Failed")
"""The verdicts, in the order in which they are counted and offered."""
COLUMNS = (
    "clip",
    "face",
    "faces",
    "verdict",
    "probability",
    "calibrated",
    "coverage",
    "looks_fake_seconds",
    "outcome",
    "reason",
    "note",
    "runs",
    "threshold",
    "most_faces",
    "window",
    "unsure_above",
    "unsure_below",
    "evaluated",
    "roc_auc",
    "roc_auc_low",
    "roc_auc_high",
)
OLDER = COLUMNS[: COLUMNS.index("unsure_above")]
"""The columns of files that were begun before verdicts said how good their run is; such a file goes on with these."""
MOST_LINE = 2**24
"""Bytes of a line that is read; a long clip's timeline has thousands."""
_JSON_START = b'{"clip": "'
TITLE = f"{'verdict':<10} {'p(fake)':>7} {'calibrated':>10} {'coverage':>8}  clip"


def lines(verdicts: Sequence[Verdict], style: Style, by: JudgedBy, columns: Sequence[str] = COLUMNS) -> str:
    """Returns the `verdicts` on one clip as lines, each with its line end; CSV and JSON say who judged in each."""
    if style == "table":
        return "".join(_table_line(verdict) + "\n" for verdict in verdicts)
    if style == "jsonl":
        return "".join(json.dumps(_json_values(verdict, len(verdicts), by)) + "\n" for verdict in verdicts)
    text = io.StringIO()
    rows = (_csv_row(verdict, len(verdicts), by)[: len(columns)] for verdict in verdicts)
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def header(style: Style) -> str:
    """Returns the first line of `style`, "" where it has none."""
    return {"table": TITLE + "\n", "csv": ",".join(COLUMNS) + "\n", "jsonl": ""}[style]


def preface(run: AboutRun, band: Band) -> list[str]:
    """Returns the sentences above verdicts for people: who judges, how good that is, and what its scores are."""
    raw = [] if band.fitted else [f"The scores are raw, not calibrated: {run.why_uncalibrated}."]
    return [run.sentence, *raw, band.sentence]


def fake_spans(verdict: Verdict) -> list[tuple[float, float]]:
    """Returns the spans, in seconds, whose windows look fake; windows that overlap make one span."""
    spans: list[tuple[float, float]] = []
    for window in verdict.timeline:
        if window.probability is None or verdict.band.call(window.probability) != "Fake":
            continue
        if spans and window.start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], window.end)
        else:
            spans.append((window.start, window.end))
    return spans


def _spans(verdict: Verdict) -> str:
    return " ".join(f"{start:.1f}-{end:.1f}" for start, end in fake_spans(verdict))


def _table_line(verdict: Verdict) -> str:
    probability, calibrated = map(_number, (verdict.probability, verdict.calibrated))
    face = f" face {verdict.face}" if verdict.face > 1 else ""
    spans = _spans(verdict)
    notes = [printable(verdict.explanation)] if verdict.reason else []
    notes += ["too close to call"] if verdict.verdict == "Unsure" else []
    notes += [verdict.note] if verdict.note else []
    notes += [f"looks fake at {spans} s"] if spans else []
    comment = f"  ({'; '.join(notes)})" if notes else ""
    return (
        f"{verdict.verdict:<10} {probability or '-':>7} {calibrated or '-':>10} {verdict.coverage:>8.2f}  "
        f"{printable(verdict.clip)}{face}{comment}"
    )


def _json_values(verdict: Verdict, faces: int, by: JudgedBy) -> dict[str, Any]:
    clip = {"clip": printable(verdict.clip), "note": verdict.note}
    return verdict.as_dict() | clip | {"faces": faces} | by.values()


def _csv_row(verdict: Verdict, faces: int, by: JudgedBy) -> list[Any]:
    area = verdict.run.roc_auc
    cells = [
        printable(verdict.clip),
        verdict.face,
        faces,
        verdict.verdict,
        "" if verdict.probability is None else repr(verdict.probability),
        "" if verdict.calibrated is None else repr(verdict.calibrated),
        f"{verdict.coverage:.4f}",
        _spans(verdict),
        verdict.outcome,
        printable(verdict.reason),
        verdict.note,
        RUNS_JOIN.join(by.runs),
        repr(by.threshold),
        by.faces,
        "" if by.window is None else repr(by.window),
        repr(verdict.band.low),
        repr(verdict.band.high),
        "no" if area is None else "yes",
        *(
            "" if value is None else repr(value)
            for value in ((area.value, area.low, area.high) if area else [None] * 3)
        ),
    ]
    return list(map(harmless, cells))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def require_suffix(path: Path) -> None:
    """Raises a UserError unless `path` ends in .csv or .jsonl."""
    if path.suffix not in (".csv", ".jsonl"):
        raise UserError(f"{flag('out', path)} is neither .csv nor .jsonl; give a name that ends in one of them.")


def _require_regular(path: Path) -> None:
    try:
        require_regular(path)
    except WrongContent as error:
        raise UserError(f"{path} is no file of verdicts ({error}); choose another {flag('out')}.") from None


def _to_stderr(text: str) -> None:
    """Prints `text` beside the verdicts, which go to stdout."""
    show(text, beside=True)


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
            lock(self._file.fileno(), path, tell=_to_stderr)
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
        known = {f"{','.join(columns)}\n".encode(): columns for columns in (COLUMNS, OLDER)}
        first = self._file.readline(MOST_LINE)
        if first in known:
            self._columns = known[first]
        elif header(self.style).encode().startswith(first):
            with writing(self.path):
                self._file.truncate(0)
            self._write(header(self.style))
        else:
            raise UserError(f"{self.path} is no file of verdicts; choose another {flag('out')}, or remove it.")

    def _line(self, line: str) -> WrittenVerdict:
        try:
            read = read_line(line, self._columns if self.style == "csv" else None)
        except WrongContent:
            found = printable(line[:MOST_SHOWN].strip())
            raise UserError(
                f"{self.path} holds {found!r}, which is no verdict; choose another {flag('out')}."
            ) from None
        if read.by != self.by:
            different = read.by.differences(self.by)
            raise UserError(f"{self.path} holds verdicts made otherwise ({different}); choose another {flag('out')}.")
        return read
