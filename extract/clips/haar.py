"""The published recipe's face detector: OpenCV's cascade, searched coarsely first, and finely near what that finds."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from extract.clips.boxes import LARGEST_GROWTH, NO_BOXES, Box, boxes_of, shrunk

CASCADE_FILE = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
"""The cascade that ships with OpenCV 4."""
LONG_SIDE = 640
"""The search goes over a copy with this long side: on larger ones it is many times slower and finds no more."""
STEP, NEIGHBOURS, LEAST = 1.2, 5, 24
"""The usual search: ratio of one size to the next, hits that make a face, and its smallest side."""
HARDER = {"scaleFactor": 1.1, "minNeighbors": 4}
LARGE = 70
"""The first search is for faces from this side on: the smaller sizes take most of the time."""
CLOSE, NEAR = 0.35, 0.75
"""A search near a box looks this many of its sides around it: first close by, then further."""
STILL = 0.15
"""How far, in sides, a face may have moved for a search close by to have seen all of it."""
NEAR_GROWTH = 1.45
"""How much larger or smaller than a box a face near it is searched for."""
ALIKE = 0.2
"""How far two hits may differ, in sides, and still be one face (OpenCV's own value)."""
ONE_SHIFT, ALL_SHIFTS = ((0, 0),), ((0, 0), (0, 1), (1, 0), (1, 1))


class HaarDetector:
    """OpenCV's frontal-face cascade (Viola and Jones, CVPR 2001) on a small grey copy."""

    def __init__(self, file: Path = CASCADE_FILE) -> None:
        self._cascade = cv2.CascadeClassifier(str(file))

    def find(self, image: np.ndarray) -> np.ndarray:
        """See `FaceDetector.find`. All sizes are searched for where a coarse search has found no large face."""
        grey, scale = _small_grey(image)
        sizes, whole = _factors(LARGE, min(grey.shape)), (0, 0, *grey.shape[::-1])
        hits = [hit for factor in sizes[::2] for hit in self._hits(grey, factor, whole, ONE_SHIFT)]
        rough = boxes_of(_grouped(hits * 2, neighbours=1), scale)  # twice, because one hit alone is no group
        large = [box for around in rough for box in self._find_near(grey, scale, around)]
        if large:
            return np.array(large)
        return boxes_of(self._cascade.detectMultiScale(grey, STEP, NEIGHBOURS, minSize=(LEAST, LEAST)), scale)

    def _find_near(self, grey: np.ndarray, scale: float, box: Box) -> np.ndarray:
        """Returns the boxes that a search of all sizes finds around `box`, in less time.

        OpenCV would shrink a window on another pixel grid than the whole picture, and the boxes would differ by a tenth
        of their side. So the whole picture is shrunk and then cut.
        """
        found = self._near(grey, box * scale, CLOSE)
        if len(found) != 1 or np.abs(_centre(found[0]) - _centre(box * scale)).max() > STILL * max(box[2:]) * scale:
            found = self._near(grey, box * scale, NEAR)
        return boxes_of(found, scale)

    def _near(self, grey: np.ndarray, box: np.ndarray, around: float) -> np.ndarray:
        """Returns the boxes of faces like `box` that lie up to `around` of its sides away from it."""
        side = max(box[2:])
        area = (*(box[:2] - around * side), *(box[:2] + (1 + around) * side))
        sizes = _factors(side / NEAR_GROWTH, min(*grey.shape, side * NEAR_GROWTH))
        # At one size OpenCV looks at every second pixel, in its search of all sizes only below factor 2.
        return _grouped(
            [
                hit
                for factor in sizes
                for hit in self._hits(grey, factor, area, ONE_SHIFT if np.float32(factor) < 2 else ALL_SHIFTS)
            ]
        )

    def _hits(
        self, grey: np.ndarray, factor: float, area: Sequence[float], shifts: Sequence[tuple[int, int]]
    ) -> Iterator[list[int]]:
        """Yields every place [x, y, size, size] in an area of `grey` that is a face when shrunk by `factor`.

        `shifts` are the first pixels, of those four that begin the area, from which every second one is looked at.
        """
        width, height = np.rint(np.array(grey.shape[::-1]) / factor).astype(int)
        level = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
        left, top = (int(max(edge, 0) / factor) // 2 * 2 for edge in area[:2])
        right, bottom = (int(edge / factor) + 1 for edge in area[2:])
        size = round(LEAST * factor)
        for down, across in shifts:
            part = np.ascontiguousarray(level[top + down : bottom, left + across : right])
            if min(part.shape) >= LEAST:
                found = self._cascade.detectMultiScale(part, 1000.0, 0, minSize=(LEAST, LEAST), maxSize=(LEAST, LEAST))
                for x, y, *_ in np.reshape(found, (-1, 4)):
                    yield [round((x + left + across) * factor), round((y + top + down) * factor), size, size]

    def find_harder(self, image: np.ndarray, box: Box | None) -> np.ndarray:
        """See `FaceDetector.find_harder`. Everywhere it finds nothing more."""
        if box is None:
            return NO_BOXES
        grey, scale = _small_grey(image)
        side = float(max(box[2:])) * scale
        left, top = np.maximum(box[:2] * scale - NEAR * side, 0).astype(int)
        right, bottom = (box[:2] * scale + (1 + NEAR) * side).astype(int)
        window = np.ascontiguousarray(grey[top:bottom, left:right])
        least, most = int(side / LARGEST_GROWTH), int(side * LARGEST_GROWTH)
        if min(window.shape) <= least:
            return NO_BOXES
        found = self._cascade.detectMultiScale(window, **HARDER, minSize=(least, least), maxSize=(most, most))
        return boxes_of(np.reshape(found, (-1, 4)) + np.array([left, top, 0, 0]), scale)


def _factors(least: float, most: float) -> list[float]:
    """Returns how much Haar's search of all sizes shrinks a picture to see faces of sides in [least, most]."""
    factors, factor = [], 1.0
    while LEAST * factor <= most:
        if LEAST * factor >= least:
            factors.append(factor)
        factor *= STEP
    return factors


def _centre(box: np.ndarray) -> np.ndarray:
    return box[:2] + box[2:] / 2


def _small_grey(image: np.ndarray) -> tuple[np.ndarray, float]:
    return shrunk(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), LONG_SIDE)  # in this order there is a third to shrink


def _grouped(hits: list[list[int]], neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Returns a box (n, 4) for each place that has more than `neighbours` hits."""
    grouped, _ = cv2.groupRectangles(hits, neighbours, ALIKE) if hits else ((), ())
    return np.reshape(grouped, (-1, 4))
