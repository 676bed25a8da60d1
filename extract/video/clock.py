"""When a player shows each frame, whatever the file's clock does: start anew, jump, stand still or say nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LONGEST_HOLD = 10.0
"""Seconds. A frame that would be shown for longer may be a jump of the clock; FFmpeg's own limit for such jumps."""
LONGEST_STILL = 1800.0
"""Seconds. A screen may stand still for longer than that limit, if a packet says so by its duration; not for hours."""


@dataclass(frozen=True)
class Packet:
    """What the container says about one frame; times are in the stream's time base."""

    pts: int
    duration: int
    is_key: bool


@dataclass(frozen=True)
class Timeline:
    """When each frame is shown, in units of `scale` seconds from the first one.

    `times` has one entry for each packet, in the order of the file; the last frame is shown until `end`.
    """

    times: list[int]
    end: int
    scale: float


def timeline_of(packets: Sequence[Packet], scale: float) -> Timeline | None:
    """Returns when the frames of `packets`, in the order of the file, are shown; None if their clock says nothing.

    That is the case if most frames share their time with another. Where the clock starts anew, the frames go on after
    those before. Where it jumps, the frame before the jump is shown as long as the middle one of the clip. A jump is a
    gap of more than ten seconds that is also longer than the whole clip at its usual pace, and than any packet's own
    duration up to half an hour: a still screen has one.
    """
    if not packets or 2 * len({packet.pts for packet in packets}) < len(packets):
        return None
    recordings = _recordings(packets)
    gaps = np.concatenate([np.diff(sorted({packets[i].pts for i in recording})) for recording in recordings])
    usual = max(1, int(np.median(gaps))) if len(gaps) else max(1, packets[0].duration)
    # With B-frames the packet before a gap need not be the one that says how long it is.
    held = max((p.duration for p in packets if p.duration * scale <= LONGEST_STILL), default=0)
    longest = max(LONGEST_HOLD / scale, usual * len(packets), held)
    times, end = [0] * len(packets), 0
    for recording in recordings:
        order = sorted(recording, key=lambda i: packets[i].pts)
        for before, now in zip([order[0], *order], order, strict=False):
            step = packets[now].pts - packets[before].pts
            end += usual if step > longest else step
            times[now] = end
        duration = packets[order[-1]].duration
        end += duration if 0 < duration <= longest else usual
    return Timeline(times, end, scale)


def _recordings(packets: Sequence[Packet]) -> list[list[int]]:
    """Returns the numbers of the packets between restarts of the clock.

    All frames decoded before a key frame are shown before it, so a key frame with an earlier time is a restart.
    """
    recordings: list[list[int]] = []
    latest = 0
    for i, packet in enumerate(packets):
        if not recordings or (packet.is_key and packet.pts < latest):
            recordings.append([])
            latest = packet.pts
        recordings[-1].append(i)
        latest = max(latest, packet.pts)
    return recordings


class Clock:
    """The same for frames that come one by one as they are shown; `gap` apart where nothing is known.

    A frame with the time of the one before, as of a clock that stands still, is shown a gap later.
    """

    def __init__(self, gap: int, scale: float) -> None:
        self._gap, self._longest = gap, max(LONGEST_HOLD / scale, 20 * gap)
        self._pts: int | None = None
        self._time, self._offset = -gap, 0

    def shown(self, pts: int | None) -> int:
        """Returns when the next frame is shown, whose time is `pts` by the file."""
        if pts is None:
            pts = 0 if self._pts is None else self._pts + self._gap
        if self._pts is None or not 0 <= pts - self._pts <= self._longest:
            self._offset = pts - self._time - self._gap
        least = self._time + (self._gap if pts == self._pts else 1)
        self._time, self._pts = max(least, pts - self._offset), pts
        return self._time
