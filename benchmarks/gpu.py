"""python -m benchmarks.gpu: what one GPU does, by a backend of Keras that sees it, written to a file.

Networks have random weights, which take as long as any others.
"""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from base.command_line.parse import parse_flags
from base.ending import run
from base.errors import UserError
from base.flags import option
from base.keras_start import sees_gpu, start_keras
from benchmarks.measure import write_document
from cache.profile import CropProfile
from cache.schema import FRAMES, TEST, TRAIN, central_region
from train.runs.predictions import Predictions

BACKBONE = "resnet50"
SECONDS = 3.0
"""How long each rate is measured, after one batch that compiles."""
BATCHES = 20
"""Batches handed to the engine at once."""
CHECKED = 2 * FRAMES
TRAINED: tuple[tuple[int, int], ...] = ((30, 4), (30, 32), (0, 32))
"""Layers that are trained, 0 for all, and clips a batch."""


@dataclass(frozen=True)
class GpuConfig:
    """What to measure, and where to write it."""

    out: Path | None = option(None, "file to write")
    run: Path | None = option(None, "run on features with their crops beside them, to fine-tune with blends")
    weights: str | None = option(None, "weights of that run's backbone")
    epochs: int = option(5, "epochs of that fine-tuning")
    repeats: int = option(1, "repeats of the sweep")


@dataclass(frozen=True)
class Figures:
    """One row: what was measured, and its figures by name and unit."""

    name: str
    figures: dict[str, float]

    def rounded(self) -> "Figures":
        """Returns the row with four digits of each figure."""
        return Figures(self.name, {name: float(f"{value:.4g}") for name, value in self.figures.items()})


def main(argv: Sequence[str] | None = None) -> None:
    """Measures everything, prints each row when it is there, and writes all of them."""
    config: GpuConfig = parse_flags("python -m benchmarks.gpu", str(__doc__), GpuConfig, argv)
    start_keras()
    import keras

    if not sees_gpu():
        raise UserError("Keras sees no GPU; install a backend that does, or set KERAS_BACKEND.")
    rows = []
    for row in map(Figures.rounded, _rows(config)):
        print(row.name, json.dumps(row.figures), flush=True)
        rows.append(row)
        if config.out:
            write_document(config.out, {"rows": list(map(asdict, rows))}, gpu=_gpu(), backend=keras.config.backend())


def _rows(config: GpuConfig) -> Iterator[Figures]:
    for precision in ("float32", "bfloat16"):
        yield taps(precision)
    for precision in ("float32", "mixed_bfloat16"):
        for layers, clips in TRAINED:
            yield fine_tuning(precision, layers, clips)
    if config.run:
        yield feeding(config)
        yield from fine_tuning_with_blends(config)
    yield from _sweep(config.repeats)


def taps(precision: str) -> Figures:
    """Frames a second through the backbone's taps: from memory, and from batches that lie on the GPU.

    Also the error of the features, as a share of their norm, against float32 on the processor.
    """
    import keras

    from extract.backbones.engines import make_engine
    from extract.backbones.networks import build_backbone

    engine = make_engine(BACKBONE, "random", 0, precision, "keras")  # pyright: ignore[reportArgumentType]
    crops, regions = _crops(BATCHES * engine.batch)
    policy = "float32" if precision == "float32" else "mixed_bfloat16"
    model = build_backbone(BACKBONE, "random", policy, fold=True)
    batches = [
        {"crops": keras.ops.convert_to_tensor(part), "regions": keras.ops.convert_to_tensor(where)}
        for part, where in zip(np.split(crops, BATCHES), np.split(regions, BATCHES), strict=True)
    ]
    with keras.device("cpu:0"):
        few = {"crops": crops[:CHECKED], "regions": regions[:CHECKED]}
        expected = np.asarray(build_backbone(BACKBONE, "random").predict_on_batch(few), np.float64)
    error = engine.features(crops[:CHECKED], regions[:CHECKED]) - expected
    figures = {
        "frames_a_second": _rate(lambda _: engine.features(crops, regions), len(crops)),
        "resident_frames_a_second": _rate(lambda step: model.predict_on_batch(batches[step % BATCHES]), engine.batch),
        "relative_error": float(np.linalg.norm(error) / np.linalg.norm(expected)),
        "batch": engine.batch,
    }
    return Figures(f"taps_{precision}", figures)


def fine_tuning(precision: str, layers: int, clips: int) -> Figures:
    """Frames a second of training backbone and head together, on one batch of `clips` clips from memory."""
    from benchmarks.ratios.stage2 import ALL_LAYERS, whole_network

    network = whole_network(precision, layers or ALL_LAYERS, "auto")
    crops, regions = _crops(clips * FRAMES)
    given = {
        "crops": crops.reshape(clips, FRAMES, *crops.shape[1:]),
        "regions": regions.reshape(clips, FRAMES, 4),
        "mask": np.ones((clips, FRAMES), bool),
    }
    labels = (np.arange(clips) % 2)[:, None].astype(np.float32)
    rate = _rate(lambda _: network.train_on_batch(given, labels), clips * FRAMES)
    return Figures(f"finetune_{precision}_{layers or 'all'}_layers_{clips}_clips", {"frames_a_second": rate})


def fine_tuning_with_blends(config: GpuConfig) -> Iterator[Figures]:
    """A whole fine-tuning of a run, each real clip with a blend: seconds, losses, and ROC AUC on test."""
    from train.end_to_end.finetune import FinetuneConfig, finetune
    from train.runs.contents import read_contents

    assert config.run is not None
    before = read_contents(config.run)
    for precision in ("float32", "mixed_bfloat16"):
        with tempfile.TemporaryDirectory() as folder:
            tuning = FinetuneConfig(
                config.run, Path(folder), blend=1.0, weights=config.weights, epochs=config.epochs,
                patience=config.epochs, accumulate=1, precision=precision,
            )  # fmt: skip
            start = time.perf_counter()
            tuned = read_contents(finetune(tuning))
            seconds = time.perf_counter() - start
        figures = {
            "train_clips": len(tuned.predictions.of(TRAIN).ids),
            "test_clips": len(tuned.predictions.of(TEST).ids),
            "seconds_in_all": seconds,
            "seconds_an_epoch": (tuned.seconds or 0) / (len(tuned.history["loss"]) - 1),
            "first_loss": float(tuned.history["loss"][1]),
            "last_loss": float(tuned.history["loss"][-1]),
            "test_roc_auc_before": _test_auc(before.predictions),
            "test_roc_auc_after": _test_auc(tuned.predictions),
        }
        yield Figures(f"finetune_blends_{precision}", figures)


def _test_auc(predictions: Predictions) -> float:
    test = predictions.of(TEST)
    return float(roc_auc_score(test.labels, test.probabilities))


def feeding(config: GpuConfig) -> Figures:
    """Clips a second that the processor makes ready for fine-tuning: read, augmented, and half of them blended."""
    from extract.clips.blends import blend
    from train.data.clips import balanced_weights
    from train.end_to_end.augment import Augmentation
    from train.end_to_end.crops import Blending, CropSequence
    from train.end_to_end.finetune import FinetuneConfig
    from train.end_to_end.stage import read_starting_run

    clips = read_starting_run(FinetuneConfig(config.run)).clips
    rows, weights = clips.rows(TRAIN), balanced_weights(clips.labels)
    figures = {}
    for name, blending in (("", None), ("blended_", Blending(blend, 1.0))):
        batches = CropSequence(clips, rows, 32, weights, 0, Augmentation(), blending, True)
        batches[0]
        start = time.perf_counter()
        count = sum(len(batches[i][1]) for _ in range(3) for i in range(len(batches)))
        figures[f"{name}clips_a_second"] = count / (time.perf_counter() - start)
    return Figures("feeding", figures)


def _crops(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns `count` drawn crops and the regions of their faces."""
    crops = np.random.default_rng(0).integers(0, 256, (count, 160, 160, 3), np.uint8)
    return crops, np.full((count, 4), central_region(CropProfile().margin), np.uint8)


def _rate(work: Callable[[int], object], units: int) -> float:
    """Returns `units` a second over calls of `work`, which takes the number of the call; the first is not counted."""
    work(0)
    start, calls = time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < SECONDS:
        work(calls)
        calls += 1
    return units * calls / seconds


def _sweep(repeats: int) -> Iterator[Figures]:
    from benchmarks.ratios.stage2 import sweep_bench

    for result in sweep_bench(repeats):
        yield Figures("sweep", {"ratio": result.ratio, **result.figures})


def _gpu() -> str:
    if not shutil.which("nvidia-smi"):
        return "not named: there is no nvidia-smi"
    words = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    run(main)
