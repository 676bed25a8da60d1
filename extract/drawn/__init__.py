"""The drawn data set: clips of drawn people, real and fake, for demo and tests. Run as `python -m extract.drawn`."""
