"""What the commands that train do next: they keep the index of runs, and the page of a sweep, up to date."""

from pathlib import Path
from typing import TYPE_CHECKING

from evaluate.runs_index import refresh
from evaluate.sweep_page import LeaderboardConfig, write_leaderboard_page

if TYPE_CHECKING:
    from train.sweep.config import SweepConfig


def refresh_index(_: object, run: Path) -> Path:
    """Writes the index of the folder that `run` is in; returns `run`."""
    refresh(run.parent)
    return run


def write_sweep_page(config: "SweepConfig", sweep: Path) -> Path:
    """Writes the index of the runs, and the page of the sweep in the folder `sweep`; returns the page's path."""
    refresh(config.runs)
    return write_leaderboard_page(LeaderboardConfig(sweep=sweep))
