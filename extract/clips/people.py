"""Whose face is in a box: unit vectors that are close where two boxes show one person."""

from typing import Protocol

import cv2
import numpy as np

from extract.clips.boxes import Box

SIDE, CELLS, BLUR, RADIUS = 48, 3, 1.0, 2
"""Side of the grey copy of a face, its cells along each side, the blur before pixels are compared, and how far apart
these lie. So chosen, faces of 30 and of 60 pixels give the same distances (docs/limits.md)."""
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1))
"""Directions of the pixels that each is compared with, in radii; the four opposite ones add nothing."""


class FaceDescriptor(Protocol):
    """Describes faces by unit vectors; two whose product is `same` or more are one person's."""

    same: float

    def describe(self, image: np.ndarray, box: Box) -> np.ndarray | None:
        """Returns the unit vector of the face in `box` of an `image` uint8 RGB (H, W, 3); None where it sees none."""
        ...


class Texture:
    """Local binary patterns of the face (Ahonen, Hadid & Pietikainen, TPAMI 2006): which pixels outshine neighbours.

    Light and colours hardly change them, and what surrounds the face not at all; a turned head does.
    """

    same = 0.955

    def describe(self, image: np.ndarray, box: Box) -> np.ndarray:
        """Returns the square roots of the patterns' shares in each cell, float64 (144,). See `FaceDescriptor`."""
        centre, side = (float(box[0] + box[2] / 2), float(box[1] + box[3] / 2)), float(max(box[2:]))
        grey = cv2.cvtColor(patch(image, centre, side, SIDE), cv2.COLOR_RGB2GRAY).astype(np.float32)
        grey = cv2.GaussianBlur(grey, (0, 0), BLUR)
        inner = slice(RADIUS, -RADIUS)
        codes = np.zeros(grey[inner, inner].shape, np.uint8)
        for bit, (down, across) in enumerate(NEIGHBOURS):
            shifted = np.roll(grey, (-RADIUS * down, -RADIUS * across), axis=(0, 1))
            codes |= (shifted > grey)[inner, inner].astype(np.uint8) << bit
        cells = [cell for row in np.array_split(codes, CELLS) for cell in np.array_split(row, CELLS, axis=1)]
        shares = [np.bincount(cell.ravel(), minlength=2 ** len(NEIGHBOURS)) / cell.size for cell in cells]
        return np.sqrt(np.concatenate(shares) / len(cells))


TEXTURE = Texture()


def patch(image: np.ndarray, centre: tuple[float, float], side: float, size: int) -> np.ndarray:
    """Returns the square of `side` around `centre`, clamped to the image, as uint8 (size, size, 3)."""
    height, width = image.shape[:2]
    left, right = (int(np.clip(centre[0] + half, 0, width)) for half in (-side / 2, side / 2))
    top, bottom = (int(np.clip(centre[1] + half, 0, height)) for half in (-side / 2, side / 2))
    left, top = min(left, width - 1), min(top, height - 1)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    return cv2.resize(np.ascontiguousarray(part), (size, size), interpolation=cv2.INTER_AREA)
