"""Choose twelve frames of a video and decode only what they need.

A first pass reads the packets without decoding them; their times decide which frames are wanted. A second pass decodes:
groups of pictures without a wanted frame never reach the decoder, and it skips the non-reference frames that are not
wanted. The result is bit for bit the same as decoding everything.
"""

import bisect
import functools
import itertools
import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

from base.text import printable
from cache.profile import Sampling
from cache.schema import FRAMES
from extract.video.broken_off import breaks_off
from extract.video.clock import Clock, Packet, Timeline, timeline_of
from extract.video.containers import ClipError, Limits, naming_failures, open_video
from extract.video.display import pixel_aspect, upright
from extract.video.film import Film, Frames, windows_over
from extract.video.numbered import FPS, film_of_folder, sample_folder

_COMPLETE = (PictureType.NONE, PictureType.I, PictureType.SI)
"""Pictures that hold all of themselves. Some codecs do not say what a picture is."""


def sample_frames(path: Path, sampling: Sampling = "uniform", limits: Limits = Limits(), fps: float = FPS) -> Frames:
    """Returns the sampled frames of the video at `path`; raises ClipError if no frame can be decoded.

    A folder of numbered pictures is a clip too, shown at `fps` of its numbers a second.

    `uniform` divides the clip into twelve equal spans of time and takes the frame on display in the middle of each;
    `first` takes the first twelve frames. A clip with fewer than twelve frames gives all of them.
    """
    name = printable(path.name)
    with naming_failures(path):
        if path.is_dir():
            return sample_folder(path, sampling, limits, fps)
        if not path.is_file():
            raise ClipError("missing", f"{name} does not exist, or is not a file")
        if path.stat().st_size == 0:
            raise ClipError("empty", f"{name} has no bytes")
        frames = _sample(path, sampling, limits)
    if not frames.images:
        raise ClipError("no_frames", f"{name} holds a video stream, but no frame of it can be decoded")
    return frames


def _sample(path: Path, sampling: Sampling, limits: Limits) -> Frames:
    if film := _film_by_packets(path, limits):
        frames = film.sample(sampling)
        if len(frames.images) == min(FRAMES, len(film.timeline.times)):
            return replace(frames, breaks_off=film.breaks_off)
    decoded = _film_by_frames(path, limits)
    return replace(decoded.sample(sampling), breaks_off=(film or decoded).breaks_off)


def read_times(path: Path, seconds: float = math.inf, limits: Limits = Limits()) -> tuple[list[int], int, float]:
    """Returns the sorted times at which the frames of the video at `path` are shown, the end of the last one, and the
    seconds per unit.

    If the container's times say nothing, frames are decoded for theirs, up to the first that is shown after `seconds`.
    Raises ClipError like `sample_frames`.
    """
    with naming_failures(path):
        timeline = (_film_by_packets(path, limits) or _film_by_frames(path, limits, seconds)).timeline
    return sorted(timeline.times), timeline.end, timeline.scale


def play_seconds(path: Path, fps: float = FPS) -> float:
    """Returns the seconds from the first to the last frame of the video at `path`, by its packets, without decoding.

    Those of a folder are by the numbers of its pictures. Raises ClipError like `sample_frames`.
    """
    with naming_failures(path):
        if path.is_dir():
            timeline = film_of_folder(path, Limits(frames=10**9), fps).timeline
            return max(timeline.times, default=0) * timeline.scale
        if film := _film_by_packets(path, Limits(frames=10**9)):
            return max(film.timeline.times) * film.timeline.scale
        with open_video(path) as stream:
            # Some containers give no times; their frames are shown at the average rate.
            return sum(packet.size > 0 for packet in stream.container.demux(stream)) / float(stream.average_rate or 25)


def play(path: Path, limits: Limits = Limits()) -> Iterator[tuple[float, Callable[[], np.ndarray]]]:
    """Yields each frame in display order: its time in seconds, and a function that returns it as uint8 RGB (H, W, 3),
    upright."""
    if film := _film_by_packets(path, limits):
        times, scale, image_of = film.timeline.times, film.timeline.scale, film.image_of
        decoded = ((times[number], frame) for number, frame in film.decode(range(len(times))))
    else:
        with open_video(path) as stream:
            scale, image_of = _scale(stream), functools.partial(upright, aspect=pixel_aspect(stream))
        decoded = _decode_in_order(path, limits)
    for time, frame in decoded:
        yield time * scale, functools.partial(image_of, frame)


def play_stream(stream: av.VideoStream) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yields each decodable frame of an open stream in display order, with its time in seconds, in one pass."""
    scale = _scale(stream)
    return ((time * scale, frame) for time, frame in _decode_stream(stream))


def sample_windows(
    path: Path, window: float, limits: Limits = Limits(), fps: float = FPS
) -> Iterator[tuple[tuple[float, float], Frames]]:
    """Yields each window: its span in seconds, and its frames, sampled as if the window were a clip.

    Windows of `window` seconds cover the clip from first frame to end and overlap by about a half. A clip that is no
    longer than one window has none. Raises ClipError like `sample_frames`.
    """
    with naming_failures(path):
        if path.is_dir():
            film = film_of_folder(path, limits, fps)
        else:
            film = _film_by_packets(path, limits) or _film_by_frames(path, limits)
        scale, end = film.timeline.scale, film.timeline.end
        spans = list(windows_over(end, round(window / scale)))
        for (low, high), frames in zip(spans, film.sample_spans(spans), strict=False):
            if frames.images:
                yield (low * scale, high * scale), frames


def _film_by_packets(path: Path, limits: Limits) -> Film | None:
    """Returns the film whose frames are the packets of the file; None if their times are missing or say nothing."""
    packets: list[Packet] = []
    with open_video(path) as stream:
        limits.check_pixels(stream.codec_context)
        for packet in stream.container.demux(stream):
            if packet.size == 0 or packet.is_discard:
                continue
            if packet.pts is None:
                return None
            packets.append(Packet(packet.pts, packet.duration or 0, packet.is_keyframe))
            limits.check_frames(len(packets), path)
        scale, aspect = _scale(stream), pixel_aspect(stream)
        timeline = timeline_of(packets, scale)
        if timeline is None:
            return None
        start, end = min(p.pts for p in packets), max(p.pts + p.duration for p in packets)
        broken = breaks_off(path, stream, len(packets), end * scale, start * scale)
    decode = functools.partial(_decode_numbers, path, packets, timeline.times)
    return Film(timeline, decode, functools.partial(_image, aspect, limits), broken)


def _image(aspect: float, limits: Limits, frame: av.VideoFrame) -> np.ndarray:
    limits.check_pixels(frame)
    return upright(frame, aspect)


def _scale(stream: av.VideoStream) -> float:
    """Returns the seconds per unit of the stream's times."""
    return float(stream.time_base or 1 / 25)


def _decode_numbers(
    path: Path, packets: Sequence[Packet], times: Sequence[int], wanted: Collection[int]
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yields frames in display order, each with the number of its packet: those that `wanted` needs, and no more.

    Packets that none of them needs never reach the decoder, and non-reference frames that are not wanted are skipped.
    Some files call packets key frames after which the picture only builds up bit by bit: of these, all is decoded.
    """
    needed = _needed(packets, times, wanted)
    resumed = deque(i for i in range(1, len(packets)) if needed[i] and not needed[i - 1])
    for number, frame in _decode_packets(path, needed, wanted):
        while resumed and times[number] >= times[resumed[0]]:
            if number != resumed.popleft() or frame.pict_type not in _COMPLETE:
                yield from _decode_packets(path, [True] * len(packets), wanted)
                return
        yield number, frame


def _needed(packets: Sequence[Packet], times: Sequence[int], wanted: Collection[int]) -> list[bool]:
    """Returns for each packet whether the frames in `wanted` need it decoded.

    A frame shown at or after a key frame depends on nothing before that key frame. A frame decoded after the key frame
    but shown before it (a leading frame) may, so it belongs to the group of pictures before.
    """
    keys = [i for i, packet in enumerate(packets) if packet.is_key]
    edges = [0] * (len(packets) + 1)
    for number in wanted:
        key = bisect.bisect_right(keys, number) - 1
        while key >= 0 and times[keys[key]] > times[number]:
            key -= 1
        edges[keys[key] if key >= 0 else 0] += 1
        edges[number + 1] -= 1
    return [depth > 0 for depth in itertools.accumulate(edges[:-1])]


def _decode_packets(path: Path, needed: Sequence[bool], wanted: Collection[int]) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yields frames and their numbers, without packets that are not `needed` or non-reference frames not `wanted`."""
    with open_video(path) as stream:
        numbers = itertools.count()
        for packet in stream.container.demux(stream):
            if packet.size and not packet.is_discard:
                number = next(numbers)
                if number >= len(needed) or not needed[number]:
                    continue
                stream.codec_context.skip_frame = "DEFAULT" if number in wanted else "NONREF"
                # Decoders hand the time of a packet on to its frame. Several may have the same; a number is unique.
                packet.pts, packet.dts = number, None
            elif packet.size:
                packet.pts = None
            for frame in _decode_packet(packet):
                if frame.pts is not None and 0 <= frame.pts < len(needed):
                    yield frame.pts, frame


def _decode_packet(packet: av.Packet) -> list[av.VideoFrame]:
    try:
        return list(packet.decode())  # pyright: ignore[reportReturnType]
    except (av.error.InvalidDataError, av.error.EOFError):
        return []  # a broken packet; the caller notices if a wanted frame is missing


def _film_by_frames(path: Path, limits: Limits, seconds: float = math.inf) -> Film:
    """Returns the film of all frames that can be decoded, in their order: for clips whose container has wrong times.

    Its timeline ends with the first frame that is shown after `seconds`.
    """
    times: list[int] = []
    with open_video(path) as stream:
        scale, aspect = _scale(stream), pixel_aspect(stream)
        for time, _ in _decode_in_order(path, limits):
            times.append(time)
            if time * scale > seconds:
                break
        end = times[-1] + (int(np.median(np.diff(times))) if len(times) > 1 else 1) if times else 0
        broken = breaks_off(path, stream, len(times), end * scale, 0.0) if end * scale <= seconds else None

    def decode(_: Collection[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        return ((number, frame) for number, (_, frame) in enumerate(_decode_in_order(path, limits)))

    return Film(Timeline(times, end, scale), decode, functools.partial(_image, aspect, limits), broken)


def _decode_in_order(path: Path, limits: Limits) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yields each decodable frame with the time at which it is shown."""
    with open_video(path) as stream:
        for count, (time, frame) in enumerate(_decode_stream(stream), start=1):
            limits.check_frames(count, path)
            limits.check_pixels(frame)
            yield time, frame


def _decode_stream(stream: av.VideoStream) -> Iterator[tuple[int, av.VideoFrame]]:
    scale = _scale(stream)
    clock = Clock(max(1, round(1 / (float(stream.average_rate or 25) * scale))), scale)
    for packet in stream.container.demux(stream):
        for frame in _decode_packet(packet):
            yield clock.shown(frame.pts), frame
