"""Writes a detector for other programs: `reelcheck export`."""
