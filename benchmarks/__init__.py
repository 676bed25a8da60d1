"""Benchmarks of speed (`make bench` writes results.json, which the README quotes) and of accuracy in folds."""
