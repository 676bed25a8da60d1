"""Hundreds of heads in one call: what to try next, the leaderboard, and the best of them as runs."""
