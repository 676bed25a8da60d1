"""The default face detector: a small network that OpenCV runs."""

from pathlib import Path

import cv2
import numpy as np

from extract.clips.boxes import NO_BOXES, Box, boxes_of, shrunk

YUNET_FILE = Path(__file__).parent / "weights" / "face_detection_yunet_2026may.onnx"
SCORE = 0.6
LONG_SIDE, HARDER_LONG_SIDES = 320, (640, 1280)
"""Long side of the copy that is searched, and of the copies of its harder search. Chosen by measurement
(`benchmarks/yunet.json`): at 320 it costs a third of 640 and covers celeb-df-mini as well, with steadier boxes; it
finds faces from a fifteenth of the long side on, at 640 a thirtieth, at 1280 a sixtieth."""
AROUND, EASY_SIDE = 1.5, 64
"""The harder search near a box: how many sides around it, in a window scaled to give the box this side."""
LEAST_SIDE = 33
"""A narrower picture is widened by black pixels: of one up to 32 wide, YuNet gives boxes of leftover memory."""


class YuNetDetector:
    """YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023).

    Its file ships with this package; `weights/LICENSE` is its licence.
    """

    def __init__(self, file: Path = YUNET_FILE) -> None:
        self._network = cv2.FaceDetectorYN.create(str(file), "", (LONG_SIDE, LONG_SIDE), SCORE)

    def find(self, image: np.ndarray) -> np.ndarray:
        """See `FaceDetector.find`."""
        return self._find(image, LONG_SIDE)

    def landmarks(self, image: np.ndarray, box: Box) -> np.ndarray | None:
        """Returns the face that is found nearest to `box` as OpenCV aligns faces by it, None if there is none close by.

        float32 (15,): box, eyes, nose and corners of the mouth as x, y in pixels of the `image`, score.
        """
        window, corner = _window(image, box, AROUND)
        scale = EASY_SIDE / max(box[2:])
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        faces, shrink = self._search(cv2.resize(window, None, fx=scale, fy=scale, interpolation=method), 8 * EASY_SIDE)
        if not len(faces):
            return None
        faces[:, :14] /= scale * shrink
        faces[:, [0, *range(4, 14, 2)]] += corner[0]
        faces[:, [1, *range(5, 15, 2)]] += corner[1]
        away = np.abs(faces[:, :2] + faces[:, 2:4] / 2 - box[:2] - box[2:] / 2).max(axis=1)
        return faces[away.argmin()] if away.min() < max(box[2:]) / 2 else None

    def _find(self, image: np.ndarray, long_side: int) -> np.ndarray:
        faces, scale = self._search(image, long_side)
        return boxes_of(faces[:, :4], scale)

    def _search(self, image: np.ndarray, long_side: int) -> tuple[np.ndarray, float]:
        """Returns the faces of a small copy, float32 (n, 15), and the copy's scale."""
        small, scale = shrunk(image, long_side)
        down, across = (max(LEAST_SIDE - side, 0) for side in small.shape[:2])
        if down or across:
            small = cv2.copyMakeBorder(small, 0, down, 0, across, cv2.BORDER_CONSTANT)
        self._network.setInputSize(small.shape[1::-1])
        _, faces = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        return np.zeros((0, 15), np.float32) if faces is None else faces, scale

    def find_harder(self, image: np.ndarray, box: Box | None) -> np.ndarray:
        """Searches a window around `box`, or larger copies until one shows a face. See `FaceDetector.find_harder`."""
        if box is not None:
            return self._find_around(image, box)
        last = LONG_SIDE
        for long_side in HARDER_LONG_SIDES:
            if last < max(image.shape[:2]) and len(boxes := self._find(image, long_side)):
                return boxes
            last = long_side
        return NO_BOXES

    def _find_around(self, image: np.ndarray, box: Box) -> np.ndarray:
        window, corner = _window(image, box, AROUND)
        size = np.maximum(np.rint(np.array(window.shape[1::-1]) * EASY_SIDE / max(box[2:])), 32).astype(int)
        scales = size / window.shape[1::-1]
        method = cv2.INTER_AREA if scales.min() < 1 else cv2.INTER_LINEAR
        boxes = self._find(cv2.resize(window, size.tolist(), interpolation=method), 2 * max(size))
        return boxes_of(boxes / np.tile(scales, 2) + np.array([*corner, 0, 0]), 1.0)


def _window(image: np.ndarray, box: Box, around: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the part of `image` up to `around` sides of the `box` away from it, and the part's top left corner."""
    reach = around * max(box[2:])
    left, top = np.clip(box[:2] - reach, 0, [image.shape[1] - 1, image.shape[0] - 1]).astype(int)
    right, bottom = np.maximum(box[:2] + box[2:] + reach, [left + 1, top + 1]).astype(int)
    return np.ascontiguousarray(image[top:bottom, left:right]), np.array([left, top])
