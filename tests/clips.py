"""Small clips for tests, written with PyAV."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests import SHARED

CELEB_DF_MINI = SHARED / "celeb-df-mini"
"""64 real clips shaped like Celeb-DF; tests that use them skip where they are not."""


EXACT = {"crf": "4", "preset": "ultrafast"}
X265 = {"x265-params": "log-level=none:crf=4", "preset": "ultrafast"}
"""Options of libx264 and libx265 that change next to nothing."""

HARD_CLIPS = SHARED / "hard-clips"
"""Clips that went wrong once: mirrored, turned, of odd pixels and changing sizes."""


def write_clip(
    path: Path,
    images: Sequence[np.ndarray],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rate: int = 25,
    times: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Writes uint8 RGB `images` (H, W, 3) as a clip; `times` are presentation times in frames, for a variable rate;
    `aspect` is that of a pixel."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts = i if times is None else times[i]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_real_and_fake(folder: Path) -> Path:
    """Writes eight clips into `real` in `folder` and eight into `fake`, of half a second each: these are brighter."""
    random = np.random.default_rng(0)
    for label in range(2):
        own = folder / ("real", "fake")[label]
        own.mkdir(parents=True)
        for number in range(8):
            images = random.integers(80 * label, 80 * label + 80, (12, 64, 64, 3), np.uint8)
            write_clip(own / f"{number}.mp4", list(images))
    return folder


def write_streams(path: Path, films: Sequence[Sequence[np.ndarray]], default: int | None) -> Path:
    """Writes a file with a video stream for each of `films`, lists of uint8 RGB images; one may be the default."""
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream("libx264", rate=25, options=EXACT) for _ in films]
        for number, (stream, images) in enumerate(zip(streams, films, strict=True)):
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.disposition = av.stream.Disposition.default if number == default else 0
        for moment in zip(*films, strict=True):
            for stream, image in zip(streams, moment, strict=True):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    return path


PQ, HLG, WHITE = 16, 18, 203.0
"""Codes of the two transfer functions, and the brightness of paper white in candela per square metre."""


def high_range(path: Path, images: Sequence[np.ndarray], transfer: int = PQ, lossless: bool = False) -> None:
    """Writes uint8 RGB `images` as a film of high dynamic range shows them: the same light, in BT.2020."""
    options = X265 | ({"x265-params": "log-level=none:lossless=1"} if lossless else {})
    to_bt2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx265", rate=25, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 9, 9, transfer, 1
        for image in images:
            nits = WHITE * (image / 255) ** 2.4 @ to_bt2020.T
            if transfer == PQ:
                power = (nits / 10000) ** 0.1593017578125
                signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
            else:
                shown = nits / 1000
                scene = shown * np.maximum(shown @ np.array([0.2627, 0.6780, 0.0593]), 1e-9)[..., None] ** (1 / 1.2 - 1)
                high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
                signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
            pixels = np.rint(np.clip(signal, 0, 1) * 65535).astype(np.uint16)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb48le")
            container.mux(stream.encode(frame.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)))
        container.mux(stream.encode())


def write_sound(path: Path) -> Path:
    """Writes a file with an audio stream and no video."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        for i in range(8):
            frame.pts = i * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def counting_images(count: int, size: tuple[int, int] = (64, 96)) -> list[np.ndarray]:
    """Returns `count` images that a decoder cannot mistake: each frame's number stands in 8 bright or dark bars."""
    images = []
    for number in range(count):
        bars = np.array([255 if number >> bit & 1 else 0 for bit in range(8)], np.uint8)
        row = np.repeat(bars, -(-size[1] // 8))[: size[1]]
        images.append(np.broadcast_to(row[None, :, None], (*size, 3)).copy())
    return images


def read_number(image: np.ndarray) -> int:
    """Returns the number that `counting_images` drew, whatever the codec did to the edges."""
    bars = np.array_split(image.mean(axis=(0, 2)), 8)
    return sum(1 << bit for bit, bar in enumerate(bars) if bar[len(bar) // 2] > 127)


def turn_display(path: Path, quarter_turns: int = 0, matrix: tuple[int, int, int, int] | None = None) -> Path:
    """Rewrites the track header of an mp4 so that players turn the picture clockwise in steps of 90 degrees.

    `matrix` (a, b, c, d) stands in place of the turns; it puts x, y to a x + c y, b x + d y.
    """
    cos, sin = [1, 0, -1, 0][quarter_turns % 4], [0, 1, 0, -1][quarter_turns % 4]
    a, b, c, d = (value << 16 for value in matrix or (cos, sin, -sin, cos))
    values = [a, b, 0, c, d, 0, 0, 0, 1 << 30]
    content = bytearray(path.read_bytes())
    # Version 0 header: size, type, version and flags, 4 times, 2 reserved, layer and volume words, then the matrix.
    start = content.index(b"tkhd") + 4 + 4 + 5 * 4 + 8 + 8
    content[start : start + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(content)
    return path
