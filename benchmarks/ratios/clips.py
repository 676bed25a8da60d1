"""Clips to measure with: a drawn person, ten seconds of H.264 with B-frames, in three sizes, made once and kept."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from base.files import replace_with
from extract.drawn.clip import Capture, Scene, draw_frames, encode
from extract.drawn.look import make_look

SIZES = {"1080p": (1920, 1080), "720p": (1280, 720), "480p": (854, 480)}
FRAMES, RATE = 300, 30
CONTRAST, GRAIN, PAN = 8.0, 1.5, 0.6
"""Spreads of the backdrop and of the camera's noise in grey levels of 255, and pixels of pan a frame.

A drawn wall is too smooth: searching it for faces is over twice as fast as searching a filmed room. So the backdrop
gets a texture with the spectrum of natural images, amplitude 1/f (Field, Journal
of the Optical Society of America A, 1987).
"""


def make_clips(folder: Path, size: str, count: int, different: int = 2) -> list[Path]:
    """Returns `count` clips of `size` below `folder`, `different` of them distinct; makes those that are missing."""
    folder = folder / size
    folder.mkdir(parents=True, exist_ok=True)
    made = [folder / f"clip{number}.mp4" for number in range(different)]
    for number, path in enumerate(made):
        if not path.exists():
            print(f"making {path}", flush=True)
            film, options = _film(SIZES[size], number), {"preset": "medium", "crf": "23", "bf": "3"}
            replace_with(path, partial(encode, images=film, size=SIZES[size], rate=RATE, options=options))
    return [made[i % different] for i in range(count)]


def _film(size: tuple[int, int], number: int) -> Iterator[np.ndarray]:
    """Yields the frames of a drawn person at full height in the middle of a wide, textured room."""
    capture, random = Capture(frames=FRAMES, noise=0.0, flicker=0.0), np.random.default_rng(number)
    person = draw_frames(Scene(make_look(number, number), (number,)), capture)
    room = draw_frames(Scene(None, (number,)), capture)
    width, height = size
    texture = _texture(random, width + round(PAN * FRAMES) + 1, height)
    for i, (image, empty) in enumerate(zip(person, room, strict=True)):
        shown = (np.abs(image.astype(int) - empty).max(axis=2) > 2).astype(np.float32)
        shown = cv2.GaussianBlur(cv2.morphologyEx(shown, cv2.MORPH_CLOSE, np.ones((9, 9))), (3, 3), 0)
        moved = np.array([[1, 0, -PAN * i], [0, 1, 0]])
        behind = cv2.warpAffine(texture, moved, size, flags=cv2.INTER_LINEAR) * (1 - _wide(shown, size))
        grain = random.normal(0, GRAIN, (height, width)).astype(np.float32)
        yield np.clip(_wide(image, size) + (behind + grain)[..., None], 0, 255).astype(np.uint8)


def _wide(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns `image` at full height in the middle of a frame of `size`, its edges mirrored to both sides."""
    width, height = size
    middle = cv2.resize(image, (round(image.shape[1] * height / image.shape[0]), height), interpolation=cv2.INTER_CUBIC)
    left = (width - middle.shape[1]) // 2
    return cv2.copyMakeBorder(middle, 0, 0, left, width - middle.shape[1] - left, cv2.BORDER_REFLECT)


def _texture(random: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Returns float32 (height, width) with a 1/f spectrum and a spread of CONTRAST grey levels."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    image = np.fft.irfft2(np.fft.rfft2(random.standard_normal((height, width))) / frequency, (height, width))
    return (image * (CONTRAST / image.std())).astype(np.float32)
