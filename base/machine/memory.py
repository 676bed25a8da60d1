"""How much memory is left, whether an error means that there was too little, and imports that look for no garbage."""

import contextlib
import gc
import sys
from collections.abc import Iterator

SIGNS = (
    "resource_exhausted",
    "resourceexhausted",
    "out of memory",
    "cannot allocate memory",
    "insufficient memory",
    "unable to allocate",
    "bad_alloc",
    "bad allocation",
    "failed to map segment",
    "error return without exception set",  # of C code that did not get its memory
)
"""What errors say, in lower case, when memory has run out: Keras' backends, OpenVINO, OpenCV, NumPy, and the loader."""
ENOUGH = 6.0
"""GB of address space that do for every command on clips of the usual size (measured; TensorFlow maps most of it)."""


def free_memory() -> int | None:
    """Returns the available memory in bytes, None if the system does not report it."""
    with contextlib.suppress(ImportError, OSError):
        import psutil

        return psutil.virtual_memory().available
    return None


def address_space() -> int | None:
    """Returns how many bytes this process may map, None if that is not limited, as on macOS whatever `ulimit` says."""
    if sys.platform == "darwin":
        return None
    import resource  # which Windows lacks

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def lack_of_address_space(gigabytes: float, what: str) -> str:
    """Returns why `what` is refused if this process may map less memory, "" if not: C code would abort in its midst."""
    limit = address_space()
    if limit is None or limit >= gigabytes * 1e9:
        return ""
    may = f"this process may map {limit / 1e9:.1f} GB (ulimit -v)"
    return f"{may}, and {what} maps {gigabytes:g} GB; raise that limit."


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` means that Python, a library or the loader of one ran out of memory."""
    return isinstance(error, MemoryError) or _has_sign(f"{type(error).__name__} {error}")


def shortage(error: BaseException) -> str:
    """Returns the sentence on an `error` that means so: what ran out, and which limit to raise."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    reason = next((line for line in said if _has_sign(line)), said[0]).strip()
    limit = address_space()
    if limit is not None:
        may = f"this process may map {limit / 1e9:.1f} GB (ulimit -v), and {ENOUGH:g} GB do; raise that limit"
    else:
        free = free_memory()
        may = "end other programs" if free is None else f"{free / 1e9:.1f} GB are free; end other programs"
        may += ", or use fewer workers or smaller batches"
    return f"memory ran out ({reason}): {may}."


def _has_sign(text: str) -> bool:
    return any(sign in text.lower() for sign in SIGNS)


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Looks for no garbage in the block: an import makes hundreds of thousands of objects, and none of them is any."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
