"""The steps of a command that runs several stages: each is named when it begins, all are timed."""

import contextlib
import time
from collections.abc import Iterator

from base.progress import show


class Steps:
    """Names steps as they begin, and knows in the end how long each took."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Names the step `name` and times the block."""
        show(f"== {name}")
        start = time.perf_counter()
        yield
        self._seconds[name] = time.perf_counter() - start

    def show_times(self) -> None:
        """Prints how long each step took."""
        parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self._seconds.items())
        show(f"It took {sum(self._seconds.values()):.0f} s: {parts}.")
