"""Choose twelve frames of a video and decode only what they need.

A first pass reads the packets without decoding them; their times decide which frames are wanted. A second pass decodes:
groups of pictures without a wanted frame never reach the decoder, and it skips the non-reference frames that are not
wanted. The result is bit for bit the same as decoding everything.
"""

import bisect
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np

from cache.schema import FRAMES, printable
from extract.clips.display import pixel_aspect, upright

Sampling = Literal["uniform", "first"]

# Containers that hold their own frames. FFmpeg also reads playlists, which would make it open other files or addresses.
CONTAINERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,gif,asf,ogg,m4v,h264,hevc,mjpeg,ivf,mxf,dv,nut,yuv4mpegpipe"


class ClipError(Exception):
    """A clip cannot be used: the name of the outcome, and the reason in one sentence. It costs one row, not the run."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(outcome, reason)
        self.outcome = outcome
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """What one clip may cost.

    `pixels` per frame; `frames` per file; `windows` per clip (the crops of each take a megabyte); `seconds` of work,
    which the caller enforces.
    """

    pixels: int = 64_000_000
    frames: int = 1_000_000
    windows: int = 1000
    seconds: float = 300.0


@dataclass(frozen=True, eq=False)
class Frames:
    """At most twelve frames in display order: `images` uint8 RGB (H, W, 3), upright; `times` seconds from the first
    frame of the clip."""

    images: list[np.ndarray]
    times: list[float]


@dataclass(frozen=True)
class _Packet:
    """What the container says about one frame, in decode order; times are in the stream's time base."""

    pts: int
    duration: int
    is_key: bool


def sample_frames(path: Path, sampling: Sampling = "uniform", limits: Limits = Limits()) -> Frames:
    """Returns the sampled frames of the video at `path`; raises ClipError if no frame can be decoded.

    `uniform` divides the clip into twelve equal spans of time and takes the frame on display in the middle of each;
    `first` takes the first twelve frames. A clip with fewer than twelve frames gives all of them.
    """
    name = printable(path.name)
    with _decoding_errors(path):
        if not path.is_file():
            raise ClipError("missing", f"{name} does not exist, or is not a file")
        if path.stat().st_size == 0:
            raise ClipError("empty", f"{name} has no bytes")
        frames = _read_frames(path, sampling, limits)
    if not frames.images:
        raise ClipError("no_frames", f"{name} holds a video stream, but no frame of it can be decoded")
    return frames


@contextmanager
def _decoding_errors(path: Path) -> Iterator[None]:
    """Turns what FFmpeg and the file system raise for `path` into a ClipError."""
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error  # without the number and the path that str() adds
        raise ClipError("unreadable", f"{printable(path.name)} cannot be decoded ({reason})") from None


def _read_frames(path: Path, sampling: Sampling, limits: Limits) -> Frames:
    packets = _read_packets(path, limits)
    return _decode_wanted(path, packets, sampling, limits) or _decode_any(path, sampling, limits)


def read_times(path: Path, limits: Limits = Limits()) -> tuple[list[int], int, float]:
    """Returns the sorted times of the frames of the video at `path`, the end of the last one, and the seconds per unit.

    If the container gives no times, the list is empty. Raises ClipError like `sample_frames`.
    """
    with _decoding_errors(path):
        packets = _read_packets(path, limits)
        with _open(path) as stream:
            scale = float(stream.time_base or 1 / 25)
    if not packets:
        return [], 0, scale
    return sorted({packet.pts for packet in packets}), _end(packets), scale


def play(path: Path, limits: Limits = Limits()) -> Iterator[tuple[int, Callable[[], np.ndarray]]]:
    """Yields each frame in display order: its time, and a function that returns it as uint8 RGB (H, W, 3), upright."""
    aspect = _aspect(path)
    for time, frame in _decode_all(path, limits):
        yield time, functools.partial(upright, frame, aspect)


def choose(times: Sequence[int], end: int, sampling: Sampling) -> list[int]:
    """Returns the times of the sampled frames, at most twelve. `times` is sorted; the last frame is shown until `end`.

    Only integers are used, so rounding decides nothing. A frame that is shown for long can be chosen more than once.
    """
    if len(times) <= FRAMES or sampling == "first":
        return list(times[:FRAMES])
    span = end - times[0]
    middles = [times[0] * 2 * FRAMES + (2 * k + 1) * span for k in range(FRAMES)]
    return [times[bisect.bisect_right(times, middle // (2 * FRAMES)) - 1] for middle in middles]


def sample_windows(
    path: Path, window: float, limits: Limits = Limits()
) -> Iterator[tuple[tuple[float, float], Frames]]:
    """Yields each window: its span in seconds, and its frames, sampled as if the window were a clip.

    Windows of `window` seconds cover the clip from first frame to end and overlap by about a half. A clip that is no
    longer than one window has none. Raises ClipError like `sample_frames`.
    """
    with _decoding_errors(path):
        packets = _read_packets(path, limits)
        listed = packets if packets and len({packet.pts for packet in packets}) == len(packets) else None
        times = sorted(packet.pts for packet in listed) if listed else sorted({t for t, _ in _decode_all(path, limits)})
        with _open(path) as stream:
            scale = float(stream.time_base or 0)
        if not times or not scale:
            return
        end = _end(listed) if listed else times[-1] + 1
        spans = list(itertools.islice(_windows(times[0], end, round(window / scale)), limits.windows + 1))
        if len(spans) > limits.windows:
            many = (
                f"{printable(path.name)} has more than {limits.windows} windows of {window:g} s; choose longer windows"
            )
            raise ClipError("too_long", many)
        inside = [times[bisect.bisect_left(times, low) : bisect.bisect_left(times, high)] for low, high in spans]
        wanted = [choose(part, high, "uniform") for part, (_, high) in zip(inside, spans, strict=True)]
        windows = _decode_windows(path, listed, wanted, times[0], scale, limits)
        for (low, high), frames in zip(spans, windows, strict=False):
            if frames.images:
                yield ((low - times[0]) * scale, (high - times[0]) * scale), frames


def _windows(start: int, end: int, window: int) -> Iterator[tuple[int, int]]:
    """Yields the begin and end of each window; nothing if the clip is no longer than one."""
    spare = end - start - window
    steps = -(-2 * spare // window) if window > 0 else 0
    for step in range(steps + 1 if steps > 0 else 0):
        low = start + spare * step // steps
        yield low, low + window


def _decode_windows(
    path: Path, packets: list[_Packet] | None, wanted: list[list[int]], start: int, scale: float, limits: Limits
) -> Iterator[Frames]:
    """Yields each window as soon as its last frame is decoded. Frames that no later window needs are dropped.

    A window has no frames if none of them can be decoded.
    """
    all_wanted = {pts for window in wanted for pts in window}
    images: dict[int, np.ndarray] = {}
    waiting, aspect = list(reversed(wanted)), _aspect(path)
    for pts, frame in _decode_listed(path, packets, all_wanted, limits):
        if pts in all_wanted:
            _check_size(frame, limits)
            images[pts] = upright(frame, aspect)
        while waiting and (not waiting[-1] or pts >= waiting[-1][-1]):
            decoded = [time for time in waiting.pop() if time in images]
            yield Frames([images[time] for time in decoded], [(time - start) * scale for time in decoded])
            first = min((part[0] for part in waiting if part), default=pts + 1)
            images = {time: image for time, image in images.items() if time >= first}


def _decode_listed(
    path: Path, packets: list[_Packet] | None, wanted: set[int], limits: Limits
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yields frames and their times in display order: those that `wanted` needs, or all if `packets` is None."""
    if packets is None:
        yield from _decode_all(path, limits)
        return
    with _open(path) as stream:
        for frame in _decode_packets(stream, _needed(packets, wanted), wanted):
            if frame.pts is not None:
                yield frame.pts, frame


def _read_packets(path: Path, limits: Limits) -> list[_Packet] | None:
    """Returns what the container says about each frame, or None if it does not give their times."""
    packets: list[_Packet] = []
    with _open(path) as stream:
        _check_size(stream.codec_context, limits)
        for packet in stream.container.demux(stream):
            if packet.size == 0 or packet.is_discard:
                continue
            if packet.pts is None:
                return None
            packets.append(_Packet(packet.pts, packet.duration or 0, packet.is_keyframe))
            if len(packets) > limits.frames:
                raise ClipError("too_long", f"{printable(path.name)} has more than {limits.frames} frames")
    return packets


@contextmanager
def _open(path: Path) -> Iterator[av.VideoStream]:
    """Opens the file and yields the video stream that a player shows."""
    with _open_container(path) as container:
        stream = main_stream(container)
        if stream is None:
            raise ClipError("no_video", f"{printable(path.name)} has no video stream")
        if stream.codec_context is None:
            reason = f"{printable(path.name)} uses a codec that this build of FFmpeg cannot decode"
            raise ClipError("no_decoder", reason)
        stream.codec_context.thread_count = 1
        yield stream


def main_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """Returns the video stream that is no cover picture: the default one, or the first."""
    kinds = av.stream.Disposition
    streams = [stream for stream in container.streams.video if not stream.disposition & kinds.attached_pic]
    return max(streams, key=lambda stream: bool(stream.disposition & kinds.default), default=None)


def _aspect(path: Path) -> float:
    with _open(path) as stream:
        return pixel_aspect(stream)


def _open_container(path: Path) -> av.container.InputContainer:
    try:
        # Without "file:", FFmpeg would take the part of a name before a colon for a protocol.
        return av.open(f"file:{path}", metadata_errors="ignore", options={"format_whitelist": CONTAINERS})
    except av.error.ArgumentError:
        raise ClipError("unreadable", f"{printable(path.name)} is not in a video format that is read here") from None


def _check_size(sized: "av.VideoCodecContext | av.VideoFrame", limits: Limits) -> None:
    if sized.width * sized.height > limits.pixels:
        raise ClipError("too_large", f"its frames are {sized.width}x{sized.height}, over {limits.pixels} pixels")


def _decode_wanted(path: Path, packets: list[_Packet] | None, sampling: Sampling, limits: Limits) -> Frames | None:
    """Decodes the frames chosen by the container's times; returns None if one of them cannot be decoded."""
    if not packets or len({packet.pts for packet in packets}) < len(packets):
        return None
    times = sorted(packet.pts for packet in packets)
    wanted = choose(times, _end(packets), sampling)
    images: dict[int, np.ndarray] = {}
    with _open(path) as stream:
        scale, aspect = float(stream.time_base or 0), pixel_aspect(stream)
        for frame in _decode_packets(stream, _needed(packets, set(wanted)), set(wanted)):
            if frame.pts in wanted:
                _check_size(frame, limits)
                images[frame.pts] = upright(frame, aspect)
            if len(images) == len(set(wanted)):
                return Frames([images[pts] for pts in wanted], [(pts - times[0]) * scale for pts in wanted])
    return None


def _end(packets: list[_Packet]) -> int:
    """Returns when the last frame ends. If the container does not say, it lasts as long as the median frame."""
    times = sorted(packet.pts for packet in packets)
    last = max(packets, key=lambda packet: packet.pts)
    gap = int(np.median(np.diff(times))) if len(times) > 1 else 1
    return last.pts + (last.duration or gap)


def _needed(packets: list[_Packet], wanted: set[int]) -> list[bool]:
    """Returns for each packet whether the frames in `wanted` need it decoded.

    A frame shown at or after a key frame depends on nothing before that key frame. A frame decoded after the key frame
    but shown before it (a leading frame) may, so it belongs to the group of pictures before.
    """
    keys = [i for i, packet in enumerate(packets) if packet.is_key]
    needed = [False] * len(packets)
    for i, packet in enumerate(packets):
        if packet.pts in wanted:
            starts = [key for key in keys if key <= i and packets[key].pts <= packet.pts]
            start = starts[-1] if starts else 0
            needed[start : i + 1] = [True] * (i + 1 - start)
    return needed


def _decode_packets(stream: av.VideoStream, needed: list[bool], wanted: set[int]) -> Iterator[av.VideoFrame]:
    """Yields frames in display order, without packets that are not `needed` or non-reference frames not `wanted`."""
    real = 0
    for packet in stream.container.demux(stream):
        if packet.size and not packet.is_discard:
            skipped, real = not needed[real], real + 1
            if skipped:
                continue
            stream.codec_context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        yield from _decode_packet(packet)


def _decode_packet(packet: av.Packet) -> list[av.VideoFrame]:
    try:
        return list(packet.decode())  # pyright: ignore[reportReturnType]
    except (av.error.InvalidDataError, av.error.EOFError):
        return []  # a broken packet; the caller notices if a wanted frame is missing


def _decode_any(path: Path, sampling: Sampling, limits: Limits) -> Frames:
    """Decodes everything twice, once for times and once for pictures: for clips whose container has wrong times."""
    times = [time for time, _ in _decode_all(path, limits)]
    if not times:
        return Frames([], [])
    order = sorted(set(times))
    end = order[-1] + (int(np.median(np.diff(order))) if len(order) > 1 else 1)
    wanted = choose(order, end, sampling)
    with _open(path) as stream:
        scale, aspect = float(stream.time_base or 0), pixel_aspect(stream)
    images = {time: upright(frame, aspect) for time, frame in _decode_all(path, limits) if time in wanted}
    return Frames([images[time] for time in wanted], [(time - order[0]) * scale for time in wanted])


def _decode_all(path: Path, limits: Limits) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yields each decodable frame with its time. A frame without a time follows the one before at the nominal rate."""
    with _open(path) as stream:
        rate, base = stream.average_rate or 25, stream.time_base or 1
        gap = max(1, round(1 / (rate * base)))
        time, count = -gap, 0
        for packet in stream.container.demux(stream):
            for frame in _decode_packet(packet):
                count += 1
                if count > limits.frames:
                    raise ClipError("too_long", f"{printable(path.name)} has more than {limits.frames} frames")
                _check_size(frame, limits)
                time = time + gap if frame.pts is None else frame.pts
                yield time, frame
