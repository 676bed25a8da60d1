"""SFace, a network made to tell people apart, for those who give its file."""

import hashlib
from pathlib import Path

import cv2
import numpy as np

from base.commands import flag
from base.errors import UserError
from base.outside.content import NO_FILE, WrongContent, read_regular
from extract.clips.boxes import Box
from extract.clips.people import TEXTURE, FaceDescriptor
from extract.clips.yunet import YuNetDetector

MOST_RECOGNISER = 2**28
"""Bytes of SFace's file; OpenCV's has 37 MB."""


class SFace:
    """SFace (Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss", TIP 2021), run by OpenCV.

    YuNet finds eyes, nose and mouth in the box, by which the face is turned upright, whichever detector found the box.
    `same` is the cosine that OpenCV's own example takes, chosen by its makers on photographs of LFW.
    """

    same = 0.363

    def __init__(self, file: Path) -> None:
        self._network, self._landmarks = cv2.FaceRecognizerSF.create(str(file), ""), YuNetDetector()
        self._network.feature(np.zeros((112, 112, 3), np.uint8))  # another network is noticed here

    def describe(self, image: np.ndarray, box: Box) -> np.ndarray | None:
        """Returns what tells the face apart, float32 (128,). See `FaceDescriptor`."""
        face = self._landmarks.landmarks(image, box)
        if face is None:
            return None
        vector = self._network.feature(self._network.alignCrop(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), face)).ravel()
        return vector / max(float(np.linalg.norm(vector)), 1e-9)


def make_descriptor(file: Path | None) -> FaceDescriptor:
    """Returns what tells people apart: SFace with the network in `file`, without one the texture of faces.

    A UserError says that OpenCV cannot use the file.
    """
    if file is None:
        return TEXTURE
    try:
        return SFace(file)
    except cv2.error as error:
        raise UserError(
            f"{file} is not a recogniser of faces that OpenCV can run ({error.err}); give SFace's ONNX file."
        ) from None


def recogniser_hash(file: Path | None) -> str:
    """Returns what identifies the recogniser's file in a profile; "" without one."""
    if file is None:
        return ""
    try:
        return hashlib.sha256(read_regular(file, MOST_RECOGNISER)).hexdigest()[:16]
    except (*NO_FILE, WrongContent) as error:
        remedy = f"give SFace's as {flag('recogniser_file', 'path.onnx')}, or leave it out"
        raise UserError(f"{file} is not the file of a recogniser of faces ({error}); {remedy}.") from None
