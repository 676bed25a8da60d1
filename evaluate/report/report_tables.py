"""The tables of a report, as text: the page shows them, and papers take them as they are."""

import statistics

from evaluate.page.tables import Table
from evaluate.results.measures import DECISION_NAMES, HALF, HEAD, MAIN, SCORE_NAMES, Evaluation, shown
from evaluate.results.slices import SHOWN, Failures
from evaluate.stats.bootstrap import Measure


def report_tables(evaluation: Evaluation, failures: Failures) -> dict[str, Table]:
    """Returns the report's tables for papers, by name."""
    models = evaluation.evaluated["test"]
    tables = {
        "measures": Table(
            f"Measures on {_clips(evaluation)}, calls at the threshold {HALF}, with 95 % intervals over clips.",
            ["measure", *models],
            [
                *(
                    [label, *(shown(model.scores[name]) for model in models.values())]
                    for name, label in SCORE_NAMES.items()
                ),
                *(
                    [label, *(shown(model.decisions[HALF].measures[name]) for model in models.values())]
                    for name, label in DECISION_NAMES.items()
                ),
            ],
        )
    }
    return tables | uncertainty_tables(evaluation) | failure_tables(failures)


def uncertainty_tables(evaluation: Evaluation) -> dict[str, Table]:
    """Returns the head's main measures over clips and over people, and those of an ensemble's members."""
    head = evaluation.evaluated["test"][HEAD]
    over_clips = head.scores | head.decisions[HALF].measures
    names = SCORE_NAMES | DECISION_NAMES
    tables = {
        "intervals": Table(
            f"The head on {_clips(evaluation)} with 95 % intervals: over clips, and over the {evaluation.people:,} "
            "people whose footage they are. Clips of one person stand or fall together; believe the wider one.",
            ["measure", "over clips", "over people"],
            [[names[name], shown(over_clips[name]), shown(evaluation.over_people[name])] for name in MAIN],
        )
    }
    if evaluation.members:
        rows = [[member, *(value_of(found[name]) for name in MAIN)] for member, found in evaluation.members.items()]
        columns = [[found[name].value for found in evaluation.members.values()] for name in MAIN]
        tables["members"] = Table(
            "Each member of the ensemble alone: how much is luck, where they differ in the seed only.",
            ["run", *(names[name] for name in MAIN)],
            [*rows, ["mean ± standard deviation", *map(_spread, columns)]],
        )
    return tables


def failure_tables(failures: Failures) -> dict[str, Table]:
    """Returns a table for each way in which the test clips were divided."""
    names = SCORE_NAMES | DECISION_NAMES
    return {
        f"by-{title.split(',')[0].split(' ')[0].lower()}": Table(
            f"{title}.",
            ["", "real", "fake", *(names[name] for name in SHOWN)],
            [[one.name, f"{one.real:,}", f"{one.fake:,}", *map(shown, one.measures.values())] for one in slices],
        )
        for title, slices in failures.slices.items()
    }


def value_of(measure: Measure) -> str:
    """Returns the value alone, for people."""
    return "–" if measure.value is None else f"{measure.value:.3f}"


def wrong_caption(failures: Failures, row: int) -> str:
    """Returns what the clip is, and what was said of it."""
    clips = failures.clips
    truth = "fake" if clips.labels[row] else "real"
    return f"Is {truth}; probability of fake {clips.probabilities[row]:.3f}, coverage {clips.coverage[row]:.2f}."


def _clips(evaluation: Evaluation) -> str:
    counts = evaluation.counts["test"]
    return f"{counts.real + counts.fake:,} test clips"


def _spread(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return "–" if len(known) < 2 else f"{statistics.mean(known):.3f} ± {statistics.stdev(known):.3f}"
