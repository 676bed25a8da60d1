"""Verdicts on a camera, an address or a file while it plays: `reelcheck stream`."""
