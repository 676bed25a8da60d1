"""Whether a file ends before its header says it does, as an upload that broke off."""

from pathlib import Path

import av

from extract.video.containers import open_video

LEAST_MISSING, LEAST_SHARE = 0.5, 0.01
"""Seconds that are missing at least, and their share of what is promised: headers are rounded, some lie a little."""
PER_STREAM = "mov"
"""How the names of the containers begin whose header has the length of each stream."""
PER_FILE = ("matroska", "flv")
"""How the names of those begin whose header has one length for all streams."""


def breaks_off(path: Path, stream: av.VideoStream, frames: int, end: float, start: float) -> tuple[float, float] | None:
    """Returns the seconds that are there and those that the header of the file at `path` promises; None if it is whole.

    Of its `stream`, `frames` frames are there, shown from second `start` to `end` of the file's own clock. A container
    without such a header, as MPEG-TS, is never found to break off.
    """
    name, there, promised = stream.container.format.name, end, 0.0
    if name == "avi":
        rate = float(stream.average_rate or 25)
        there, promised = frames / rate, stream.frames / rate
    elif name.startswith(PER_STREAM):
        there, promised = end - start, float((stream.duration or 0) * (stream.time_base or 0))
    elif name.startswith(PER_FILE):
        promised = (stream.container.duration or 0) / av.time_base
    if promised - there <= max(LEAST_MISSING, LEAST_SHARE * promised):
        return None
    if name.startswith(PER_FILE) and promised - _last_second(path) <= LEAST_MISSING:
        return None  # only the picture ends early
    return round(there, 3), round(promised, 3)


def _last_second(path: Path) -> float:
    """Returns when the last packet of any stream ends, by the file's clock."""
    with open_video(path) as stream:
        ends = (
            float((packet.pts + (packet.duration or 0)) * packet.time_base)
            for packet in stream.container.demux()
            if packet.pts is not None and packet.time_base
        )
        return max(ends, default=0.0)
