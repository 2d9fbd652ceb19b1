"""The report as text for a model: the most important first, within a budget of tokens.

Sections follow one another by their use for a repair. One that does not fit is shortened, so that a long traceback
does not push the advice out. The same report gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from resilience.report._text import calls, causes, in_function, printable, source_lines, value_text
from resilience.report.model import ErrorReport, ExceptionInfo

__all__ = ["estimated_tokens", "llm_text"]

_MAX_LINE = 400
_MAX_VARIABLES = 20
_MAX_CALLS = 12
_PIECE = re.compile(r"[A-Za-z]+|[0-9]|[^\x00-\x7f]|\n|[^\w\s]|_|[ \t]{2,}|[^\S\n]")
# A section may take this part of what is left, so that a long one does not push out all that follow.
_SHARE = 0.6
_CUT = "    ..."


def estimated_tokens(text: str) -> int:
    """Return how many tokens a text may be, estimated high for the tokenisers of today's models.

    Letters count a token for each three of a word; digits, marks, line ends and runs of blanks one each; every other
    character one for each of its bytes. A single blank belongs to the word behind it.

    >>> estimated_tokens("NameError on line 3"), estimated_tokens("x = 10")
    (7, 4)
    """
    total = 0
    for piece in _PIECE.findall(text):
        if piece == " ":
            continue
        if piece.isascii() and piece.isalpha():
            total += -(-len(piece) // 3)
        else:
            total += 1 if piece.isascii() else len(piece.encode("utf-8", "replace"))
    return total


def llm_text(report: ErrorReport, max_tokens: int) -> str:
    """Return a report in at most *max_tokens*. Raises ValueError for a limit that holds nothing."""
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
        raise ValueError(f"max_tokens={max_tokens!r}: give a whole number, 1 or more")
    head, *sections = (list(section) for section in _sections(report))
    lines = _fitting(head, max_tokens)
    if not lines:
        return _cut(head[0], max_tokens)
    left = max_tokens - _cost(lines)
    for number, section in enumerate(sections):
        last = number == len(sections) - 1
        taken = _fitting(section, left if last else int(left * _SHARE))
        if len(taken) > 1:  # a title alone says nothing
            lines += taken
            left -= _cost(taken)
    return "\n".join(lines)


def _cost(lines: Iterable[str]) -> int:
    return sum(estimated_tokens(line) + 1 for line in lines)


def _fitting(lines: list[str], limit: int) -> list[str]:
    if _cost(lines) <= limit:
        return lines
    left = limit - _cost([_CUT])
    taken: list[str] = []
    for line in lines:
        left -= estimated_tokens(line) + 1
        if left < 0:
            break
        taken.append(line)
    if not taken:
        return []
    return [*taken, _CUT]


def _cut(text: str, limit: int) -> str:
    """Return the beginning of a text that is not more than *limit* tokens."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if estimated_tokens(text[:middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def _sections(report: ErrorReport) -> Iterator[Iterator[str]]:
    yield _what(report)
    yield _where(report)
    yield _why(report)
    yield _do(report)
    yield _variables(report)
    yield _worked(report)
    yield _called(report)


def _what(report: ErrorReport) -> Iterator[str]:
    yield _line(report.error_summary)
    yield f"Category: {report.category.label}"
    message = report.error_message.strip()
    if message and message not in report.error_summary:
        yield "Message:"
        yield from _indented(message)


def _where(report: ErrorReport) -> Iterator[str]:
    yield f"Where: {report.filename or 'the program'}, line {report.line_number or 'unknown'}{in_function(report)}"
    yield from (f"    {line}" for line in source_lines(report))


def _why(report: ErrorReport) -> Iterator[str]:
    yield "Why:"
    for reason in (report.immediate_cause, *report.contributing_factors, report.context):
        if reason:
            yield from _indented(reason)
    yield from (_line(f"    {line}") for line in causes(report))


def _do(report: ErrorReport) -> Iterator[str]:
    yield "What to do:"
    if report.suggested_fix:
        yield from _indented(f"Corrected: {report.suggested_fix.strip()}")
    for suggestion in report.suggestions:
        yield from _indented(f"- {suggestion}")
    for option in report.recovery_options:
        if option.kind not in ("fix_and_retry", "partial_execution", "debug_mode"):
            yield from _indented(f"- {option.description}")


def _variables(report: ErrorReport) -> Iterator[str]:
    yield "Variables:"
    for name, value in list(report.local_variables.items())[:_MAX_VARIABLES]:
        yield _line(f"    {name} = {value_text(value)}")


def _worked(report: ErrorReport) -> Iterator[str]:
    done = report.partial_results
    if done is None:
        return
    yield f"What worked: {done['completed_lines']} of {done['total_lines']} lines"
    for option in report.recovery_options:
        if option.code_snippet is not None:
            yield from _indented(option.code_snippet)
    printed = done.get("stdout_before_error")
    if isinstance(printed, str) and printed.strip():
        yield "Printed before the failure:"
        yield from _indented(printed.rstrip())


def _called(report: ErrorReport) -> Iterator[str]:
    info: ExceptionInfo | None = report.exception
    if info is None or len(info.traceback) < 2:
        return
    yield "Calls, the last one failed:"
    yield from (_line(f"    {line}") for line in calls(info, _MAX_CALLS))


def _indented(text: str) -> Iterator[str]:
    # What the program says stands further in: it cannot pass for a title of ours.
    return (_line(f"    {line}") for line in text.splitlines())


def _line(text: str) -> str:
    text = printable(text)
    if len(text) <= _MAX_LINE:
        return text
    return f"{text[:_MAX_LINE]}..."
