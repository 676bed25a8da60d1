"""The contact sheet: one picture with the crops a verdict rests on and, if asked for, how much each of them counts."""

import math
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure

from base.files import replace_with, writing
from base.text import printable
from cache.schema import CROP_SIZE
from detect.clips.evidence import Evidence
from detect.clips.verdict_lines import preface
from detect.detector.verdict import Verdict

COLOURS = {"face": "#009E73", "tracked": "#E69F00", "full_frame": "#999999", "lost": "#CC79A7"}
BANNERS = {"Fake": "#b34700", "Unsure": "#5c5c5c", "Real": "#005a8c", "Undecided": "#5c5c5c", "Failed": "#5c5c5c"}
"""The colour behind each verdict, on which white can be read."""
CAPTIONS = {"face": "face", "tracked": "tracked", "full_frame": "whole frame", "lost": "face lost"}
FOR_FAKE, FOR_REAL = "#d55e00", "#0072b2"
COLUMNS = 6
FULL_DROP = 0.25
"""The change of the score that is drawn in full colour, and that the bars have room for: half of the way to 0.5."""
LEAST_DROP = 0.02
"""A change of the score by less than this decides nothing."""
WHAT_BARS_SAY = (
    "How far the score of fake falls when a frame is covered. The tint of the crops says the same of their parts:\n"
    f"orange counts for fake, blue for real, in full colour from {FULL_DROP:g} on."
)
NOTHING_DECIDES = f"No frame decides alone: covering one changes the score of fake by less than {LEAST_DROP:g}."
CLIPS = 20
"""Clips on one sheet."""
ROW_INCHES, BAR_INCHES, TITLE_INCHES, LINE_INCHES = 2.0, 2.0, 0.6, 0.18
LINE_LETTERS = 140


@dataclass(frozen=True, eq=False)
class Judged:
    """A verdict, its crops uint8 (12, 160, 160, 3) unless it failed, and the evidence in them if that was asked for."""

    verdict: Verdict
    crops: np.ndarray | None
    evidence: Evidence | None = None


class Sheets:
    """Draws contact sheets as they fill: twenty clips on x.png, the next twenty on x-2.png, and so on."""

    def __init__(self, path: Path) -> None:
        self._path, self._number = path, 1
        self._pending: list[Judged] = []

    def add(self, one: Judged) -> None:
        """Adds `one` clip; draws the sheet first if it is full."""
        if len(self._pending) == CLIPS:
            self.close()
        self._pending.append(one)

    def close(self) -> None:
        """Draws the last sheet."""
        if self._pending:
            stem = self._path.stem if self._number == 1 else f"{self._path.stem}-{self._number}"
            draw_sheet(self._path.with_stem(stem), self._pending)
            self._pending, self._number = [], self._number + 1


def draw_sheet(path: Path, judged: Sequence[Judged]) -> Path:
    """Draws the twelve crops of each judged clip with its verdict above, and at the top who judged; returns `path`.

    Under each crop stands its time in the clip; an edge in colour says that it shows something else than a face found.
    """
    about = _about(judged[0].verdict)
    ratios = [_rows(one) * ROW_INCHES + _has_bars(one) * BAR_INCHES + TITLE_INCHES for one in judged]
    ratios = [LINE_INCHES * (about.count("\n") + 2), *ratios]
    figure = Figure(figsize=(11, sum(ratios)), layout="constrained")
    top, *blocks = np.atleast_1d(np.array(figure.subfigures(len(ratios), 1, height_ratios=ratios)))
    top.text(0.5, 0.5, about, ha="center", va="center", fontsize=10, parse_math=False)
    for block, one in zip(blocks, judged, strict=True):
        _draw_block(block, one)
    with writing(path.parent), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the font draws characters that it lacks as boxes
        return replace_with(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def _about(verdict: Verdict) -> str:
    """What stands at the top of a sheet: reasons not to believe it, which run judged and how good that is."""
    sentences = (verdict.run.warning, *preface(verdict.run, verdict.band))
    return "\n".join(line for sentence in sentences for line in textwrap.wrap(sentence, LINE_LETTERS))


def _rows(judged: Judged) -> int:
    """Rows of crops: a picture needs one, what could not be read none."""
    return 0 if judged.crops is None else math.ceil(len(judged.verdict.frames) / COLUMNS)


def _has_bars(judged: Judged) -> bool:
    """Whether bars over time are drawn: the evidence in one frame has no time."""
    return judged.evidence is not None and len(judged.verdict.frames) > 1


def _draw_block(block: SubFigure, judged: Judged) -> None:
    verdict = judged.verdict
    explanation = printable(verdict.explanation)
    if verdict.probability is not None:
        explanation = f"{verdict.reason}\n" * bool(verdict.reason) + f"score of fake {verdict.probability:.3f}"
    if verdict.calibrated is not None:
        explanation += f", calibrated {verdict.calibrated:.3f}"
    face = f"    face {verdict.face}" if verdict.face > 1 else ""
    note = f"    ({verdict.note})" if verdict.note else ""
    coverage = "" if judged.crops is None else f"    coverage {verdict.coverage:.0%}"
    name = printable(Path(verdict.clip).name)
    if judged.crops is None:
        _draw_banner(block, verdict, verdict.words, f"{name}\n{explanation}")
        return
    bars = _has_bars(judged) * BAR_INCHES
    top, block = np.array(block.subfigures(2, 1, height_ratios=(TITLE_INCHES, _rows(judged) * ROW_INCHES + bars)))
    _draw_banner(top, verdict, verdict.words, f"{name}\n{explanation}{coverage}{face}{note}")
    if judged.evidence and _has_bars(judged):
        block, below = np.array(block.subfigures(2, 1, height_ratios=(_rows(judged) * ROW_INCHES, BAR_INCHES)))
        _draw_time(below.subplots(), verdict, judged.evidence)
    for i, axes in enumerate(block.subplots(_rows(judged), COLUMNS, squeeze=False).flat):
        axes.set_xticks([])
        axes.set_yticks([])
        if i >= len(verdict.frames):
            axes.set_axis_off()
            continue
        frame = verdict.frames[i]
        if frame.status == "lost":
            axes.set(facecolor="#eeeeee", box_aspect=1)
            axes.text(0.5, 0.5, "not judged", ha="center", va="center", transform=axes.transAxes, fontsize=9)
        else:
            axes.imshow(judged.crops[i])
            if judged.evidence:
                _draw_regions(axes, judged.evidence, i)
        axes.set_xlabel(f"{frame.seconds:.2f} s   {CAPTIONS[frame.status]}", fontsize=9)
        # An edge marks what is not simply a face: green around a fake would read as approval.
        plain = frame.status == "face"
        for spine in axes.spines.values():
            spine.set(color="#d0d0d0" if plain else COLOURS[frame.status], linewidth=1 if plain else 3)


def _draw_banner(banner: SubFigure, verdict: Verdict, words: str, details: str) -> None:
    """Writes the verdict on its colour, and beside it the clip's name and what is known of it."""
    banner.set_facecolor(BANNERS[verdict.verdict])
    kind: dict[str, Any] = {"color": "white", "va": "center", "parse_math": False}
    banner.text(0.015, 0.5, words, fontsize=15, fontweight="bold", **kind)
    banner.text(0.985, 0.5, details, fontsize=10, ha="right", **kind)


def _draw_regions(axes: Axes, evidence: Evidence, frame: int) -> None:
    """Tints the regions of a crop: orange counts for fake, blue for real, on the scale of the score."""
    regions = evidence.regions[frame]
    colours = np.where((regions > 0)[..., None], to_rgb(FOR_FAKE), to_rgb(FOR_REAL))
    opaque = 0.6 * np.minimum(np.abs(regions)[..., None] / FULL_DROP, 1)
    axes.imshow(np.concatenate([colours, opaque], axis=2), extent=(-0.5, CROP_SIZE - 0.5, CROP_SIZE - 0.5, -0.5))


def _draw_time(axes: Axes, verdict: Verdict, evidence: Evidence) -> None:
    """Draws how much each frame counts, and the score of each window where the clip was judged in windows."""
    seconds = np.array([frame.seconds for frame in verdict.frames])
    width = 0.6 * float(np.median(np.diff(seconds))) if len(seconds) > 1 and seconds[-1] > seconds[0] else 0.1
    colours = [FOR_FAKE if value > 0 else FOR_REAL for value in evidence.frames]
    axes.bar(seconds, evidence.frames, width=width, color=colours)
    axes.axhline(0, color="#666666", linewidth=0.8)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -FULL_DROP), max(high, FULL_DROP))
    axes.set_xlabel("time in the clip, seconds", fontsize=9)
    axes.set_ylabel("counts for fake (up)\nor real (down)", fontsize=9)
    axes.tick_params(labelsize=8)
    decides = np.abs(evidence.frames).max() >= LEAST_DROP
    axes.set_title(WHAT_BARS_SAY if decides else NOTHING_DECIDES, fontsize=9)
    judged = [window for window in verdict.timeline if window.probability is not None]
    if judged:
        score = axes.twinx()
        middles = [(window.start + window.end) / 2 for window in judged]
        score.plot(middles, [window.probability or 0.0 for window in judged], color="#333333", marker="o", markersize=3)
        score.set_ylim(0, 1)
        score.set_ylabel("probability of fake\nof the window", fontsize=9)
        score.tick_params(labelsize=8)
