"""Opens a video file, at the stream that a player would show. Says by name why one cannot be used."""

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from base.text import printable

# Containers that hold their own frames. FFmpeg also reads playlists, which would make it open other files or addresses.
CONTAINERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,gif,asf,ogg,m4v,h264,hevc,mjpeg,ivf,mxf,dv,nut,yuv4mpegpipe"

# PyAV 19 takes titles of any coding, and no longer knows the argument.
_LENIENT: Any = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}


SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT)
"""What the system says of files that cannot be opened at the moment: too many are open, or a share does not answer."""


class ClipError(Exception):
    """A clip cannot be used: the name of the outcome, and the reason in one sentence. It costs one row, not the run.

    `passing` tells that the cause may be what the machine lacked at that moment, so that another try may succeed.
    """

    def __init__(self, outcome: str, reason: str, passing: bool = False) -> None:
        super().__init__(outcome, reason, passing)
        self.outcome, self.reason, self.passing = outcome, reason, passing


@dataclass(frozen=True)
class Limits:
    """What one clip may cost.

    `pixels` per frame; `frames` per file; `seconds` of work, on a clip or on each window of one, and `all_seconds` on a
    clip with all of its windows, which the caller enforces.
    """

    pixels: int = 64_000_000
    frames: int = 1_000_000
    seconds: float = 300.0
    all_seconds: float = math.inf

    def check_pixels(self, sized: "av.VideoCodecContext | av.VideoFrame") -> None:
        """Raises a ClipError if the frames are too large."""
        if sized.width * sized.height > self.pixels:
            raise ClipError("too_large", f"its frames are {sized.width}x{sized.height}, over {self.pixels} pixels")

    def check_frames(self, count: int, path: Path) -> None:
        """Raises a ClipError if the file at `path` has too many frames."""
        if count > self.frames:
            raise ClipError("too_long", f"{printable(path.name)} has more than {self.frames} frames")


@contextmanager
def naming_failures(path: Path) -> Iterator[None]:
    """Turns what FFmpeg and the file system raise for `path` into a ClipError."""
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError, OverflowError) as error:
        number = getattr(error, "errno", None)
        if number in (errno.EAGAIN, errno.ENOMEM):  # EAGAIN: a thread that could not be started
            raise MemoryError from None
        reason = getattr(error, "strerror", None) or error  # without the number and the path that str() adds
        sentence = f"{printable(path.name)} cannot be decoded ({reason})"
        raise ClipError("unreadable", sentence, passing=number in SHORTAGES) from None


@contextmanager
def open_video(path: Path) -> Iterator[av.VideoStream]:
    """Opens the file and gives the video stream that a player shows; raises a ClipError if there is none."""
    with _open_container(path) as container:
        stream = main_stream(container)
        if stream is None:
            raise ClipError("no_video", f"{printable(path.name)} has no video stream")
        if stream.codec_context is None:
            reason = f"{printable(path.name)} uses a codec that this build of FFmpeg cannot decode"
            raise ClipError("no_decoder", reason)
        stream.codec_context.thread_count = 1
        yield stream


def _open_container(path: Path) -> av.container.InputContainer:
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        # Without "file:", FFmpeg would take the part of a name before a colon for a protocol.
        return open_input(f"file:{path}", options)
    except av.error.ArgumentError:
        raise ClipError("unreadable", f"{printable(path.name)} is not in a video format that is read here") from None


def open_input(source: Any, options: dict[str, str], timeout: float | None = None) -> av.container.InputContainer:
    """Opens a file's name, an address or a file object with FFmpeg's `options`; its titles may be in any coding."""
    return av.open(source, "r", options=options, timeout=timeout, **_LENIENT)


def main_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """Returns the video stream that a player plays: the default one, else the largest, then the longest; never a cover.

    A stream of a single frame beside a longer one is a cover too, whatever the file calls it.
    """
    kinds = av.stream.Disposition
    covers = kinds.attached_pic | kinds.timed_thumbnails | kinds.still_image
    streams = [stream for stream in container.streams.video if not stream.disposition & covers]

    def rank(stream: av.VideoStream) -> tuple[bool, bool, bool, int, float]:
        context = stream.codec_context
        pixels = context.width * context.height if context else 0
        seconds = float((stream.duration or 0) * (stream.time_base or 0))
        return context is not None, stream.frames != 1, bool(stream.disposition & kinds.default), pixels, seconds

    return max(streams, key=rank, default=None)
