"""Face detectors find faces in single frames. A new one is a class with these two methods and a line at the end."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from base.commands import flag
from base.errors import UserError
from base.outside.content import NO_FILE, WrongContent, is_regular, read_regular

DetectorName = Literal["haar", "yunet", "none"]
Box = np.ndarray
"""int32 (4,): x, y, width, height in pixels of the displayed frame."""

LONG_SIDE = 640
"""Detectors look at a copy with this long side: on larger ones they are many times slower and find no more."""
STEP, NEIGHBOURS, LEAST = 1.2, 5, 24
"""Haar's usual search: ratio of one size to the next, hits that make a face, and its smallest side."""
HARDER = {"scaleFactor": 1.1, "minNeighbors": 4}
LARGE = 70
"""Haar's first search is for faces from this side on: the smaller sizes take most of the time."""
CLOSE, NEAR = 0.35, 0.75
"""A search near a box looks this many of its sides around it: first close by, then further."""
STILL = 0.15
"""How far, in sides, a face may have moved for a search close by to have seen all of it."""
NEAR_GROWTH, LARGEST_GROWTH = 1.45, 1.6
"""How much larger or smaller than a box a face near it is searched for, and may be in the next sample."""
ALIKE = 0.2
"""How far two hits may differ, in sides, and still be one face (OpenCV's own value)."""
ONE_SHIFT, ALL_SHIFTS = ((0, 0),), ((0, 0), (0, 1), (1, 0), (1, 1))
YUNET_FILE = Path(__file__).parent / "weights" / "face_detection_yunet_2026may.onnx"
MOST_DETECTOR = 2**26
"""Bytes of a face detector's file."""
YUNET_SCORE = 0.6
YUNET_LONG_SIDE, YUNET_HARDER_LONG_SIDES = 320, (640, 1280)
"""Long side of the copy that YuNet searches, and of the copies of its harder search. Chosen by measurement
(`benchmarks/yunet.json`): at 320 it costs a third of 640 and covers celeb-df-mini as well, with steadier boxes; it
finds faces from a fifteenth of the long side on, at 640 a thirtieth, at 1280 a sixtieth."""
YUNET_AROUND, YUNET_EASY_SIDE = 1.5, 64
"""YuNet's harder search near a box: how many sides around it, in a window scaled to give the box this side."""
YUNET_LEAST_SIDE = 33
"""A narrower picture is widened by black pixels: of one up to 32 wide, YuNet gives boxes of leftover memory."""
NO_BOXES = np.zeros((0, 4), np.int32)


class FaceDetector(Protocol):
    """Finds faces in one uint8 RGB image (H, W, 3); each method returns int32 (n, 4) boxes."""

    def find(self, image: np.ndarray) -> np.ndarray:
        """Searches everywhere."""
        ...

    def find_harder(self, image: np.ndarray, box: Box | None) -> np.ndarray:
        """Searches around `box`, or everywhere if it is None, for what `find` has missed."""
        ...


class HaarDetector:
    """OpenCV's frontal-face cascade (Viola and Jones, CVPR 2001) on a small grey copy."""

    def __init__(self, file: Path | None = None) -> None:
        self._cascade = cv2.CascadeClassifier(str(file or cascade_file()))

    def find(self, image: np.ndarray) -> np.ndarray:
        """See `FaceDetector.find`. All sizes are searched for where a coarse search has found no large face."""
        grey, scale = _small_grey(image)
        sizes, whole = _factors(LARGE, min(grey.shape)), (0, 0, *grey.shape[::-1])
        hits = [hit for factor in sizes[::2] for hit in self._hits(grey, factor, whole, ONE_SHIFT)]
        rough = _boxes(_grouped(hits * 2, neighbours=1), scale)  # twice, because one hit alone is no group
        large = [box for around in rough for box in self._find_near(grey, scale, around)]
        if large:
            return np.array(large)
        return _boxes(self._cascade.detectMultiScale(grey, STEP, NEIGHBOURS, minSize=(LEAST, LEAST)), scale)

    def _find_near(self, grey: np.ndarray, scale: float, box: Box) -> np.ndarray:
        """Returns the boxes that a search of all sizes finds around `box`, in less time.

        OpenCV would shrink a window on another pixel grid than the whole picture, and the boxes would differ by a tenth
        of their side. So the whole picture is shrunk and then cut.
        """
        found = self._near(grey, box * scale, CLOSE)
        if len(found) != 1 or np.abs(_centre(found[0]) - _centre(box * scale)).max() > STILL * max(box[2:]) * scale:
            found = self._near(grey, box * scale, NEAR)
        return _boxes(found, scale)

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
        return _boxes(np.reshape(found, (-1, 4)) + np.array([left, top, 0, 0]), scale)


class YuNetDetector:
    """YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023).

    Its file ships with this package; `weights/LICENSE` is its licence.
    """

    def __init__(self, file: Path = YUNET_FILE) -> None:
        self._network = cv2.FaceDetectorYN.create(str(file), "", (YUNET_LONG_SIDE, YUNET_LONG_SIDE), YUNET_SCORE)

    def find(self, image: np.ndarray) -> np.ndarray:
        """See `FaceDetector.find`."""
        return self._find(image, YUNET_LONG_SIDE)

    def _find(self, image: np.ndarray, long_side: int) -> np.ndarray:
        small, scale = _small(image, long_side)
        down, across = (max(YUNET_LEAST_SIDE - side, 0) for side in small.shape[:2])
        if down or across:
            small = cv2.copyMakeBorder(small, 0, down, 0, across, cv2.BORDER_CONSTANT)
        self._network.setInputSize(small.shape[1::-1])
        _, faces = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        return _boxes(() if faces is None else faces[:, :4], scale)

    def find_harder(self, image: np.ndarray, box: Box | None) -> np.ndarray:
        """Searches a window around `box`, or larger copies until one shows a face. See `FaceDetector.find_harder`."""
        if box is not None:
            return self._find_around(image, box)
        last = YUNET_LONG_SIDE
        for long_side in YUNET_HARDER_LONG_SIDES:
            if last < max(image.shape[:2]) and len(boxes := self._find(image, long_side)):
                return boxes
            last = long_side
        return NO_BOXES

    def _find_around(self, image: np.ndarray, box: Box) -> np.ndarray:
        window, corner = _window(image, box, YUNET_AROUND)
        size = np.maximum(np.rint(np.array(window.shape[1::-1]) * YUNET_EASY_SIDE / max(box[2:])), 32).astype(int)
        scales = size / window.shape[1::-1]
        method = cv2.INTER_AREA if scales.min() < 1 else cv2.INTER_LINEAR
        boxes = self._find(cv2.resize(window, size.tolist(), interpolation=method), 2 * max(size))
        return _boxes(boxes / np.tile(scales, 2) + np.array([*corner, 0, 0]), 1.0)


class NoDetector:
    """For clips that are face crops already: the whole frame is the face."""

    def find(self, image: np.ndarray) -> np.ndarray:
        """Returns one box, the frame. See `FaceDetector.find`."""
        return np.array([[0, 0, image.shape[1], image.shape[0]]], np.int32)

    def find_harder(self, image: np.ndarray, box: Box | None) -> np.ndarray:
        """Returns one box, the frame. See `FaceDetector.find_harder`."""
        del box
        return self.find(image)


def cascade_file() -> Path:
    """The cascade that ships with OpenCV 4."""
    return Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"


def face_detector_hash(name: str, file: Path | None = None) -> str:
    """Returns what identifies the detector's file in a profile; "" where it has none."""
    path = detector_file(name, file)
    if path is None:
        return ""
    try:
        return hashlib.sha256(read_regular(path, MOST_DETECTOR)).hexdigest()[:16]
    except (*NO_FILE, WrongContent) as error:
        remedy = f"give another one as {flag('detector_file', 'path.onnx')}"
        raise UserError(f"{path} is not a face detector's file ({error}); {remedy}.") from None


def detector_file(name: str, file: Path | None) -> Path | None:
    """Returns the file that the detector called `name` reads, None if it reads none; a UserError if it is not there."""
    if name == "none":
        return None
    if name == "haar":
        return cascade_file()
    if file is not None and not is_regular(file):
        raise UserError(
            f"the detector yunet was given {file}, which is not a file; give another one as "
            f"{flag('detector_file', 'path.onnx')}, or none for the one that comes with it."
        )
    return file or YUNET_FILE


def make_face_detector(name: str, file: Path | None = None) -> FaceDetector:
    """Returns the detector called `name`, reading `file` where it is one the user has to give."""
    path = detector_file(name, file)
    if path is None:
        return NoDetector()
    try:
        return HaarDetector(path) if name == "haar" else YuNetDetector(path)
    except cv2.error as error:
        raise UserError(
            f"{path} is not a face detector that OpenCV can read ({error.err}); give the right file."
        ) from None


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


def _small(image: np.ndarray, long_side: int = LONG_SIDE) -> tuple[np.ndarray, float]:
    """Returns a copy, colour or grey like `image`, with a long side of at most `long_side` pixels, and its scale."""
    scale = min(1.0, long_side / max(image.shape[:2]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image, scale


def _window(image: np.ndarray, box: Box, around: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the part of `image` up to `around` sides of the `box` away from it, and the part's top left corner."""
    reach = around * max(box[2:])
    left, top = np.clip(box[:2] - reach, 0, [image.shape[1] - 1, image.shape[0] - 1]).astype(int)
    right, bottom = np.maximum(box[:2] + box[2:] + reach, [left + 1, top + 1]).astype(int)
    return np.ascontiguousarray(image[top:bottom, left:right]), np.array([left, top])


def _small_grey(image: np.ndarray) -> tuple[np.ndarray, float]:
    return _small(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))  # in this order there is a third to shrink


def _grouped(hits: list[list[int]], neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Returns a box (n, 4) for each place that has more than `neighbours` hits."""
    grouped, _ = cv2.groupRectangles(hits, neighbours, ALIKE) if hits else ((), ())
    return np.reshape(grouped, (-1, 4))


def _boxes(found: object, scale: float) -> np.ndarray:
    """Returns boxes of the small copy as int32 (n, 4) boxes of the image."""
    return np.rint(np.reshape(np.asarray(found, np.float64), (-1, 4)) / scale).astype(np.int32)
