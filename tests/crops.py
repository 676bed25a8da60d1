"""Crops stores for tests, and a run on features that the seeded random backbone made of them."""

import csv
import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from base.outside.kept import kept
from base.temporary import scratch_folder
from cache.manifest import write_manifest
from cache.profile import CropProfile, FeatureProfile
from cache.schema import CROP_SIZE, FRAMES, OK, FrameStatus, Row, Seen, VideoRecord, central_regions, mask_of
from cache.store import ORIGIN, Store, create_store, find_rows, open_writer
from extract.backbones.engines import make_engine
from extract.backbones.networks import BACKBONES, backbone_of
from extract.clips.face_detectors import face_detector_hash
from extract.steps import Clock, rows_from_store, rows_with_features
from tests.stores import pairs
from train.fit import FitConfig, fit
from train.runs.folder import CONFIG

PROFILE = FeatureProfile(
    CropProfile(detector_file=face_detector_hash("yunet")),
    "mobilenetv2",
    "random:0",
    taps=BACKBONES["mobilenetv2"].taps,
)
RECORDS = pairs(people=6, clips=1, tested=2)
"""Twelve clips: six real, six fake, a third of them to test on."""


def draw_crops(random: np.random.Generator, label: int, frames: int = FRAMES) -> np.ndarray:
    """Returns crops of coarse noise that hardly moves, uint8 (12, 160, 160, 3); a fake is darker and striped."""
    coarse = random.integers(90, 200, (1, 10, 10, 3)) + random.integers(-9, 10, (FRAMES, 10, 10, 3))
    crops = coarse.repeat(CROP_SIZE // 10, axis=1).repeat(CROP_SIZE // 10, axis=2)
    crops[:, :: 4 if label else CROP_SIZE] -= 60 * label
    crops[frames:] = 0
    return crops.astype(np.uint8)


def write_crops(root: Path, records: Sequence[VideoRecord] = RECORDS, profile: CropProfile = PROFILE.crops) -> Store:
    """Writes a crops store below `root`/set, two shards; every fourth clip has five frames only."""
    store, random, rows = create_store(root / "set", profile), np.random.default_rng(0), []
    write_manifest(store.manifest, records)
    for number, record in enumerate(records):
        frames = 5 if number % 4 == 3 else FRAMES
        status = np.array([FrameStatus.FACE] * frames + [FrameStatus.PAD] * (FRAMES - frames), np.uint8)
        boxes, times = np.ones((FRAMES, 4), np.int32), np.arange(FRAMES, dtype=np.float64)
        regions = central_regions(status, profile.margin)
        rows.append(
            Row(*record.key, OK, "", Seen(status, times, boxes, regions), draw_crops(random, record.label, frames))
        )
    with open_writer(store) as writer:
        # Shards do not lie in the manifest's order.
        writer.append(rows[1::2])
        writer.append(rows[::2])
    return store


def write_source(root: Path, val: float = 0.25, profile: FeatureProfile = PROFILE) -> Path:
    """Writes crops, the features of them, and a run on these that has hardly learnt; returns the run folder.

    They are made once for all tests, and copied for each.
    """

    def pack(into: Path) -> None:
        with scratch_folder() as scratch:
            _make_source(scratch, val, profile)
            (into / "made-in.txt").write_text(str(scratch))
            shutil.make_archive(str(into / "source"), "tar", scratch)

    with kept({"source of tests": dataclasses.asdict(profile), "val": val}, pack) as packed:
        shutil.unpack_archive(packed / "source.tar", root, filter="data")
        made_in = (packed / "made-in.txt").read_text()
    config = root / "runs" / "source" / CONFIG
    config.write_text(config.read_text().replace(made_in, str(root)))
    return config.parent


def _make_source(root: Path, val: float, profile: FeatureProfile) -> None:
    crops = write_crops(root, profile=profile.crops)
    features = create_store(root / "set", profile)
    write_manifest(features.manifest, RECORDS)
    (features.folder / ORIGIN).write_text(json.dumps({"weights": "random"}))
    engine = make_engine(backbone_of(profile), "random", name="keras")
    places = find_rows(crops)
    with open_writer(features) as writer:
        writer.append(list(rows_with_features(rows_from_store(list(places.values())), engine, Clock())))
    fit(FitConfig(features=features.folder, runs=root / "runs", name="source", val=val, epochs=1, units=8, dense=8))


def rows_of(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def mask_with(frames: int) -> np.ndarray:
    """Returns the mask bool (12,) of a clip with so many frames."""
    return mask_of(np.array([1] * frames + [0] * (FRAMES - frames), np.uint8))
