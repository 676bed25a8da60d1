"""Boxes, and small copies of pictures: those that face detectors search, and those that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

Box = np.ndarray
"""int32 (4,): x, y, width, height in pixels of the displayed frame."""
NO_BOXES = np.zeros((0, 4), np.int32)
LARGEST_GROWTH = 1.6
"""How much larger or smaller than in one sample a face may be in the next."""


class FaceDetector(Protocol):
    """Finds faces in one uint8 RGB image (H, W, 3); each method returns int32 (n, 4) boxes."""

    def find(self, image: np.ndarray) -> np.ndarray:
        """Searches everywhere."""
        ...

    def find_harder(self, image: np.ndarray, box: Box | None) -> np.ndarray:
        """Searches around `box`, or everywhere if it is None, for what `find` has missed."""
        ...


def shrunk(image: np.ndarray, long_side: int) -> tuple[np.ndarray, float]:
    """Returns a copy, colour or grey like `image`, with a long side of at most `long_side` pixels, and its scale."""
    scale = min(1.0, long_side / max(image.shape[:2]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image, scale


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Frames of one size, shrunk: `pictures` uint8 RGB (h, w, 3), each `scale` times as wide as its frame."""

    pictures: list[np.ndarray]
    scale: float


def thumbnails_of(frames: Sequence[np.ndarray], long_side: int) -> Thumbnails:
    """Returns `frames`, uint8 RGB (H, W, 3) of one size, with a long side of at most `long_side` pixels.

    >>> thumbnails_of([np.zeros((100, 400, 3), np.uint8)], 200).pictures[0].shape
    (50, 200, 3)
    """
    small = [shrunk(frame, long_side) for frame in frames]
    return Thumbnails([picture for picture, _ in small], small[0][1])


def boxes_of(found: object, scale: float) -> np.ndarray:
    """Returns boxes of the small copy as int32 (n, 4) boxes of the image."""
    return np.rint(np.reshape(np.asarray(found, np.float64), (-1, 4)) / scale).astype(np.int32)
