"""What a frame and the boxes in it look like: whether something lives in a box, who it is, and where a cut may lie.

All figures below were measured on the real clips of celeb-df-mini, between samples.
"""

from collections.abc import Sequence
from functools import cached_property

import cv2
import numpy as np

from extract.clips.boxes import Box
from extract.clips.people import TEXTURE, FaceDescriptor, patch

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
SAME_LOOK = 0.12
"""Distance of the looks up to which two boxes are one person's, whatever the faces do.

Within a shot 90 % of steps differ by less; of pairs of two people, 1 % do.
"""
CUT_FRAME = 0.12
"""Distance of the colours of two frames from which a cut may lie between them; whether it does, the faces decide.

All cuts between clips of two people are further apart, in one room too; within a clip 97 % of steps are less.
"""


class FrameView:
    """A frame uint8 RGB (H, W, 3), and its colours and thumbnails once someone asks."""

    def __init__(self, image: np.ndarray, descriptor: FaceDescriptor = TEXTURE) -> None:
        self.image, self.descriptor = image, descriptor
        self._thumbnails: dict[tuple[tuple[float, float], float], np.ndarray] = {}
        self._faces: dict[bytes, np.ndarray | None] = {}

    @cached_property
    def colours(self) -> np.ndarray:
        """The frame's colour histogram."""
        step = max(1, max(self.image.shape[:2]) // 96)
        return _histogram(np.ascontiguousarray(self.image[::step, ::step]))

    def thumbnail(self, centre: tuple[float, float], side: float) -> np.ndarray:
        """The square of `side` around `centre`, small and grey: float32 (16, 16)."""
        if (centre, side) not in self._thumbnails:
            small = patch(self.image, centre, side, THUMBNAIL)
            self._thumbnails[centre, side] = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return self._thumbnails[centre, side]

    def face(self, box: Box) -> np.ndarray | None:
        """The unit vector that tells whose face is in `box`; None where the descriptor sees none."""
        if box.tobytes() not in self._faces:
            self._faces[box.tobytes()] = self.descriptor.describe(self.image, box)
        return self._faces[box.tobytes()]


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
        return _histogram(patch(self.frame.image, self.centre, LOOK * self.side, 48))

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


def may_be_cut(before: FrameView, after: FrameView) -> bool:
    """Returns whether the colours of two frames differ as they do across a cut, or a pan."""
    return _distance(before.colours, after.colours) > CUT_FRAME


def are_alike(some: Sequence[BoxView], others: Sequence[BoxView]) -> bool:
    """Returns whether `some` boxes and the `others`, each of one person, are of the same: by their most alike pair."""
    if any(one.look_distance(other) <= SAME_LOOK for one in some for other in others):
        return True
    faces, further = ([view.frame.face(view.box) for view in views] for views in (some, others))
    likeness = [one @ other for one in faces for other in further if one is not None and other is not None]
    return max(map(float, likeness), default=-1.0) >= some[0].frame.descriptor.same


def _histogram(image: np.ndarray) -> np.ndarray:
    """Returns the square roots of the colour histogram, float32 (512,)."""
    counts = cv2.calcHist([cv2.cvtColor(image, cv2.COLOR_RGB2LAB)], [0, 1, 2], None, BINS, RANGES).ravel()
    return np.sqrt(counts / max(counts.sum(), 1))


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the Hellinger distance of two histograms, 0 to 1."""
    return float(np.sqrt(max(0.0, 1 - float(one @ other))))
