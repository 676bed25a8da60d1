"""The page of a sweep while it runs: written anew as trials end, by whoever can draw one."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.sweep.leaderboard import Summary

LEAST_SECONDS, SHARE = 5.0, 0.05
"""Least time between two pages, and the most of the time that they may take."""

Draw = Callable[[Path, Sequence[Mapping[str, Any]], Summary, int], object]
"""Writes the page of a sweep's folder from its trials so far, best first, a summary, and how many trials it will have.

It is sent to other processes, so it is a function of a module.
"""


class RunningPage:
    """Has `draw` write the page of the sweep in `folder`, which will have so many `trials`, every few seconds."""

    def __init__(self, draw: Draw | None, folder: Path, trials: int) -> None:
        self._draw, self._folder, self._trials, self._due = draw, folder, trials, 0.0

    def look(self, ranked: Callable[[], Sequence[Mapping[str, Any]]], folds: int) -> None:
        """Writes the page from what `ranked` returns, if it is time to."""
        start = time.monotonic()
        if self._draw is not None and start >= self._due:
            self._draw(self._folder, ranked(), Summary(importances={}, folds=folds), self._trials)
            took = time.monotonic() - start
            self._due = start + max(LEAST_SECONDS, took / SHARE)
