"""The report as text for people: failure, location, cause, advice, partial results.

It renders what an `ErrorReport` holds and adds no facts. Calls, variables and causes are limited in number. The texts
of values and causes are shared with the text for models (`_llm`).

Texts of the program are printed so that a terminal shows them and does not obey them: control characters are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from resilience.errors._json_safe import Json
from resilience.report.model import ErrorReport, ExceptionInfo, RecoveryOption

__all__ = ["calls", "causes", "in_function", "printable", "rendered", "source_lines", "value_text"]

_MAX_CALLS = 10
_MAX_VARIABLES = 20
_MAX_VALUE = 120
_MAX_CAUSES = 10
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_REPR = re.compile(r"[\[{(<]|b['\"]|[^\W\d]\w*\(")


def rendered(report: ErrorReport) -> str:
    """Return a report as a text of several lines, without colours.

    Each section is a head with its lines below; a section without lines is left out. The text ends with one line end.
    """
    sections = (_head(report), _why(report), _suggestions(report), _variables(report), _calls(report), _next(report))
    found = ["\n".join(section) for section in map(list, sections) if section]
    return printable("\n\n".join(found)) + "\n"


def printable(text: str) -> str:
    r"""Return a text that a terminal shows and does not obey: of control characters line ends and tabs are left.

    Marks that change the direction of writing are escaped, too: with them a line can look different from what it does.

    >>> printable("\x1b[31mred\x07")
    '\\x1b[31mred\\x07'
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def in_function(report: ErrorReport) -> str:
    """Return the function of the failure as the end of a sentence; nothing at the top level."""
    if report.function_name in (None, "<module>"):
        return ""
    return f", in {report.function_name}"


def source_lines(report: ErrorReport) -> Iterator[str]:
    """Yield the lines around the failure, the failing one marked, and underlined where the columns are known."""
    width = max((len(str(line.line_number)) for line in report.excerpt), default=0)
    for line in report.excerpt:
        fails = line.line_number == report.line_number
        yield f"{'>' if fails else ' '} {line.line_number:>{width}} | {line.code}".rstrip()
        if fails and (marks := _marks(report, line.code)):
            yield f"  {'':>{width}} | {marks}"


def _marks(report: ErrorReport, code: str) -> str:
    """Return the ``^^^^`` below the failing line; empty where its columns are unknown or are those of another text."""
    start, end = report.column_number, report.end_column_number
    if start is None or not 0 <= start <= len(code) or not code.strip().startswith(report.code_line[:20]):
        return ""
    if code == report.code_line and len(report.excerpt) == 1:
        return ""  # without its indentation the columns are others
    return " " * start + "^" * max(1, min(end or start + 1, len(code)) - start)


def causes(report: ErrorReport) -> Iterator[str]:
    """Yield a line for each exception that belongs to the one of *report*: its causes, and the members of a group.

    For example ``raised from KeyError: 'lmap' (line 3)``, or ``member: ValueError: no number (shop.py line 9)``.
    """
    if report.exception is None:
        return
    others = islice(_exceptions_below(report.exception), _MAX_CAUSES)
    for each in others:
        yield f"{_RELATIONS[each.relation]} {each.type}: {_first_line(each.message)}{_place_of(each, report)}"


_RELATIONS = {"cause": "raised from", "context": "raised while handling", "member": "member:"}


def _exceptions_below(info: ExceptionInfo) -> Iterator[ExceptionInfo]:
    """Yield the causes and members of an exception, each before those below it."""
    below = [*info.members]
    if info.cause is not None:
        below.insert(0, info.cause)
    for each in below:
        yield each
        yield from _exceptions_below(each)


def _place_of(info: ExceptionInfo, report: ErrorReport) -> str:
    """Return where an exception was raised; with the file where it is not the one of the report."""
    if not info.traceback:
        return ""
    frame = info.traceback[-1]
    if frame.filename == report.filename:
        return f" (line {frame.line_number})"
    return f" ({frame.filename} line {frame.line_number})"


def calls(info: ExceptionInfo, limit: int) -> Iterator[str]:
    """Yield a line for each call, the last ones.

    *limit* is their number; a first line counts the calls that are left out: ``... 12 more calls``.
    """
    left_out = max(0, len(info.traceback) - limit) + info.frames_dropped
    if left_out:
        yield f"... {left_out} more calls"
    for frame in info.traceback[-limit:]:
        code = f": {frame.code_line}" if frame.code_line else ""
        yield f"{frame.filename} line {frame.line_number}, in {frame.function_name}{code}"


def value_text(value: Json) -> str:
    r"""Return a variable's value on one line.

    >>> value_text("two\nlines"), value_text("[1, 2]"), value_text("Point(x=1)"), value_text("3"), value_text(3)
    ("'two\\nlines'", '[1, 2]', 'Point(x=1)', "'3'", '3')
    """
    # A text and the short repr of an object are both strings: what looks like a repr is shown as it is.
    if isinstance(value, str) and _REPR.match(value) and value.isprintable():
        return value
    return repr(value)


def _head(report: ErrorReport) -> Iterator[str]:
    """Yield the summary with its category, the rest of the message, the place, and the lines of source around it."""
    yield f"{report.error_summary}  [{report.category.label}]"
    message = report.error_message.strip()
    if message and _first_line(message) not in report.error_summary:
        yield from (f"  {line}" for line in message.splitlines())
    if report.line_number is not None:
        yield f"  {report.filename}, line {report.line_number}{in_function(report)}"
    yield from (f"    {line}" for line in source_lines(report))


def _why(report: ErrorReport) -> Iterator[str]:
    """Yield the cause, the facts that led to it, the exceptions before this one, and its notes."""
    if report.immediate_cause:
        yield f"Cause: {report.immediate_cause}"
    yield from (f"  {factor}" for factor in report.contributing_factors)
    yield from (f"  {line}" for line in causes(report))
    if report.exception is not None:
        yield from (f"  note: {_first_line(note)}" for note in report.exception.notes)


def _suggestions(report: ErrorReport) -> Iterator[str]:
    """Yield the advice and the corrected line: ``corrected: total = cart["lamp"]``."""
    if report.suggestions:
        yield "What to do:"
        yield from (f"  - {suggestion}" for suggestion in report.suggestions)
    if report.suggested_fix:
        yield f"  corrected: {report.suggested_fix.strip()}"


def _variables(report: ErrorReport) -> Iterator[str]:
    """Yield the variables of the failing frame, at most 20, with values of at most 120 characters."""
    if report.local_variables:
        yield "Variables:"
    for name, value in list(report.local_variables.items())[:_MAX_VARIABLES]:
        shown = value_text(value)
        if len(shown) > _MAX_VALUE:
            shown = f"{shown[:_MAX_VALUE]}..."
        yield f"  {name} = {shown}"


def _calls(report: ErrorReport) -> Iterator[str]:
    info = report.exception
    if info is not None and len(info.traceback) > 1:
        yield "Calls, the last one failed:"
        yield from (f"  {line}" for line in calls(info, _MAX_CALLS))


def _next(report: ErrorReport) -> Iterator[str]:
    """Yield how far the program came, and the options for the next step."""
    done = report.partial_results
    if done is not None:
        yield f"{done['completed_lines']} of {done['total_lines']} lines were carried out before it."
    if report.recovery_options:
        yield "Recovery:"
        yield from _options(report.recovery_options)


def _options(options: Iterable[RecoveryOption]) -> Iterator[str]:
    for option in options:
        yield f"  {option.kind}: {option.description}"
        yield from (f"    {number}. {step}" for number, step in enumerate(option.next_steps, 1))
        if option.code_snippet is not None:
            yield from (f"    {line}" for line in option.code_snippet.rstrip().splitlines())


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:300]
