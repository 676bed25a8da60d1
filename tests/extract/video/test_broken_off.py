"""A file that ends before its header says so is known, whatever its container; a whole one is not doubted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from extract.video.decode import sample_frames
from tests.clips import CELEB_DF_MINI, HARD_CLIPS

SECONDS = 3.0


def write(path: Path, codec: str, pixels: str = "yuv420p", container: dict[str, str] | None = None, **options: str):
    """Writes three seconds of noise, which is as large at the end as at the start."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w", options=container or {}) as file:
        stream: Any = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for _ in range(round(25 * SECONDS)):
            image = random.integers(0, 256, (64, 96, 3), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())


KINDS: dict[str, Callable[[Path], None]] = {
    "a.mp4": lambda path: write(path, "libx264", container={"movflags": "faststart"}, preset="ultrafast"),
    "b.mov": lambda path: write(path, "libx264", container={"movflags": "faststart"}, bf="2"),
    "a.webm": lambda path: write(path, "libvpx"),
    "a.mkv": lambda path: write(path, "libx264", preset="ultrafast"),
    "a.avi": lambda path: write(path, "mjpeg", "yuvj420p"),
    "b.avi": lambda path: write(path, "mpeg4", bf="2"),
}


@pytest.mark.parametrize("name", KINDS)
def test_half_a_file_breaks_off_and_a_whole_one_does_not(tmp_path, name):
    path = tmp_path / name
    KINDS[name](path)
    assert sample_frames(path).breaks_off is None
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    there, promised = sample_frames(path).breaks_off or (0.0, 0.0)
    assert promised == pytest.approx(SECONDS, abs=0.05)
    assert 0.3 < there < 2


def test_sound_that_goes_on_after_the_picture_is_no_break(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as file:
        video: Any = file.add_stream("mjpeg", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuvj420p"
        sound: Any = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number in range(100):
            if number < 50:
                file.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), format="rgb24")))
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, 320 * number
            file.mux(sound.encode(frame))
        file.mux(video.encode())
        file.mux(sound.encode())
    assert sample_frames(path).breaks_off is None


@pytest.mark.skipif(not HARD_CLIPS.is_dir(), reason="the hard clips are not here")
def test_of_real_clips_only_the_broken_one_breaks_off():
    clips = [
        *CELEB_DF_MINI.glob("YouTube-real/*.mp4"),
        *(path for path in HARD_CLIPS.iterdir() if path.suffix != ".md"),
    ]
    broken = {path.name: found for path in clips if (found := sample_frames(path).breaks_off)}
    assert broken == {"trunc_fast.mp4": (0.9, 1.933)}
