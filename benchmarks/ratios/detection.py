"""Verdicts and the page by whole processes, with the default engine and with Keras; a stream against its source."""

import contextlib
import io
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from base.errors import UserError
from benchmarks.measure import Result, summarise
from benchmarks.ratios.clips import FRAMES, RATE, make_clips
from benchmarks.ratios.stage2 import make_features
from cache.profile import CropProfile
from detect.after_training import make_ready
from detect.detector.judge import Detector
from detect.detector.load import open_detector
from detect.stream.frame_sources import Frame, FrameSource, open_source
from detect.stream.stage import StreamConfig, watch
from extract.clips.face_detectors import face_detector_hash
from train.fit import FitConfig, fit

ROOT = Path(__file__).parents[2]
DEFAULT_AIM, FOLDER_AIM, PAGE_AIM, STREAM_AIM = 5.0, 1.5, 4.0, 1.0
WINDOW, EACH = 6.0, 0.5
"""Seconds that a verdict looks back, and seconds between verdicts."""
TIMES = 6
"""How often the clip of ten seconds is shown: for a minute."""


@contextmanager
def _run() -> Iterator[Path]:
    """Yields the folder of a run, an LSTM on ResNet50 with random weights, whose networks are kept."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        features = make_features(Path(folder), CropProfile(detector_file=face_detector_hash("yunet")))
        run = fit(FitConfig(features=features.folder, runs=Path(folder) / "runs", name="run", epochs=1, dense=16))
        yield make_ready(None, run)


def detect_default(clips: Path, repeats: int) -> Iterator[Result]:
    """Yields `detect_default` and `detect_folder`: core-seconds of `python -m detect` on one clip and on twenty."""
    made = make_clips(clips, "480p", 20)
    with _run() as run:
        twenty = [Path(shutil.copy(path, run / f"{number}.mp4")) for number, path in enumerate(made)]
        yield _against_keras("detect_default", DEFAULT_AIM, twenty[:1], run, repeats)
        yield _against_keras("detect_folder", FOLDER_AIM, twenty, run, repeats)


def page_start(_clips: Path, repeats: int) -> Iterator[Result]:
    """Yields `page_start`: seconds from the command `web` to its address, against those with Keras' engine."""
    seconds: dict[str, list[float]] = {"keras": [], "auto": []}
    with _run() as run:
        for _ in range(repeats):
            for engine, taken in seconds.items():
                taken.append(_seconds_to_page(["--run", str(run), "--engine", engine, "--port", "0"]))
    ratios = [slow / fast for slow, fast in zip(seconds["keras"], seconds["auto"], strict=True)]
    yield summarise("page_start", PAGE_AIM, ratios, {f"{engine}_seconds": taken for engine, taken in seconds.items()})


def _seconds_to_page(words: Sequence[str]) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "detect", "web", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as page:
        assert page.stdout
        if not any(line.startswith("The page is at ") for line in page.stdout):
            raise UserError(f"the page did not open; run python -m detect web {' '.join(words)} to see why.")
        seconds = time.perf_counter() - start
        page.terminate()
    return seconds


def _against_keras(name: str, aim: float, clips: Sequence[Path], run: Path, repeats: int) -> Result:
    """Returns how many times the core-seconds of the default engine Keras takes, as it was the default before."""
    seconds: dict[str, list[float]] = {"keras": [], "auto": []}
    for _ in range(repeats):
        for engine, taken in seconds.items():
            words = [*map(str, clips), "--run", str(run), "--engine", engine]
            before = _of_children()
            subprocess.run([sys.executable, "-m", "detect", *words], cwd=ROOT, capture_output=True, check=False)
            taken.append(_of_children() - before)
    ratios = [slow / fast for slow, fast in zip(seconds["keras"], seconds["auto"], strict=True)]
    return summarise(name, aim, ratios, {f"{engine}_core_seconds": taken for engine, taken in seconds.items()})


def _of_children() -> float:
    """Returns the core-seconds of the processes that this one has started and waited for, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def stream_720p(clips: Path, repeats: int) -> Iterator[Result]:
    """Yields `stream_720p`: verdicts given on a minute of 720p at 30 frames/s, over those due, one each half second."""
    clip = make_clips(clips, "720p", 1)[0]
    figures: dict[str, list[float]] = {}
    with _run() as run:
        detector = open_detector(run, weights="random")
        for _ in range(repeats):
            for name, value in _watched(clip, detector).items():
                figures.setdefault(name, []).append(value)
    due = TIMES * FRAMES / RATE / EACH
    yield summarise("stream_720p", STREAM_AIM, [verdicts / due for verdicts in figures["verdicts"]], figures)


def _watched(clip: Path, detector: Detector) -> dict[str, float]:
    lags, memory = [], []
    for event in watch(_shown_often(clip), detector, StreamConfig(window=WINDOW)):
        if event["event"] == "verdict":
            lags.append(event["lag"])
            memory.append(psutil.Process().memory_info().rss / 1e6)
    third = len(lags) // 3
    return {
        "verdicts": len(lags),
        "lag_first_third": statistics.median(lags[:third]),
        "lag_last_third": statistics.median(lags[-third:]),
        "longest_lag": max(lags),
        "megabytes_more_in_last_two_thirds": memory[-1] - memory[third],
    }


def _shown_often(clip: Path) -> FrameSource:
    seconds = FRAMES / RATE

    def frames() -> Iterator[Frame]:
        for number in range(TIMES):
            for frame in open_source(str(clip), WINDOW).frames():
                yield Frame(number * seconds + frame.seconds, frame.picture)

    return FrameSource(clip.name, False, frames)
