"""How many heads fit into the available memory when trained side by side."""

import math

from base.machine.memory import free_memory
from base.progress import say
from train.data.inputs import Inputs
from train.heads.architectures import HeadConfig, weight_shapes

SHARE = 0.5
"""Share of the available memory that a stack may use."""
COPIES = 6
"""Copies of each weight: itself, its gradient, Adam's two moments, the best so far, and one in transit."""
KEPT = 2
"""Numbers kept per frame for the gradient, for each number that a weight makes of a frame: a sum and its activation."""


def slots_that_fit(wanted: int, config: HeadConfig, inputs: Inputs, batch: int) -> int:
    """Returns `wanted`, halved until that many heads fit into the available memory; prints if it had to halve."""
    free, each = free_memory(), bytes_each(config, inputs, batch)
    slots = wanted
    while slots > 1 and free is not None and slots * each > SHARE * free:
        slots //= 2
    if slots < wanted:
        say(f"{wanted} heads side by side need {wanted * each / 1e9:.1f} GB, too much; training {slots} at once.")
    return slots


def bytes_each(config: HeadConfig, inputs: Inputs, batch: int) -> int:
    """Returns roughly how many bytes one head needs in training."""
    frames, width = inputs.frames.shape[1:]
    wide = width * (2 if config.differences else 1)
    shapes = weight_shapes(config, width)
    weights, made = sum(map(math.prod, shapes)), sum(shape[-1] for shape in shapes)
    return 4 * (COPIES * weights + batch * frames * (3 * wide + KEPT * made))
