"""python -m evaluate: what trained runs are worth. `report` one run, `compare` several, `protocols` one head by each
split, `published` the notebook's recipe beside ours, `leaderboard` the trials of a sweep."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cache.cli import Parser, add_flags, read_flags, run
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

    commands: dict[str, tuple[type, Callable[[Any], Path], str]] = {
        "report": (ReportConfig, _report, "write metrics.json, figures and report.html into the run's folder"),
        "compare": (CompareConfig, _compare, "compare runs with the same test clips: tests, intervals, compare.html"),
        "protocols": (ProtocolsConfig, protocols, "train and test one head by every protocol: table, protocols.html"),
        "published": (PublishedConfig, published, "train by the published recipe and by ours, and compare them"),
        "leaderboard": (LeaderboardConfig, write_leaderboard_page, "write leaderboard.html into the sweep's folder"),
    }
    parser = Parser(prog="python -m evaluate", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, (config, _, text) in commands.items():
        add_flags(subparsers.add_parser(name, help=text, description=text), config)
    arguments = parser.parse_args(argv)
    config, stage, _ = commands[arguments.command]
    print(stage(read_flags(arguments, config)))
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
