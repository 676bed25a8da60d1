"""python -m benchmarks.unlike: which measure sees that a clip is unlike the training clips.

Each of several splits by person trains a head, and each measure gets the limit that 95 % of the people keep who are
left out of train. What has to lie beyond: other footage (drawn faces), and clips of the data set itself, encoded
worse or made smaller. What has to lie within: the people of test, and blends of the data set's own clips.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import av
import numpy as np

from base.command_line.parse import parse_flags
from base.ending import run
from base.flags import option, required
from base.progress import say
from benchmarks.measure import write_document
from cache.contents import Contents, load
from cache.schema import TEST, TRAIN
from cache.store import open_store
from extract.config import ExtractConfig
from extract.drawn.dataset import DrawnConfig, draw_dataset
from extract.pipeline import extract
from extract.readers.found import is_video
from train.data.clips import LEAST_VARIANCE, Clips, pool
from train.data.neighbours import NEAREST, find_neighbours, kept_by_most, people_of
from train.data.training_set import DataConfig, gather
from train.fit import FitConfig, fit
from train.runs.load import build_and_load, read_run

ENCODED = {f"CRF {quality}": (quality, 1) for quality in (18, 28, 35, 40, 45)}
SMALLER = {"half": (28, 2), "a third": (28, 3), "a quarter": (28, 4), "CRF 40, a quarter": (40, 4)}
"""x264's quality, 23 by default and worse above, and by how much width and height are divided."""
COMPONENTS = 20


@dataclass(frozen=True)
class UnlikeConfig:
    """On which clips, by which features, and how often."""

    data: Path = required("data set of real and fake clips, as for make features")
    weights: str = option("imagenet", "the backbone's weights")
    backbone: str = option("mobilenetv2", "backbone")
    work: Path = option(Path("unlike"), "folder for clips, features and runs; what is there already is used")
    splits: int = option(5, "splits by person")
    out: Path = option(Path("benchmarks/unlike.json"), "file to write")


Measure = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray], Measure]
"""Takes training clips (T, D) and returns what gives clips (N, D) their distances (N,)."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints the table and writes it."""
    config: UnlikeConfig = parse_flags("python -m benchmarks.unlike", str(__doc__), UnlikeConfig, argv)
    own = _features(config, config.data)
    contents = load(open_store(own))
    others = {name: load(open_store(_features(config, clips))) for name, clips in _other_clips(config)}
    with_blends = load(open_store(_features(config, config.data, blends=2)))
    others["blends"] = _rows(with_blends, np.array([record.is_blend for record in with_blends.records]))
    shares = [_of_split(config, own, contents, others, seed) for seed in range(config.splits)]
    rows = {
        way: {name: round(float(np.mean([one[way][name] for one in shares])), 3) for name in shares[0][way]}
        for way in shares[0]
    }
    write_document(config.out, {"clips": len(contents.records), "splits": config.splits, "beyond": rows})
    say(json.dumps(rows, indent=1))


def _other_clips(config: UnlikeConfig) -> Iterator[tuple[str, Path]]:
    for name, (quality, divisor) in (ENCODED | SMALLER).items():
        folder = config.work / name.replace(" ", "-").replace(",", "")
        for clip in sorted(filter(is_video, config.data.rglob("*"))):
            target = folder / clip.relative_to(config.data)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _encode(clip, target, quality, divisor)
        yield name, folder
    yield "drawn faces", draw_dataset(DrawnConfig(config.work / "drawn", people=6))


def _encode(clip: Path, target: Path, quality: int, divisor: int) -> None:
    with av.open(clip) as source, av.open(target, "w") as made:
        stream = source.streams.video[0]
        width, height = (max(16, side // divisor // 2 * 2) for side in (stream.width, stream.height))
        video = made.add_stream("libx264", rate=stream.average_rate, options={"crf": str(quality)})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for frame in source.decode(stream):
            small = frame.reformat(width, height, "yuv420p")
            small.pts = None
            made.mux(video.encode(small))
        made.mux(video.encode(None))


def _features(config: UnlikeConfig, data: Path, blends: int = 0) -> Path:
    out = config.work / ("blends" if blends else "features")
    return extract(ExtractConfig(data, out=out, backbone=config.backbone, weights=config.weights, blends=blends))


def _of_split(
    config: UnlikeConfig, features: Path, contents: Contents, others: dict[str, Contents], seed: int
) -> dict[str, dict[str, float]]:
    """Returns by measure the share of clips beyond its limit, by kind of clip."""
    folder = config.work / "runs" / f"split-{seed}"
    if not folder.exists():
        fit(FitConfig(features, folder.parent, folder.name, split="identity", split_seed=seed))
    training_set = gather(DataConfig(features), FitConfig(split="identity", split_seed=seed).split_config)
    parts, people = training_set.parts, people_of(contents.records)
    neighbours, _ = find_neighbours(Clips(contents.arrays, contents.seen.mask, contents.labels), parts, people)
    assert neighbours
    shares: dict[str, dict[str, float]] = {}
    tested = {"people of test": _rows(contents, parts == TEST)} | others
    shares["3 nearest, block by block (runs)"] = {
        name: float((neighbours.distances(one.arrays, one.seen.mask).mean > 1).mean()) for name, one in tested.items()
    }
    last = _last_layer(folder)
    for way, (values, measure) in _WAYS.items():
        of = last if values == "last layer" else _mean
        shares[way] = _beyond(of(contents), parts == TRAIN, people, measure, {n: of(one) for n, one in tested.items()})
    return shares


def _rows(contents: Contents, chosen: np.ndarray) -> Contents:
    rows = np.flatnonzero(chosen)
    records = [contents.records[row] for row in rows]
    return Contents(contents.stores, records, contents.arrays[rows], contents.seen[rows], [], [], [])


def _beyond(
    values: np.ndarray, train: np.ndarray, people: Sequence[tuple[str, str]], fit_to: Fit, tested: dict[str, np.ndarray]
) -> dict[str, float]:
    rows = np.flatnonzero(train).tolist()
    owners = np.array([people[row][0] for row in rows])
    names = np.array([people[row] for row in rows])
    left_out = np.full(len(rows), np.nan)
    for owner in np.unique(owners):
        without = ~(names == owner).any(axis=1)
        if without.sum() >= NEAREST:
            left_out[owners == owner] = fit_to(values[train][without])(values[train][owners == owner])
    known = ~np.isnan(left_out)
    limit, measure = kept_by_most(left_out[known], owners[known]), fit_to(values[train])
    return {name: float((measure(clips) > limit).mean()) for name, clips in tested.items()}


def _mean(contents: Contents) -> np.ndarray:
    return pool(contents.arrays, contents.seen.mask)


def _last_layer(folder: Path) -> Callable[[Contents], np.ndarray]:
    """Returns what gives clips the vector (N, U) of which the run's head makes its logit."""
    import keras

    head = build_and_load(read_run(folder))
    network = keras.Model(head.inputs, head.get_layer("dropout").output)
    return lambda clips: np.asarray(
        network.predict_on_batch({"features": clips.arrays.astype(np.float32), "mask": clips.seen.mask})
    )


def _normal(train: np.ndarray) -> Measure:
    mean, variance = train.mean(axis=0), train.var(axis=0)
    return lambda values: (values - mean) / np.sqrt(np.maximum(variance, LEAST_VARIANCE * variance.mean()) + 1e-30)


def _nearest(train: np.ndarray, metric: Literal["euclidean", "cosine"] = "euclidean") -> Measure:
    from scipy.spatial.distance import cdist

    normal = _normal(train)
    return lambda values: np.sort(cdist(normal(values), normal(train), metric), axis=1)[:, :NEAREST].mean(axis=1)


def _z_score(train: np.ndarray) -> Measure:
    normal = _normal(train)
    return lambda values: np.sqrt(np.square(normal(values)).mean(axis=1))


def _mahalanobis(train: np.ndarray) -> Measure:
    """Ledoit & Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", JMVA 88(2), 2004."""
    from sklearn.covariance import LedoitWolf
    from sklearn.decomposition import PCA

    normal = _normal(train)
    reduce = PCA(min(COMPONENTS, len(train) - 1, train.shape[1]), random_state=0).fit(normal(train))
    shrunk = LedoitWolf().fit(reduce.transform(normal(train)))
    return lambda values: np.sqrt(shrunk.mahalanobis(reduce.transform(normal(values))))


_WAYS: dict[str, tuple[str, Fit]] = {
    "3 nearest, all features": ("mean", _nearest),
    "root mean square z-score": ("mean", _z_score),
    f"Mahalanobis, {COMPONENTS} components, shrunk": ("mean", _mahalanobis),
    "3 nearest by cosine": ("mean", partial(_nearest, metric="cosine")),
    "3 nearest in the head's last layer": ("last layer", _nearest),
}

if __name__ == "__main__":
    run(main)
