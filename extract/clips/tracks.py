"""Follow people through a clip, and cut a square around each face.

A face detector looks at single frames; a track is a chain of its boxes (`extract.clips.chains`). The chain with the
greatest sum of sides is taken first, then the next from the boxes that remain. The main person is on the track that
is largest and liveliest: a parked truck that the detector takes for a face loses against a person who moves.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cache.schema import CROP_SIZE, LEAST_COVERAGE, FrameStatus, central_region
from extract.clips.appearance import BoxView, FrameView, are_alike, may_be_cut
from extract.clips.boxes import NO_BOXES, Box, FaceDetector
from extract.clips.chains import Track, best_chain, shots_of
from extract.clips.people import TEXTURE, FaceDescriptor

STILL_WEIGHT = 0.1
"""Weight of a track along which nothing changes, relative to one of a living face."""
STILL = 0.1
"""Liveliness below which a track is doubted, and people are searched for harder."""
MOST_TRACKS = 8
"""Tracks that are compared; a crowd has more."""
FARTHEST_LOAN = 1
"""How many samples away a box may be borrowed from. Further away a crop would often show background."""
LEAST_NAMED = 0.25
"""Share of the frames from which on a further face is named: a hand is taken for one now and then."""
LEAST_OF_SHOTS = 4
"""Frames with the face that a person needs who is judged by their own shots alone."""


@dataclass(frozen=True)
class Person:
    """One person's `track`, and the numbers of the `frames` they are judged by.

    These are all frames, or, where several people are asked for, those of the person's own shots if only these show
    enough of the face.
    """

    track: Track
    frames: list[int]


@dataclass(frozen=True)
class People:
    """The people to judge, the clip's main person first; how many more could be, and how many are seen too briefly.

    The main person's track is empty if nobody is found.
    """

    judged: list[Person]
    more: int = 0
    brief: int = 0


def find_people(
    images: Sequence[np.ndarray], detector: FaceDetector, most: int = 1, descriptor: FaceDescriptor = TEXTURE
) -> People:
    """Returns up to `most` people in the `images` of a clip, the main one first.

    A further person counts if seen in half of the frames, or in half of those of the shots that show them. `descriptor`
    tells who is who across cuts.
    """
    frames = [FrameView(image, descriptor) for image in images]
    found = [detector.find(image) for image in images]
    if all(_is_whole(image, boxes) for image, boxes in zip(images, found, strict=True)):
        return People([Person([boxes[0] for boxes in found], list(range(len(images))))])
    tracks = _candidates(frames, found, detector, most)
    shots = shots_of(frames)
    named = [track for track in tracks[1:] if _is_named(frames, track)]
    long = [track for track in tracks[1:] if _is_enough(track, _frames_of(track, shots))]
    judged: list[Track] = []
    for track in [tracks[0], *long[: most - 1]]:
        # A harder search of someone else's shot would find that person again.
        theirs = _shots_of(track, shots)
        others = [other for other in [tracks[0], *named] if other is not track]
        open_to = [shot in theirs or all(other[i] is None for other in others) for i, shot in enumerate(shots)]
        judged.append(_completed(frames, track, open_to, detector, judged))
    for track in judged:
        named = _others(track, named)
    more = sum(_is_enough(track, _frames_of(track, shots)) for track in named)
    every = list(range(len(images)))
    people = [Person(track, every if most == 1 else _frames_of(track, shots)) for track in judged]
    return People(people, more, len(named) - more)


def _candidates(
    frames: Sequence[FrameView], found: Sequence[np.ndarray], detector: FaceDetector, most: int
) -> list[Track]:
    """Returns the tracks that the boxes `found` make, the main one first; with more boxes if that helps."""
    tracks = _ranked(frames, found)
    doubtful = liveliness(frames, tracks[0]) < STILL
    if most == 1 and not doubtful:
        return tracks
    harder = [detector.find_harder(frame.image, None) for frame in frames]
    more = _ranked(frames, [np.concatenate(boxes) for boxes in zip(found, harder, strict=True)])
    # Asked for more people, the main one stays as it is.
    return more if doubtful else [tracks[0], *_others(tracks[0], more)]


def _boxes(track: Track) -> int:
    return sum(box is not None for box in track)


def _is_enough(track: Track, frames: Sequence[int]) -> bool:
    return _boxes(track) >= max(1, LEAST_COVERAGE * len(frames))


def _is_named(frames: Sequence[FrameView], track: Track) -> bool:
    """Returns whether a further face is worth a word: seen more than in passing, and alive unless in a picture."""
    lively = len(frames) == 1 or liveliness(frames, track) >= STILL
    return lively and _boxes(track) >= max(1, LEAST_NAMED * len(frames))


def _shots_of(track: Track, shots: Sequence[int]) -> set[int]:
    """Returns the `shots` that show the person on `track`."""
    return {shot for shot, box in zip(shots, track, strict=True) if box is not None}


def _frames_of(track: Track, shots: Sequence[int]) -> list[int]:
    """Returns the frames by which a person can be judged: those of their own shots if only these show them enough."""
    every = list(range(len(track)))
    own = _shots_of(track, shots)
    of_own = [i for i in every if shots[i] in own]
    alone = not _is_enough(track, every) and _boxes(track) >= LEAST_OF_SHOTS and _is_enough(track, of_own)
    return of_own if alone else every


def _ranked(frames: Sequence[FrameView], found: Sequence[np.ndarray]) -> list[Track]:
    """Returns the tracks that all boxes `found` make, by size and liveliness; at least one, which may be empty."""
    tracks = [best_chain(frames, found)]
    while len(tracks) < MOST_TRACKS and any(map(len, found)):
        found = [_apart(boxes, tracks[-1][i]) for i, boxes in enumerate(found)]
        tracks.append(best_chain(frames, found))
    return sorted(tracks, key=lambda track: -_prominence(frames, track))


def _prominence(frames: Sequence[FrameView], track: Track) -> float:
    sides = sum(float(max(box[2:])) for box in track if box is not None)
    return sides * (STILL_WEIGHT + (1 - STILL_WEIGHT) * liveliness(frames, track))


def _others(main: Track, tracks: Sequence[Track]) -> list[Track]:
    """Returns the `tracks` of other people than the `main` one."""
    pairs = [[(one, box) for one, box in zip(track, main, strict=True) if one is not None] for track in tracks]
    alike = [sum(not len(_apart(one[None], box)) for one, box in boxes) for boxes in pairs]
    return [track for track, boxes, same in zip(tracks, pairs, alike, strict=True) if boxes and 2 * same < len(boxes)]


def _is_whole(image: np.ndarray, boxes: np.ndarray) -> bool:
    """Returns whether the one box is the whole frame: the clip is a face crop, and there is nothing to follow."""
    return len(boxes) == 1 and boxes[0].tolist() == [0, 0, image.shape[1], image.shape[0]]


def liveliness(frames: Sequence[FrameView], track: Track) -> float:
    """Returns how much changes along a track, in [0, 1]; 0 for a face that is seen once only."""
    views = [BoxView(i, frames[i], box) for i, box in enumerate(track) if box is not None]
    changes = [before.liveliness(after) for before, after in itertools.pairwise(views)]
    return sum(changes) / len(changes) if changes else 0.0


def _completed(
    frames: Sequence[FrameView], track: Track, open_to: Sequence[bool], detector: FaceDetector, others: Sequence[Track]
) -> Track:
    """Returns the `track` with the boxes that a harder search finds in its gaps, except those on `others`.

    `open_to` tells which frames may be searched.
    """
    if all(box is None for box in track) or all(box is not None for box in track):
        return track
    boxes = [
        _search(frame, box, nearest_box(track, i), detector) if box is not None or open_to[i] else NO_BOXES
        for i, (frame, box) in enumerate(zip(frames, track, strict=True))
    ]
    for other in others:
        boxes = [_apart(candidates, taken) for candidates, taken in zip(boxes, other, strict=True)]
    return best_chain(frames, boxes)


def _search(frame: FrameView, box: Box | None, near: Box | None, detector: FaceDetector) -> np.ndarray:
    """Returns the `box` of a frame, or what a harder search finds: around the box `near`, at last everywhere."""
    if box is not None:
        return box[None]
    boxes = detector.find_harder(frame.image, near)
    return boxes if len(boxes) else detector.find_harder(frame.image, None)


def nearest_box(track: Sequence[Box | None], at: int) -> Box | None:
    """Returns the box of the frame nearest to `at` (the earlier of two) that has one."""
    with_box = [i for i, box in enumerate(track) if box is not None]
    return track[min(with_box, key=lambda i: abs(i - at))] if with_box else None


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


def _apart(boxes: np.ndarray, taken: Box | None) -> np.ndarray:
    """Returns the `boxes` of other faces than the one in the box `taken`."""
    if taken is None or not len(boxes):
        return boxes
    sides = boxes[:, 2:].max(axis=1) / max(taken[2:])
    near = np.abs(boxes[:, :2] + boxes[:, 2:] / 2 - taken[:2] - taken[2:] / 2) < np.maximum(boxes[:, 2:], taken[2:]) / 2
    same = near.all(axis=1) & (sides < 2) & (sides > 0.5)  # a face may be in front of something much larger
    return boxes[~same]


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

    Where the `track` has no box, the box is zeros and the region the middle of the crop; in a frame that lost the face
    crop and region are zeros as well.
    """
    crops, status, boxes, regions = [], [], [], []
    for i, image in enumerate(images):
        box, shows = _box_for(images, track, i)
        height, width = image.shape[:2]
        status.append(shows)
        boxes.append(np.zeros(4, np.int32) if box is None else box)
        if shows == FrameStatus.LOST:
            crops.append(np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8))
            regions.append(np.zeros(4, np.uint8))
        elif box is None:
            crops.append(cut(image, np.array([0, 0, width, height])))
            regions.append(central_region(margin))
        else:
            square = square_around(box, margin, width, height)
            crops.append(cut(image, square))
            regions.append(region_of(box, square, margin))
    return crops, status, boxes, regions


def _box_for(images: Sequence[np.ndarray], track: Sequence[Box | None], at: int) -> tuple[Box | None, FrameStatus]:
    """Returns the box of the face in frame `at`, and what it shows: a detected face, or the place of a neighbour's."""
    if track[at] is not None:
        return track[at], FrameStatus.FACE
    if all(box is None for box in track):
        return None, FrameStatus.FULL_FRAME
    lenders = range(max(0, at - FARTHEST_LOAN), min(len(track), at + FARTHEST_LOAN + 1))
    for lender in sorted(lenders, key=lambda i: abs(i - at)):
        box = track[lender]
        if box is not None:
            frames = [FrameView(images[i]) for i in (lender, at)]
            here, there = ([BoxView(i, frame, box)] for i, frame in zip((lender, at), frames, strict=True))
            if not may_be_cut(*frames) or are_alike(here, there):
                return box, FrameStatus.TRACKED
    return None, FrameStatus.LOST
