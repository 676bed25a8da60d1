"""The web page on which people drop a clip and read its verdict: `reelcheck web`."""
