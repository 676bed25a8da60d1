"""Writes a detector for other programs: `python -m detect export`."""
