"""Frames as a player shows them: turned, mirrored, with square pixels, all of one size."""

import struct
from collections.abc import Sequence
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type

STRANGEST_ASPECT = 4.0
"""Pixels more stretched than this are a mistake of the file, and taken for square."""


def pixel_aspect(stream: av.VideoStream) -> float:
    """Returns the width of the stream's pixels in their heights."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 1 / STRANGEST_ASPECT <= aspect <= STRANGEST_ASPECT else 1.0


def upright(frame: av.VideoFrame, aspect: float = 1.0) -> np.ndarray:
    """Returns the frame as uint8 RGB (H, W, 3), as a player shows it. `aspect` is that of its pixels."""
    image = frame.to_ndarray(format="rgb24")
    if aspect != 1:
        # Only ever larger, so that nothing is lost.
        width, height = frame.width * max(1.0, aspect), frame.height * max(1.0, 1 / aspect)
        image = cv2.resize(image, (round(width), round(height)), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(_turned(image, frame))


def _turned(image: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Applies the display matrix (a, b; c, d), which maps x, y to a x + c y, b x + d y, to the nearest quarter turn."""
    sides: Any = frame.side_data
    matrix = next((bytes(side) for side in sides if side.type == Type.DISPLAYMATRIX), None)
    if matrix is None:
        return image
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def one_size(images: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Returns the images in the size of the largest: a player fits frames whose size changes into one window."""
    height, width = max((image.shape[:2] for image in images), key=lambda size: size[0] * size[1])
    if all(image.shape[:2] == (height, width) for image in images):
        return images
    return [cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR) for image in images]
