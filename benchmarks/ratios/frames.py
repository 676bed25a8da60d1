"""Folders of numbered pictures against the video that they were taken from."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.measure import Result, summarise, timed
from benchmarks.ratios.clips import make_clips
from cache.profile import CropProfile
from extract.clips.crops import crop_clip
from extract.video.decode import play, sample_frames

FACE = 256
"""Side of a face that was cut out, in pixels, as DeepfakeBench's preprocessing saves it."""
CLIPS, AIM = 2, 3.0


def frames(clips: Path, repeats: int) -> Iterator[Result]:
    """Yields, for each form of frames, how much faster than a 480p video it is read, and its crops are made.

    Faces that were cut out are searched for no face (`DETECTOR=none`).
    """
    videos = make_clips(clips, "480p", CLIPS)
    whole, face = CropProfile(), CropProfile(detector="none", margin=0.0)
    for name, save, profile in (
        ("frames_jpeg_480p", partial(_save, suffix="jpg", quality=90), whole),
        ("frames_png_480p", partial(_save, suffix="png"), whole),
        ("face_frames_png", partial(_save, suffix="png", side=FACE), face),
    ):
        folders = [_written(video, clips / name / video.stem, save) for video in videos]
        rates: dict[str, list[float]] = {}
        for _ in range(repeats):
            for what, paths, settings in (("video", videos, whole), ("frames", folders, profile)):
                read = CLIPS / timed(lambda paths=paths: [sample_frames(path) for path in paths])[1]
                crops = CLIPS / timed(lambda paths=paths, s=settings: [crop_clip(path, s) for path in paths])[1]
                rates.setdefault(f"{what}_read_a_core_second", []).append(read)
                rates.setdefault(f"{what}_cropped_a_core_second", []).append(crops)
        read, cropped = (
            (np.array(rates[f"frames_{step}_a_core_second"]) / rates[f"video_{step}_a_core_second"]).tolist()
            for step in ("read", "cropped")
        )
        yield summarise(name, AIM, read, rates | {"cropped_ratio": cropped})


def _written(video: Path, folder: Path, save: Callable[[np.ndarray, Path], None]) -> Path:
    """Returns `folder` with each frame of `video`, which it is written from if it is not there."""
    if not folder.exists():
        folder.mkdir(parents=True)
        for number, (_, image) in enumerate(play(video)):
            save(image(), folder / f"{number:04}")
    return folder


def _save(image: np.ndarray, path: Path, suffix: str, side: int = 0, **options: Any) -> None:
    if side:
        left = (image.shape[1] - image.shape[0]) // 2
        image = cv2.resize(image[:, left : left + image.shape[0]], (side, side), interpolation=cv2.INTER_AREA)
    Image.fromarray(image).save(path.with_suffix(f".{suffix}"), **options)
