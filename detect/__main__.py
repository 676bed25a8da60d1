"""python -m detect CLIP... | stream | export | web: use a trained detector."""

import importlib
import sys
from collections.abc import Sequence

from cache.cli import run

COMMANDS = ("stream", "export", "web")
USAGE = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that `argv` begins with, or judges the clips that it names; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in COMMANDS:
        return importlib.import_module(f"detect.{words[0]}.stage").main(words[1:])
    return importlib.import_module("detect.clips.stage").main(words)


if __name__ == "__main__":
    run(main, error_status=USAGE)
