"""The face detectors by name. A new one is a class with the methods of `FaceDetector`, and an entry here."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from base.commands import flag
from base.errors import UserError
from base.outside.content import NO_FILE, WrongContent, is_regular, read_regular
from extract.clips.boxes import Box, FaceDetector
from extract.clips.haar import CASCADE_FILE, HaarDetector
from extract.clips.yunet import YUNET_FILE, YuNetDetector

MOST_DETECTOR = 2**26
"""Bytes of a face detector's file."""


class NoDetector:
    """For clips that are face crops already: the whole frame is the face."""

    def find(self, image: np.ndarray) -> np.ndarray:
        """Returns one box, the frame. See `FaceDetector.find`."""
        return np.array([[0, 0, image.shape[1], image.shape[0]]], np.int32)

    def find_harder(self, image: np.ndarray, box: Box | None) -> np.ndarray:
        """Returns one box, the frame. See `FaceDetector.find_harder`."""
        del box
        return self.find(image)


@dataclass(frozen=True)
class KnownDetector:
    """How to `make` a detector from its `file`, None if it reads none; `other` allows users to give another file."""

    make: Callable[..., FaceDetector]
    file: Path | None = None
    other: bool = False


FACE_DETECTORS = {
    "yunet": KnownDetector(YuNetDetector, YUNET_FILE, other=True),
    "haar": KnownDetector(HaarDetector, CASCADE_FILE),
    "none": KnownDetector(NoDetector),
}


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
    """Returns the file that the detector called `name` reads, None if it reads none.

    A UserError says that there is no such detector, or that `file`, which the user gave, is not there.
    """
    if name not in FACE_DETECTORS:
        raise UserError(f"{name} is no face detector of this version; it has {', '.join(FACE_DETECTORS)}.")
    known = FACE_DETECTORS[name]
    if file is None or not known.other:
        return known.file
    if not is_regular(file):
        raise UserError(
            f"the detector {name} was given {file}, which is not a file; give another one as "
            f"{flag('detector_file', 'path.onnx')}, or none for the one that comes with it."
        )
    return file


def make_face_detector(name: str, file: Path | None = None) -> FaceDetector:
    """Returns the detector called `name`, reading `file` where it is one that the user may give."""
    path = detector_file(name, file)
    try:
        return FACE_DETECTORS[name].make(*([path] if path else []))
    except cv2.error as error:
        raise UserError(
            f"{path} is not a face detector that OpenCV can read ({error.err}); give the right file."
        ) from None
