"""The time of one verdict from a cold start, ONNX against Keras, and a stream against the pace of its source."""

import contextlib
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.measure import Result, summarise
from benchmarks.ratios.clips import FRAMES, RATE, make_clips
from benchmarks.ratios.stage2 import make_features
from cache.profile import CropProfile
from detect.detector.judge import Detector
from detect.detector.load import open_detector
from detect.export.stage import ExportConfig, export
from detect.stream.frame_sources import Frame, FrameSource, open_source
from detect.stream.stage import StreamConfig, watch
from extract.clips.face_detectors import face_detector_hash
from train.fit import FitConfig, fit

ROOT = Path(__file__).parents[2]
COLD_AIM, STREAM_AIM = 3.0, 1.0
WINDOW, EACH = 6.0, 0.5
"""Seconds that a verdict looks back, and seconds between verdicts."""
TIMES = 6
"""How often the clip of ten seconds is shown: for a minute."""


@contextmanager
def _run() -> Iterator[Path]:
    """Yields the folder of a run, an LSTM on ResNet50 with random weights, which is also exported to ONNX."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        features = make_features(Path(folder), CropProfile(detector_file=face_detector_hash("yunet")))
        run = fit(FitConfig(features=features.folder, runs=Path(folder) / "runs", name="run", epochs=1, dense=16))
        export(ExportConfig(run=run, format="onnx", weights="random"))
        yield run


def cold_start(clips: Path, repeats: int) -> Iterator[Result]:
    """Yields `cold_start`: seconds of `python -m detect clip.mp4` as a whole process, Keras against ONNX."""
    clip = make_clips(clips, "480p", 1)[0]
    seconds: dict[str, list[float]] = {"keras": [], "onnx": []}
    with _run() as run:
        for _ in range(repeats):
            for engine, taken in seconds.items():
                command = [sys.executable, "-m", "detect", str(clip), "--run", str(run), "--engine", engine]
                weights = ["--weights", "random"] if engine == "keras" else []
                start = time.perf_counter()
                subprocess.run([*command, *weights], cwd=ROOT, capture_output=True, check=False)
                taken.append(time.perf_counter() - start)
    ratios = [slow / fast for slow, fast in zip(seconds["keras"], seconds["onnx"], strict=True)]
    yield summarise("cold_start", COLD_AIM, ratios, {f"{name}_seconds": taken for name, taken in seconds.items()})


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
            memory.append(_memory())
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


def _memory() -> float:
    """Returns the resident memory of this process in megabytes."""
    return psutil.Process().memory_info().rss / 1e6
