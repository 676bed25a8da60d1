"""Judges files and folders, clips and pictures: `reelcheck detect CLIP`."""
