"""Repairs of code as it stands in an answer: prompts, line numbers, markers of quotations and differences, entities.

A repair is a function of text that returns the code in it, or the text as it is. Each is right for code that does not
parse alone; which of them makes it parse is tried in order.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence

from resilience.execution._analysis.parsing import UNPARSABLE, parse

__all__ = ["has_prompts", "is_python", "repaired", "visible", "without_prompts", "without_prose"]

_INVISIBLE = re.compile("[\ufeff\u200b\u200c\u200d\u2060]")
_PROMPT = re.compile(r"[ \t]*(?:>>>|\.\.\.)(?: (?P<code>.*))?$|[ \t]*(?:In \[\d+\]:|\.{3,}:) ?(?P<cell>.*)$")
_OUTPUT_PROMPT = re.compile(r"[ \t]*Out\[\d+\]:")
_NUMBERED = re.compile(r"[ \t]*(?P<number>\d{1,4})(?:[ \t]*[|:│][ \t]?|\t)(?P<code>.*)$")
_QUOTED = re.compile(r"[ \t]*> ?(?P<code>.*)$")
_HEADER_OF_DIFFERENCES = re.compile(r"(?:---|\+\+\+|@@|diff |index )")
_TYPOGRAPHIC = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\u00a0": " "})
# A line of prose: it begins with a capital and ends as sentences do, and has no sign in it that code alone has.
_PROSE = re.compile(r"(?:[-*] |\*\*|\d+\. )?[A-Z][^\s=\[\]{}]*(?: [^\s=\[\]{}]+)+(?<=[.:!?])\**|[A-Z]\w*:")


def is_python(text: str) -> bool:
    """Return whether *text* parses."""
    try:
        parse(text)
    except UNPARSABLE:
        return False
    return True


def visible(text: str) -> str:
    r"""Return a text without byte order marks and characters of no width, which some interfaces put in.

    >>> visible("\ufeffprint(1)\u200b")
    'print(1)'
    """
    return _INVISIBLE.sub("", text)


def repaired(code: str) -> str | None:
    """Return code that parses, by the first repair that makes it parse; None where none does."""
    clean = visible(code)
    for repair in _REPAIRS:
        changed = repair(clean)
        if changed.strip() and is_python(changed):
            return changed
    return None


def has_prompts(text: str) -> bool:
    """Return whether a text is an interactive session: its first line has a prompt."""
    return text.lstrip().startswith(">>>") or re.match(r"\s*In \[\d+\]:", text) is not None


def without_prompts(text: str) -> str:
    r"""Return what was typed in an interactive session, without its prompts and without what it printed.

    >>> without_prompts(">>> x = 1\n>>> x + 1\n2\n")
    'x = 1\nx + 1\n'
    """
    if not has_prompts(text):
        return text
    found: list[str] = []
    for line in text.splitlines():
        prompt = _PROMPT.match(line)
        if prompt is not None and _OUTPUT_PROMPT.match(line) is None:
            found.append(prompt["code"] or prompt["cell"] or "")
    return "\n".join(found) + "\n"


def _without_numbers(text: str) -> str:
    """Return code without the numbers of its lines, which count from 1."""
    lines = text.splitlines()
    matches = [_NUMBERED.match(line) for line in lines if line.strip()]
    numbers = [int(each["number"]) for each in matches if each is not None]
    if len(numbers) != len(matches) or numbers != list(range(1, len(numbers) + 1)):
        return text
    return "\n".join(each["code"] for each in matches if each is not None) + "\n"


def _without_marks_of_quotation(text: str) -> str:
    lines = [_QUOTED.match(line) for line in text.splitlines() if line.strip()]
    if not lines or None in lines:
        return text
    return "\n".join(each["code"] for each in lines if each is not None) + "\n"


def _new_side(text: str) -> str:
    """Return the new side of a list of differences: the lines that are added, and those that stay."""
    lines = [line for line in text.splitlines() if not _HEADER_OF_DIFFERENCES.match(line)]
    marked = [line[0] for line in lines if line.strip()]
    if "+" not in marked or not set(marked) <= {"+", "-", " "}:
        return text
    kept = [line[1:] for line in lines if not line.startswith("-")]
    width = min((len(line) - len(line.lstrip(" ")) for line in kept if line.strip()), default=0)
    return "\n".join(line[width:] for line in kept) + "\n"


def _with_plain_characters(text: str) -> str:
    return text.translate(_TYPOGRAPHIC)


_REPAIRS: tuple[Callable[[str], str], ...] = (
    str,
    without_prompts,
    _with_plain_characters,
    html.unescape,
    _without_marks_of_quotation,
    _without_numbers,
    _new_side,
)


def without_prose(text: str) -> str | None:
    r"""Return code without the sentences around it; None where that leaves nothing that parses.

    Only whole paragraphs of prose are taken off, so that a program that does not parse is not cut to the part that
    does.

    >>> without_prose("Here is the code:\n\nprint(1)\n\nIt prints the number one.")
    'print(1)\n'
    """
    lines = text.splitlines(keepends=True)
    paragraphs = list(_paragraphs(lines))
    while paragraphs and _is_prose(lines[slice(*paragraphs[0])]):
        del paragraphs[0]
    while paragraphs and _is_prose(lines[slice(*paragraphs[-1])]):
        del paragraphs[-1]
    if not paragraphs:
        return None
    code = without_prompts("".join(lines[paragraphs[0][0] : paragraphs[-1][1]]))
    return code if code.strip() and code.strip() != text.strip() and is_python(code) else None


def _paragraphs(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the first and last lines of paragraphs; a line that announces code, by a colon, is one of its own."""
    start: int | None = None
    for number, line in enumerate(lines):
        announces = _PROSE.fullmatch(line.strip()) is not None and line.rstrip().endswith(":")
        if start is not None and (announces or not line.strip()):
            yield start, number
            start = None
        if announces:
            yield number, number + 1
        elif line.strip() and start is None:
            start = number
    if start is not None:
        yield start, len(lines)


def _is_prose(lines: Sequence[str]) -> bool:
    return all(_PROSE.fullmatch(line.strip()) for line in lines) and not is_python("".join(lines))
