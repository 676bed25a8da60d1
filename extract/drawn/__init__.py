"""The drawn data set: clips of drawn people, real and fake, for the demo and tests. Run `python -m extract.drawn`."""
