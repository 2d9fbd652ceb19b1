"""`resilience explain`: what the toolkit makes of a failure that is only named."""

from __future__ import annotations

import argparse
import re
import sys
from typing import cast

from resilience.classification import explain_text
from resilience.classification.libraries import known_libraries
from resilience.cli.advice import ADVICE, groups_of
from resilience.cli.output import ExitCode, UserError, print_json
from resilience.profiles import profile_of

__all__ = ["explained", "run_explain"]

# The last line of a traceback, or an exception's repr: a dotted name, then its message.
_WITH_MESSAGE = re.compile(r"([A-Za-z_][\w.]*)(?::\s|\().*", re.DOTALL)


def run_explain(arguments: argparse.Namespace) -> int:
    """Print the category of a failure and what follows from it; with ``--list`` the libraries that are known."""
    if arguments.list:
        sys.stdout.write("".join(f"{name}\n" for name in known_libraries()))
        return ExitCode.OK
    if not arguments.text:
        raise UserError("give a failure such as httpx.ReadTimeout or 'status 503', or --list")
    document = explained(" ".join(arguments.text))
    if arguments.json:
        print_json(document)
    else:
        sys.stdout.write(_as_text(document))
    return ExitCode.OK


def explained(text: str) -> dict[str, object]:
    """Return what is known of a failure given as *text*. Raises UserError when it is not known.

    >>> explained("httpx.ReadTimeout: The read operation timed out")["category"]
    'timeout'
    """
    named = " ".join(text.split())
    message = _WITH_MESSAGE.fullmatch(named)
    try:
        found = explain_text(message[1] if message else named)
    except ValueError as error:
        raise UserError(str(error).removeprefix("text=")) from None
    row = profile_of(found.category)
    return {
        "text": named,
        "category": found.category.label,
        "rule": found.rule,
        "reason": found.reason,
        "groups": groups_of(found.category),
        "recovery": row.recovery.value,
        "advice": ADVICE[row.recovery],
        "retried_by_default": row.retry,
        "first_wait": row.base if row.retry else None,
        "counts_for_circuit": row.weight,
        "http": row.http,
        "grpc": row.grpc,
        "severity": row.severity.value,
    }


def _as_text(document: dict[str, object]) -> str:
    groups = cast("list[str]", document["groups"])
    weight = document["counts_for_circuit"]
    lines = {
        "why": f"{document['reason']} ({document['rule']})",
        "groups": ", ".join(groups) or "none",
        "recovery": f"{document['recovery']}: {document['advice']}",
        "retried": "yes, by default" if document["retried_by_default"] else "no, not by default",
        "circuit": f"counts as {weight} failure{'' if weight == 1 else 's'}" if weight else "does not count",
        "HTTP": document["http"],
        "gRPC": document["grpc"],
        "severity": document["severity"],
    }
    if document["first_wait"] is not None:
        lines["retried"] = f"yes, by default; the first wait is about {document['first_wait']:g} s"
    return f"{document['category']}\n" + "".join(f"  {name:<10}{value}\n" for name, value in lines.items())
