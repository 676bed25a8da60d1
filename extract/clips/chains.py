"""Chains of boxes that one face could make, and which of them are one person's on both sides of a cut.

Within a shot neither place nor size jumps from one box to the next, and steps to another look cost. From one shot to
another a chain goes on only with the same person's face, so no chain crosses a cut to somebody else, nor steps round it
by leaving a frame out.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from extract.clips.appearance import BoxView, FrameView, are_alike, may_be_cut
from extract.clips.boxes import LARGEST_GROWTH, Box

LONGEST_STEP = 1.5
"""How far a face may move from one sampled frame to the next, in sides of its box. At 1.0 pans lost their person."""
LONGEST_GAP = 3
"""Frames without a box over which the step that is allowed still grows."""
FREE_CHANGE, CHANGE_COST = 0.25, 10.0
"""How much a look may change for free within a shot, and what one unit above that costs, in sides.

Over one to three samples, 99 % of the looks of one person on celeb-df-mini differ by less than 0.24, those of two
people by 0.36 in the median.
"""

Track = list[Box | None]
"""For each frame the box of one person's face, None where it was not found."""


def best_chain(frames: Sequence[FrameView], found: Sequence[np.ndarray]) -> Track:
    """Returns the heaviest chain of the boxes int32 (n, 4) that were `found` in each of the `frames`."""
    views = [BoxView(i, frames[i], box) for i, boxes in enumerate(found) for box in boxes]
    shots = shots_of(frames)
    track: Track = [None] * len(found)
    for view in _heaviest(views, _change if shots[-1] == 0 else _change_across(views, shots)):
        track[view.frame_number] = view.box
    return track


def shots_of(frames: Sequence[FrameView]) -> list[int]:
    """Returns the number of each frame's shot, from 0; a fast pan counts as several, whose people are the same."""
    return list(itertools.accumulate(map(may_be_cut, frames, frames[1:]), initial=0))


def _heaviest(views: Sequence[BoxView], change: Callable[[BoxView, BoxView], float]) -> list[BoxView]:
    """Returns the chain with the greatest sum of sides, less the cost of the `change` from each box to the next."""
    weight: list[float] = []
    previous: list[int | None] = []
    for i, view in enumerate(views):
        ways = {j: weight[j] - change(views[j], view) for j in range(i) if _can_reach(views[j], view)}
        best = max(ways, key=lambda j: ways[j], default=None)
        previous.append(best if best is not None and ways[best] > 0 else None)
        weight.append(view.side + max(0.0, 0.0 if best is None else ways[best]))
    chain: list[BoxView] = []
    at = max(range(len(views)), key=lambda i: weight[i], default=None)
    while at is not None:
        chain.append(views[at])
        at = previous[at]
    return chain


def _can_reach(before: BoxView, after: BoxView) -> bool:
    gap = after.frame_number - before.frame_number
    small, large = sorted((before.side, after.side))
    reach = LONGEST_STEP * min(gap, LONGEST_GAP) * (small + large) / 2
    step = math.hypot(after.centre[0] - before.centre[0], after.centre[1] - before.centre[1])
    return gap > 0 and step <= reach and large <= LARGEST_GROWTH * small


def _change(before: BoxView, after: BoxView) -> float:
    """Returns what the step between two boxes of a shot costs a chain because they look different."""
    return CHANGE_COST * max(0.0, before.look_distance(after) - FREE_CHANGE) * after.side


def _change_across(views: Sequence[BoxView], shots: Sequence[int]) -> Callable[[BoxView, BoxView], float]:
    """Returns the cost of a step in a clip of several shots: infinite from one shot to another person in the next.

    Who is who is told by all boxes that a face has in either shot, since one of them may show it turned away.
    """
    piece_of: dict[int, list[BoxView]] = {}
    for _, some in itertools.groupby(views, key=lambda view: shots[view.frame_number]):
        left = list(some)
        while left:
            piece = _heaviest(left, _change)
            piece_of |= {id(view): piece for view in piece}
            left = [view for view in left if id(view) not in piece_of]
    alike: dict[tuple[int, int], bool] = {}

    def change(before: BoxView, after: BoxView) -> float:
        if shots[before.frame_number] == shots[after.frame_number]:
            return _change(before, after)
        pieces = piece_of[id(before)], piece_of[id(after)]
        key = id(pieces[0]), id(pieces[1])
        if key not in alike:
            alike[key] = are_alike(*pieces)
        return 0.0 if alike[key] else math.inf

    return change
