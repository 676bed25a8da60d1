"""The contact sheet: what the detector saw of a clip, as one picture."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cache.files import replace_with
from cache.schema import FRAMES
from detect.detector import Verdict

COLOURS = {"face": "#009E73", "tracked": "#E69F00", "full_frame": "#999999"}
CAPTIONS = {"face": "face", "tracked": "tracked", "full_frame": "whole frame"}
COLUMNS = 6
CLIPS = 20
"""Clips on one sheet."""
ROWS = FRAMES // COLUMNS


Judged = tuple[Verdict, np.ndarray | None]
"""A verdict, and the clip's crops uint8 (12, 160, 160, 3) if there are any."""


def draw_sheets(path: Path, judged: Iterable[Judged]) -> Iterator[Judged]:
    """Passes `judged` on and draws it on the way: twenty clips on `path`, the next on its name with -2, and so on."""
    held: list[Judged] = []
    number = 1
    for one in judged:
        if len(held) == CLIPS:
            draw_sheet(_numbered(path, number), held)
            held, number = [], number + 1
        held.append(one)
        yield one
    if held:
        draw_sheet(_numbered(path, number), held)


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_stem(f"{path.stem}-{number}")


def draw_sheet(path: Path, judged: Sequence[Judged]) -> Path:
    """Draws the twelve crops of each judged clip with its verdict above; returns `path`.

    Each crop bears its time in the clip and a frame in the colour of what it shows.
    """
    figure = Figure(figsize=(11, 4.6 * len(judged)), layout="constrained")
    blocks = np.atleast_1d(np.array(figure.subfigures(len(judged), 1)))
    for block, (verdict, crops) in zip(blocks, judged, strict=True):
        _draw_block(block, verdict, crops)
    return replace_with(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def _draw_block(block, verdict: Verdict, crops: np.ndarray | None) -> None:
    said = verdict.reason if verdict.probability is None else f"probability of fake {verdict.probability:.3f}"
    block.suptitle(
        f"{verdict.verdict}    {said}    coverage {verdict.coverage:.0%}\n{Path(verdict.clip).name}", fontsize=12
    )
    for i, axes in enumerate(block.subplots(ROWS, COLUMNS).flat):
        axes.set_xticks([])
        axes.set_yticks([])
        if crops is None or i >= len(verdict.frames):
            axes.set_axis_off()
            continue
        frame = verdict.frames[i]
        axes.imshow(crops[i])
        axes.set_xlabel(f"{frame.seconds:.2f} s   {CAPTIONS[frame.status]}", fontsize=9)
        for spine in axes.spines.values():
            spine.set(color=COLOURS[frame.status], linewidth=3)
