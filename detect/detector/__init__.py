"""Crops in, verdict out: a run or an export loaded as a detector."""
