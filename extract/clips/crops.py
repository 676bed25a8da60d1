"""The one path from a clip to its crops: extraction, detection on a file and the stream all go through here."""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from cache.profile import CropProfile
from cache.schema import CROP_SIZE, FRAMES, FrameStatus
from extract.clips.decode import Frames, Limits, sample_frames, sample_windows
from extract.clips.face_detectors import Box, Detector, make_detector
from extract.clips.tracks import crop_along, find_tracks


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


@dataclass(frozen=True, eq=False)
class ClipParts:
    """A clip cut further: the crops of each of its `people`, and of its largest face in each of its `windows`.

    `spans` are these windows' first and last seconds.
    """

    people: list[ClipCrops]
    windows: list[ClipCrops]
    spans: list[tuple[float, float]]


def crop_parts(
    path: Path,
    profile: CropProfile,
    limits: Limits = Limits(),
    detector_file: Path | None = None,
    faces: int = 1,
    window: float | None = None,
) -> ClipParts:
    """Returns the crops of up to `faces` people, the first as `crop_clip` has them, and those of each window.

    `window` is in seconds; without it, and in clips that are not longer, there is none. Raises ClipError where there is
    nothing to be cut.
    """
    detector = _detector(profile.detector, detector_file)
    frames = sample_frames(path, profile.sampling, limits)  # pyright: ignore[reportArgumentType]
    parts = ClipParts(crop_people(frames, detector, profile.margin, faces), [], [])
    for span, shown in () if window is None else sample_windows(path, window, limits):
        parts.spans.append(span)
        parts.windows.append(crop_frames(shown, detector, profile.margin))
    return parts


@lru_cache(maxsize=1)
def _detector(name: str, file: Path | None) -> Detector:
    return make_detector(name, file)  # reading Haar's file takes 10 ms, as long as searching two frames


def crop_frames(frames: Frames, detector: Detector, margin: float) -> ClipCrops:
    """Returns the crops of the one face in at most twelve frames that are already decoded."""
    return crop_people(frames, detector, margin, 1)[0]


def crop_people(frames: Frames, detector: Detector, margin: float, most: int) -> list[ClipCrops]:
    """Returns the crops of up to `most` people, the largest face first, from at most twelve decoded frames."""
    return [
        _padded(frames, *crop_along(frames.images, track, margin))
        for track in find_tracks(frames.images, detector, most)
    ]


def _padded(frames: Frames, crops: list[np.ndarray], status: list[FrameStatus], boxes: list[Box]) -> ClipCrops:
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
