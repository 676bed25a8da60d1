"""The trained detector in use: a verdict on a clip. Run as `python -m detect`."""
