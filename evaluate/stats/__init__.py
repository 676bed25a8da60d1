"""Measures, intervals and tests: pure functions over arrays that import nothing else of ours."""
