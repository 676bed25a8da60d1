"""The one path from a clip to its crops: extraction, detection on a file and the stream all go through here."""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from cache.profile import CropProfile
from cache.schema import CROP_SIZE, FRAMES
from extract.detectors import Detector, make_detector
from extract.faces import crop_faces
from extract.video import Frames, Limits, sample_frames


@dataclass(frozen=True, eq=False)
class ClipCrops:
    """Twelve crops of one clip, padded at the end.

    `crops` uint8 (12, 160, 160, 3) RGB, zeros where padded; `status` uint8 (12,); `times` float64 (12,) seconds, NaN
    where padded; `boxes` int32 (12, 4); `seconds` of work spent in "decode" and "faces".
    """

    crops: np.ndarray
    status: np.ndarray
    times: np.ndarray
    boxes: np.ndarray
    seconds: dict[str, float]


def crop_clip(
    path: Path, profile: CropProfile, limits: Limits = Limits(), detector_file: Path | None = None
) -> ClipCrops:
    """Returns the crops of the video at `path`, made as `profile` says; raises ClipError where there are none."""
    start = time.perf_counter()
    frames = sample_frames(path, profile.sampling, limits)  # pyright: ignore[reportArgumentType]
    decoded = time.perf_counter()
    found = crop_frames(frames, _detector(profile.detector, detector_file), profile.margin)
    found.seconds.update(decode=decoded - start, faces=time.perf_counter() - decoded)
    return found


@lru_cache(maxsize=1)
def _detector(name: str, file: Path | None) -> Detector:
    return make_detector(name, file)  # reading Haar's file takes 10 ms, as long as searching two frames


def crop_frames(frames: Frames, detector: Detector, margin: float) -> ClipCrops:
    """Returns the crops of at most twelve frames that are already decoded."""
    crops, status, boxes = crop_faces(frames.images, detector, margin)
    result = ClipCrops(
        crops=np.zeros((FRAMES, CROP_SIZE, CROP_SIZE, 3), np.uint8),
        status=np.zeros(FRAMES, np.uint8),
        times=np.full(FRAMES, np.nan),
        boxes=np.zeros((FRAMES, 4), np.int32),
        seconds={},
    )
    shown = len(crops)
    result.crops[:shown], result.status[:shown], result.boxes[:shown] = crops, status, boxes
    result.times[:shown] = frames.times
    return result
