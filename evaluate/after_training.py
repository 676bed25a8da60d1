"""What the commands that train do next: they keep the index of runs, and the page of a sweep, up to date."""

from pathlib import Path
from typing import TYPE_CHECKING

from evaluate.runs_index import refresh
from evaluate.sweep_page import LeaderboardConfig, draw_running_sweep, write_leaderboard_page

if TYPE_CHECKING:
    from train.sweep.config import SweepConfig


def refresh_index(_: object, run: Path) -> Path:
    """Writes the index of the folder that `run` is in; returns `run`."""
    refresh(run.parent)
    return run


def sweep_with_page(config: "SweepConfig") -> Path:
    """Runs a sweep under a page that grows, and writes the index of the runs; returns the path of the sweep's page."""
    from train.sweep.stage import sweep

    folder = sweep(config, draw_running_sweep)
    refresh(config.runs)
    return write_leaderboard_page(LeaderboardConfig(sweep=folder))
