"""Faces: follow one through the clip, cut a square around it.

A face detector looks at single frames. The track decides between its findings: of all chains of boxes that a moving
face could make, it is the one with the greatest sum of sides, so that a large face seen often wins over a false
positive.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from cache.schema import CROP_SIZE, FrameStatus, central_region
from extract.clips.face_detectors import LARGEST_GROWTH, Box, FaceDetector

LONGEST_STEP = 1.0
"""How far a face may move from one sampled frame to the next, in sides of its box."""


def find_track(images: Sequence[np.ndarray], detector: FaceDetector) -> list[Box | None]:
    """Returns for each frame the box of the clip's one face, None where it was not found.

    Each frame is searched near the track so far, and everywhere once that is lost; frames without a face on the track
    are at last searched again, harder, near it.
    """
    found: list[np.ndarray] = []
    for image in images:
        near = nearest_box(best_chain(found), len(found))
        boxes = np.zeros((0, 4), np.int32) if near is None else detector.find_near(image, near)
        found.append(boxes if len(boxes) else detector.find(image))
    track = best_chain(found)
    if all(box is None for box in track):
        return track
    again = [
        detector.find_harder(image, nearest_box(track, i)) if box is None else box[None]  # pyright: ignore[reportArgumentType]
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
    # Plain numbers: this runs for every pair of boxes, and numpy would take ten times as long.
    (x, y, width, height), (x2, y2, width2, height2) = before.tolist(), after.tolist()
    small, large = sorted((max(width, height), max(width2, height2)))
    step = math.hypot(x2 + width2 / 2 - x - width / 2, y2 + height2 / 2 - y - height / 2)
    return step <= LONGEST_STEP * min(gap, 3) * (small + large) / 2 and large <= LARGEST_GROWTH * small


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


def find_tracks(images: Sequence[np.ndarray], detector: FaceDetector, most: int) -> list[list[Box | None]]:
    """Returns the tracks of up to `most` faces: first the clip's one face (`find_track`), then others, largest first.

    Another face counts where it is seen in half of the frames or more.
    """
    tracks = [find_track(images, detector)]
    if most == 1 or all(box is None for box in tracks[0]):
        return tracks
    found = [detector.find(image) for image in images]
    while len(tracks) < most:
        found = [_apart(boxes, tracks[-1][i]) for i, boxes in enumerate(found)]
        track = best_chain(found)
        if sum(box is not None for box in track) < max(1, len(images) / 2):
            break
        tracks.append(track)
    return tracks


def _apart(boxes: np.ndarray, taken: Box | None) -> np.ndarray:
    """Returns the `boxes` whose centres lie outside the box that is `taken`, and which do not hold its centre."""
    if taken is None or not len(boxes):
        return boxes
    centres, centre = boxes[:, :2] + boxes[:, 2:] / 2, taken[:2] + taken[2:] / 2
    inside = (np.abs(centres - centre) < np.maximum(boxes[:, 2:], taken[2:]) / 2).all(axis=1)
    return boxes[~inside]


def region_of(box: Box, square: Box, margin: float) -> np.ndarray:
    """Returns where the face `box` lies inside its crop `square`: uint8 (4,), left, top, right, bottom in its pixels.

    A box that covers the whole crop, as in clips that are face crops already, does not tell face from surround; there
    the face counts as the middle of the crop.
    """
    corners = np.array([*box[:2], *(box[:2] + box[2:])]) - np.tile(square[:2], 2)
    region = np.clip(np.rint(corners * CROP_SIZE / square[2]), 0, CROP_SIZE).astype(np.uint8)
    return central_region(margin) if (region == (0, 0, CROP_SIZE, CROP_SIZE)).all() else region


def crop_along(
    images: Sequence[np.ndarray], track: Sequence[Box | None], margin: float
) -> tuple[list[np.ndarray], list[FrameStatus], list[Box], list[np.ndarray]]:
    """Returns for each frame its crop, what it shows, the face's box and its region in the crop (see `Row`).

    Where the `track` has no box, the box is zeros and the region the middle of the crop.
    """
    crops, status, boxes, regions = [], [], [], []
    for i, image in enumerate(images):
        height, width = image.shape[:2]
        box = nearest_box(track, i)
        if box is None:
            status.append(FrameStatus.FULL_FRAME)
            boxes.append(np.zeros(4, np.int32))
            crops.append(cut(image, np.array([0, 0, width, height])))
            regions.append(central_region(margin))
        else:
            status.append(FrameStatus.FACE if track[i] is not None else FrameStatus.TRACKED)
            boxes.append(box)
            square = square_around(box, margin, width, height)
            crops.append(cut(image, square))
            regions.append(region_of(box, square, margin))
    return crops, status, boxes, regions
