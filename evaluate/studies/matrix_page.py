"""The page of several data sets crossed: one matrix as a picture, and the tables behind it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from base.files import make_folder, write_json, write_text
from evaluate.page.figures import COLOURS, STYLE
from evaluate.page.markup import element, figure, items, page, page_table, section
from evaluate.page.pictures import saved
from evaluate.page.repeat import repeat_command
from evaluate.page.tables import NOTHING, Cell, Table, value_text, write_tables
from evaluate.results.kinds import kinds_by
from evaluate.results.measures import HALF
from evaluate.stats.bootstrap import ends
from evaluate.stats.metrics import CHANCE
from evaluate.stats.weighted import title_of
from evaluate.studies.matrix import Cell as Crossed
from evaluate.studies.matrix import Matrix

COLUMNS = ("roc_auc", "accuracy", "f1_fake", "f1_real")
CAPTION = (
    "ROC AUC by what a head was trained on (rows) and whose test part it judged (columns), with 95 % intervals over "
    "people. Below them, how often a fake scores above its real counterpart, and the share of clips too unlike those "
    "of training to be called; ? where that is not known. A frame: the head was trained on that data set too."
)


def write_matrix(out: Path, found: Matrix, numbers: str, settings: Mapping[str, Any], name: str) -> Path:
    """Writes the page `name`, its picture and tables, and the file `numbers`, into `out`; returns the page's path.

    `settings` are the flags that repeat it.
    """
    make_folder(out)
    said = list(sentences(found))
    write_json(out / numbers, {"settings": settings, "sentences": said, "matrix": asdict(found)})
    by_kind = kinds_by("trained on, tested on", {f"{one.trained}, {one.tested}": one.kinds for one in found.cells})
    tables = {"matrix": matrix_table(found), "cells": cells_table(found)} | by_kind
    write_tables(out / "tables", tables)
    drawing = saved(matrix_figure(found), make_folder(out / "figures") / "matrix", CAPTION)
    document = page(
        "Reelcheck protocols",
        element("h1", f"{len(found.columns)} data sets crossed"),
        element(
            "p",
            "Numbers in a frame are about footage like that of training. Those outside are nearer to real use, where "
            "nobody knows who made a fake, and how.",
            class_="lead",
        ),
        element("div", items(said), class_="findings"),
        element("div", items(found.notes), class_="notes", role="note"),
        figure(*drawing, class_="full"),
        section("All numbers", page_table(tables["cells"], wide=True)),
        section("Kinds of fake", page_table(tables["kinds"], wide=True)) if by_kind else "",
        section("What test clips share with training, and what else to know", items(_warnings(found))),
        section("How to repeat this", element("pre", repeat_command("protocols", settings))),
    )
    return write_text(out / name, document)


def sentences(found: Matrix) -> Iterator[str]:
    """Yields in words how far heads carry from one data set to another."""
    places = {True: "On the test parts of data sets that it was trained on", False: "On other data sets"}
    for inside, words in places.items():
        cells = [cell for cell in found.cells if cell.inside == inside and cell.clips is not None]
        areas = [cell.measures["roc_auc"] for cell in cells]
        known = [area.value for area in areas if area.value is not None]
        pairs = [cell.paired.share.value for cell in cells if cell.paired.share.value is not None]
        if not known:
            continue
        paired = f", and scores {_span(pairs)} of fakes above their real counterpart" if pairs else ""
        bare = sum(area.value is not None and not ends(area) for area in areas)
        few = f"; {bare} of these {len(known)} areas have no interval, for so few people are tested" if bare else ""
        yield f"{words}, a head reaches ROC AUC {_span(known, '.2f')}{paired}{few}."
    far = [cell.unlike for cell in found.cells if not cell.inside and cell.unlike is not None]
    if far:
        yield f"Of the clips of other data sets, where that is known, {_span(far)} are too unlike to be called."


def _span(values: Sequence[float], form: str = ".0%") -> str:
    low, high = (f"{end(values):{form}}" for end in (min, max))
    return low if low == high else f"{low} to {high}"


@mpl.rc_context(STYLE)
def matrix_figure(found: Matrix) -> Figure:
    """Returns the ROC AUC of each cell with its interval and paired share, darker the better."""
    rows, columns = found.rows, found.columns
    figure = Figure(figsize=(2.2 + 1.75 * len(columns), 0.9 + len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for cell in found.cells:
        _draw_cell(axes, columns.index(cell.tested), rows.index(cell.trained), cell)
    axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0), ylabel="trained on", xlabel="tested on")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.set_xticks([column + 0.5 for column in range(len(columns))], [_short(name) for name in columns])
    axes.set_yticks([row + 0.5 for row in range(len(rows))], [_short(name) for name in rows])
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _draw_cell(axes: Any, x: int, y: int, cell: Crossed) -> None:
    area = cell.measures["roc_auc"]
    better = 0.0 if area.value is None else max(0.0, area.value - CHANCE) / (1 - CHANCE)
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=COLOURS["one"], alpha=0.05 + 0.45 * better))
    if cell.inside:
        frame = (x + 0.03, y + 0.04), 0.94, 0.92
        axes.add_patch(Rectangle(*frame, fill=False, edgecolor=COLOURS["ink"], linewidth=1.4))
    interval = ends(area)
    below = f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "no interval"
    for height, text, size in ((0.3, value_text(area), 13), (0.6, below, 8), (0.8, _pairs_and_unlike(cell), 8)):
        axes.text(x + 0.5, y + height, text, ha="center", va="center", fontsize=size)


def _pairs_and_unlike(cell: Crossed) -> str:
    share = cell.paired.share.value
    pairs, unlike = ("?" if one is None else f"{one:.0%}" for one in (share, cell.unlike))
    return f"pairs {pairs}, unlike {unlike}"


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def matrix_table(found: Matrix) -> Table:
    """Returns the ROC AUC by row and column, as in papers."""
    areas: dict[tuple[str, str], Cell] = {(one.trained, one.tested): one.measures["roc_auc"] for one in found.cells}
    rows = [[row, *(areas.get((row, column), NOTHING) for column in found.columns)] for row in found.rows]
    return Table("ROC AUC, rows by training, columns by test.", ["trained on", *found.columns], rows)


def cells_table(found: Matrix) -> Table:
    """Returns a row for each cell of the matrix."""
    return Table(
        f"Each head on each test part; calls at {HALF}; 95 % intervals over people. The baseline is the head's own "
        "logistic regression.",
        ["trained on", "tested on", "of those trained on", "clips trained on", "real clips", "fake clips", "people",
         *map(title_of, COLUMNS), "paired share", "too unlike to call", "ROC AUC of the baseline"],
        [list(_cells(one)) for one in found.cells],
    )  # fmt: skip


def _cells(one: Crossed) -> Iterator[Cell]:
    yield from (one.trained, one.tested, "yes" if one.inside else "no")
    yield NOTHING if one.clips is None else f"{one.clips:,}"
    yield from (f"{count:,}" for count in (one.real, one.fake, one.people))
    yield from (one.measures[name] for name in COLUMNS)
    yield one.paired.share
    yield NOTHING if one.unlike is None else f"{one.unlike:.0%}"
    yield NOTHING if one.baseline is None else f"{one.baseline:.3f}"


def _warnings(found: Matrix) -> Iterator[object]:
    for name, kind in found.splits.items():
        yield element("span", element("b", name), f": {kind}")
    for cell in found.cells:
        if cell.warnings:
            title = element("b", f"{cell.trained}, tested on {cell.tested}")
            yield element("span", title, f": {' '.join(cell.warnings)}")
