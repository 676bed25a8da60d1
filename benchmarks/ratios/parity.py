"""python -m benchmarks.ratios.parity: the scores of verdicts by each quick engine, against Keras' on the same clips.

Every head, every backbone, an ensemble, a fine-tuned run and the 3D network are trained on drawn clips for an epoch or
two, on backbones with random weights: what is compared is arithmetic, which knows nothing of faces.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from base.command_line.parse import parse_flags
from base.ending import run
from base.flags import option
from base.keras_start import start_keras
from base.progress import say
from benchmarks.measure import write_document
from detect.detector.converted import QUICK
from detect.detector.load import open_detector
from extract.backbones.networks import BACKBONES
from extract.config import ExtractConfig
from extract.drawn.dataset import DrawnConfig, draw_dataset
from extract.pipeline import extract

KERAS = "keras"


@dataclass(frozen=True)
class ParityConfig:
    """How many clips, and where the table goes."""

    people: int = option(6, "drawn people, each with two real clips and two fakes")
    engines: tuple[str, ...] = option(tuple(QUICK), "engines to compare with Keras, as A,B")
    out: Path = option(Path("benchmarks/parity.json"), "file to write")


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints each row, and writes them."""
    config: ParityConfig = parse_flags("python -m benchmarks.ratios.parity", str(__doc__), ParityConfig, argv)
    start_keras()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        drawn = DrawnConfig(
            Path(folder, "celeb-df-drawn"), people=config.people, clips=2, youtube=0, fakes=2 * config.people
        )
        clips = draw_dataset(drawn)
        films = sorted(clips.rglob("*.mp4"))
        for name, trained in runs_of(clips, Path(folder)):
            rows.append({"name": name, "clips": len(films), **compared(trained, films, config.engines)})
            say(str(rows[-1]))
    write_document(config.out, {"rows": rows})


def runs_of(clips: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields the name and folder of a run of each kind, trained on the data set in `clips`."""
    from train.end_to_end.cnn3d import Cnn3dConfig, train_cnn3d
    from train.end_to_end.finetune import FinetuneConfig, finetune
    from train.fit import FitConfig, fit
    from train.heads.architectures import HEADS
    from train.runs.ensemble import EnsembleConfig, ensemble

    stage1 = ExtractConfig(clips, folder / "data", weights="random")
    features = {name: extract(replace(stage1, backbone=name)) for name in BACKBONES}
    first, runs = next(iter(features)), folder / "runs"
    settings = FitConfig(features=features[first], runs=runs, split="identity", test=0.3, epochs=2, start="nothing")
    heads = {head: fit(replace(settings, head=head, name=head)) for head in HEADS}
    yield from ((f"{head} on {first}", trained) for head, trained in heads.items())
    for name in list(features)[1:]:
        yield f"lstm on {name}", fit(replace(settings, features=features[name], name=name))
    yield "lstm from the baseline", fit(replace(settings, start="baseline", name="from-baseline"))
    yield "ensemble of all heads", ensemble(EnsembleConfig(tuple(heads.values()), runs=runs, name="ensemble"))
    source, short = heads["lstm"], {"runs": runs, "epochs": 1, "warmup_epochs": 0}
    yield "fine-tuned lstm", finetune(FinetuneConfig(source, name="tuned", layers=6, **short))
    yield "cnn3d", train_cnn3d(Cnn3dConfig(source, name="cnn3d", width=8, **short))


def compared(trained: Path, films: Sequence[Path], engines: Sequence[str]) -> dict[str, float]:
    """Returns how far Keras' scores of `films` spread, and the largest difference of each engine's from them."""
    by_keras = scores(trained, films, KERAS)
    found = {engine: float(np.abs(scores(trained, films, engine) - by_keras).max()) for engine in engines}
    return {"scores_spread": float(np.ptp(by_keras)), **found}


def scores(trained: Path, films: Sequence[Path], engine: str) -> np.ndarray:
    """Returns the score of each film, float64 (N,), by a run and an engine."""
    judged = (verdict for ((verdict, _crops),) in open_detector(trained, engine=engine).judge(films))
    probabilities = {verdict.clip: verdict.probability for verdict in judged}
    return np.array([probabilities[str(film)] for film in films], np.float64)


if __name__ == "__main__":
    run(main)
