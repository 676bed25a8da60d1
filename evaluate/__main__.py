"""python -m evaluate: what trained runs are worth. `report` one run, `compare` several, `protocols` one head by each
split, `published` the notebook's recipe beside ours, `leaderboard` the trials of a sweep."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cache.cli import Command, run, run_command
from cache.schema import TEST
from evaluate.page.tables import measure_text
from evaluate.report.stage import METRICS, ReportConfig, write_report
from evaluate.results.measures import DECISION_NAMES, HALF, SCORE_NAMES
from evaluate.stats.bootstrap import Measure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; its last line is the path of what it wrote."""
    from evaluate.compare.stage import CompareConfig
    from evaluate.protocols import ProtocolsConfig, protocols
    from evaluate.published import PublishedConfig, published
    from evaluate.sweep_page import LeaderboardConfig, write_leaderboard_page

    commands = {
        "report": Command(_report, ReportConfig, "Write a run's metrics.json, figures and report.html.", "eval"),
        "compare": Command(_compare, CompareConfig, "Compare runs with the same test clips.", "compare"),
        "protocols": Command(protocols, ProtocolsConfig, "Train and test one head by every split.", "protocols"),
        "published": Command(published, PublishedConfig, "Train by the published recipe and by ours.", "published"),
        "leaderboard": Command(write_leaderboard_page, LeaderboardConfig, "Write the page of a sweep.", "leaderboard"),
    }
    run_command("python -m evaluate", commands, argv)
    return 0


def headline(path: Path) -> str:
    """Returns what the terminal shows of metrics.json at `path`: the main measures on test, the summary, the notes."""
    values = json.loads(path.read_text(encoding="utf-8"))
    counts, models = values["counts"][TEST], values["parts"][TEST]
    title = f"test: {counts['real']} real, {counts['fake']} fake"
    lines = [f"{title:<28}" + "".join(f"{name:<24}" for name in models)]
    for name in ("roc_auc", "pr_auc", "eer"):
        lines.append(_line(SCORE_NAMES[name], [model["scores"][name] for model in models.values()]))
    for name in ("accuracy", "balanced_accuracy", "f1_fake"):
        calls = [model["decisions"][HALF]["measures"][name] for model in models.values()]
        lines.append(_line(f"{DECISION_NAMES[name]} at {HALF}", calls))
    if any(pairs["fakes"] for pairs in values["paired_share"].values()):
        lines.append(_line("paired share", [pairs["share"] for pairs in values["paired_share"].values()]))
    return "\n".join([*lines, *values["summary"], *(f"note: {note}" for note in values["notes"])])


def _report(config: ReportConfig) -> Path:
    path = write_report(config)
    print(headline(path.with_name(METRICS)))
    return path


def _compare(config: Any) -> Path:
    from evaluate.compare.stage import NUMBERS, compare

    path = compare(config)
    numbers = json.loads(path.with_name(NUMBERS).read_text(encoding="utf-8"))
    print(
        "\n".join(
            [*numbers["sentences"], *numbers["baselines"], *(f"note: {warning}" for warning in numbers["warnings"])]
        )
    )
    return path


def _line(name: str, measures: Sequence[dict[str, float | None]]) -> str:
    return f"{name:<28}" + "".join(f"{measure_text(Measure(**measure)):<24}" for measure in measures).rstrip()


if __name__ == "__main__":
    run(main)
