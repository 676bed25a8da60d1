"""Verdicts as lines: a table for people, CSV and JSON Lines for programs."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from base.text import harmless, printable
from detect.clips.judged_by import RUNS_JOIN, JudgedBy
from detect.detector.verdict import Verdict, failed
from evaluate.results.about_run import AboutRun
from evaluate.stats.band import Band

Style = Literal["table", "csv", "jsonl"]
KINDS = ("Fake", "Unsure", "Real", "Undecided", "Failed")
"""The verdicts, in the order in which they are counted and offered."""
TITLE = f"{'verdict':<10} {'p(fake)':>7} {'calibrated':>10} {'coverage':>8}  clip"


def fake_spans(verdict: Verdict) -> list[tuple[float, float]]:
    """Returns the spans, in seconds, whose windows look fake; windows that overlap make one span."""
    spans: list[tuple[float, float]] = []
    for window in verdict.timeline:
        if window.probability is None or verdict.is_unlike or verdict.band.call(window.probability) != "Fake":
            continue
        if spans and window.start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], window.end)
        else:
            spans.append((window.start, window.end))
    return spans


def _spans(verdict: Verdict) -> str:
    return " ".join(f"{start:.1f}-{end:.1f}" for start, end in fake_spans(verdict))


def _cells(verdict: Verdict, faces: int, by: JudgedBy) -> dict[str, Any]:
    """Returns the cells of a row of CSV, by column."""
    area, beside = verdict.run.roc_auc, verdict.beside
    return {
        "clip": printable(verdict.clip),
        "face": verdict.face,
        "faces": faces,
        "verdict": verdict.verdict,
        "probability": _exact(verdict.probability),
        "calibrated": _exact(verdict.calibrated),
        "coverage": f"{verdict.coverage:.4f}",
        "looks_fake_seconds": _spans(verdict),
        "outcome": verdict.outcome,
        "reason": printable(verdict.reason),
        "note": verdict.note,
        "runs": RUNS_JOIN.join(by.runs),
        "threshold": _exact(by.threshold),
        "most_faces": by.faces,
        "window": _exact(by.window),
        "unsure_above": _exact(verdict.band.low),
        "unsure_below": _exact(verdict.band.high),
        "evaluated": "yes" if area else "no",
        "roc_auc": _exact(area and area.value),
        "roc_auc_low": _exact(area and area.low),
        "roc_auc_high": _exact(area and area.high),
        "distance": _exact(verdict.distance),
        "reference": by.reference,
        "p_value": _exact(beside and beside.p_value),
    }


def _exact(value: float | None) -> str:
    return "" if value is None else repr(value)


COLUMNS = tuple(_cells(failed("", "", ""), 1, JudgedBy((), 0.5)))
OLDER = tuple(COLUMNS[: COLUMNS.index(first)] for first in ("unsure_above", "distance"))
"""The columns of files that were begun before verdicts said how good their run is, or how far a clip lies from its
training clips; such a file goes on with these."""


def lines(verdicts: Sequence[Verdict], style: Style, by: JudgedBy, columns: Sequence[str] = COLUMNS) -> str:
    """Returns the `verdicts` on one clip as lines, each with its line end; CSV and JSON say who judged in each."""
    if style == "table":
        return "".join(line + "\n" for verdict in verdicts for line in (_table_line(verdict), *_window_lines(verdict)))
    if style == "jsonl":
        return "".join(json.dumps(json_values(verdict, len(verdicts), by)) + "\n" for verdict in verdicts)
    text = io.StringIO()
    rows = (list(_cells(verdict, len(verdicts), by).values())[: len(columns)] for verdict in verdicts)
    csv.writer(text, lineterminator="\n").writerows(map(harmless, row) for row in rows)
    return text.getvalue()


def header(style: Style) -> str:
    """Returns the first line of `style`, "" where it has none."""
    return {"table": TITLE + "\n", "csv": ",".join(COLUMNS) + "\n", "jsonl": ""}[style]


def preface(run: AboutRun, band: Band) -> list[str]:
    """Returns the sentences above verdicts for people: who judges, how good that is, and what its scores are."""
    raw = [] if band.fitted else [f"The scores are raw, not calibrated: {run.why_uncalibrated}."]
    return [run.sentence, *raw, band.sentence]


def _table_line(verdict: Verdict) -> str:
    probability, calibrated = map(_number, (verdict.probability, verdict.calibrated))
    face = f" face {verdict.face}" if verdict.face > 1 else ""
    spans = _spans(verdict)
    notes = [printable(verdict.explanation)] if verdict.reason else []
    notes += ["too close to call"] if verdict.verdict == "Unsure" and not verdict.reason else []
    notes += [verdict.note] if verdict.note else []
    notes += [f"looks fake at {spans} s"] if spans else []
    comment = f"  ({'; '.join(notes)})" if notes else ""
    return (
        f"{verdict.verdict:<10} {probability or '-':>7} {calibrated or '-':>10} {verdict.coverage:>8.2f}  "
        f"{printable(verdict.clip)}{face}{comment}"
    )


def _window_lines(verdict: Verdict) -> Iterator[str]:
    """Yields a line for each window of a long clip."""
    for window in verdict.timeline:
        called = "-" if window.probability is None or verdict.is_unlike else verdict.band.call(window.probability)
        seconds = f"  {window.start:.1f} to {window.end:.1f} s"
        yield f"  {called:<8} {_number(window.probability) or '-':>7} {'':>10} {window.coverage:>8.2f}{seconds}"


def json_values(verdict: Verdict, faces: int, by: JudgedBy) -> dict[str, Any]:
    """Returns what a line of JSON says of one of the `faces` judged in a clip."""
    clip = {"clip": printable(verdict.clip), "note": verdict.note}
    return verdict.as_dict() | clip | {"faces": faces} | by.values()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
