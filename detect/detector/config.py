"""The settings that `detect`, `stream` and `web` share: which detector judges, and from when on a clip is fake."""

from dataclasses import dataclass
from pathlib import Path

from base.commands import flag
from base.errors import UserError
from base.flags import option
from detect.detector.formats import engines
from evaluate.stats.conformal import DEFAULT_RATE
from evaluate.stats.metrics import THRESHOLD

DEFAULT_WINDOW = 6.0
"""Seconds of a window of a long clip, and of a stream, where the user asks for no other."""


@dataclass(frozen=True)
class DetectorConfig:
    """Which detector judges, where its files are, and from which probability on it says Fake."""

    run: Path | None = option(None, "the run folder, or an export of one (default: the newest evaluated below runs/)")
    engine: str = option("auto", "what runs the networks; auto: what starts fastest", choices=engines)
    weights: str | None = option(None, "the backbone's weights, if they have moved since the features were made")
    detector_file: Path | None = option(None, "yunet's ONNX file, if it has moved since then")
    recogniser_file: Path | None = option(None, "SFace's ONNX file, if it has moved since then")
    threshold: float = option(THRESHOLD, "probability from which a clip is called fake")
    reference: str | None = option(None, "call a clip fake only beside these clips known to be real, by their name")
    false_alarms: float = option(DEFAULT_RATE, "with --reference: share of such real clips that may be called fake")
    strict: bool = option(False, "with --reference: keep that share for 95 of 100 references, not on average")


def require_threshold(threshold: float) -> None:
    """Raises a UserError unless `threshold` is a probability."""
    if not 0 <= threshold <= 1:
        raise UserError(f"{flag('threshold', f'{threshold:g}')} is not a probability; give a number from 0 to 1.")


def require_window(name: str, seconds: float) -> None:
    """Raises a UserError unless the flag `name` has a length in `seconds` that a window can have."""
    if not 0.1 <= seconds <= 3600:
        raise UserError(
            f"{flag(name, f'{seconds:g}')} is not 0.1 to 3600 seconds; give a length such as {DEFAULT_WINDOW:g}."
        )
