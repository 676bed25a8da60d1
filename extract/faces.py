"""Faces: find them, follow one through the clip, cut a square around it.

A detector looks at single frames. The track decides between its findings: of all chains of boxes that a moving face
could make, the one with the greatest sum of sides, so that a large face seen often wins over a false positive.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from cache.schema import CROP_SIZE, FrameStatus

DetectorName = Literal["haar", "none"]
Box = np.ndarray
"""int32 (4,): x, y, width, height in pixels of the displayed frame."""

LONG_SIDE = 640
"""Haar looks at a grey copy with this long side: on larger ones it is many times slower and finds no more."""
COARSE = {"scaleFactor": 1.2, "minNeighbors": 5, "minSize": (24, 24)}
FINE = {"scaleFactor": 1.1, "minNeighbors": 4}
NEAR = 0.75
"""The fine search looks this many sides around the track's box."""
LONGEST_STEP = 1.0
"""How far a face may move from one sampled frame to the next, in sides of its box."""
LARGEST_GROWTH = 1.6
"""How much larger or smaller it may become meanwhile."""


class Detector(Protocol):
    """Finds faces in one frame."""

    def find(self, image: np.ndarray, near: Box | None = None) -> np.ndarray:
        """Returns int32 (n, 4) boxes in uint8 RGB `image` (H, W, 3); with `near`, searches harder around that box."""
        ...


class HaarDetector:
    """OpenCV's frontal-face cascade (Viola and Jones, CVPR 2001) on a small grey copy."""

    def __init__(self) -> None:
        self._cascade = cv2.CascadeClassifier(str(cascade_file()))

    def find(self, image: np.ndarray, near: Box | None = None) -> np.ndarray:
        """See `Detector.find`."""
        grey, scale = _small_grey(image)
        if near is None:
            return _scaled(self._cascade.detectMultiScale(grey, **COARSE), 1 / scale)
        side = float(max(near[2:])) * scale
        left, top = (np.maximum(near[:2] * scale - NEAR * side, 0)).astype(int)
        right, bottom = (near[:2] * scale + (1 + NEAR) * side).astype(int)
        window = np.ascontiguousarray(grey[top:bottom, left:right])
        least, most = int(side / LARGEST_GROWTH), int(side * LARGEST_GROWTH)
        if min(window.shape) <= least:
            return np.zeros((0, 4), np.int32)
        boxes = self._cascade.detectMultiScale(window, **FINE, minSize=(least, least), maxSize=(most, most))
        return _scaled(np.reshape(boxes, (-1, 4)) + np.array([left, top, 0, 0]), 1 / scale)


class NoDetector:
    """For clips that are face crops already: the whole frame is the face."""

    def find(self, image: np.ndarray, near: Box | None = None) -> np.ndarray:
        """Returns one box, the frame. See `Detector.find`."""
        del near
        return np.array([[0, 0, image.shape[1], image.shape[0]]], np.int32)


def cascade_file() -> Path:
    """The cascade that ships with OpenCV 4."""
    return Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"


def detector_hash(name: DetectorName) -> str:
    """Returns what identifies the detector's file in a profile; "" where it has none."""
    return hashlib.sha256(cascade_file().read_bytes()).hexdigest()[:16] if name == "haar" else ""


def make_detector(name: DetectorName) -> Detector:
    """Returns the detector called `name`."""
    return HaarDetector() if name == "haar" else NoDetector()


def _small_grey(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns a grey copy with a long side of at most 640 pixels, and its scale."""
    scale = min(1.0, LONG_SIDE / max(image.shape[:2]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), scale


def _scaled(boxes: Sequence | np.ndarray, scale: float) -> np.ndarray:
    return np.rint(np.reshape(boxes, (-1, 4)) * scale).astype(np.int32)


def find_track(images: Sequence[np.ndarray], detector: Detector) -> list[Box | None]:
    """Returns for each frame the box of the clip's one face, None where it was not found.

    A coarse search in every frame gives the track; frames that it missed are searched again, finer, near the track.
    """
    track = best_chain([detector.find(image) for image in images])
    if all(box is None for box in track):
        return track
    again = [
        detector.find(image, nearest_box(track, i)) if box is None else box[None]
        for i, (image, box) in enumerate(zip(images, track, strict=True))
    ]
    return best_chain(again)


def best_chain(found: Sequence[np.ndarray]) -> list[Box | None]:
    """Returns for each frame its box on the heaviest chain of boxes (n, 4) that one face could make, or None.

    Weight is the sum of the boxes' sides. Two boxes can follow each other if neither centre nor size jumps; a gap of a
    few frames allows a longer step.
    """
    boxes = [(frame, box) for frame, candidates in enumerate(found) for box in candidates]
    weight: list[float] = []
    previous: list[int | None] = []
    for i, (frame, box) in enumerate(boxes):
        ways = [j for j in range(i) if boxes[j][0] < frame and _can_follow(boxes[j][1], box, frame - boxes[j][0])]
        best = max(ways, key=lambda j: weight[j], default=None)
        weight.append(float(max(box[2:])) + (0 if best is None else weight[best]))
        previous.append(best)
    chain: list[Box | None] = [None] * len(found)
    at = max(range(len(boxes)), key=lambda i: weight[i], default=None)
    while at is not None:
        chain[boxes[at][0]] = boxes[at][1]
        at = previous[at]
    return chain


def _can_follow(before: Box, after: Box, gap: int) -> bool:
    sides = float(max(before[2:])), float(max(after[2:]))
    step = np.hypot(*((after[:2] + after[2:] / 2) - (before[:2] + before[2:] / 2)))
    return bool(step <= LONGEST_STEP * min(gap, 3) * np.mean(sides) and max(sides) <= LARGEST_GROWTH * min(sides))


def nearest_box(track: Sequence[Box | None], at: int) -> Box | None:
    """Returns the box of the frame nearest to `at` (the earlier of two) that has one."""
    held = [i for i, box in enumerate(track) if box is not None]
    return track[min(held, key=lambda i: abs(i - at))] if held else None


def square_around(box: Box, margin: float, width: int, height: int) -> Box:
    """Returns the square crop, int32 (4,), around `box`: its longer side plus `margin` of it on each edge.

    A square that would leave the frame is moved back inside; one larger than the frame shrinks to it.
    """
    side = min(round(float(max(box[2:])) * (1 + 2 * margin)), width, height)
    centre = box[:2] + box[2:] / 2
    corner = np.clip(np.rint(centre - side / 2), 0, [width - side, height - side])
    return np.array([*corner, side, side], np.int32)


def cut(image: np.ndarray, box: Box) -> np.ndarray:
    """Returns `box` of the uint8 RGB `image`, resized to uint8 (160, 160, 3): by area where that shrinks it."""
    x, y, width, height = box
    shrinks = max(width, height) > CROP_SIZE
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    patch = np.ascontiguousarray(image[y : y + height, x : x + width])
    return cv2.resize(patch, (CROP_SIZE, CROP_SIZE), interpolation=method)


def crop_faces(
    images: Sequence[np.ndarray], detector: Detector, margin: float
) -> tuple[list[np.ndarray], list[FrameStatus], list[Box]]:
    """Returns for each frame its crop, what it shows, and the face's box (zeros where the clip has none)."""
    track = find_track(images, detector)
    crops, status, boxes = [], [], []
    for i, image in enumerate(images):
        height, width = image.shape[:2]
        box = nearest_box(track, i)
        if box is None:
            status.append(FrameStatus.FULL_FRAME)
            boxes.append(np.zeros(4, np.int32))
            crops.append(cut(image, np.array([0, 0, width, height])))
        else:
            status.append(FrameStatus.FACE if track[i] is not None else FrameStatus.TRACKED)
            boxes.append(box)
            crops.append(cut(image, square_around(box, margin, width, height)))
    return crops, status, boxes
