"""The command line: show the toolkit at work, make one call through it, explain failures.

`resilience demo` hurts a real server and compares protected calls with bare ones, `resilience call URL` tells one
real request attempt by attempt, `resilience explain TEXT` says the category of a failure and what follows from it.
"""

from resilience.cli.main import main

__all__ = ["main"]
