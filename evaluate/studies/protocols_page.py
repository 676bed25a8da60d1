"""The page of one head by each protocol, its tables and its numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from base.files import make_folder, write_json, write_text
from evaluate.page.figures import Interval, intervals_figure
from evaluate.page.markup import Html, element, figure, items, page, page_table, section
from evaluate.page.pictures import saved
from evaluate.page.repeat import repeat_command
from evaluate.page.tables import NOTHING, Cell, Table, write_tables
from evaluate.results.kinds import Kind, kinds_by
from evaluate.results.measures import HALF
from evaluate.results.versus_baseline import Difference
from evaluate.stats.bootstrap import Measure
from evaluate.stats.metrics import CHANCE
from evaluate.stats.weighted import title_of

PAGE, NUMBERS = "protocols.html", "protocols.json"
NOTHING_FOUND = "Nothing that test and train share was found."
COLUMNS = ("roc_auc", "accuracy", "f1_fake", "f1_real", "kappa")


@dataclass(frozen=True)
class Protocol:
    """A head's results by one protocol; if there are no numbers, `reason` says why.

    `findings` says what the test clips share with train, `warnings` what else has to be known, `kinds` how well each
    kind of fake is found.
    """

    name: str
    trained: int
    real: int
    fake: int
    people: int
    over_people: dict[str, Measure]
    baseline: Measure | None
    findings: list[str]
    reason: str = ""
    difference: Difference | None = None
    warnings: list[str] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)


def write_protocols(out: Path, outcomes: Sequence[Protocol], settings: Mapping[str, Any]) -> Path:
    """Writes page, tables, figure and numbers into `out`; returns the page's path. `settings` are its flags."""
    features, head = str(settings["features"]), settings["head"]
    write_json(make_folder(out) / NUMBERS, {"features": features, "head": head, "protocols": [*map(asdict, outcomes)]})
    kinds = kinds_by("protocol", {one.name: one.kinds for one in outcomes})
    tables = {"protocols": protocols_table(outcomes)} | kinds
    write_tables(out / "tables", tables)
    drawing = ""
    rows = [Interval(one.name, one.over_people["roc_auc"]) for one in outcomes if one.over_people]
    if any(row.measure.value is not None for row in rows):
        areas = intervals_figure("ROC AUC by protocol", rows, CHANCE, f"ROC AUC ({CHANCE}: chance)")
        place = make_folder(out / "figures") / "protocols"
        drawing = figure(*saved(areas, place, "The same head by each protocol."))
    return write_text(out / PAGE, _page(settings, outcomes, drawing, tables))


def protocols_table(outcomes: Sequence[Protocol]) -> Table:
    """Returns a row per protocol."""
    return Table(
        f"One head by each protocol; calls at {HALF}; 95 % intervals over people.",
        ["protocol", "clips trained on", "real clips", "fake clips", "people tested on",
         *map(title_of, COLUMNS), "ROC AUC of the baseline", "head minus baseline, ROC AUC",
         "what the test clips share with train, and what else to know"],
        [list(_row(one)) for one in outcomes],
    )  # fmt: skip


def _row(one: Protocol) -> Iterator[Cell]:
    yield one.name
    if one.reason:
        yield from [NOTHING] * (len(COLUMNS) + 6)
        yield one.reason
        return
    yield from (f"{count:,}" for count in (one.trained, one.real, one.fake, one.people))
    yield from (one.over_people[name] for name in COLUMNS)
    yield NOTHING if one.baseline is None else one.baseline
    yield NOTHING if one.difference is None else one.difference.over_people["roc_auc"]
    yield " ".join(filter(None, [*(one.findings or [NOTHING_FOUND]), *one.warnings]))


def _page(
    settings: Mapping[str, Any], outcomes: Sequence[Protocol], drawing: object, tables: Mapping[str, Table]
) -> str:
    return page(
        "Reelcheck protocols",
        element("h1", f"The head {settings['head']}, tested in each way"),
        element(
            "p",
            "A protocol is a way to choose the clips to train on and to test on. If they share people or footage, "
            "the number is about known people: the identity split and other data sets are closer to real use.",
            class_="lead",
        ),
        section("Side by side", drawing, *_side_by_side(protocols_table(outcomes))),
        section("Kinds of fake", page_table(tables["kinds"], wide=True)) if "kinds" in tables else "",
        section("How to repeat this", element("pre", repeat_command("protocols", settings))),
    )


def _side_by_side(contents: Table) -> Iterator[Html]:
    """The numbers as a table, and its last column, which holds sentences, as a list."""
    rows = [[*row] for row in contents.rows]
    numbers = replace(contents, columns=contents.columns[:-1], rows=[row[:-1] for row in rows])
    yield page_table(numbers, wide=True)
    yield element("h3", "What the test clips share with those that were trained on, and what else to know")
    yield items(element("span", element("b", row[0]), f": {row[-1]}") for row in rows)
