"""Clips to measure with: a drawn person, ten seconds of H.264 with B-frames, 1080p and 480p, made once and kept."""

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from cache.files import replace_with
from extract.drawn_clip import Capture, Scene, draw_frames
from extract.drawn_look import make_look

SIZES = {"1080p": (1920, 1080), "480p": (854, 480)}
FRAMES, RATE = 300, 30
GRAIN = 2.5
"""Spread of the camera's noise, in grey levels: without it a drawn clip compresses to next to nothing."""


def make_clips(folder: Path, size: str, count: int, different: int = 2) -> list[Path]:
    """Returns `count` clips of `size` below `folder`, made if they are not there; some are the same under two names."""
    folder = folder / size
    folder.mkdir(parents=True, exist_ok=True)
    made = [folder / f"clip{number}.mp4" for number in range(different)]
    for number, path in enumerate(made):
        if not path.exists():
            print(f"making {path}", flush=True)
            replace_with(path, lambda temporary, number=number: _encode(temporary, SIZES[size], number))
    return [made[i % different] for i in range(count)]


def _encode(path: Path, size: tuple[int, int], number: int) -> None:
    options = {"preset": "medium", "crf": "23", "bf": "3"}
    random = np.random.default_rng(number)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        scene = Scene(make_look(number, number), (number,))
        for image in draw_frames(scene, Capture(frames=FRAMES, noise=0.0)):
            frame = _film(image, size, random)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _film(image: np.ndarray, size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Returns the drawn `image` at full height in the middle of a wide frame, with grain."""
    width, height = size
    middle = cv2.resize(image, (round(image.shape[1] * height / image.shape[0]), height), interpolation=cv2.INTER_CUBIC)
    left = (width - middle.shape[1]) // 2
    right = width - middle.shape[1] - left
    whole = cv2.copyMakeBorder(middle, 0, 0, left, right, cv2.BORDER_REFLECT)
    grain = random.normal(0, GRAIN, (height, width, 1)).astype(np.float32)
    return np.clip(whole + grain, 0, 255).astype(np.uint8)
