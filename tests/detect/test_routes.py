"""One clip, one probability: whichever way it is asked for, and a folder of many, killed and gone on with."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest

from detect.detector.formats import FORMATS
from detect.detector.load import as_network, open_detector
from detect.export.stage import ExportConfig, export
from detect.stream.frame_sources import open_source
from detect.stream.stage import StreamConfig, watch
from extract.clips.crops import crop_clip
from extract.config import ExtractConfig
from extract.drawn.dataset import DrawnConfig, draw_dataset
from extract.pipeline import extract
from tests import ROOT
from tests.clips import CELEB_DF_MINI
from train.fit import FitConfig, fit

pytestmark = pytest.mark.slow

WEIGHTS = CELEB_DF_MINI.parent / "weights" / "mobilenet_v2_imagenet_notop.h5"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("routes")
    return draw_dataset(DrawnConfig(root / "drawn", people=3, clips=2, youtube=0, fakes=6, workers=1))


@pytest.fixture(scope="module")
def run(data):
    features = extract(ExtractConfig(data, data.parent / "data", "mobilenetv2", "random"))
    return fit(FitConfig(features=features, runs=data.parent / "runs", name="run", epochs=3, units=8, dense=8))


@pytest.fixture(scope="module")
def exported(run):
    return export(ExportConfig(run=run, format="onnx"))


def stored(run: Path) -> dict[str, float]:
    with (run / "predictions.csv").open(newline="") as file:
        return {row["id"]: float(row["probability"]) for row in csv.DictReader(file)}


def detected(run: Path, data: Path, engine: str) -> dict[str, float]:
    found = open_detector(run, engine=engine).judge([data / name for name in stored(run)])
    verdicts = [verdict for ((verdict, _),) in found]
    return {
        Path(verdict.clip).relative_to(data).as_posix(): verdict.probability
        for verdict in verdicts
        if verdict.probability is not None
    }


def streamed(run: Path, data: Path, engine: str) -> dict[str, float]:
    detector, found = open_detector(run, engine=engine), {}
    for name in stored(run):
        *_, last, _ = watch(open_source(str(data / name), 60.0), detector, StreamConfig(window=60.0, fast=True))
        if last["probability"] is not None:
            found[name] = last["probability"]
    return found


def loaded(run: Path, data: Path, format: str, folder: Path) -> dict[str, float]:
    """What the whole network says that anyone can load, of crops made from the clips."""
    path = export(ExportConfig(run=run, format=format, out=folder)) / f"detector{FORMATS[format].suffix}"  # pyright: ignore
    network, profile, found = as_network(keras.models.load_model(path)), open_detector(run).profile, {}  # pyright: ignore
    for name in stored(run):
        crops = crop_clip(data / name, profile)
        inputs = {
            "crops": crops.crops[None],
            "regions": crops.seen.regions[None],
            "mask": crops.seen.mask[None],
        }
        found[name] = float(network(inputs)[0, 0])
    return found


def on_the_page(run: Path, data: Path) -> dict[str, float]:
    from detect.detector.config import DEFAULT_WINDOW
    from detect.detector.judge import JudgeOptions
    from detect.web.cases import Case
    from detect.web.config import WebConfig
    from detect.web.judging import judge_case

    judge, found = open_detector(run), dict[str, float | None]()
    for name in stored(run):
        case = Case("key", "somebody", name, data / name, JudgeOptions(0.5, window=DEFAULT_WINDOW), 1)
        judged = judge_case(judge, WebConfig(most_work_seconds=300.0), threading.Lock(), case)
        found[name] = judged.people[0].probability
    return {name: probability for name, probability in found.items() if probability is not None}


def assert_near(found: dict[str, float], expected: dict[str, float], least: int) -> None:
    assert len(found) >= least
    off = {name: abs(found[name] - expected[name]) for name in found}
    assert max(off.values()) < 1e-3, off


def test_each_route_gives_the_stored_probability(run, exported, data):
    expected = stored(run)
    for found in (detected(run, data, "keras"), detected(run, data, "onnx"), streamed(run, data, "onnx")):
        assert_near(found, expected, len(expected) - 1)


@pytest.mark.skipif(not (CELEB_DF_MINI.is_dir() and WEIGHTS.is_file()), reason="celeb-df-mini is not beside the clone")
@pytest.mark.timeout(1500)
def test_each_route_gives_the_stored_probability_of_real_clips(tmp_path):
    features = extract(ExtractConfig(CELEB_DF_MINI, tmp_path / "data", "mobilenetv2", str(WEIGHTS)))
    run = fit(FitConfig(features=features, runs=tmp_path / "runs", name="run", epochs=10))
    expected = stored(run)
    for engine in ("onnx", "litert", "openvino"):
        export(ExportConfig(run=run, format=engine))
        assert_near(detected(run, CELEB_DF_MINI, engine), expected, 60)
    assert_near(detected(run, CELEB_DF_MINI, "keras"), expected, 60)
    assert_near(streamed(run, CELEB_DF_MINI, "keras"), expected, 60)
    assert_near(on_the_page(run, CELEB_DF_MINI), expected, 60)
    for format in ("keras", "h5"):
        assert_near(loaded(run, CELEB_DF_MINI, format, tmp_path / format), expected, 64)


@pytest.fixture
def many(data, tmp_path) -> Path:
    """Five hundred clips, each a name of its own."""
    clips = sorted(data.rglob("*.mp4"))
    for number in range(500):
        os.link(clips[number % len(clips)], tmp_path / f"{number:03}.mp4")
    return tmp_path


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def run_until(command: list[str], out: Path, lines: int) -> tuple[int | None, str]:
    """Runs `command` and kills it once `out` has `lines`; returns its status, None if it was killed, and its errors."""
    told = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None:
        if lines_in(out) >= lines:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return None, ""
        time.sleep(0.02)
    return process.returncode, process.communicate()[1]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_five_hundred_clips_killed_and_resumed_are_judged_once_each(many, exported, suffix):
    out = many / "out" / f"results{suffix}"
    command = [sys.executable, "-m", "detect", str(many / "*.mp4"), "--run", str(exported), "--out", str(out)]
    random, kills, status, errors = np.random.default_rng(0), 0, None, ""
    while status is None:
        # Counted in clips and not in seconds: a kill is to hit a run at its work, however fast the machine is.
        status, errors = run_until(command, out, lines_in(out) + int(random.integers(20, 100)))
        kills += status is None
    assert status in (0, 1), errors
    assert "Traceback" not in errors
    assert kills > 3
    lines = out.read_text().splitlines()
    rows = list(csv.DictReader(lines)) if suffix == ".csv" else list(map(json.loads, lines))
    judged = Counter(Path(row["clip"]).name for row in rows)
    assert judged == Counter(f"{number:03}.mp4" for number in range(500))
    assert len({row["probability"] for row in rows}) <= len({*many.parent.rglob("*.mp4")})


def test_an_exported_engine_starts_three_times_as_fast(run, exported, data):
    """One run of each, as whole processes."""
    clip, taken = str(next(data.rglob("*.mp4"))), {}
    for engine in ("keras", "onnx"):
        start = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "detect", clip, "--run", str(run), "--engine", engine],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        taken[engine] = time.monotonic() - start
    assert taken["keras"] > 3 * taken["onnx"], taken
