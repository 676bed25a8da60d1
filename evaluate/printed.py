"""What the terminal shows of a report, a comparison and the like, above the path of the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from base.outside.values import read_json
from base.progress import show
from cache.schema import TEST
from evaluate.compare.stage import NUMBERS, CompareConfig, compare
from evaluate.page.tables import NOTHING, aligned, measure_text
from evaluate.report.stage import ReportConfig, write_report
from evaluate.results.measures import HALF
from evaluate.results.read import METRICS
from evaluate.runs_index import PAGE as INDEX
from evaluate.runs_index import refresh
from evaluate.stats.bootstrap import Measure
from evaluate.stats.weighted import CALL_METRICS, SCORE_METRICS, title_of
from evaluate.studies.cross_validation import CrossvalConfig, crossval
from evaluate.studies.crossval_page import NUMBERS as FOLDS
from evaluate.studies.protocols import ProtocolsConfig, protocols
from evaluate.studies.protocols_page import NOTHING_FOUND
from evaluate.studies.protocols_page import NUMBERS as PROTOCOLS
from evaluate.studies.published import PublishedConfig, published


def headline(path: Path) -> str:
    """Returns what the terminal shows of metrics.json at `path`: the main measures on test, the summary, the notes."""
    values = read_json(path)
    counts, models = values["counts"][TEST], values["parts"][TEST]
    scores = {
        metric.title: [model["scores"][name] for model in models.values()]
        for name, metric in SCORE_METRICS.items()
        if metric.printed
    }
    calls = {
        f"{metric.title} at {HALF}": [model["decisions"][HALF]["measures"][name] for model in models.values()]
        for name, metric in CALL_METRICS.items()
        if metric.printed
    }
    pairs = values["paired_share"].values()
    paired = {"paired share": [one["share"] for one in pairs]} if any(one["fakes"] for one in pairs) else {}
    rows = [[title, *map(_cell, measures)] for title, measures in (scores | calls | paired).items()]
    table = aligned([f"test: {counts['real']} real, {counts['fake']} fake", *models], rows)
    return "\n".join([table, *values["summary"], *(f"note: {note}" for note in values["notes"])])


def report(config: ReportConfig) -> Path:
    """Writes the report of a run and prints its main numbers; returns the path of its page."""
    path = write_report(config)
    show(headline(path.with_name(METRICS)))
    runs = path.parents[2]
    if (runs / INDEX).exists():
        refresh(runs)
    return path


def comparison(config: CompareConfig) -> Path:
    """Compares runs and prints what follows in sentences; returns the path of the page."""
    path = compare(config)
    numbers = read_json(path.with_name(NUMBERS))
    show(
        "\n".join(
            [
                *numbers["sentences"],
                *numbers["baselines"],
                *numbers["kinds"],
                *(f"note: {warning}" for warning in numbers["warnings"]),
            ]
        )
    )
    return path


def all_protocols(config: ProtocolsConfig) -> Path:
    """Trains and tests by every protocol, or crosses data sets, and prints numbers; returns the path of the page."""
    path = protocols(config)
    numbers, rows = read_json(path.with_name(PROTOCOLS)), []
    if "matrix" in numbers:
        show("\n".join([_crossed(numbers["matrix"]["cells"]), *numbers["sentences"]]))
        return path
    for one in numbers["protocols"]:
        if one["reason"]:
            rows.append([one["name"], f"not trained: {one['reason']}"])
            continue
        clips = f"{one['real']:,} real, {one['fake']:,} fake"
        cells = [one["over_people"]["roc_auc"], one["over_people"]["accuracy"], one["baseline"]]
        shared = " ".join([*(one["findings"] or [NOTHING_FOUND]), *one["warnings"]])
        rows.append([one["name"], clips, *map(_cell, cells), shared])
    columns = ["protocol", "test clips", "ROC AUC over people", "accuracy", "baseline's ROC AUC", "shared with train"]
    show(aligned(columns, rows))
    return path


def _crossed(cells: Sequence[Mapping[str, Any]]) -> str:
    """Returns the ROC AUC of each cell as a table, a row for each group of data sets that a head was trained on."""
    columns = list(dict.fromkeys(cell["tested"] for cell in cells))
    rows: dict[str, dict[str, str]] = {}
    for cell in cells:
        rows.setdefault(cell["trained"], {})[cell["tested"]] = _cell(cell["measures"]["roc_auc"])
    texts = [[name, *(areas.get(column, NOTHING) for column in columns)] for name, areas in rows.items()]
    return aligned(["ROC AUC, trained on", *(f"on {column}" for column in columns)], texts)


def all_folds(config: CrossvalConfig) -> Path:
    """Cross-validates a head and prints what follows in sentences; returns the path of the page."""
    path = crossval(config)
    numbers = read_json(path.with_name(FOLDS))
    show("\n".join([*numbers["sentences"], *(f"note: {warning}" for warning in numbers["warnings"])]))
    return path


def both_recipes(config: PublishedConfig) -> Path:
    """Trains by the published recipe and ours and prints a row for each run; returns the path of the comparison."""
    path = published(config)
    models = read_json(path.with_name(NUMBERS))["models"]
    names = ("accuracy", "roc_auc", "f1_fake", "f1_real", "kappa")
    rows = [
        [
            run,
            *(_cell(model["over_people"][name]) for name in names),
            NOTHING if model["epoch_seconds"] is None else f"{model['epoch_seconds']:.2f}",
        ]
        for run, model in models.items()
    ]
    columns = ["run", *map(title_of, names), "seconds an epoch"]
    show(aligned(columns, rows))
    return path


def _cell(measure: dict[str, float | None] | None) -> str:
    return NOTHING if measure is None else measure_text(Measure(**measure))
