"""python -m evaluate report | compare | protocols | published | leaderboard | runs: what trained runs are worth."""

from functools import partial

from base.command_line.doors import door
from base.ending import run

main = partial(door, "evaluate")

# Worker processes import this module again under another name.
if __name__ == "__main__":
    run(main)
