"""python -m extract: videos -> features."""

from functools import partial

from base.command_line.doors import door
from base.ending import run

main = partial(door, "extract")

# Worker processes import this module again under another name.
if __name__ == "__main__":
    run(main)
