"""Measures, their intervals, calibration and significance tests: pure functions over arrays, no files."""
