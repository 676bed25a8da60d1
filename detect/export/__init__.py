"""The detector for other programs, in six formats: `python -m detect export`."""
