"""Diagnosis of programs that ended themselves: option parsers and test runners, by their words on standard error.

SystemExit has a status and no message: `argparse`, `click` and `unittest` have printed why before. At most the last
`_MAX_READ` characters of standard error are read.
"""

from __future__ import annotations

import re

from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.text import single_line
from resilience.report.diagnosis import Diagnosis

__all__ = ["system_exit"]

_MAX_READ = 20_000
_REFUSED = re.compile(r"^(?:\S{0,80}: )?error: (?P<what>.+)$|^Error: (?P<other>.+)$", re.MULTILINE | re.IGNORECASE)
_INVALID = re.compile(r"argument (?P<name>\S+): invalid (?P<kind>\w+) value: (?P<value>'[^']*')")
_REQUIRED = re.compile(r"the following arguments are required: (?P<names>.+)")
_TEST = re.compile(r"^(?P<how>FAIL|ERROR): (?P<name>\w+)", re.MULTILINE)
_PLACE = re.compile(r'File "[^"]*", line (?P<line>\d+), in (?P<function>\w+)')
_RAISED = re.compile(r"^(?P<type>[\w.]*(?:Error|Exception|Failure)): ?(?P<message>.*)$", re.MULTILINE)
_KINDS = {"int": "a whole number", "float": "a number"}


def system_exit(context: FailureContext) -> Diagnosis | None:
    """Diagnose a program that ended with a status of its own, by its standard error; None where that is empty.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="SystemExit",
    ...     message="2",
    ...     stderr="count.py: error: argument --count: invalid int value: 'x'",
    ... )
    >>> system_exit(FailureContext(failure)).suggestions
    ("Give --count a whole number in place of 'x'.",)
    """
    said = context.failure.stderr[-_MAX_READ:]
    return _of_tests(said) or _of_options(said) if said else None


def _of_tests(said: str) -> Diagnosis | None:
    """Explain the first test that failed in the report of unittest: ``FAIL: test_total``, by the exception below it."""
    failed = _TEST.search(said)
    if failed is None:
        return None
    below = said[failed.end() :]
    raised, place = _RAISED.search(below), _PLACE.search(below)
    why = single_line(raised[0], 120) if raised is not None else "see standard error"
    where = f", line {place['line']}," if place is not None else ""
    others = len(_TEST.findall(said)) - 1
    return Diagnosis(
        immediate_cause=f"the test {failed['name']} fails: {why}" + (f"; {others} more fail" if others else ""),
        suggestions=(
            f"{why}: correct the code that {failed['name']}{where} tests, or the value that it expects.",
            "Each failed test is independent of the others: begin with the first.",
        ),
    )


def _of_options(said: str) -> Diagnosis | None:
    """Explain what an option parser refused: ``error: argument --count: invalid int value: 'x'``.

    Parsers print their usage and end, so the last such line counts.
    """
    found = list(_REFUSED.finditer(said))
    if not found:
        return None
    refused = found[-1]
    what = single_line(refused["what"] or refused["other"], 160)
    tip = "Correct the arguments, or the parser's definition of them."
    if (invalid := _INVALID.search(what)) is not None:
        kind = _KINDS.get(invalid["kind"], f"a value that {invalid['kind']}() takes")
        tip = f"Give {invalid['name']} {kind} in place of {invalid['value']}."
    elif (required := _REQUIRED.search(what)) is not None:
        tip = f"Pass the arguments in a list, parse_args([...]), or give {required['names']} a default."
    return Diagnosis(immediate_cause=f"the arguments are refused: {what}", suggestions=(tip,))
