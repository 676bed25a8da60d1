"""python -m reelcheck VERB: the same as the command `reelcheck`."""

from reelcheck.cli import main

# Workers import this module again under another name.
if __name__ == "__main__":
    main()
