"""The tables of a report: the page shows them, and tables.md, tables.tex and CSV files hold them for papers."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from cache.schema import FAKE, TEST
from evaluate.page.tables import NOTHING, Cell, Table, value_text
from evaluate.results.kinds import kinds_table
from evaluate.results.measures import HALF, HEAD, MAIN, Evaluation
from evaluate.results.slices import COLUMNS, Failures
from evaluate.results.versus_baseline import COMPARED
from evaluate.stats.bootstrap import Measure
from evaluate.stats.weighted import CALL_METRICS, SCORE_METRICS, title_of


def report_tables(evaluation: Evaluation, failures: Failures) -> dict[str, Table]:
    """Returns the report's tables for papers, by name."""
    models = evaluation.evaluated[TEST]
    tables = {
        "measures": Table(
            f"Measures on {_clips(evaluation)}, calls at the threshold {HALF}, with 95 % intervals over people.",
            ["measure", *models],
            [
                *measure_rows(SCORE_METRICS, [model.scores for model in models.values()]),
                *measure_rows(CALL_METRICS, [model.decisions[HALF].measures for model in models.values()]),
            ],
        )
    }
    return tables | uncertainty_tables(evaluation) | failure_tables(failures)


def measure_rows(names: Iterable[str], models: Sequence[Mapping[str, Measure]]) -> list[list[Cell]]:
    """Returns a row for each measure of `names`, with its values of all `models`."""
    return [[title_of(name), *(model[name] for model in models)] for name in names]


def uncertainty_tables(evaluation: Evaluation) -> dict[str, Table]:
    """Returns the head minus its baseline, the paired share, the kinds of fakes, and an ensemble's members."""
    tables = {}
    if evaluation.difference:
        tables["head-minus-baseline"] = Table(
            f"The head minus its baseline on {_clips(evaluation)}: paired 95 % intervals over people.",
            ["measure", "difference"],
            [[title, evaluation.difference.over_people[name]] for name, title in COMPARED.items()],
        )
    if evaluation.paired[HEAD].fakes:
        tables["paired-share"] = Table(
            "Paired share: how often a fake scores above the real clip that it was made from, or where that is not in "
            "the test part above the real clips of the same person. A tie counts half; 95 % intervals over people.",
            ["", "paired share", "fakes compared", "with their source"],
            [
                [name, paired.share, f"{paired.fakes:,}", f"{paired.by_source:,}"]
                for name, paired in evaluation.paired.items()
            ],
        )
    if evaluation.kinds:
        tables["by-kind"] = kinds_table(evaluation.kinds)
    if evaluation.members:
        rows = [
            [member, *(value_text(measures[name]) for name in MAIN)] for member, measures in evaluation.members.items()
        ]
        columns = [[measures[name].value for measures in evaluation.members.values()] for name in MAIN]
        tables["members"] = Table(
            "Each member of the ensemble alone. If they differ in the seed only, their spread shows how much is luck.",
            ["run", *map(title_of, MAIN)],
            [*rows, ["mean ± standard deviation", *map(_spread, columns)]],
        )
    return tables


def failure_tables(failures: Failures) -> dict[str, Table]:
    """Returns a table for each way to divide the test clips."""
    return {
        f"by-{slicing.key}": Table(
            f"{slicing.title}.",
            ["", "real", "fake", *map(title_of, COLUMNS)],
            [[one.name, f"{one.real:,}", f"{one.fake:,}", *one.measures.values()] for one in slicing.slices],
        )
        for slicing in failures.slicings
    }


def wrong_caption(failures: Failures, row: int) -> str:
    """Returns the clip's label, its probability and its coverage as a sentence."""
    clips = failures.clips
    truth = "fake" if clips.labels[row] == FAKE else "real"
    return f"Is {truth}; probability of fake {clips.probabilities[row]:.3f}, coverage {clips.coverage[row]:.2f}."


def _clips(evaluation: Evaluation) -> str:
    counts = evaluation.counts[TEST]
    return f"{counts.real + counts.fake:,} test clips"


def _spread(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return NOTHING if len(known) < 2 else f"{statistics.mean(known):.3f} ± {statistics.stdev(known):.3f}"
