"""What the commands that train one run do next, so that its first verdict does not wait."""

import contextlib
from pathlib import Path

from base.errors import UserError
from detect.detector.converted import KERAS, quickest
from detect.detector.load import open_detector
from evaluate.after_training import refresh_index


def make_ready(config: object, run: Path) -> Path:
    """Writes the index that `run` is in, and keeps its networks for the engine that starts fastest; returns `run`."""
    if quickest() != KERAS:
        with contextlib.suppress(UserError):  # detection says what is wrong; the run is complete all the same
            open_detector(run)
    return refresh_index(config, run)
