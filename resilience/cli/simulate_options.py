"""The options of `resilience simulate`, and the scenario that they describe."""

from __future__ import annotations

import argparse

from resilience.cli.simulate_plan_options import add_plan_options

__all__ = ["EXAMPLES", "add_options"]


EXAMPLES = """\
examples:
  resilience simulate shop.clients:search --rps 1000 --capacity 2400 --slow 0.5x30s
  resilience simulate shop.clients:search --latency p50=40ms,p99=300ms --outage 60s --clients 100
  resilience simulate shop.clients:search --pause 3s --plot pause.svg
  resilience simulate shop.clients:search --outage 60s --json > outage.json
  resilience simulate shop.clients:search --sweep attempts=1..5,timeout=.2..2 --html plan.html
  resilience simulate shop.clients:search --find-trigger
  resilience simulate shop.clients:search --advice
  resilience simulate shop.clients:search --replay events.jsonl --with new.toml

The application is imported, which runs its modules; the body of the function
is not called. Its own policies run, in virtual time, in fresh copies: a
simulated server answers, with a queue that keeps what its callers have left.

A disturbance begins after 30 s (--at), or where @ says so: --outage 60s@45s.
Durations have a unit: 40ms, 1.5s, 2m.

exit codes: 0 it comes back, 1 it does not, or is overloaded without trouble;
2 a wrong option or no such function, 130 Ctrl-C
"""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the scenario."""
    command.add_argument("application", metavar="MODULE:FUNCTION", help="a guarded function")
    load = command.add_argument_group("the calls")
    load.add_argument("--rps", type=float, default=100.0, metavar="N", help="calls a second (default: 100)")
    load.add_argument("--clients", type=int, default=1, metavar="N", help="processes that make them (default: 1)")
    load.add_argument(
        "--arrivals", choices=["poisson", "regular", "closed"], default="poisson", help="default: poisson"
    )
    load.add_argument("--in-time", metavar="DURATION", help="how long a user waits (default: 5 times p99, 1s at least)")
    load.add_argument("--duration", metavar="DURATION", help="of the run (default: until 60s after the trouble)")
    load.add_argument("--seed", type=int, default=0, help="of the random numbers (default: 0)")

    server = command.add_argument_group("the server")
    size = server.add_mutually_exclusive_group()
    size.add_argument("--capacity", type=float, metavar="N", help="requests a second (default: twice --rps)")
    size.add_argument("--workers", type=int, metavar="N", help="requests at a time, in place of the capacity")
    server.add_argument(
        "--latency",
        default="p50=40ms,p99=300ms",
        metavar="TIMES",
        help="of the idle server: p50=40ms,p99=300ms (the default), exp=50ms, or 50ms",
    )
    server.add_argument("--queue", type=int, metavar="N", help="requests that may wait there (default: any number)")
    server.add_argument("--client-timeout", metavar="DURATION", help="of the client library itself (default: none)")
    server.add_argument("--failing", type=float, default=0.0, metavar="SHARE", help="of the requests, at random")

    trouble = command.add_argument_group("the trouble; each may be given several times")
    trouble.add_argument("--at", default="30s", metavar="DURATION", help="when it begins (default: 30s)")
    for name, metavar, text in (
        ("outage", "60s", "the server refuses connections; hang:60s, it answers nothing"),
        ("slow", "0.5x30s", "it works at a part of its speed"),
        ("resize", "0.5x60s", "it has a part of its workers"),
        ("pause", "2s", "it stands still; 200ms/10s, again and again"),
        ("surge", "2x30s", "more calls come"),
    ):
        trouble.add_argument(f"--{name}", action="append", default=[], metavar=metavar, help=text)

    output = command.add_argument_group("the result")
    output.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    output.add_argument("--plot", metavar="FILE", help="draw it, as SVG")
    add_plan_options(command)
