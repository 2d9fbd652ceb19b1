"""What a guarded call costs, next to what it costs with others: all in one run, as ratios."""
