"""Candidates for corrected lines of code that does not compile. Those that Python refuses are dropped later.

`syntax_table` names a fixer for the messages that one can mend. A fixer yields several candidates without checking
them: `line_edits.correct_line` keeps the first one with which the program compiles.

So the order of the candidates is the order of how likely each is. A fixer yields a candidate only where it keeps what
the line was to do: that a program compiles is no proof that it means the same. It changes one line, and tries at most
`_MAX_LINES` of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from resilience.report._diagnosis.confusables import plain_line
from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.line_edits import correct_line

__all__ = ["FIXERS", "Candidate"]

Candidate = tuple[int, str, bool]
"""A line number, what is to stand there, and whether the program must compile entirely then."""

_SINGLE_EQUALS = re.compile(r"(?<![=!<>:+\-*/%&|^@])=(?!=)")
_COMMENT = re.compile(r"\s+#[^'\"]*$")
_MAX_LINES = 40
_TRAILING = re.compile(r"[\s)\]},:;]*$")
_STATEMENT = re.compile(r"^(\s*)(print|exec)\s+(?!>>)(.*?),?$")
_ASSIGNING_CONDITION = re.compile(
    r"\s*(?:if|elif|while)\s+(?P<name>[a-z_]\w*)\s*=\s*(?P<value>.+?)\s*(?P<rest>[<>]=?.*)?:\s*$"
)
_CLOSER = {"(": ")", "[": "]", "{": "}"}


def colon(context: FailureContext) -> Iterator[Candidate]:
    """End a line that begins a block with a colon: ``if x > 1`` or ``if x > 1 {``.

    ``else if`` lacks its colon to the parser as well, so ``elif`` is tried first.
    """
    line, number = context.raw_line, context.line or 1
    code, comment = _split(line)
    yield number, re.sub(r"\belse\s+if\b", "elif", line), False
    yield number, f"{code.rstrip(' {').rstrip()}:{comment}", False
    column = context.frame.column
    if column is not None and not line[column:].startswith("="):
        yield number, f"{line[:column].rstrip()}: {line[column:].lstrip()}", False


def equality(context: FailureContext) -> Iterator[Candidate]:
    """Compare with ``==`` where ``=`` stands in a condition: ``if x = 1:``.

    Where no line above gives the name a value, the assignment was meant, ``while chunk = file.read():``, and the
    candidate has ``:=``.
    """
    line, start = context.raw_line, context.frame.column or 0
    if not re.match(r"\s*(if|elif|while|assert|return)\b", line) and "(" not in line[:start]:
        return
    found = _SINGLE_EQUALS.search(line, start)
    named = re.match(
        r"\s*(?:if|elif|while)\s+(?P<name>[a-z_]\w*)\s*=\s*(?P<value>.+?)\s*(?P<rest>[<>]=?.*)?:\s*$", line
    )
    if named is not None and not _is_bound(context, named["name"]):
        assigned = f"({named['name']} := {named['value']})"
        rest = f" {named['rest']}" if named["rest"] else ""
        yield context.line or 1, f"{line[: named.start('name')]}{assigned}{rest}:", False
        return
    if found is not None:
        yield context.line or 1, f"{line[: found.start()]}=={line[found.end() :]}", False


def _is_bound(context: FailureContext, name: str) -> bool:
    """Whether a line above may give a name its value; yes where the program is not at hand."""
    above = context.lines[: (context.line or 1) - 1]
    return not context.lines or any(re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", line) for line in above)


def parentheses(context: FailureContext) -> Iterator[Candidate]:
    """Put what follows ``print`` in parentheses: ``print "done"``, as in Python 2."""
    code, comment = _split(context.raw_line)
    found = _STATEMENT.match(code)
    if found is not None:
        yield context.line or 1, f"{found[1]}{found[2]}({found[3]}){comment}", False


def close(context: FailureContext) -> Iterator[Candidate]:
    """Close the bracket that was left open: on its own line, or at the end of the program.

    The parser names the line that opens it. Where the program compiles with the bracket on exactly one of the lines
    below, that one is tried, too. These candidates must make the program compile entirely.
    """
    found = re.search(r"'([(\[{])' was never closed", context.message)
    if found is None:
        return
    closer, number = _CLOSER[found[1]], context.line or 1
    for at in dict.fromkeys((number, *_closing_lines(context, number, closer), len(context.lines))):
        code, comment = _split(context.line_at(at))
        block = code.rstrip().endswith(":")
        if block and not code.rstrip().endswith(closer + ":"):
            yield at, f"{code.rstrip()[:-1]}{closer}:{comment}", True
        yield at, f"{code.rstrip()}{closer}{comment}", True
    if not context.lines:
        yield number, f"{context.code}{closer}", True


def _closing_lines(context: FailureContext, first: int, closer: str) -> list[int]:
    """Return the line on which a bracket may be closed so that the program compiles, where there is just one."""
    found: list[int] = []
    for at in range(first + 1, min(len(context.lines), first + _MAX_LINES) + 1):
        code, comment = _split(context.line_at(at))
        line = f"{code.rstrip()}{closer}{comment}"
        if code.strip() and correct_line(context, at, line, entirely=True) is not None:
            found.append(at)
    return found if len(found) == 1 else []


def unmatched(context: FailureContext) -> Iterator[Candidate]:
    """Take out a bracket that closes nothing, ``f(x))``; put the right one for a wrong one, ``[1, 2)``."""
    line, column = context.raw_line, context.frame.column
    if column is None or column >= len(line):
        return
    found = re.search(r"does not match opening parenthesis '([(\[{])'", context.message)
    yield context.line or 1, line[:column] + (_CLOSER[found[1]] if found else "") + line[column + 1 :], True


def end_quote(context: FailureContext) -> Iterator[Candidate]:
    """End a text: at the end of the line, before what closes there, or with the quote it began with.

    ``print('it's')`` has three quotes of the kind: the outer two become the other kind.
    """
    line, start, number = context.raw_line, context.frame.column or 0, context.line or 1
    opened = re.compile(r"[A-Za-z]{0,2}(['\"])").match(line, start)
    quote = opened[1] if opened else "'" if line.count("'") % 2 else '"'
    other = '"' if quote == "'" else "'"
    tail = _TRAILING.search(line)
    end = tail.start() if tail else len(line)
    if line[end - 1] == other and line.count(other) % 2:
        yield number, line[: end - 1] + quote + line[end:], True
    if line.count(quote) == 3 and other not in line:
        first, last = line.index(quote), line.rindex(quote)
        yield number, line[:first] + other + line[first + 1 : last] + other + line[last + 1 :], True
        return
    yield number, line[:end] + quote + line[end:], True
    yield number, line + quote, True


def raw_text(context: FailureContext) -> Iterator[Candidate]:
    r"""Have backslashes in a text mean themselves: an ``r`` before the quotes of a path, such as ``"C:\\Users"``."""
    line = context.raw_line
    for found in re.finditer(r"(?<![\w'\"\\])(['\"])(?=[^'\"]*\\[UuxN])", line):
        yield context.line or 1, f"{line[: found.start()]}r{line[found.start() :]}", False


def comma(context: FailureContext) -> Iterator[Candidate]:
    """Put the comma that is missing between two values: ``[1 2]``; of values on two lines, at the end of the first."""
    line, frame, number = context.raw_line, context.frame, context.line or 1
    start = frame.column or 0
    if frame.end_line is not None and frame.end_line != frame.line:
        code, comment = _split(line)
        yield number, f"{code},{comment}", False
        return
    end = frame.end_column or len(line)
    for found in re.finditer(r"\s+", line[start:end]):
        yield number, f"{line[: start + found.start()]}, {line[start + found.end() :]}", False


def indent(context: FailureContext) -> Iterator[Candidate]:
    """Indent the first line of a block more than the line that begins it."""
    found = re.search(r"on line (\d+)", context.message)
    if found is None or context.line is None:
        return
    above = context.line_at(int(found[1][:8]))
    yield context.line, f"{_indentation(above)}    {context.code}", False


def dedent(context: FailureContext) -> Iterator[Candidate]:
    """Begin a line where one of those above begins, the nearest first.

    Where two are equally near, the line may belong to either block, which changes what the program does: no candidate.
    A line that begins with a dot goes on with a chain of methods: the line above gets a backslash.
    """
    if context.line is None or not context.lines:
        return
    above = [line for line in context.lines[max(0, context.line - 50) : context.line - 1] if line.strip()]
    indentations = list(dict.fromkeys(_indentation(line) for line in reversed(above))) or [""]
    own = len(_indentation(context.raw_line).expandtabs(8))
    if above and above[-1].rstrip().endswith(":"):
        indentations.insert(0, f"{_indentation(above[-1])}    ")
    nearest = sorted(indentations, key=lambda each: abs(len(each.expandtabs(8)) - own))
    distances = [abs(len(each.expandtabs(8)) - own) for each in nearest]
    if distances[1:] and distances[0] == distances[1] and distances[0]:
        return  # it may belong to either block
    if context.code.startswith(".") and above:  # a chain of methods that goes on
        yield context.line - 1, f"{above[-1].rstrip()} \\", False
        return
    for each in nearest:
        yield context.line, each + context.code, False


def group(context: FailureContext) -> Iterator[Candidate]:
    """Put several exceptions in parentheses: ``except A, B:``, as in Python 2."""
    yield (
        context.line or 1,
        re.sub(r"\bexcept\s+([^:()]+?)(\s+as\s+\w+)?\s*:", r"except (\1)\2:", context.raw_line),
        False,
    )


def inner_quotes(context: FailureContext) -> Iterator[Candidate]:
    """Use the other quotes inside the braces of an f-string: ``f"{row["name"]}"``.

    They had to differ until Python 3.11.
    """
    line = context.raw_line
    for quote, other in (('"', "'"), ("'", '"')):
        if re.search(rf"\bf{quote}", line):
            inner = re.compile(rf"\{{[^{{}}]*{quote}[^{{}}]*\}}")
            yield context.line or 1, inner.sub(partial(_swapped, quote, other), line), False


def _swapped(quote: str, other: str, found: re.Match[str]) -> str:
    return found[0].replace(quote, other)


def characters(context: FailureContext) -> Iterator[Candidate]:
    """Put the characters of a keyboard for typographic ones."""
    yield context.line or 1, plain_line(context.raw_line), False


FIXERS: dict[str, Callable[[FailureContext], Iterator[Candidate]]] = {
    "colon": colon,
    "equality": equality,
    "parentheses": parentheses,
    "close": close,
    "unmatched": unmatched,
    "end_quote": end_quote,
    "raw_text": raw_text,
    "comma": comma,
    "indent": indent,
    "dedent": dedent,
    "group": group,
    "inner_quotes": inner_quotes,
    "characters": characters,
}


def _split(line: str) -> tuple[str, str]:
    """Return a line without and with its comment."""
    found = _COMMENT.search(line)
    if found is None:
        return line.rstrip(), ""
    return line[: found.start()], line[found.start() :]


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
