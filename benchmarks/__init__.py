"""Benchmarks: the cost of a guarded call, ours and the peers', measured in one run and given as ratios."""
