"""The drawn data set: clips of drawn people, real and fake, for the demo and tests. Run `python -m extract.drawn`."""

MARK = "drawn.txt"
"""A file at the root of a drawn data set, by which runs on it know that they have seen no filmed face."""
