"""The options of `resilience simulate` that stand in place of one simulation."""

from __future__ import annotations

import argparse

__all__ = ["add_plan_options"]


def add_plan_options(command: argparse.ArgumentParser) -> None:
    """Add the options that stand in place of one simulation."""
    group = command.add_argument_group("in place of one simulation")
    chosen = group.add_mutually_exclusive_group()
    chosen.add_argument(
        "--sweep", metavar="RANGES", help="one for each combination, such as attempts=1..5,timeout=.2..2"
    )
    chosen.add_argument(
        "--find-trigger", action="store_true", help="the smallest trouble of each kind that it does not come back from"
    )
    chosen.add_argument("--advice", action="store_true", help="pools, limits, budget, the largest load: with reasons")
    chosen.add_argument("--replay", metavar="FILE", help="the calls of a trace, once more: events.jsonl")
    group.add_argument("--html", metavar="FILE", help="with --sweep: write the map as a page")
    group.add_argument("--jobs", type=int, metavar="N", help="with --sweep: processes (default: as processors)")
    group.add_argument("--with", dest="other", metavar="FILE", help="with --replay: other policies, such as new.toml")
    group.add_argument("--policies", metavar="NAME", help="with --with: the name of the policies in that file")
