"""A fleet of real processes, a real server, and what goes wrong: `python -m benchmarks.fleet`."""
