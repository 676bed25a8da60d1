"""The same footage gets the same verdict, whatever wraps it."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from detect.detector.load import open_detector
from extract.drawn.clip import Capture, Scene, draw_frames
from extract.drawn.look import make_look
from tests.clips import EXACT, high_range, turn_display, write_clip, write_streams
from tests.crops import write_source

FRAMES = 48


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return open_detector(write_source(tmp_path_factory.mktemp("source")))


@pytest.fixture(scope="module")
def footage() -> list[np.ndarray]:
    images = draw_frames(Scene(make_look(3, 1), (3,)), Capture(frames=FRAMES, noise=0.0))
    return [np.ascontiguousarray(image) for image in images]


def turned(path: Path, images: list[np.ndarray]) -> None:
    turn_display(write_clip(path, [np.rot90(image) for image in images], options=EXACT), 1)


def mirrored(path: Path, images: list[np.ndarray]) -> None:
    turn_display(write_clip(path, [image[:, ::-1] for image in images], options=EXACT), matrix=(-1, 0, 0, 1))


def squeezed(path: Path, images: list[np.ndarray]) -> None:
    """The pixels are two wide, so that a player shows all twice as large."""
    tall = [cv2.resize(image, None, fx=1, fy=2) for image in images]
    write_clip(path, tall, options=EXACT, aspect=Fraction(2))


def concatenated(path: Path, images: list[np.ndarray]) -> None:
    middle, halves = len(images) // 2, []
    for number, part in enumerate((images[:middle], images[middle:])):
        halves.append(write_clip(path.with_name(f"{number}.ts"), part, options=EXACT).read_bytes())
    path.write_bytes(b"".join(halves))


def late(path: Path, images: list[np.ndarray]) -> None:
    write_clip(path, images, options=EXACT, times=[90_000 + k for k in range(len(images))])


def with_preview(path: Path, images: list[np.ndarray]) -> None:
    small = [cv2.resize(image[::-1], (64, 48)) for image in images]
    write_streams(path, [small, images], default=1)


def variable(path: Path, images: list[np.ndarray]) -> None:
    """Of the second half every other frame is left out, the one before it shown for longer."""
    middle = len(images) // 2
    kept = [*range(middle), *range(middle, len(images), 2), len(images) - 1]
    write_clip(path, [images[k] for k in kept], options=EXACT, times=kept)


WRAPPINGS = {
    "turned.mp4": turned,
    "mirrored.mov": mirrored,
    "squeezed.mkv": squeezed,
    "two-recordings.ts": concatenated,
    "late.mkv": late,
    "preview.mp4": with_preview,
    "variable.mp4": variable,
}


@pytest.mark.slow
def test_the_same_footage_has_one_verdict(detector, footage, tmp_path):
    expected = detector.judge_clip(write_clip(tmp_path / "plain.mp4", footage, options=EXACT))
    assert expected.coverage == 1
    for name, wrap in WRAPPINGS.items():
        wrap(tmp_path / name, footage)
        found = detector.judge_clip(tmp_path / name)
        assert found.coverage == expected.coverage, name
        assert found.probability == pytest.approx(expected.probability, abs=0.02), name


@pytest.mark.slow
def test_high_dynamic_range_has_the_verdict_of_a_plain_film(detector, footage, tmp_path):
    # In 4:4:4, since a plain film of eight bits loses more colour than one of high range with ten.
    plain = write_clip(tmp_path / "plain.mp4", footage, pixels="yuv444p", options=EXACT)
    high_range(tmp_path / "hdr.mp4", footage, lossless=True)
    expected, found = detector.judge_clip(plain), detector.judge_clip(tmp_path / "hdr.mp4")
    assert found.coverage == expected.coverage == 1
    assert found.probability == pytest.approx(expected.probability, abs=0.02)
