"""Stage 1: videos -> twelve face crops -> features of a frozen backbone -> store. Run as `python -m extract`."""
