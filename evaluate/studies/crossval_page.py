"""The page of a cross-validation, its tables and its numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from base.files import make_folder, write_json, write_text
from evaluate.page.figures import COLOURS, STYLE
from evaluate.page.markup import element, figure, items, page, page_table, section
from evaluate.page.pictures import saved
from evaluate.page.repeat import repeat_command
from evaluate.page.tables import Table, write_tables
from evaluate.results.calls import Calls, of_classes
from evaluate.results.kinds import kinds_sentence, kinds_table
from evaluate.results.measures import BASELINE, HEAD
from evaluate.stats.band import band_around
from evaluate.stats.bootstrap import Measure, ends
from evaluate.stats.metrics import CHANCE, THRESHOLD
from evaluate.studies.crossval_numbers import Model, Numbers, Point, curve_sentence
from train.data.folds import group_name, groups_shown
from train.data.training_set import people_note

PAGE, NUMBERS = "crossval.html", "crossval.json"
KINDS = (
    "The head's verdicts of all repetitions by kind of fake, with 95 % intervals. Heads were trained on every kind; "
    "ROC AUC is against all real clips."
)
FEW = 10
"""Below so many people, intervals over them are rough."""


def write_page(folder: Path, numbers: Numbers, settings: Mapping[str, Any]) -> Path:
    """Writes page, tables, figure and numbers into `folder`; `settings` are the flags that repeat it."""
    said = {"sentences": sentences(numbers, settings), "warnings": list(warnings(numbers, settings))}
    document = {"settings": settings, **said, **asdict(numbers)}
    write_json(folder / NUMBERS, document)
    tables = {
        "measures": measures_table(numbers, settings),
        "calls": calls_table(numbers),
        "curve": _curve_table(numbers, settings),
    }
    if numbers.head.kinds:
        tables["kinds"] = kinds_table(numbers.head.kinds, KINDS)
    write_tables(folder / "tables", tables)
    groups, many, head = _groups(numbers, settings), _many(numbers, settings), settings["head"]
    caption = f"ROC AUC of all verdicts, with 95 % intervals over {many}."
    drawing = saved(curve_figure(numbers.curve, many), make_folder(folder / "figures") / "curve", caption)
    curve = figure(*drawing) if len(numbers.curve) > 1 else ""
    lead = (
        f"{groups} in {numbers.folds} folds, {numbers.repetitions} times. Each clip is tested once in each repetition, "
        f"by models that saw none of its {many}, and that were stopped on yet other {many}."
    )
    body = (
        element("h1", f"The head {head} on {many} that it never saw"),
        element("p", lead, class_="lead"),
        items(said["sentences"]),
        element("div", items(said["warnings"]), class_="notes") if said["warnings"] else "",
        section("How well", page_table(tables["measures"], wide=True)),
        section("Calls", page_table(tables["calls"])),
        section("Kinds of fake", page_table(tables["kinds"], wide=True)) if "kinds" in tables else "",
        section(
            f"Would more {many} help?", element("p", curve_sentence(numbers, many)), curve, page_table(tables["curve"])
        ),
        section("How to repeat this", element("pre", repeat_command("crossval", settings))),
    )
    return write_text(folder / PAGE, page("Reelcheck cross-validation", *body))


def sentences(numbers: Numbers, settings: Mapping[str, Any]) -> list[str]:
    """Returns what follows from `numbers`, first how often the head is right."""
    times = "" if numbers.repetitions == 1 else f", on average of {numbers.repetitions} repetitions"
    head, paired, many = numbers.head, numbers.head.paired, _many(numbers, settings)
    found = [
        f"On {many} that it never saw, the head called {of_classes(head.fakes, head.reals)}{times}.",
        f"It scores a fake above a real clip in {_share(head.pooled)} of all pairs"
        + ("" if paired.value is None else f", and above the real clip that the fake was made from in {_share(paired)}")
        + ".",
        _versus(numbers.difference, many),
    ]
    if head.kinds:
        found.insert(1, f"{kinds_sentence(head.kinds)[:-1]}{' in all repetitions' * (numbers.repetitions > 1)}.")
    return [*found, curve_sentence(numbers, many)] if len(numbers.curve) > 1 else found


def _many(numbers: Numbers, settings: Mapping[str, Any]) -> str:
    return group_name(settings["by"], numbers.unnamed, numbers.clips)


def _groups(numbers: Numbers, settings: Mapping[str, Any]) -> str:
    return groups_shown(numbers.groups, settings["by"], numbers.unnamed, numbers.clips)


def _share(measure: Measure) -> str:
    if measure.value is None:
        return "an unknown share"
    interval = ends(measure)
    return f"{100 * measure.value:.0f} %" + (
        f" (95 % interval {100 * interval[0]:.0f} to {100 * interval[1]:.0f} %)" if interval else ""
    )


def _versus(difference: Measure, many: str) -> str:
    """Whether the head ranks clips better than the logistic regression that it is compared with."""
    if difference.value is None:
        return "Head and baseline cannot be compared: the clips have one class only."
    interval = ends(difference)
    shown = f"{difference.value:+.3f} in ROC AUC"
    if interval is None:
        return f"Whether head and baseline differ, so few {many} cannot say: {shown}."
    text = f"{shown}, 95 % interval {interval[0]:+.3f} to {interval[1]:+.3f}"
    if interval[0] > 0:
        return f"The head ranks clips better than its baseline: {text}."
    if interval[1] < 0:
        return f"The head ranks clips worse than its baseline: {text}."
    return f"No clear difference between the head and its baseline: {text}."


def warnings(numbers: Numbers, settings: Mapping[str, Any]) -> Iterator[str]:
    """Yields what limits these numbers."""
    many = _many(numbers, settings)
    if numbers.groups < FEW:
        groups = _groups(numbers, settings)
        yield f"{groups} are few: the intervals are rough, and other {many} may be judged otherwise."
    if len(settings["features"]) > 1:
        yield people_note(settings["same_people"])
    if settings["by"] == "person" and numbers.unnamed:
        yield (
            f"Nobody says who is shown in {numbers.unnamed} of {numbers.clips} clips. Each counts as a person of its "
            "own, together with the fakes made from it, so a person may still be in more than one fold, and the "
            "numbers may be too good."
        )
    if settings["by"] != "person":
        yield f"Folds by {settings['by']} let models see the same people in training and in test."
    if numbers.folds < settings["folds"]:
        yield f"There are {numbers.folds} folds, not {settings['folds']}: only so many {many} have both classes."


def measures_table(numbers: Numbers, settings: Mapping[str, Any]) -> Table:
    """Returns a row for the head and one for its baseline."""
    return Table(
        f"{numbers.repetitions} repetitions together, with 95 % intervals over {_many(numbers, settings)}. "
        "Within folds: pairs of clips that the same model judged. Paired: a fake above its real clip.",
        [
            "model",
            "ROC AUC",
            "ROC AUC within folds",
            "paired share",
            "head minus baseline",
            "ROC AUC of each repetition",
        ],
        [
            [
                name,
                model.pooled,
                model.within,
                model.paired,
                minus,
                " ".join(f"{one:.3f}" for one in model.by_repetition),
            ]
            for name, model, minus in ((HEAD, numbers.head, numbers.difference), (BASELINE, numbers.baseline, ""))
        ],
    )


def calls_table(numbers: Numbers) -> Table:
    """Returns how many clips of each kind are called what."""
    band = band_around(THRESHOLD, None)

    def cells(name: str, kind: str, calls: Calls, share: Measure) -> list[str | Measure]:
        return [name, kind, str(calls.clips), *map(str, (calls.fake, calls.close, calls.real)), share]

    def rows(name: str, model: Model) -> list[list[str | Measure]]:
        return [cells(name, "fake", model.fakes, model.found), cells(name, "real", model.reals, model.alarms)]

    return Table(
        f"Calls in a repetition, on average; scores between {band.low:.3f} and {band.high:.3f} are too close.",
        ["model", "clips that are", "clips", "called fake", "too close", "called real", "share called fake"],
        [*rows(HEAD, numbers.head), *rows(BASELINE, numbers.baseline)],
    )


def _curve_table(numbers: Numbers, settings: Mapping[str, Any]) -> Table:
    return Table(
        f"ROC AUC by the number of {_many(numbers, settings)} trained on, on average over the folds.",
        ["trained on", HEAD, BASELINE],
        [[f"{point.trained_on:.1f}", point.head, point.baseline] for point in numbers.curve],
    )


@mpl.rc_context(STYLE)
def curve_figure(points: Sequence[Point], many: str) -> Figure:
    """Returns the ROC AUC of head and baseline by the number of people trained on, with intervals."""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.add_subplot(title="Learning curve")
    axes.axhline(CHANCE, color=COLOURS["ink"], linewidth=1, linestyle=":", label="chance")
    aside = 0.006 * points[-1].trained_on  # shifted a little, or the intervals would hide each other
    for name, role, style, shift in ((HEAD, "one", "-", -aside), (BASELINE, "two", "--", aside)):
        measures = [point.head if role == "one" else point.baseline for point in points]
        known = [(point.trained_on + shift, one) for point, one in zip(points, measures, strict=True)]
        values = np.array([one.value for _, one in known], float)
        axes.plot([x for x, _ in known], values, style, color=COLOURS[role], marker="o", markersize=4, label=name)
        for x, one in known:
            if interval := ends(one):
                axes.vlines(x, *interval, color=COLOURS[role], linewidth=1, alpha=0.7)
    axes.set(xlabel=f"{many} trained on", ylabel="ROC AUC", ylim=(None, 1.02), xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best")
    return figure
