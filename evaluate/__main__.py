"""python -m evaluate: report, a trained run's numbers, figures and page; compare, runs beside each other; protocols,
one head by each way to split; leaderboard, the trials of a sweep."""

import json
from collections.abc import Sequence
from pathlib import Path

from cache.cli import Parser, add_flags, read_flags, run
from evaluate.report.stage import METRICS, ReportConfig, write_report
from evaluate.results.measures import DECISION_NAMES, HALF, SCORE_NAMES, shown
from evaluate.stats.bootstrap import Measure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; its last line is the path of what it wrote."""
    from evaluate.compare.stage import NUMBERS, CompareConfig, compare
    from evaluate.protocols import ProtocolsConfig, protocols
    from evaluate.sweep_page import LeaderboardConfig, write_leaderboard_page

    parser = Parser(prog="python -m evaluate", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    text = "write metrics.json, figures and report.html into the run's folder"
    add_flags(commands.add_parser("report", help=text, description=text), ReportConfig)
    text = "write figures and leaderboard.html into the sweep's folder"
    add_flags(commands.add_parser("leaderboard", help=text, description=text), LeaderboardConfig)
    text = "compare runs that tested on the same clips: tests, intervals, tables, compare.html"
    add_flags(commands.add_parser("compare", help=text, description=text), CompareConfig)
    text = "train and test one head by every protocol: table with what leaks, protocols.html"
    add_flags(commands.add_parser("protocols", help=text, description=text), ProtocolsConfig)
    arguments = parser.parse_args(argv)
    if arguments.command == "protocols":
        print(protocols(read_flags(arguments, ProtocolsConfig)))
        return 0
    if arguments.command == "compare":
        path = compare(read_flags(arguments, CompareConfig))
        told = json.loads(path.with_name(NUMBERS).read_text(encoding="utf-8"))
        print("\n".join([*told["sentences"], *(f"note: {warning}" for warning in told["warnings"])]))
        print(path)
        return 0
    if arguments.command == "leaderboard":
        print(write_leaderboard_page(read_flags(arguments, LeaderboardConfig)))
        return 0
    path = write_report(read_flags(arguments, ReportConfig))
    print(headline(path.with_name(METRICS)))
    print(path)
    return 0


def headline(path: Path) -> str:
    """Returns the main measures on the test part as a table for the terminal, and the notes, from the file `path`."""
    values = json.loads(path.read_text(encoding="utf-8"))
    counts, models = values["counts"]["test"], values["parts"]["test"]
    title = f"test: {counts['real']} real, {counts['fake']} fake"
    lines = [f"{title:<28}" + "".join(f"{name:<24}" for name in models)]
    for name in ("roc_auc", "pr_auc", "eer"):
        lines.append(_line(SCORE_NAMES[name], [model["scores"][name] for model in models.values()]))
    for name in ("accuracy", "balanced_accuracy", "f1_fake"):
        calls = [model["decisions"][HALF]["measures"][name] for model in models.values()]
        lines.append(_line(f"{DECISION_NAMES[name]} at {HALF}", calls))
    return "\n".join([*lines, *(f"note: {note}" for note in values["notes"])])


def _line(name: str, measures: Sequence[dict[str, float | None]]) -> str:
    return f"{name:<28}" + "".join(f"{shown(Measure(**measure)):<24}" for measure in measures).rstrip()


if __name__ == "__main__":
    run(main)
