"""Verdicts on files and folders: `python -m detect CLIP`."""
