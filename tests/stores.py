"""Features folders for tests: people, fakes made of them, and features that tell the two apart as much as asked."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cache.manifest import write_manifest
from cache.profile import CropProfile, FeatureProfile
from cache.schema import FRAMES, OK, FrameStatus, Row, Seen, VideoRecord, central_regions
from cache.store import Store, create_store, open_writer

PROFILE = FeatureProfile(CropProfile(), backbone="mobilenetv2", weights="random:0")
WIDTH = 16


def real(person: int, number: int, part: str = "") -> VideoRecord:
    name = f"Celeb-real/id{person}_{number:04}.mp4"
    return VideoRecord(name, name, 0, f"id{person}", "", "", part, 100, 7)


def fake(person: int, donor: int, number: int, part: str = "") -> VideoRecord:
    name, source = f"Celeb-synthesis/id{person}_id{donor}_{number:04}.mp4", f"Celeb-real/id{person}_{number:04}.mp4"
    return VideoRecord(name, name, 1, f"id{person}", f"id{donor}", source, part, 100, 7)


def pairs(people: int = 12, clips: int = 3, tested: int = 4) -> list[VideoRecord]:
    """People in twos who are each other's donors; the last `tested` of them are the official test part."""
    records = []
    for person in range(people):
        part = "test" if person >= people - tested else "train"
        records += [real(person, number, part) for number in range(clips)]
        records += [fake(person, person ^ 1, number, part) for number in range(clips)]
    return records


def write_features(
    root: Path,
    records: Sequence[VideoRecord],
    strength: float = 1.0,
    profile: FeatureProfile = PROFILE,
    seed: int = 0,
    shift: float = 0.0,
    name: str = "set",
) -> Store:
    """Writes a store whose fakes lie `strength` off the real ones; every fourth video has five frames only.

    All lie `shift` off those of another store. In two of three videos some boxes are borrowed.
    """
    store, random, rows = create_store(root / name, profile), np.random.default_rng(seed), []
    write_manifest(store.manifest, records)
    for number, record in enumerate(records):
        status = np.full(FRAMES, FrameStatus.FACE, np.uint8)
        status[: number % 3] = FrameStatus.TRACKED
        status[5 if number % 4 == 3 else FRAMES :] = FrameStatus.PAD
        array = (
            random.normal(shift + strength * record.label, 1, (FRAMES, WIDTH)) * (status != FrameStatus.PAD)[:, None]
        )
        boxes, regions = np.ones((FRAMES, 4), np.int32), central_regions(status, profile.crops.margin)
        times = np.where(status == FrameStatus.PAD, np.nan, np.arange(FRAMES))
        rows.append(Row(*record.key, OK, "", Seen(status, times, boxes, regions), array.astype(np.float16)))
    with open_writer(store) as writer:
        writer.append(rows)
    return store


def clip_row(array: np.ndarray, status: np.ndarray | None = None) -> Row:
    """A row of crops or features as a detector takes it, its faces in the middle; without `status` all are detected."""
    status = np.full(FRAMES, FrameStatus.FACE, np.uint8) if status is None else status
    boxes, regions = np.ones((FRAMES, 4), np.int32), central_regions(status, CropProfile.margin)
    return Row("clip", 0, 0, OK, "", Seen(status, np.arange(FRAMES, dtype=np.float64), boxes, regions), array)


def people_of(name: str) -> set[str]:
    """Everyone in a video, read off its id anew."""
    return set(re.findall(r"id\d+", name))
