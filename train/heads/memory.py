"""How many heads may be trained side by side in the memory that there is."""

from pathlib import Path

from train.data.inputs import Inputs
from train.heads.architectures import HeadConfig, build_head

SHARE = 0.5
"""Of the memory that is free, what a stack may take."""
COPIES = 6
"""Of each weight: itself, its gradient, Adam's two moments, the best so far, and one on its way."""
KEPT = 24
"""Numbers that a frame leaves behind for the gradient, by unit of the head: gates, states and their products."""


def slots_that_fit(wanted: int, config: HeadConfig, inputs: Inputs, batch: int) -> int:
    """Returns `wanted`, halved until so many heads fit into the memory that is free, saying so."""
    free, each = free_memory(), bytes_each(config, inputs, batch)
    slots = wanted
    while slots > 1 and free is not None and slots * each > SHARE * free:
        slots //= 2
    if slots < wanted:
        print(f"{wanted} heads side by side need {wanted * each / 1e9:.1f} GB, too much here; going on with {slots}.")
    return slots


def bytes_each(config: HeadConfig, inputs: Inputs, batch: int) -> int:
    """Returns about how many bytes one head takes in training."""
    frames, width = inputs.frames.shape[1:]
    wide = width * (2 if config.differences else 1)
    weights = build_head(config, width).count_params()
    return 4 * (COPIES * weights + batch * frames * (3 * wide + KEPT * config.units))


def free_memory() -> int | None:
    """Returns the bytes that can still be had, None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    return found[0] if found else None


def out_of_memory(error: Exception) -> bool:
    """Whether `error` is how Python or a Keras backend says that memory is short."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(
        sign in text for sign in ("resource_exhausted", "resourceexhausted", "out of memory")
    )
