"""Judges files and folders of clips: `python -m detect CLIP`."""
