"""python -m evaluate: what trained runs are worth. `report` one run, `compare` several, `protocols` one head by each
split, `published` the notebook's recipe beside ours, `leaderboard` the trials of a sweep, `runs` all of a folder."""

from collections.abc import Sequence

from base.ending import run
from base.flags import Command, run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; its last line is the path of what it wrote."""
    from evaluate.compare.stage import CompareConfig
    from evaluate.printed import all_protocols, both_recipes, comparison, report
    from evaluate.report.stage import ReportConfig
    from evaluate.runs_index import RunsConfig, list_runs
    from evaluate.studies.protocols import ProtocolsConfig
    from evaluate.studies.published import PublishedConfig
    from evaluate.sweep_page import LeaderboardConfig, write_leaderboard_page

    commands = {
        "report": Command(report, ReportConfig, "Write a run's metrics.json, figures and report.html.", "eval"),
        "compare": Command(comparison, CompareConfig, "Compare runs with the same test clips.", "compare"),
        "protocols": Command(all_protocols, ProtocolsConfig, "Train and test one head by every split.", "protocols"),
        "published": Command(both_recipes, PublishedConfig, "Train by the published recipe and by ours.", "published"),
        "leaderboard": Command(write_leaderboard_page, LeaderboardConfig, "Write the page of a sweep.", "leaderboard"),
        "runs": Command(list_runs, RunsConfig, "List the runs of a folder, and write its index.html.", "runs"),
    }
    run_command("python -m evaluate", commands, argv)
    return 0


if __name__ == "__main__":
    run(main)
