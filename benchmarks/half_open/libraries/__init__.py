"""One file for each library: how its breaker is set up, which ways lead through it, and which clock it reads."""
