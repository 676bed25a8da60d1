"""A sweep's folder -> leaderboard.html and figures: which trials were best, and which values mattered."""

import contextlib
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import matplotlib as mpl
from matplotlib.figure import Figure

from base.commands import command
from base.errors import UserError
from base.files import write_text
from base.flags import option
from base.outside.content import is_regular
from base.outside.values import explained, parse, read_csv, read_json, shown
from evaluate.page.figures import STYLE
from evaluate.page.markup import Html, element, figure, page, scrolling, section, table
from evaluate.page.pictures import saved
from train.sweep.leaderboard import (
    BASELINE,
    COLUMNS,
    LEADERBOARD,
    STATES,
    SUMMARY,
    Summary,
    leaderboard_rows,
    states_text,
)

if TYPE_CHECKING:
    import optuna

PAGE = "leaderboard.html"
HEADINGS = {
    "rank": "rank", "trial": "trial", "state": "how it ended", "val_auc": "ROC AUC on validation",
    "val_auc_error": "standard error", "val_loss": "loss on validation", "head": "head", "units": "units",
    "differences": "frame differences", "learning_rate": "learning rate", "dropout": "dropout",
    "weight_decay": "weight decay", "epochs": "epochs", "best_epoch": "best epoch", "seed": "seed", "reason": "reason",
}  # fmt: skip
"""What the columns of the leaderboard are called on the page."""
HISTORY = (
    "Each point is a finished trial; the line is the best so far. The best of many trials looks better than it is."
)
IMPORTANCE = (
    "How much of the differences between trials in ROC AUC on validation each value explains (functional analysis of "
    "variance)."
)
NO_IMPORTANCE = (
    "Which value makes the difference cannot be told: too few trials were finished, or all are equally good."
)
PARALLEL = "Each line is a finished trial, from value to value; darker: higher ROC AUC."
RUNNING = "The sweep is running, or was interrupted here: this page is written anew while trials end."
OVER = "The best are runs of their own."
MOST_TRIALS = 1000
"""Trials that the page lists."""
NUMBERS = ("learning_rate", "dropout", "weight_decay")
VALUES = ("head", "units", "differences", *NUMBERS)
"""Columns of what the sweep chose."""
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
    return _write(config.sweep, _rows(config.sweep / LEADERBOARD), _summary(config.sweep / SUMMARY))


def draw_running_sweep(sweep: Path, ranked: Sequence[Mapping[str, Any]], summary: Summary, wanted: int) -> None:
    """Writes the page of a sweep that runs, of its trials `ranked` so far, best first; `wanted` are to come in all."""
    rows = [dict(zip(map(str, COLUMNS), map(_as_text, row), strict=True)) for row in leaderboard_rows(ranked)]
    with contextlib.suppress(OSError):  # the trials are what counts
        _write(sweep, rows, summary, wanted)


def _as_text(value: object) -> str:
    """Returns `value` as it is in the CSV file."""
    return "" if value is None else str(value)


def _write(sweep: Path, rows: Sequence[Mapping[str, str]], summary: Summary, wanted: int = 0) -> Path:
    complete = [row for row in rows if row["state"] == "complete"]
    drawings: list[Html] = []
    for name, drawing, caption in _figures(complete, summary) if complete else ():
        caption, svg = saved(drawing, sweep / name, caption)
        # As wide as the page; it scrolls where the page is narrow.
        drawings.append(figure(caption, scrolling(svg, caption), class_="full"))
    if not _explains(summary) and not wanted:
        drawings.append(element("p", NO_IMPORTANCE))
    return write_text(sweep / PAGE, _page(sweep, rows, summary, drawings, wanted))


def _summary(path: Path) -> Summary:
    with explained(path, "JSON", f"run {command('sweep')} again to write it"):
        return parse(Summary, read_json(path))


def _rows(path: Path) -> list[dict[str, str]]:
    """Returns the trials of the leaderboard `path`; a UserError names the line of one without its numbers."""
    again, rows = f"run {command('sweep')} again to write it", []
    with explained(path, "CSV", again):
        lines = list(read_csv(path, COLUMNS))
    for line, row in lines:
        needed = {"complete": MEASURED, BASELINE: ("val_auc",)}.get(row["state"], ())
        if wrong := [name for name in needed if not _is_number(row[name], above_zero=name in LOGARITHMIC)]:
            raise UserError(
                f"{path}, line {line}: the {wrong[0]} {shown(row[wrong[0]])} is not a valid number; {again}."
            )
        rows.append(row)
    return rows


def _is_number(text: str, *, above_zero: bool) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return math.isfinite(number) and (number > 0 or not above_zero)


def _page(
    sweep: Path, rows: Sequence[Mapping[str, str]], summary: Summary, drawings: Sequence[Html], wanted: int
) -> str:
    name = sweep.resolve().name
    title = name if "sweep" in name.lower() else f"Sweep {name}"
    where = f"by the mean over {summary.folds} folds by person" if summary.folds > 1 else "on validation"
    hint = (
        f"Trials are ranked {where}, and ties by the loss; the best of many looks better than it is. Only the test "
        "part of its run says how good it is. Differences within two standard errors mean little."
    )
    trials = states_text([row["state"] for row in rows if row["state"] != BASELINE], wanted)
    links = _links(sweep, rows, summary)
    first, second, *others = (name for name in HEADINGS if any(row[name] for row in rows))
    cells = [
        [row[first], row[second], links.get(row["trial"], ""), *(_rounded(row[name]) for name in others)]
        for row in rows[:MOST_TRIALS]
    ]
    columns = [HEADINGS[first], HEADINGS[second], "run", *(HEADINGS[name] for name in others)]
    cut = f" The best {MOST_TRIALS:,} are listed; {LEADERBOARD} has all." if len(rows) > MOST_TRIALS else ""
    what = f"means over {summary.folds} folds by person" if summary.folds > 1 else "on validation"
    caption = f"ROC AUC with its standard error, and loss: {what}; the baseline among them.{cut}"
    return page(
        f"Reelcheck: {title}",
        element("h1", title),
        element("p", f"{trials}. {RUNNING if wanted else OVER} {summary.conclusion}".strip()),
        element("p", hint),
        section("Which values mattered", *drawings),
        section("Trials, best first", table(caption, columns, cells, wide=True, sortable=True)),
    )


def _links(sweep: Path, rows: Sequence[Mapping[str, str]], summary: Summary) -> dict[str, Html]:
    """Returns a link to each run of the best trials, to its report where it has one, by the trial's number."""
    complete = [row["trial"] for row in rows if row["state"] == "complete"]
    links = {}
    for trial, run in zip(complete, summary.runs, strict=False):
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


def _figures(rows: Sequence[Mapping[str, str]], summary: Summary) -> Iterator[tuple[str, Figure, str]]:
    """Yields name, figure and caption of Optuna's figures of the finished trials `rows`."""
    import optuna
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as drawn

    class Known(optuna.importance.BaseImportanceEvaluator):
        """The importances that the sweep found, in its own study."""

        def evaluate(self, *_: object, **__: object) -> dict[str, float]:
            return {HEADINGS.get(name, name): share for name, share in summary.importances.items()}

    study, target = _study(rows), HEADINGS["val_auc"]
    draw = {"history": (lambda: drawn.plot_optimization_history(study, target_name=target), HISTORY)}
    if _explains(summary):
        draw["importance"] = (
            lambda: drawn.plot_param_importances(study, evaluator=Known(), target_name=target),
            IMPORTANCE,
        )
    draw["parallel"] = (lambda: drawn.plot_parallel_coordinate(study, target_name=target), PARALLEL)
    for name, (make, caption) in draw.items():
        with mpl.rc_context(STYLE), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # it has been that since 2020
            figure = make().get_figure(root=True)
            assert figure is not None
            pyplot.close(figure)  # which pyplot would keep
            figure.set_size_inches(9.6, 4)
            figure.set_layout_engine("tight")
            yield name, figure, caption


def _explains(summary: Summary) -> bool:
    """Whether any value explains anything: without that the figure would be empty."""
    return any(share > 0 for share in summary.importances.values())


def _study(rows: Sequence[Mapping[str, str]]) -> "optuna.Study":
    """Returns the finished trials `rows` as a study, its values called as on the page."""
    import optuna

    study = optuna.create_study(direction="maximize")
    kinds = {name: _kind([row[name] for row in rows], name) for name in VALUES if len({row[name] for row in rows}) > 1}
    for row in sorted(rows, key=lambda row: int(row["trial"])):
        values = {name: float(row[name]) if name in NUMBERS else row[name] for name in kinds}
        study.add_trial(
            optuna.trial.create_trial(
                params={HEADINGS[name]: value for name, value in values.items()},
                distributions={HEADINGS[name]: kind for name, kind in kinds.items()},
                value=float(row["val_auc"]),
            )
        )
    return study


def _kind(texts: Sequence[str], name: str) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if name in NUMBERS:
        return FloatDistribution(min(map(float, texts)), max(map(float, texts)), log=name in LOGARITHMIC)
    names = sorted(set(texts))
    return CategoricalDistribution(sorted(names, key=len))  # so that numbers ascend
