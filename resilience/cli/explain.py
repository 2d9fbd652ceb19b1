"""`resilience explain`: the category of a failure that is only named, and what follows from it.

A failure is given as text: a class, the last line of a traceback, a status, an error code. Nothing of the library that
it names is imported.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
import sys
from dataclasses import replace
from typing import cast

from resilience.categories import ErrorCategory
from resilience.classification import Explanation, explain, explain_text
from resilience.classification.libraries import known_libraries, library_named
from resilience.classification.parse import ALONE
from resilience.cli.advice import ADVICE, groups_of
from resilience.cli.messages import explain_message
from resilience.cli.output import ExitCode, UserError, print_json
from resilience.cli.phrases import group_named, near, notation_of
from resilience.errors.codes import registries
from resilience.profiles import profile_of

__all__ = ["explain_named_failure", "run_explain"]

# The last line of a traceback, or an exception's repr: a dotted name, then its message.
_WITH_MESSAGE = re.compile(r"([A-Za-z_][\w.]*)(?::\s(.*)|\((.*)\))", re.DOTALL)
# As a server or a log shows a status: "503 Service Unavailable", "HTTP/1.1 503 Service Unavailable".
_STATUS_LINE = re.compile(r"(?:HTTP(?:/[\d.]+)? )?([1-5]\d\d)(?: [A-Za-z][A-Za-z' -]*)?", re.IGNORECASE)


def run_explain(arguments: argparse.Namespace) -> int:
    """Print the category of a failure and what follows from it, or the libraries that are known."""
    if arguments.list:
        _list_libraries(as_json=arguments.json)
        return ExitCode.OK
    if not arguments.text:
        raise UserError("give a failure such as httpx.ReadTimeout or 'status 503', or --list for the known libraries")
    document = explain_named_failure(" ".join(arguments.text))
    if arguments.json:
        print_json(document)
    else:
        sys.stdout.write(_as_text(document))
    return ExitCode.OK


def _list_libraries(*, as_json: bool) -> None:
    libraries = {name: sorted(library_named(name).categories) for name in sorted(known_libraries())}
    if as_json:
        print_json({"libraries": libraries})
        return
    width = max(map(len, libraries))
    for name, classes in libraries.items():
        if classes:
            sys.stdout.write(f"{name:<{width}}  {len(classes):>3} exceptions, such as {name}.{classes[0]}\n")
    sys.stdout.write("and Python's own exceptions, HTTP and gRPC statuses, SQLSTATEs, errnos\n")


def explain_named_failure(text: str) -> dict[str, object]:
    """Return what is known of a failure given as *text*. Raises UserError when it is not known.

    >>> explain_named_failure("httpx.ReadTimeout: The read operation timed out")["category"]
    'timeout'
    >>> explain_named_failure("503 Service Unavailable")["category"]
    'unavailable'
    >>> explain_named_failure("CircuitOpenError")["category"]
    'rejected'
    """
    named = " ".join(text.split())
    found = _own_error(named) or _explain_text(named)
    row = profile_of(found.category)
    first_wait: float | None = None
    if row.retry:
        first_wait = row.base
    return {
        "text": named,
        "category": found.category.label,
        "rule": found.rule,
        "reason": found.reason,
        "groups": groups_of(found.category),
        "recovery": row.recovery.value,
        "advice": ADVICE[row.recovery],
        "retried_by_default": row.retry,
        "first_wait": first_wait,
        "counts_for_circuit": row.weight,
        "http": row.http,
        "grpc": row.grpc,
        "severity": row.severity.value,
    }


def _explain_text(named: str) -> Explanation:
    status = _STATUS_LINE.fullmatch(named)
    if status is not None:
        named = f"status {status[1]}"
    try:
        return _explain_class(named)
    except ValueError as error:
        found = _explain_phrase(named)
        if found is not None:
            return found
        near_class = difflib.get_close_matches(_class_of(named).rpartition(".")[2], _own_errors(), n=1, cutoff=0.85)
        if near_class:
            raise UserError(f"{named!r} is not known; did you mean {near_class[0]}?") from None
        raise UserError(_complaint(named, str(error).removeprefix("text="))) from None


def _explain_class(named: str) -> Explanation:
    """Explain a class; where its exceptions are judged by what they carry, by the message that follows it."""
    found = explain_text(_class_of(named))
    line = _WITH_MESSAGE.fullmatch(named)
    if line is None:
        return found
    message = line[2] or line[3].strip("'\"")
    if not found.reason.endswith(ALONE) and found.category is not ErrorCategory.UNKNOWN and _CERTIFICATE not in message:
        return found
    carried = explain_message(message, _explain_text)
    if carried is None or carried.reason.endswith(_BY_MESSAGE):
        return carried or found
    return replace(carried, reason=f"{carried.reason}{_BY_MESSAGE}")


_BY_MESSAGE = ", by the message"
_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"  # makes a configuration error of any connection error


def _explain_phrase(named: str) -> Explanation | None:
    """Explain the text of an errno or a status, and a line that has one in it; None for any other phrase.

    Raises UserError for a group of categories.
    """
    group, notation = group_named(named), notation_of(named)
    if group is not None:
        members = ", ".join(each.label for each in group)
        raise UserError(f"{named!r} is a group of categories; give one of them: {members}")
    if notation is not None:
        return explain_text(notation)
    return explain_message(named, _explain_text)


def _complaint(named: str, problem: str) -> str:
    """Return what to say of a failure that is not known: *problem*, or what is near words that are no class."""
    words = _WORDS.fullmatch(named)
    found = near(named)
    if words is None or not found:
        return problem
    shown = " or ".join(f"'{each}'" if " " in each else each for each in found)
    return f"{named!r} is not known; did you mean {shown}? give an exception such as httpx.ReadTimeout, or 'status 503'"


_WORDS = re.compile(r"(?!(?:status|http|grpc|errno|sqlstate) )[a-z' _-]+")


def _class_of(named: str) -> str:
    """Return the class in the last line of a traceback; anything else as it is."""
    message = _WITH_MESSAGE.fullmatch(named)
    if message is None:
        return named
    return message[1]


def _own_error(named: str) -> Explanation | None:
    """Explain an error of the toolkit itself, given by its class or its code."""
    module, _, name = _class_of(named).rpartition(".")
    if module.partition(".")[0] not in ("", "resilience"):
        return None
    own = _own_errors()
    if name in own:
        kind = own[name]
        summary = (kind.__doc__ or "").partition("\n")[0].rstrip(".")
        return replace(explain(kind.__new__(kind)), reason=f"{kind.__qualname__}: {summary}")
    return None


def _own_errors() -> dict[str, type[BaseException]]:
    """Return the toolkit's own errors by their classes' names and by their codes."""
    importlib.import_module("resilience.errors.circuit")  # not imported with the other errors
    found = {code: kind for registry in registries().values() for code, kind in registry.codes().items()}
    own = {code: kind for code, kind in found.items() if kind.__module__.startswith("resilience.")}
    return own | {kind.__qualname__: kind for kind in own.values()}


_CIRCUIT: dict[object, str] = {0: "does not count", 1: "counts as 1 failure"}


def _as_text(document: dict[str, object]) -> str:
    groups = cast("list[str]", document["groups"])
    weight = document["counts_for_circuit"]
    lines = {
        "why": f"{document['reason']} ({document['rule']})",
        "groups": ", ".join(groups) or "none",
        "recovery": f"{document['recovery']}: {document['advice']}",
        "retried": "no, not by default",
        "circuit": _CIRCUIT.get(weight, f"counts as {weight} failures"),
        "HTTP": document["http"],
        "gRPC": document["grpc"],
        "severity": document["severity"],
    }
    if str(document["reason"]).endswith(ALONE):
        lines["more"] = "give the last line of a traceback: the message of a real one may decide"
    if document["first_wait"] is not None:
        lines["retried"] = f"yes, by default; the first wait is about {document['first_wait']:g} s"
    return f"{document['category']}\n" + "".join(f"  {name:<10}{value}\n" for name, value in lines.items())
