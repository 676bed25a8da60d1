"""python -m benchmarks.growth: what a clip costs when there are a hundred times as many; run by hand.

Each step runs in a process of its own on made features of `SIZES` clips, and its seconds and peak memory are divided by
the clips. A step whose cost grows faster than the work shows a share that grows from one size to the next.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from base.command_line.parse import Parser
from base.ending import run
from benchmarks.measure import peak_memory, write_document
from cache.contents import load
from cache.schema import FRAMES, OK, FrameStatus, Row, Seen, VideoRecord, central_regions
from cache.store import create_store, open_store, open_writer
from extract.backbones.networks import BACKBONES
from extract.config import ExtractConfig
from extract.pipeline import extract
from extract.readers.celeb_df import CELEB_DF
from extract.readers.layouts import read_dataset

SIZES = (1_000, 10_000, 100_000)
CLIPS_EACH = 20
"""Clips of a person: half of them real, half of them fakes with another's face."""
SHARD = 500
REPEATED = ("resume", "load", "split", "audit")
"""Steps that take seconds at most sizes and write nothing: the least of `REPEATS` measurements counts."""
REPEATS = 3


def make(root: Path, size: int) -> None:
    """Makes a data set of `size` files that are no clips, and its features, as if they had been extracted."""
    data = root / "data"
    folders = {name: data / name for name in CELEB_DF}
    for folder in folders.values():
        folder.mkdir(parents=True)
    people = size // CLIPS_EACH
    for person in range(people):
        for number in range(CLIPS_EACH // 2):
            (folders["Celeb-real"] / f"id{person}_{number:04}.mp4").write_bytes(b"0")
            donor = (person ^ 1) % people
            (folders["Celeb-synthesis"] / f"id{person}_id{donor}_{number:04}.mp4").write_bytes(b"0")
    config = config_of(root)
    store = create_store(root / "features" / data.name, config.profile)
    records = read_dataset(data, "celeb-df").records
    random = np.random.default_rng(0)
    with open_writer(store) as writer:
        for start in range(0, size, SHARD):
            writer.append(_rows(records[start : start + SHARD], random, config))


def _rows(records: Sequence[VideoRecord], random: np.random.Generator, config: ExtractConfig) -> list[Row]:
    status = np.full(FRAMES, FrameStatus.FACE, np.uint8)
    boxes, regions = np.ones((FRAMES, 4), np.int32), central_regions(status, config.margin)
    arrays = random.normal(0, 1, (len(records), FRAMES, BACKBONES[config.profile.backbone].features)).astype(np.float16)
    for record, array in zip(records, arrays, strict=True):
        array[:, :64] += record.label
    return [
        Row(*record.key, OK, "", Seen(status, np.arange(12.0), boxes, regions), array)
        for record, array in zip(records, arrays, strict=True)
    ]


def config_of(root: Path) -> ExtractConfig:
    """Returns the config that made the features below `root`."""
    return ExtractConfig(root / "data", root / "features", "mobilenetv2", "random", keep_crops=False)


def resume(root: Path) -> None:
    """Looks for what is left to extract: nothing."""
    extract(config_of(root))


def _folder(root: Path) -> Path:
    (folder,) = (root / "features" / "data").glob("features-*")
    return folder


def read(root: Path) -> None:
    """Loads all features."""
    contents = load(open_store(_folder(root)))
    float(contents.arrays[:, 0, 0].astype(np.float32).sum())


def divide(root: Path) -> None:
    """Splits by person."""
    from cache.manifest import read_manifest
    from train.data.split import SplitConfig, split

    split(read_manifest(open_store(_folder(root)).manifest), SplitConfig("identity"))


def check_leaks(root: Path) -> None:
    """Audits a split at random, in which everybody leaks."""
    from cache.manifest import read_manifest
    from train.data.audit import audit, summary
    from train.data.split import SplitConfig, split

    records = read_manifest(open_store(_folder(root)).manifest)
    parts = split(records, SplitConfig("random")).parts
    summary(audit(records, parts, [str(number) for number in range(len(records))]), records)


def train(root: Path) -> None:
    """Fits the baseline and trains a head for one epoch."""
    from train.fit import FitConfig, fit

    fit(FitConfig(features=_folder(root), runs=root / "runs", name="grown", split="identity", epochs=1))


def report(root: Path) -> None:
    """Evaluates the run and writes its page."""
    from evaluate.report.stage import ReportConfig, write_report

    write_report(ReportConfig(run=root / "runs" / "grown"))


STEPS: dict[str, Callable[[Path], None]] = {
    "resume": resume,
    "load": read,
    "split": divide,
    "audit": check_leaks,
    "one epoch": train,
    "evaluation": report,
}


def least(step: str, root: Path) -> dict[str, float]:
    """Returns the costs of a step, the least of its repeats: what else the machine does only adds to them."""
    costs = [measured(step, root) for _ in range(REPEATS if step in REPEATED else 1)]
    return {name: min(cost[name] for cost in costs) for name in costs[0]}


def measured(step: str, root: Path) -> dict[str, float]:
    """Runs a step in a new process; returns its wall seconds, core-seconds, and its peak memory in MB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run_step, (step, root))


def _run_step(step: str, root: Path) -> dict[str, float]:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    start, before = time.perf_counter(), _core_seconds()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        STEPS[step](root)
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "core_seconds": round(_core_seconds() - before, 2),
        "megabytes": peak_memory() >> 20,
    }


def _core_seconds() -> float:
    """Returns what this process and its finished children have computed."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def grow(sizes: Sequence[int], folder: Path) -> Iterator[dict[str, object]]:
    """Yields a row for each step and size: seconds, core-seconds, peak megabytes, and how each clip's share grew."""
    before: dict[str, dict[str, float]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=folder) as root:
            make(Path(root), size)
            for step in STEPS:
                costs = least(step, Path(root))
                shares = {name: cost / size for name, cost in costs.items()}
                grown = {
                    f"{name}_grew": round(shares[name] / before[step][name], 2) for name in shares if before.get(step)
                }
                before[step] = shares
                yield {"step": step, "clips": size, **costs, **grown}


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints each row; writes them all."""
    parser: argparse.ArgumentParser = Parser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of clips, the smallest first")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the made features lie meanwhile")
    parser.add_argument("--out", type=Path, help="where to write the results (benchmarks/growth.json)")
    arguments = parser.parse_args(argv)
    rows = []
    for row in grow(arguments.sizes, arguments.folder):
        print(json.dumps(row), flush=True)
        rows.append(row)
        if arguments.out:
            write_document(arguments.out, {"rows": rows})


if __name__ == "__main__":
    run(main)
