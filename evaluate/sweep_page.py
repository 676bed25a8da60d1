"""A sweep's folder -> leaderboard.html and figures: which trials were best, and which values mattered."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from base.commands import command
from base.errors import UserError
from base.files import write_text
from base.flags import option
from base.outside.content import NO_FILE, WrongContent, is_regular, read_json
from base.outside.values import Between, PathText, WrongValue, parse, shown
from evaluate.page.figures import COLOURS, STYLE, inline_svg, save
from evaluate.page.markup import Html, element, page, safe, scrolling, section, table
from evaluate.page.tables import readable
from train.runs.predictions import read_rows
from train.sweep.leaderboard import COLUMNS, LEADERBOARD, STATES, SUMMARY, states_text

PAGE = "leaderboard.html"
HEADINGS = {
    "rank": "rank", "trial": "trial", "state": "how it ended", "val_auc": "ROC AUC on validation",
    "val_auc_error": "standard error", "val_loss": "loss on validation", "head": "head", "units": "units",
    "differences": "frame differences", "learning_rate": "learning rate", "dropout": "dropout",
    "weight_decay": "weight decay", "epochs": "epochs", "best_epoch": "best epoch", "seed": "seed", "reason": "reason",
}  # fmt: skip
"""What the columns of the leaderboard are called on the page."""
IMPORTANCE = (
    "How much of the differences between trials in ROC AUC on validation each value explains (functional analysis of "
    "variance)."
)
PARALLEL = "Each line is a finished trial, from value to value; thicker and darker: higher ROC AUC."
MOST_TRIALS = 1000
"""Trials that the page lists."""
NUMBERS = ("learning_rate", "dropout", "weight_decay")
MEASURED = ("units", *NUMBERS, "val_auc")
"""Columns in which a finished trial has a number; the others have names."""
LOGARITHMIC = ("learning_rate", "weight_decay")


@dataclass(frozen=True)
class LeaderboardConfig:
    """Which sweep to show."""

    sweep: Path = option(Path("sweeps/sweep"), "folder of the sweep")


def write_leaderboard_page(config: LeaderboardConfig) -> Path:
    """Writes the page and its figures into the sweep's folder; returns the page's path.

    Raises a UserError that says what the folder lacks.
    """
    rows = _rows(config.sweep / LEADERBOARD)
    summary = _summary(config.sweep / SUMMARY)
    complete = [row for row in rows if row["state"] == "complete"]
    figures = {"importance": (importance_figure(summary.importances), IMPORTANCE)}
    if complete:
        figures["parallel"] = (parallel_figure(complete), PARALLEL)
    for name, (figure, _) in figures.items():
        save(figure, config.sweep / name)
    drawings = [_drawing(name, figure, caption) for name, (figure, caption) in figures.items()]
    return write_text(config.sweep / PAGE, readable(_page(config.sweep, rows, summary, drawings)))


def _drawing(name: str, figure: Figure, caption: str) -> Html:
    """Returns a figure as wide as the page, which scrolls where the page is narrow."""
    svg = scrolling(Html(inline_svg(figure, name, safe(caption))), caption)
    return element("figure", svg, element("figcaption", caption), class_="full")


@dataclass(frozen=True)
class _Summary:
    """What the page shows of `SUMMARY`."""

    importances: dict[str, Annotated[float, Between(0, 1 + 1e-6)]]
    runs: list[PathText] = field(default_factory=list)


def _summary(path: Path) -> _Summary:
    try:
        return parse(_Summary, read_json(path), extra=True)
    except (*NO_FILE, WrongContent, WrongValue) as error:
        raise UserError(
            f"{path} does not describe a sweep ({error}); run {command('sweep')} again to write it."
        ) from None


def _rows(path: Path) -> list[dict[str, str]]:
    """Returns the trials of the leaderboard `path`; a UserError names the line of one without its numbers."""
    rows = []
    for line, row in read_rows(path, COLUMNS):
        needed = MEASURED if row["state"] == "complete" else ()
        if wrong := [name for name in needed if not _is_number(row[name], above_zero=name in LOGARITHMIC)]:
            raise UserError(
                f"{path}, line {line}: the {wrong[0]} {shown(row[wrong[0]])} is no number that it can be; run "
                f"{command('sweep')} again to write it."
            )
        rows.append(row)
    return rows


def _is_number(text: str, *, above_zero: bool) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return math.isfinite(number) and (number > 0 or not above_zero)


def _page(sweep: Path, rows: Sequence[Mapping[str, str]], summary: _Summary, drawings: Sequence[Html]) -> str:
    name = sweep.resolve().name
    title = name if "sweep" in name.lower() else f"Sweep {name}"
    hint = (
        "Trials are ranked on validation, where the best of many looks better than it is. Only the test part of its "
        "run says how good it is. Differences within two standard errors mean little."
    )
    links = _links(sweep, rows, summary)
    first, second, *others = (name for name in HEADINGS if any(row[name] for row in rows))
    cells = [
        [row[first], row[second], links.get(row["trial"], ""), *(_rounded(row[name]) for name in others)]
        for row in rows[:MOST_TRIALS]
    ]
    columns = [HEADINGS[first], HEADINGS[second], "run", *(HEADINGS[name] for name in others)]
    cut = f" The best {MOST_TRIALS:,} are listed; {LEADERBOARD} has all." if len(rows) > MOST_TRIALS else ""
    caption = f"ROC AUC on validation, with its standard error.{cut}"
    return page(
        f"Reelcheck: {title}",
        element("h1", title),
        element("p", f"{states_text([row['state'] for row in rows])}. The best are runs of their own."),
        element("p", hint),
        section("Which values mattered", *drawings),
        section("Trials, best first", table(caption, columns, cells, wide=True, sortable=True)),
    )


def _links(sweep: Path, rows: Sequence[Mapping[str, str]], summary: _Summary) -> dict[str, Html]:
    """Returns a link to each run of the best trials, to its report where it has one, by the trial's number."""
    complete = [row["trial"] for row in rows if row["state"] == "complete"]
    links = {}
    for trial, run in zip(complete, map(Path, summary.runs), strict=False):
        page = run / "report" / "report.html"
        target = os.path.relpath(page if is_regular(page) else run, sweep)
        links[trial] = element("a", run.name, href=quote(target))
    return links


def _rounded(text: str) -> str:
    """Returns a number with four digits, a switch or a trial's end in words, other text as it is."""
    if text in ("True", "False"):
        return "yes" if text == "True" else "no"
    if text in STATES:
        return STATES[text]
    try:
        return text if text.lstrip("-").isdigit() else f"{float(text):.4g}"
    except ValueError:
        return text


@mpl.rc_context(STYLE)
def importance_figure(importances: Mapping[str, float]) -> Figure:
    """Returns a bar per value: the share of the differences between trials that it explains."""
    figure = Figure(figsize=(9.6, 2.4), layout="constrained")
    axes = figure.add_subplot(title="What makes the difference")
    names = sorted(importances, key=lambda name: importances[name])
    if names:
        axes.barh(
            [HEADINGS.get(name, name) for name in names], [importances[name] for name in names], color=COLOURS["one"]
        )
    else:
        lack = "cannot be told: too few trials were finished, or all are equally good"
        axes.text(0.5, 0.5, lack, ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
    axes.set(xlim=(0, 1), xlabel="share of the differences that it explains")
    axes.grid(visible=False, axis="y")
    return figure


@mpl.rc_context(STYLE)
def parallel_figure(rows: Sequence[Mapping[str, str]]) -> Figure:
    """Returns one line per trial across its values, darker for a higher ROC AUC; axes span lowest to highest."""
    columns = [name for name in ("head", "units", "differences", *NUMBERS) if len({row[name] for row in rows}) > 1]
    columns.append("val_auc")
    figure = Figure(figsize=(9.6, 5.2), layout="constrained")
    axes = figure.add_subplot(title="Finished trials")
    heights = np.array([_heights([row[name] for row in rows], name) for name in columns]).T
    order = np.argsort(heights[:, -1])
    for rank, line in enumerate(order):
        strength = (rank + 1) / len(order)
        axes.plot(heights[line], color=COLOURS["one"], alpha=0.1 + 0.8 * strength**2, linewidth=0.8 + 1.4 * strength**4)
    for column, name in enumerate(columns):
        _label_axis(axes, column, [row[name] for row in rows], numbers=name in MEASURED)
    axes.set_xticks(range(len(columns)), [HEADINGS[name] for name in columns])
    axes.set(ylim=(-0.12, 1.12), yticks=[], xlim=(-0.5, len(columns) - 0.5))
    axes.spines["left"].set_visible(False)
    return figure


def _heights(texts: Sequence[str], name: str) -> np.ndarray:
    """Returns each value scaled so that the lowest is 0 and the highest 1; names count in alphabetical order."""
    if name in MEASURED:
        values = np.array([float(text) for text in texts])
    else:
        names = sorted(set(texts))
        values = np.array([names.index(text) for text in texts], float)
    values = np.log(values) if name in LOGARITHMIC else values
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread else np.full(len(values), 0.5)


def _label_axis(axes: Axes, column: int, texts: Sequence[str], *, numbers: bool) -> None:
    """Writes the lowest and the highest value at both ends of an axis."""
    low, high = (f"{value(map(float, texts)):.3g}" if numbers else value(texts) for value in (min, max))
    for height, text, side in ((-0.03, low, "top"), (1.03, high, "bottom")):
        axes.text(column, height, text, ha="center", va=side, fontsize=8)
