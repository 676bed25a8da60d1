"""Frames as a player shows them: whole, in the colours of a plain screen, turned, mirrored, square pixels, one size."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Colorspace

from extract.video.wide_colours import HIGH_RANGE, TO_BT709, on_plain_screen

STRANGEST_ASPECT = 4.0
"""Pixels more stretched than this are a mistake of the file, and taken for square."""
HD_HEIGHT = 720
"""Frames of this height and more are in BT.709 unless they say otherwise, smaller ones in BT.601, as in browsers."""
UNSPECIFIED = 2
"""The colour space of a frame that does not say which it has."""


def pixel_aspect(stream: av.VideoStream) -> float:
    """Returns the width of the stream's pixels in their heights."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 1 / STRANGEST_ASPECT <= aspect <= STRANGEST_ASPECT else 1.0


def upright(frame: av.VideoFrame, aspect: float = 1.0) -> np.ndarray:
    """Returns the frame as uint8 RGB (H, W, 3), as a player shows it. `aspect` is that of its pixels."""
    image = _rgb(_whole(frame) if frame.interlaced_frame else frame)
    if aspect != 1:
        # Only ever larger, so that nothing is lost.
        width, height = frame.width * max(1.0, aspect), frame.height * max(1.0, 1 / aspect)
        image = cv2.resize(image, (round(width), round(height)), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(_turned(image, frame))


def _whole(frame: av.VideoFrame) -> av.VideoFrame:
    """Returns the first of the two moments that an interlaced frame holds in every other line.

    FFmpeg's estdif looks at one frame alone, so the result does not depend on which others were decoded.
    """
    graph: Any = av.filter.Graph()
    shape = {"width": frame.width, "height": frame.height, "format": frame.format.name, "time_base": Fraction(1, 25)}
    graph.link_nodes(graph.add_buffer(**shape), graph.add("estdif", "mode=frame"), graph.add("buffersink")).configure()
    graph.push(frame)
    graph.push(None)
    whole = graph.pull()
    whole.colorspace, whole.color_range = frame.colorspace, frame.color_range
    return whole


def _rgb(frame: av.VideoFrame) -> np.ndarray:
    """Returns the frame's colours on a plain screen, uint8 (H, W, 3); what is transparent lets black through."""
    opaque = not any(component.is_alpha for component in frame.format.components)
    settings: dict[str, Any] = {"format": "rgb24" if opaque else "rgba"}
    if frame.colorspace == UNSPECIFIED and frame.height >= HD_HEIGHT and not frame.format.is_rgb:
        settings["src_colorspace"] = Colorspace.ITU709
    if frame.color_trc in HIGH_RANGE or frame.color_primaries in TO_BT709:
        return on_plain_screen(frame)
    image = frame.to_ndarray(**settings)
    if opaque:
        return image
    return (image[..., :3] * (image[..., 3:] / np.float32(255)) + np.float32(0.5)).astype(np.uint8)


def _turned(image: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Applies the display matrix (a, b; c, d), which maps x, y to a x + c y, b x + d y, to the nearest quarter turn."""
    sides: Any = frame.side_data
    matrix = sides.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return image
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def one_size(images: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Returns the images in the size of the largest: a player fits frames whose size changes into one window."""
    height, width = max((image.shape[:2] for image in images), key=lambda size: size[0] * size[1])
    if all(image.shape[:2] == (height, width) for image in images):
        return images
    return [cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR) for image in images]
