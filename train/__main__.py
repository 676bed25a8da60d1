"""python -m train fit | sweep | ensemble | finetune | cnn3d: heads on features, and networks on crops."""

from functools import partial

from base.command_line.doors import door
from base.ending import run

main = partial(door, "train")

# Worker processes import this module again under another name.
if __name__ == "__main__":
    run(main)
