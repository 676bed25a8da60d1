"""python -m detect CLIP... | stream | export | web: use a trained detector."""

import sys
from collections.abc import Sequence

from base.ending import run

USAGE = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that `argv` begins with, or judges the clips that it names; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    match words[:1]:
        case ["stream"]:
            from detect.stream.stage import main as stream

            return stream(words[1:])
        case ["export"]:
            from detect.export.stage import main as export

            return export(words[1:])
        case ["web"]:
            from detect.web.stage import main as web

            return web(words[1:])
    from detect.clips.stage import main as judge_clips

    return judge_clips(words)


if __name__ == "__main__":
    run(main, error_status=USAGE)
