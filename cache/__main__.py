"""python -m cache info | verify | export: look into folders of features or crops."""

from functools import partial

from base.command_line.doors import door
from base.ending import run

main = partial(door, "cache")

# Worker processes import this module again under another name.
if __name__ == "__main__":
    run(main)
