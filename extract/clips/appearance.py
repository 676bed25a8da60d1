"""What a frame and the boxes in it look like: whether something lives in a box, who it is, and where a cut lies.

All figures below were measured on the real clips of celeb-df-mini, between samples.
"""

from functools import cached_property

import cv2
import numpy as np

from extract.clips.boxes import Box

THUMBNAIL = 16
"""Side of the grey copies that are compared to see whether anything in a box has changed."""
STILL, LIVELY = 0.5, 3.0
"""Mean change of a thumbnail, in grey levels, of a still thing and of a living face.

Medians over half a second or so: 0.5 for background, 4.9 for faces.
"""
LOOK = 1.6
"""A person's look is taken from the box and 0.3 of its side around it: hair and collar tell people apart."""
BINS = (8, 8, 8)
RANGES = (0, 256, 64, 192, 64, 192)
"""Bins of the colour histograms, and their range in OpenCV's Lab; colours further out are rare."""
CUT_LOOK, CUT_FRAME = 0.25, 0.2
"""Distances of the looks and of the whole frames that together mean a cut.

Within a clip, looks differ by 0.18 at most in 95 % of steps and frames by 0.17 in all. A pan changes the frame but not
the look; a turning head changes the look but not the frame.
"""


class FrameView:
    """A frame uint8 RGB (H, W, 3), and its colours and thumbnails once someone asks."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self._thumbnails: dict[tuple[tuple[float, float], float], np.ndarray] = {}

    @cached_property
    def colours(self) -> np.ndarray:
        """The frame's colour histogram."""
        step = max(1, max(self.image.shape[:2]) // 96)
        return _histogram(np.ascontiguousarray(self.image[::step, ::step]))

    def thumbnail(self, centre: tuple[float, float], side: float) -> np.ndarray:
        """The square of `side` around `centre`, small and grey: float32 (16, 16)."""
        if (centre, side) not in self._thumbnails:
            patch = _patch(self.image, centre, side, THUMBNAIL)
            self._thumbnails[centre, side] = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return self._thumbnails[centre, side]


class BoxView:
    """A box in a frame, and how it looks once someone asks."""

    def __init__(self, frame_number: int, frame: FrameView, box: Box) -> None:
        self.frame_number, self.frame, self.box = frame_number, frame, box
        # Plain numbers: chains compare every pair of boxes, and numpy would take ten times as long.
        x, y, width, height = (float(value) for value in box)
        self.side, self.centre = max(width, height), (x + width / 2, y + height / 2)

    @cached_property
    def look(self) -> np.ndarray:
        """The colour histogram of head and collar."""
        return _histogram(_patch(self.frame.image, self.centre, LOOK * self.side, 48))

    def look_distance(self, other: "BoxView") -> float:
        """Returns how differently two boxes look, 0 to 1."""
        return _distance(self.look, other.look)

    def liveliness(self, later: "BoxView") -> float:
        """Returns how much has changed from this box to a later one of the same face: 0 nothing, 1 as on a living face.

        Nothing changes if the picture in the box is the same, or if the picture at its old place is: the camera may
        move, and the box of a still thing may tremble.
        """
        before = self.frame.thumbnail(self.centre, self.side)
        in_box = np.abs(before - later.frame.thumbnail(later.centre, later.side)).mean()
        in_place = np.abs(before - later.frame.thumbnail(self.centre, self.side)).mean()
        return float(np.clip((min(in_box, in_place) - STILL) / (LIVELY - STILL), 0, 1))


def is_cut(before: BoxView, after: BoxView) -> bool:
    """Returns whether a cut to something else lies between two boxes."""
    return before.look_distance(after) > CUT_LOOK and _distance(before.frame.colours, after.frame.colours) > CUT_FRAME


def _patch(image: np.ndarray, centre: tuple[float, float], side: float, size: int) -> np.ndarray:
    """Returns the square of `side` around `centre`, clamped to the image, as uint8 (size, size, 3)."""
    height, width = image.shape[:2]
    left, right = (int(np.clip(centre[0] + half, 0, width)) for half in (-side / 2, side / 2))
    top, bottom = (int(np.clip(centre[1] + half, 0, height)) for half in (-side / 2, side / 2))
    left, top = min(left, width - 1), min(top, height - 1)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    return cv2.resize(np.ascontiguousarray(part), (size, size), interpolation=cv2.INTER_AREA)


def _histogram(image: np.ndarray) -> np.ndarray:
    """Returns the square roots of the colour histogram, float32 (512,)."""
    counts = cv2.calcHist([cv2.cvtColor(image, cv2.COLOR_RGB2LAB)], [0, 1, 2], None, BINS, RANGES).ravel()
    return np.sqrt(counts / max(counts.sum(), 1))


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the Hellinger distance of two histograms, 0 to 1."""
    return float(np.sqrt(max(0.0, 1 - float(one @ other))))
