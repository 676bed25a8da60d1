"""The settings that `detect`, `stream` and `web` share: which detector judges, and from when on a clip is fake."""

from dataclasses import dataclass
from pathlib import Path

from base.flags import option
from detect.detector.formats import engines
from evaluate.stats.conformal import DEFAULT_RATE
from evaluate.stats.metrics import THRESHOLD


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
