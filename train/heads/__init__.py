"""Heads, the temporal networks: their architectures, and how many are trained side by side."""
