"""Face detectors: where faces lie in one frame. A new one is a class with these three methods and a line below."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from cache.schema import UserError

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
"""How much larger or smaller than a box a face near it is searched for, and may be."""
ALIKE = 0.2
"""How far two hits may differ, in sides, and still be one face (OpenCV's own value)."""
ONE_SHIFT, ALL_SHIFTS = ((0, 0),), ((0, 0), (0, 1), (1, 0), (1, 1))
YUNET_SCORE = 0.6


class FaceDetector(Protocol):
    """Finds faces in one uint8 RGB image (H, W, 3); each method returns int32 (n, 4) boxes."""

    def find(self, image: np.ndarray) -> np.ndarray:
        """Searches everywhere."""
        ...

    def find_near(self, image: np.ndarray, box: Box) -> np.ndarray:
        """Gives what `find` would give around `box`, in less time."""
        ...

    def find_harder(self, image: np.ndarray, box: Box) -> np.ndarray:
        """Searches around `box` for what `find` has missed there."""
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
        large = [box for around in rough for box in self.find_near(image, around)]
        if large:
            return np.array(large)
        return _boxes(self._cascade.detectMultiScale(grey, STEP, NEIGHBOURS, minSize=(LEAST, LEAST)), scale)

    def find_near(self, image: np.ndarray, box: Box) -> np.ndarray:
        """See `FaceDetector.find_near`.

        A window handed to OpenCV as it is would be shrunk on another pixel grid than the whole picture, and its boxes
        would differ by a tenth of their side. So the picture is shrunk as a whole, as `find` does, and then cut.
        """
        grey, scale = _small_grey(image)
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

    def find_harder(self, image: np.ndarray, box: Box) -> np.ndarray:
        """See `FaceDetector.find_harder`."""
        grey, scale = _small_grey(image)
        side = float(max(box[2:])) * scale
        left, top = np.maximum(box[:2] * scale - NEAR * side, 0).astype(int)
        right, bottom = (box[:2] * scale + (1 + NEAR) * side).astype(int)
        window = np.ascontiguousarray(grey[top:bottom, left:right])
        least, most = int(side / LARGEST_GROWTH), int(side * LARGEST_GROWTH)
        if min(window.shape) <= least:
            return np.zeros((0, 4), np.int32)
        found = self._cascade.detectMultiScale(window, **HARDER, minSize=(least, least), maxSize=(most, most))
        return _boxes(np.reshape(found, (-1, 4)) + np.array([left, top, 0, 0]), scale)


class YuNetDetector:
    """YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023).

    Its ONNX file, `face_detection_yunet_*.onnx`, is in OpenCV's model zoo.
    """

    def __init__(self, file: Path) -> None:
        self._network = cv2.FaceDetectorYN.create(str(file), "", (LONG_SIDE, LONG_SIDE), YUNET_SCORE)

    def find(self, image: np.ndarray) -> np.ndarray:
        """See `FaceDetector.find`."""
        small, scale = _small(image)
        self._network.setInputSize(small.shape[1::-1])
        _, found = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        return _boxes(() if found is None else found[:, :4], scale)

    def find_near(self, image: np.ndarray, box: Box) -> np.ndarray:
        """Searches everywhere: the network costs the same wherever the face is. See `FaceDetector.find_near`."""
        del box
        return self.find(image)

    def find_harder(self, image: np.ndarray, box: Box) -> np.ndarray:
        """Finds nothing more. See `FaceDetector.find_harder`."""
        del image, box
        return np.zeros((0, 4), np.int32)


class NoDetector:
    """For clips that are face crops already: the whole frame is the face."""

    def find(self, image: np.ndarray) -> np.ndarray:
        """Returns one box, the frame. See `FaceDetector.find`."""
        return np.array([[0, 0, image.shape[1], image.shape[0]]], np.int32)

    def find_near(self, image: np.ndarray, box: Box) -> np.ndarray:
        """Returns one box, the frame. See `FaceDetector.find_near`."""
        del box
        return self.find(image)

    def find_harder(self, image: np.ndarray, box: Box) -> np.ndarray:
        """Returns one box, the frame. See `FaceDetector.find_harder`."""
        del box
        return self.find(image)


def cascade_file() -> Path:
    """The cascade that ships with OpenCV 4."""
    return Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"


def face_detector_hash(name: str, file: Path | None = None) -> str:
    """Returns what identifies the detector's file in a profile; "" where it has none."""
    path = detector_file(name, file)
    return "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def detector_file(name: str, file: Path | None) -> Path | None:
    """Returns the file that the detector called `name` reads, None if it reads none; a UserError if it is not there."""
    if name == "none":
        return None
    if name == "haar":
        return cascade_file()
    if file is None or not file.is_file():
        what = "no file" if file is None else f"{file}, which is no file"
        raise UserError(
            f"the detector yunet needs its ONNX file and was given {what}; give it as DETECTOR_FILE=path.onnx."
        )
    return file


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


def _small(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns a copy, colour or grey like `image`, with a long side of at most 640 pixels, and its scale."""
    scale = min(1.0, LONG_SIDE / max(image.shape[:2]))
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image, scale


def _small_grey(image: np.ndarray) -> tuple[np.ndarray, float]:
    return _small(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))  # in this order there is a third to shrink


def _grouped(hits: list[list[int]], neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Returns a box (n, 4) for each place that has more than `neighbours` hits."""
    grouped, _ = cv2.groupRectangles(hits, neighbours, ALIKE) if hits else ((), ())
    return np.reshape(grouped, (-1, 4))


def _boxes(found: object, scale: float) -> np.ndarray:
    """Returns boxes of the small copy as int32 (n, 4) boxes of the image."""
    return np.rint(np.reshape(np.asarray(found, np.float64), (-1, 4)) / scale).astype(np.int32)
