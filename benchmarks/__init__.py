"""Benchmarks of speed (`make bench` writes results.json, which docs/speed.md quotes) and of accuracy in folds."""
