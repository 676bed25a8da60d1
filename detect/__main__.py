"""python -m detect CLIP... | stream | export | web: use a trained detector."""

from functools import partial

from base.command_line.doors import door
from base.ending import run
from base.verbs import USAGE

main = partial(door, "detect")

# Worker processes import this module again under another name.
if __name__ == "__main__":
    run(main, error_status=USAGE)
