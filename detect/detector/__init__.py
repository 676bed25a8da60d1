"""Loads a run or an export as a detector, which turns clips into verdicts."""
