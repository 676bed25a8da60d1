"""A clip as numbered frames with times, whatever holds them: which twelve are sampled, of all or of a window."""

import bisect
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cache.profile import Sampling
from cache.schema import FRAMES
from extract.video.clock import Timeline


@dataclass(frozen=True, eq=False)
class Frames:
    """At most twelve frames in display order: `images` uint8 RGB (H, W, 3), upright; `times` seconds from the first
    frame of the clip. Of a file that breaks off, `breaks_off` has the seconds that are there and those promised."""

    images: list[np.ndarray]
    times: list[float]
    breaks_off: tuple[float, float] | None = None


def choose(times: Sequence[int], end: int, sampling: Sampling) -> list[int]:
    """Returns the positions in `times` of the sampled frames, at most twelve.

    `times` is sorted; the last frame is shown until `end`. Only integers are used, so rounding decides nothing. A frame
    that is shown for long can be chosen more than once.
    """
    if len(times) <= FRAMES or sampling == "first":
        return list(range(len(times)))[:FRAMES]
    span = end - times[0]
    middles = [times[0] * 2 * FRAMES + (2 * k + 1) * span for k in range(FRAMES)]
    return [bisect.bisect_right(times, middle // (2 * FRAMES)) - 1 for middle in middles]


def windows_over(end: int, window: int) -> Iterator[tuple[int, int]]:
    """Yields the begin and end of each window; nothing if the clip is no longer than one."""
    spare = end - window
    steps = -(-2 * spare // window) if window > 0 else 0
    for step in range(steps + 1 if steps > 0 else 0):
        low = spare * step // steps
        yield low, low + window


class Film:
    """A clip whose frames are numbered. `decode` yields those of some numbers, and perhaps others, in display order.

    `image_of` turns what it yields into uint8 RGB (H, W, 3), upright. `breaks_off` has the seconds that are there and
    those promised, if the file ends before its header says.
    """

    def __init__(
        self,
        timeline: Timeline,
        decode: Callable[[Collection[int]], Iterator[tuple[int, Any]]],
        image_of: Callable[[Any], np.ndarray],
        breaks_off: tuple[float, float] | None = None,
    ) -> None:
        self.timeline, self.decode, self.image_of, self.breaks_off = timeline, decode, image_of, breaks_off
        self._order = sorted(range(len(timeline.times)), key=timeline.times.__getitem__)
        self._times = [timeline.times[number] for number in self._order]

    def sample(self, sampling: Sampling) -> Frames:
        """Returns the sampled frames, without those that cannot be decoded."""
        return next(self._gather([self.wanted(sampling)])) if self._times else Frames([], [])

    def wanted(self, sampling: Sampling) -> list[int]:
        """Returns the numbers of the frames that are sampled, if they can be decoded; there has to be one."""
        return [self._order[position] for position in choose(self._times, self.timeline.end, sampling)]

    def sample_spans(self, spans: Sequence[tuple[int, int]]) -> Iterator[Frames]:
        """Yields the same for each span, as soon as its last frame is decoded."""
        yield from self._gather([self._wanted_between(low, high) for low, high in spans])

    def _wanted_between(self, low: int, high: int) -> list[int]:
        first = bisect.bisect_left(self._times, low)
        inside = self._times[first : bisect.bisect_left(self._times, high)]
        return [self._order[first + position] for position in choose(inside, high, "uniform")] if inside else []

    def _gather(self, groups: list[list[int]]) -> Iterator[Frames]:
        """Yields the frames of each group of numbers. Images that no later group needs are dropped."""
        last_group = {number: i for i, group in enumerate(groups) for number in group}
        images: dict[int, np.ndarray] = {}
        given = 0
        for number, frame in self.decode(last_group):
            if number not in images and last_group.get(number, -1) >= given:
                images[number] = self.image_of(frame)
            now = self.timeline.times[number]
            while given < len(groups) and all(n in images or self.timeline.times[n] < now for n in groups[given]):
                yield self._frames(groups[given], images)
                given += 1
                images = {n: image for n, image in images.items() if last_group[n] >= given}
            if given == len(groups):
                return
        for group in groups[given:]:
            yield self._frames(group, images)

    def _frames(self, group: list[int], images: dict[int, np.ndarray]) -> Frames:
        decoded = [number for number in group if number in images]
        times = [self.timeline.times[number] * self.timeline.scale for number in decoded]
        return Frames([images[number] for number in decoded], times)
