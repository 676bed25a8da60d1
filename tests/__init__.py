"""The tests, in folders of the same shape as the code; helpers of several tests lie at the top."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The checkout."""
SHARED = ROOT.parent / "shared"
"""Test material that is not in the repository; tests that use it skip where it is absent."""
