"""The stage: a folder of runs -> its index.html, which run is which, how well it does, and where its report is.

Folders may come from elsewhere: each value is read by its type, and a run that is damaged is a line that says so.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np

from base.commands import command
from base.errors import Unreadable, UserError
from base.files import write_text
from base.flags import option
from base.outside.content import NO_FILE, WrongContent, is_regular, read_text
from base.progress import show
from base.text import printable
from cache.profile import Profile
from evaluate.page.markup import Html, drawn, element, page, section, table
from evaluate.page.pictures import inline_svg
from evaluate.page.tables import NOTHING, Cell, aligned, measure_text
from evaluate.page.training_figures import MOST_STYLES, Curve, curves_figure
from evaluate.results.about_run import read_test
from evaluate.stats.bootstrap import Measure
from train.runs.contents import read_history
from train.runs.folder import AUDIT, DONE, ENSEMBLE, newest_first
from train.runs.recipe import Done, RunConfig, read_object, read_recipe

PAGE = "index.html"
TITLE = "Reelcheck runs"
REPORT = Path("report/report.html")
MOST_SHOWN = 60
"""Characters of a cell."""
MOST_RUNS = 500
"""Runs that are listed, the newest."""
MOST_CURVES = 30
"""Runs whose curves are drawn, the newest."""
HUGE = 1e6
"""What no epoch and no loss of a training reaches: a figure of it would show nothing else."""
CURVES = (
    ("val_loss", "Loss on validation", "binary cross-entropy (nats)", False),
    ("val_auc", "ROC AUC on validation", "ROC AUC", True),
)
"""Column, title, axis, and whether higher is better, of each figure."""
DIFFERENT = "Runs with different validation clips cannot be compared by it."
COLUMNS = ("run", "head", "backbone", "data set", "split", "ROC AUC on test", "finished (UTC)", "report")


@dataclass(frozen=True)
class RunsConfig:
    """Which runs to list."""

    runs: Path = option(Path("runs"), "folder of the run folders")


@dataclass(frozen=True)
class Line:
    """A run of the index; `problem` says what is damaged, else it is empty. `area` is known of runs with a report.

    `history` has what is known of its epochs, by column.
    """

    name: str
    created: str
    head: str = NOTHING
    backbone: str = NOTHING
    data: str = NOTHING
    split: str = NOTHING
    area: Measure | None = None
    reported: bool = False
    problem: str = ""
    history: Mapping[str, np.ndarray] = field(default_factory=dict)


def list_runs(config: RunsConfig) -> Path:
    """Prints the runs below a folder, writes their index, and returns the path of its page."""
    if not config.runs.is_dir():
        raise UserError(f"there is no folder {config.runs}; run {command('train')} first, or name one.")
    path, lines = config.runs / PAGE, find_lines(config.runs)
    show(aligned(COLUMNS, [list(map(_text, _cells(one))) for one in lines[:MOST_RUNS]]))
    if not _is_ours(path):
        raise UserError(f"{path} exists but is not an index of runs; move it.")
    return _write(path, lines)


def refresh(runs: Path) -> None:
    """Writes the index of the folder `runs` anew; what cannot be written, or is something else, is left alone."""
    path = runs / PAGE
    with contextlib.suppress(OSError, Unreadable):  # the run that was just made is what counts
        if _is_ours(path):
            _write(path, find_lines(runs))


def _is_ours(path: Path) -> bool:
    """Returns whether `path` may be written: there is nothing, or an earlier index."""
    try:
        return f"<title>{TITLE}</title>" in read_text(path)
    except FileNotFoundError:
        return True
    except (*NO_FILE, WrongContent):
        return False


def find_lines(runs: Path) -> list[Line]:
    """Returns a line for each finished run below `runs`, the newest first; links to runs and unfinished ones have none.

    Of more than `MOST_RUNS` the older ones are only names.
    """
    return [
        _line(folder, _created(folder)) if number < MOST_RUNS else Line(folder.name, _created(folder))
        for number, folder in enumerate(newest_first(runs))
    ]


def _created(folder: Path) -> str:
    """Returns when the run was finished, "" if that cannot be read."""
    try:
        return read_object(folder / DONE, Done).created[:16].replace("T", " ")
    except UserError:
        return ""


def _line(folder: Path, created: str) -> Line:
    try:
        read_object(folder / DONE, Done)
        config = read_recipe(folder)
        split = read_object(folder / AUDIT, _Split).split  # not what was asked for, which may be auto
        area, reported = read_test(folder)[0], is_regular(folder / REPORT)
    except UserError as error:
        return Line(folder.name, created, problem=str(error))
    return Line(
        folder.name,
        created,
        _word(_head(config)),
        _word(config.backbone),
        _word(config.data_set),
        _word(split),
        area and area.measure,
        reported,
        history=_history(folder),
    )


def _history(folder: Path) -> Mapping[str, np.ndarray]:
    try:
        return read_history(folder)
    except UserError:  # the run is listed all the same, and drawn without it
        return {}


@dataclass(frozen=True)
class _Split:
    split: str


def _word(value: object) -> str:
    """Returns what a cell shows of a value that may be anything."""
    return str(value or NOTHING)[:MOST_SHOWN]


def _head(config: RunConfig[Profile]) -> object:
    if config.kind == ENSEMBLE:
        return f"ensemble of {len(config.members)}"
    return config.config.get("head") or config.command or config.kind


def _cells(one: Line) -> Iterator[Cell]:
    if one.problem:
        yield from (one.name, *[NOTHING] * (len(COLUMNS) - 3), one.created or NOTHING, one.problem)
        return
    yield from (one.name, one.head, one.backbone, one.data, one.split)
    yield one.area or (NOTHING if one.reported else "not evaluated")
    yield one.created
    yield str(REPORT) if one.reported else "none yet"


def _text(cell: Cell) -> str:
    return measure_text(cell) if isinstance(cell, Measure) else printable(cell)


def _write(path: Path, lines: Sequence[Line]) -> Path:
    cut = f" The newest {MOST_RUNS:,} of {len(lines):,} are listed." if len(lines) > MOST_RUNS else ""
    count = f"{len(lines):,} run{'s' * (len(lines) != 1)}"
    measured = f"{command('eval', run=path.with_name('NAME'))} measures one, and writes its report."
    caption = f"{count}, the newest first.{cut} {measured}"
    rows = [_row(one) for one in lines[:MOST_RUNS]]
    hint = "Training, sweeps and reports write this page anew."
    listed = table(caption, COLUMNS, rows, wide=True, sortable=True)
    return write_text(
        path, page(TITLE, element("h1", "Runs"), listed, _curves(lines), element("p", hint, class_="lead"))
    )


def _curves(lines: Sequence[Line]) -> Html:
    """Returns the curves of the newest runs that have any over each other, as a section; nothing without one."""
    figures = {}
    for column, title, label, highest in CURVES:
        curves = [curve for one in lines if (curve := _curve(one, column))][:MOST_CURVES]
        if curves:
            named = f"The newest {MOST_STYLES} are named, older ones grey. " if len(curves) > MOST_STYLES else ""
            count = f"{len(curves)} run{'s' * (len(curves) != 1)}"
            best = "highest" if highest else "lowest"
            caption = f"{title}, epoch by epoch, of {count}. {named}A dot marks the {best} of a run. {DIFFERENT}"
            svg = Html(inline_svg(curves_figure(title, label, curves, highest), column.replace("_", "-"), caption))
            figures[column] = caption, svg
    return section("Training", drawn(figures, *figures)) if figures else Html()


def _curve(one: Line, column: str) -> Curve | None:
    """Returns a run's values that can be drawn; None without one."""
    if not {"epoch", column} <= one.history.keys():
        return None
    epochs, values = one.history["epoch"], one.history[column]
    usable = (np.abs(epochs) < HUGE) & (np.abs(values) < HUGE)  # NaN is not
    # A name that begins with an underscore would have no place in the legend.
    return Curve(f" {printable(_word(one.name))}", epochs[usable], values[usable]) if usable.any() else None


def _row(one: Line) -> list[object]:
    *cells, report = _cells(one)
    if one.reported and not one.problem:
        return [*cells, element("a", "report", href=quote(str(Path(one.name) / REPORT)))]
    return [*cells, report]
