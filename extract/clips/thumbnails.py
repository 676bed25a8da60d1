"""The frames that are judged, small enough to be shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Frames of one size, shrunk: `pictures` uint8 RGB (h, w, 3), each `scale` times as wide as its frame."""

    pictures: list[np.ndarray]
    scale: float


def shrink(frames: Sequence[np.ndarray], side: int) -> Thumbnails:
    """Returns `frames`, uint8 RGB (H, W, 3) of one size, with a longer side of at most `side` pixels.

    >>> shrink([np.zeros((100, 400, 3), np.uint8)], 200).pictures[0].shape
    (50, 200, 3)
    """
    height, width = frames[0].shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return Thumbnails([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames], scale)
