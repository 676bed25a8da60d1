"""The page on which people drop a clip and read a verdict: `python -m detect web`."""
