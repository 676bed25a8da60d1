"""Drawn clips: a person moves, blinks and talks in front of a backdrop; a camera films it; x264 compresses it.

A fake repeats a real clip's scene frame by frame, with the donor's inner face blended over the target's. What shows is
the seam of the mask, a slightly different colour, resampling, and flicker in position, size and brightness.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from base.files import replace_with
from extract.drawn.look import Look
from extract.drawn.person import CENTRE, HEIGHT, TORSO, WIDTH, Expression, Face, Head, blend, draw_torso, inner_face

FRAME_WIDTH, FRAME_HEIGHT, RATE = 320, 240, 25
MARGIN = 40
"""Pixels by which the backdrop extends over each edge of the frame, so that the camera can pan."""


@dataclass(frozen=True)
class Scene:
    """Person (None: nobody), movement and backdrop: all that a fake shares with its source. `seed` decides the rest."""

    look: Look | None
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Capture:
    """How a scene is filmed and compressed, for real and fake clips alike.

    `brightness` and the standard deviations of `noise` (per pixel) and `flicker` (per frame) are in grey levels of 255.
    """

    frames: int = 50
    crf: int = 25
    brightness: float = 0.0
    contrast: float = 1.0
    noise: float = 3.0
    flicker: float = 1.5
    seed: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Swap:
    """A donor's face to blend in. The higher the `difficulty` in [0, 1], the less it shows."""

    donor: Look
    difficulty: float
    seed: tuple[int, ...]


def draw_clip(path: Path, scene: Scene, capture: Capture = Capture(), swap: Swap | None = None) -> Path:
    """Draws one clip as an H.264 mp4 of 320 x 240 at 25 frames/s, complete or not at all; returns `path`."""
    # With the macroblock tree, x264 gave different bytes for the same frames in a fresh process.
    options = {"crf": str(capture.crf), "preset": "veryfast", "bf": "2", "threads": "1", "mbtree": "0"}
    frames = draw_frames(scene, capture, swap)
    return replace_with(path, lambda temporary: encode(temporary, frames, options=options))


def draw_empty_clip(path: Path, seed: int = 0) -> Path:
    """Draws a clip of a backdrop without a person; returns `path`."""
    return draw_clip(path, Scene(None, (seed,)))


def encode(
    path: Path,
    images: Iterator[np.ndarray],
    size: tuple[int, int] = (FRAME_WIDTH, FRAME_HEIGHT),
    codec: str = "libx264",
    rate: int = RATE,
    **settings: Any,
) -> None:
    """Writes `images`, uint8 RGB of `size` (width, height), as a video; `settings` are those of PyAV for its stream."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, **settings)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def draw_frames(scene: Scene, capture: Capture, swap: Swap | None = None) -> Iterator[np.ndarray]:
    """Yields the clip's frames before compression, uint8 RGB (240, 320, 3)."""
    rng = np.random.default_rng(scene.seed)
    time = np.arange(capture.frames) / RATE
    backdrop, reach = _backdrop(rng), rng.uniform(0, 30)
    pan = np.stack([_wander(rng, time, reach), _wander(rng, time, reach)], 1) - MARGIN
    actor = None if scene.look is None else Actor(scene.look, swap, rng, time)
    grain = np.random.default_rng(capture.seed)
    for i in range(capture.frames):
        image = _moved(backdrop, (0, 0), pan[i])
        if actor is not None:
            image = actor.enter(image, i)
        noise = grain.standard_normal((FRAME_HEIGHT, FRAME_WIDTH, 1), np.float32)
        light = 128 + capture.brightness + capture.flicker * grain.standard_normal()
        image = (image - 128) * capture.contrast + light + capture.noise * noise
        yield np.clip(np.rint(image), 0, 255).astype(np.uint8)


class Actor:
    """A person who moves, blinks and talks."""

    def __init__(self, look: Look, swap: Swap | None, rng: np.random.Generator, time: np.ndarray) -> None:
        """`time` is float64 (frames,), in seconds; a longer one begins with the same movement."""
        light = rng.uniform(-1, 1)
        self._head, self._torso = Head(look, light), draw_torso(look)
        self._swapper = None if swap is None else Swapper(swap, self._head.face, light, len(time))
        self._size = rng.uniform(0.6, 0.76) * (1 + _wander(rng, time, 0.05))
        start = np.array([FRAME_WIDTH / 2 + rng.uniform(-45, 45), 112 + rng.uniform(-8, 10)])
        self._sway = start + np.stack([_wander(rng, time, 9), _wander(rng, time, 4)], 1)
        self._shake = np.stack([_wander(rng, time, 8, 0.8), _wander(rng, time, 4, 0.8)], 1)
        self._roll, self._turn, self._nod = (_wander(rng, time, reach) for reach in (6, 11, 6))
        self._mouth = _talk(rng, time)
        self._eyes = _blink(rng, time)

    def enter(self, image: np.ndarray, i: int) -> np.ndarray:
        """Returns `image` (240, 320, 3) as float32 with the person of frame `i` in front."""
        expression = Expression(self._turn[i], self._nod[i], self._eyes[i], self._mouth[i])
        face = self._head.face.paint(expression)
        if self._swapper is not None:
            face = self._swapper.swap(face, expression, i)
        size, roll = self._size[i], self._roll[i]
        image = _in_front(image, _moved(self._torso, (TORSO[0] / 2, 0), self._sway[i], size))
        return _in_front(image, _moved(self._head.dress(face), CENTRE, self._sway[i] + self._shake[i], size, roll))


class Swapper:
    """Blends a donor's inner face over another face; the lower the difficulty, the worse it fits."""

    def __init__(self, swap: Swap, target: Face, light: float, frames: int) -> None:
        rng = np.random.default_rng(swap.seed)
        self._donor = Face(swap.donor, light)
        self._mask = inner_face(target.look, _graded(swap, 2, 7))
        self._detail = 1 / _graded(swap, 3.2, 1.6)
        cast = rng.normal(size=3)
        self._cast = 1 + _graded(swap, 0.10, 0.03) * cast / np.linalg.norm(cast)
        self._cast *= self._mean(target.paint(Expression())) / self._mean(self._donor.paint(Expression()))
        jitter = rng.normal(size=(frames, 4))
        self._offsets = _graded(swap, 2.6, 0.8) * jitter[:, :2]
        self._sizes = 1 + _graded(swap, 0.03, 0.008) * jitter[:, 2]
        self._gains = 1 + _graded(swap, 0.07, 0.02) * jitter[:, 3]

    def _mean(self, face: np.ndarray) -> np.ndarray:
        return (face * self._mask).sum(axis=(0, 1)) / self._mask.sum()

    def swap(self, face: np.ndarray, expression: Expression, i: int) -> np.ndarray:
        """Returns the target's `face` (320, 256, 3) with the donor's face inside, for frame `i`, as float32."""
        donor = self._donor.paint(expression)
        small = cv2.resize(donor, None, fx=self._detail, fy=self._detail, interpolation=cv2.INTER_AREA)
        donor = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
        matrix = cv2.getRotationMatrix2D(CENTRE, 0, self._sizes[i])
        matrix[:, 2] += self._offsets[i]
        donor = cv2.warpAffine(donor, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        return np.clip(blend(face, donor * np.float32(self._cast * self._gains[i]), self._mask), 0, 255)


def _graded(swap: Swap, easiest: float, hardest: float) -> float:
    return easiest + (hardest - easiest) * swap.difficulty


def _moved(
    patch: np.ndarray, anchor: tuple[float, float], to: np.ndarray, size: float = 1.0, roll: float = 0.0
) -> np.ndarray:
    """Returns `patch` on a frame (240, 320, ...): its `anchor` at `to`, scaled by `size`, turned by `roll` degrees."""
    matrix = cv2.getRotationMatrix2D(anchor, roll, size)
    matrix[:, 2] += to - np.array(anchor)
    return cv2.warpAffine(patch, matrix, (FRAME_WIDTH, FRAME_HEIGHT))


def _in_front(image: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Returns `image` (240, 320, 3) behind `layer` (240, 320, 4), whose colours are premultiplied by alpha."""
    return image * (1 - layer[..., 3:] / 255) + layer[..., :3]


def _backdrop(rng: np.random.Generator) -> np.ndarray:
    """Returns float32 RGB (320, 400, 3): a wall with soft blotches and a few panels."""
    width, height = FRAME_WIDTH + 2 * MARGIN, FRAME_HEIGHT + 2 * MARGIN
    image = np.full((height, width, 3), rng.uniform(80, 170) + rng.uniform(-25, 25, 3), np.float32)
    for cell, depth in ((96, 18), (32, 9), (8, 5)):
        rows, columns = height // cell + 2, width // cell + 2
        clouds = rng.normal(0, depth, (rows, columns, 1)) + rng.normal(0, depth / 4, (rows, columns, 3))
        image += cv2.resize(clouds.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(2, 6)):
        left, top = (int(value) for value in rng.integers(0, (width - 60, height - 60)))
        right, bottom = left + int(rng.integers(30, 140)), top + int(rng.integers(30, 140))
        image[top:bottom, left:right] += rng.normal(0, 24) + rng.normal(0, 8, 3)
    return np.clip(image, 0, 255)


def _wander(rng: np.random.Generator, time: np.ndarray, reach: float, tempo: float = 0.35) -> np.ndarray:
    """Returns float64 like `time`: a smooth path within `reach` of zero, a sum of three sines near 1, 2, 3 `tempo`."""
    order = np.arange(1, 4)[:, None]
    turns = order * tempo * rng.uniform(0.6, 1.4, (3, 1)) * time + rng.random((3, 1))
    return reach * (np.sin(2 * np.pi * turns) / order).sum(axis=0) / (1 / order).sum()


def _talk(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """Returns float64 in [0, 1], like `time`: how far the mouth is open, with pauses."""
    loud = np.clip(_wander(rng, time, 1.6, 0.3) + rng.uniform(0, 0.8), 0, 1)
    return np.clip(loud * (0.45 + _wander(rng, time, 0.9, 1.6)), 0, 1)


def _blink(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """Returns float64 in [0, 1], like `time`: how far the eyes are open, with a blink now and then."""
    moments = np.cumsum(rng.uniform(0.6, 1.8, len(time) // 15 + 1))
    return 1 - np.clip(1.4 - np.abs(time - moments[:, None]) / 0.1, 0, 1).max(axis=0)
