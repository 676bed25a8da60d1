"""The Python API: the stages by the names of their commands, and a detector that judges clips and frames.

Each function takes the flags of its command by name, with the same defaults, and paths as `Path` or text. Nothing is
printed: sentences go to the logger "reelcheck", progress bars are shown unless `show_progress(False)`.
"""

import dataclasses
import logging
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from base.command_line.doors import perform
from base.errors import UserError as UserError
from base.flags import kind_of, require_choices
from base.outside.paths import existing, plain_path
from base.outside.values import read_json
from base.progress import quiet
from detect.detector.config import DetectorConfig
from detect.detector.judge import Detector
from detect.detector.load import open_configured
from detect.detector.verdict import Verdict
from evaluate.report.stage import ReportConfig
from evaluate.results.measures import HALF, HEAD
from evaluate.results.read import METRICS
from evaluate.stats.bootstrap import Measure
from evaluate.stats.conformal import DEFAULT_RATE
from extract.config import ExtractConfig
from extract.drawn.dataset import DrawnConfig
from extract.video.numbered import FPS
from train.fit import FitConfig

Settings = ParamSpec("Settings")
Config = TypeVar("Config")
Result = TypeVar("Result")

_LOG = logging.getLogger("reelcheck")
_bars = True


@dataclass(frozen=True)
class Evaluation:
    """A run on its test part: the `page` with everything, and the main measures with their 95 % intervals.

    Accuracy, F1 and kappa are those of calls at 0.5.
    """

    page: Path
    roc_auc: Measure
    accuracy: Measure
    f1_fake: Measure
    kappa: Measure


def show_progress(show: bool) -> None:
    """Shows or hides the progress bars of what is called from now on."""
    global _bars  # noqa: PLW0603 - a switch of the whole API
    _bars = show


def _stage(config: Callable[Settings, Config], run: Callable[[Config], Result]) -> Callable[Settings, Result]:
    """Returns `run` as a function of the fields of its dataclass `config`, silent but for progress bars."""
    paths = _path_fields(config)

    @wraps(run)
    def call(*args: Settings.args, **kwargs: Settings.kwargs) -> Result:
        settings = config(*args, **kwargs)
        require_choices(settings)
        given = {name: _as_paths(getattr(settings, name)) for name in paths}
        with quiet(_LOG.info, _bars):
            return run(dataclasses.replace(settings, **given))  # pyright: ignore[reportArgumentType]

    return call


def _as_paths(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(Path, value))
    return Path(value) if isinstance(value, str) else value


def _path_fields(config: Any) -> set[str]:
    hints = typing.get_type_hints(config)
    return {name for name, hint in hints.items() if kind_of(hint)[0] is Path}


def _extract(config: ExtractConfig) -> Path:
    """Extracts every video of a data set that is not in its store yet; returns the folder with the features.

    >>> features = reelcheck.extract(data="clips", weights="random")  # doctest: +SKIP
    """
    return perform("features", config)


def _train(config: FitConfig) -> Path:
    """Trains a head on a features folder; returns the run folder.

    >>> run = reelcheck.train(features=features, split="identity", head="gru")  # doctest: +SKIP
    """
    return perform("train", config)


def _evaluate(config: ReportConfig) -> Evaluation:
    """Writes the report of a run; returns where its page is, and the main measures.

    >>> reelcheck.evaluate(run=run).roc_auc.value  # doctest: +SKIP
    0.87
    """
    from evaluate.report.stage import write_report

    page = write_report(config)
    head = read_json(page.with_name(METRICS))["parts"]["test"][HEAD]
    calls = head["decisions"][HALF]["measures"]
    measures = {name: Measure(**calls[name]) for name in ("accuracy", "f1_fake", "kappa")}
    return Evaluation(page, roc_auc=Measure(**head["scores"]["roc_auc"]), **measures)


def _draw(config: DrawnConfig) -> Path:
    """Draws a small data set of moving faces, real and swapped, to try things on; returns its folder.

    >>> clips = reelcheck.draw("clips")  # doctest: +SKIP
    """
    return perform("draw", config)


draw = _stage(DrawnConfig, _draw)
extract = _stage(ExtractConfig, _extract)
train = _stage(FitConfig, _train)
evaluate = _stage(ReportConfig, _evaluate)


def load_detector(
    run: str | Path,
    engine: str = "keras",
    weights: str | None = None,
    reference: str | None = None,
    false_alarms: float = DEFAULT_RATE,
) -> Detector:
    """Returns the detector of the run folder, or of the exported folder, `run`; `engine` is what runs its networks.

    `weights` names the backbone's weights where they have moved since the features were made. With the name of a
    `reference` of the run, of real clips like its own at most the share `false_alarms` is called fake. A UserError says
    what is missing.

    >>> detector = reelcheck.load_detector("runs/my-gru")  # doctest: +SKIP
    """
    config = DetectorConfig(Path(run), engine, weights, reference=reference, false_alarms=false_alarms)
    with quiet(_LOG.info, _bars):
        return open_configured(config)


def judge(
    clip: str | Path | np.ndarray | Sequence[np.ndarray],
    detector: Detector,
    seconds: np.ndarray | None = None,
    *,
    fps: float = FPS,
) -> Verdict:
    """Returns the verdict on `clip`: a file, a folder of numbered pictures, or its frames, each uint8 (H, W, 3) RGB.

    `seconds` float (T,) says when each frame is shown; without it `fps` of them are shown a second, as many as numbers
    of a folder. A file that cannot be used gives the verdict "Failed" with its reason.

    >>> reelcheck.judge("clip.mp4", detector).probability  # doctest: +SKIP
    0.93
    """
    if isinstance(clip, str | Path):
        return detector.judge_clip(existing(Path(plain_path(str(clip)))), fps=fps)
    if not isinstance(clip, np.ndarray | list | tuple):
        raise UserError(
            f"{type(clip).__name__} is no clip; give a path, or frames, each uint8 (height, width, 3) in RGB."
        )
    return detector.judge_frames(clip, seconds, fps=fps)
