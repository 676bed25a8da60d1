"""The benches of `python -m benchmarks`: each measures ratios, ours against what it is compared with."""
