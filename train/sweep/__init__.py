"""Sweeps: hundreds of heads in one call, the study that proposes them, the leaderboard, and the best as runs."""
