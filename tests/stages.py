"""Every stage that writes, as a command on a small drawn data set, for tests of how commands end."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import ROOT

RANDOM = "--backbone mobilenetv2 --weights random"
PREPARATION = (
    "features --data clips --out data --workers 1 " + RANDOM,
    "train --features FEATURES --epochs 2 --runs out/runs --name one",
    "train --features FEATURES --epochs 2 --runs out/runs --name two --head gru",
    "export --run out/runs/one --format onnx --out exported",
)
STAGES = {
    "features": "features --data clips --out out/data --workers 1 " + RANDOM,
    "train": "train --features FEATURES --epochs 30 --runs out/runs --seeds 2",
    "sweep": "sweep --features FEATURES --trials 6 --epochs 6 --best 2 --runs out/runs --sweeps out/sweeps",
    "ensemble": "ensemble --members out/runs/one,out/runs/two --runs out/runs",
    "finetune": "finetune --run out/runs/one --epochs 3 --runs out/runs",
    "cnn3d": "cnn3d --run out/runs/one --epochs 3 --runs out/runs",
    "eval": "eval --run out/runs/one --resamples 100",
    "compare": "compare --runs out/runs/one,out/runs/two --out out/comparison --resamples 100",
    "protocols": "protocols --features FEATURES --out out/protocols --resamples 100",
    "detect to CSV": "detect clips --run exported --out out/verdicts.csv --workers 1",
    "detect to JSON": "detect clips --run exported --out out/verdicts.jsonl --workers 1",
    "detect with sheets": "detect clips --run exported --show out/sheet.png --html out/page.html --workers 1",
    "onnx": "export --run out/runs/one --format onnx --out out/exported",
    "openvino": "export --run out/runs/one --format openvino --out out/exported",
    "cache export": "cache export FEATURES --out out/cache",
}
"""The words of each stage. It reads what `prepare` makes, and writes into `out` alone, below the folder it runs in."""


def prepare(folder: Path) -> Path:
    """Draws a data set into `folder`, extracts its features, trains two runs on it and exports one; returns it."""
    from extract.drawn.dataset import DrawnConfig, draw_dataset

    draw_dataset(DrawnConfig(folder / "clips", people=4, clips=2, youtube=0, fakes=8, workers=1))
    for words in PREPARATION:
        done = run(words, folder)
        assert done.returncode == 0, done.stderr
    return folder


def copy(prepared: Path, folder: Path) -> Path:
    """Copies what `prepare` made into the new `folder`, and returns that."""
    return shutil.copytree(prepared, folder, symlinks=True)


def command(words: str, folder: Path) -> list[str]:
    """Returns a command line: FEATURES stands for the features folder below `folder`."""
    features = next((path.relative_to(folder) for path in folder.glob("data/*/features-*")), Path())
    return [sys.executable, "-m", "reelcheck", *words.replace("FEATURES", str(features)).split()]


def environment(folder: Path) -> dict[str, str]:
    """Returns an environment in which commands find this code, and put what is temporary below `folder`."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}


def run(words: str, folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in `folder` to its end; the words `before` it are a program that runs it."""
    return subprocess.run(
        [*before, *command(words, folder)],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
