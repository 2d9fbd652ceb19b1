"""Search for the last traceback in a text, without the prefixes that a logger puts before each line.

A log may hold several tracebacks, of which the last one is meant, and a prefix of time and logger before each line. The
lines that `clean_lines` and `last_traceback` return are as CPython or IPython has printed them. This module knows where
a traceback begins and which lines are its own; `_traceback_parser` reads it.

Texts come from files and pipes of any size: the last two million characters are searched, and a line is cut at 5000.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["HEADER", "NOTEBOOK_HEADER", "clean_lines", "last_traceback"]

_MAX_TEXT = 2_000_000  # characters, the last ones: a log ends with what is asked about
_MAX_LINE = 5000
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_LINE_END = re.compile(r"\r\n|\n|\r")

HEADER = "Traceback (most recent call last):"
NOTEBOOK_HEADER = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)\s{2,}Traceback \(most recent call last\)\s*$")
_FILE = re.compile(r'^\s*File "[^"]*", line \d+')
_SYNTAX = re.compile(r"^\s*(?:\w+\.)*(?:SyntaxError|IndentationError|TabError)(?::|$)")
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_GROUP_HEADER = "Exception Group Traceback (most recent call last):"
_MEMBER = re.compile(r"\+-{3,} (?:\d+|\.\.\.) -{3,}\s*$")
_CELL = re.compile(r"^\s*Cell In\s?\[\d+\], line \d+\s*$")


def clean_lines(text: str) -> list[str]:
    """Return the lines of a text without colours, the last ones of a very long text.

    Where a log has one JSON document a line, the escaped line ends of the traceback are undone.
    """
    plain = _ANSI.sub("", text[-_MAX_TEXT:]).removeprefix("\ufeff")
    if f"{HEADER}\\n" in plain:  # a log of JSON documents, one a line
        plain = plain.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    return [line[:_MAX_LINE].rstrip() for line in _LINE_END.split(plain)]


def last_traceback(text: str) -> list[str]:
    r"""Return the lines of the last traceback in a text, with the exceptions that led to it; none where there is none.

    What a logger or a terminal put in front of each line is taken off.

    A chain of causes counts as one traceback. A traceback that Python only mentions, ``Exception ignored in: ...``, is
    passed over, since it ended nothing.

    >>> last_traceback("12:00 ERROR no\n  Traceback (most recent call last):\n  KeyError: 'a'\n12:01 INFO go on")[:2]
    ['Traceback (most recent call last):', "KeyError: 'a'"]
    """
    lines = clean_lines(text)
    heads = [
        number
        for number, line in enumerate(lines)
        if (HEADER in line or NOTEBOOK_HEADER.match(line)) and not _is_ignored(lines, number)
    ]
    bare = _bare_syntax(lines, heads[-1] if heads else -1)
    if bare is not None:
        return _without_prefix(lines[bare:], _indentation(lines[bare]))
    if not heads:
        return []
    start = _first_of_chain(lines, heads)
    line = lines[start]
    if NOTEBOOK_HEADER.match(line):
        return lines[start:]
    prefix = line[: line.index(_GROUP_HEADER if _GROUP_HEADER in line else HEADER)]
    return _without_prefix([line[len(prefix) :], *lines[start + 1 :]], prefix)


def _is_ignored(lines: Sequence[str], number: int) -> bool:
    """Whether Python only mentions an exception, of a destructor mostly, which ended nothing."""
    return number > 0 and "Exception ignored" in lines[number - 1]


def _first_of_chain(lines: Sequence[str], heads: list[int]) -> int:
    """Go back from the last traceback to the first one that is chained to it.

    *heads* are the numbers of the lines with a header. The result is one of them.
    """
    chosen = len(heads) - 1
    while chosen > 0:
        between = lines[heads[chosen - 1] : heads[chosen]]
        if not _chains(between, lines[heads[chosen]]):
            break
        chosen -= 1
    return heads[chosen]


def _chains(between: Sequence[str], head: str) -> bool:
    """Whether the lines *between* two headers chain them: by a phrase of CPython, or as members of one group."""
    if any(phrase in line for phrase in _CHAINED for line in between):
        return True
    # The members of a group have a margin, `    | Traceback ...`, and a line with their number between them.
    return "| " in head and any(_GROUP_HEADER in line or _MEMBER.search(line) for line in between)


def _without_prefix(lines: list[str], prefix: str) -> list[str]:
    """Take off what stands in front of the header, from those lines that have the like of it.

    Digits of the prefix stand for any digits, so that ``12:00:01 ERROR`` also fits the next second. A line without the
    like of it ends the traceback. A logger that puts its prefix before the first line alone leaves the others as they
    are.
    """
    if prefix.rstrip().endswith(("+", "|")) and not prefix.strip("+| \t"):
        # A group: its own margin belongs to it.
        return [prefix + lines[0], *lines[1:]]
    if not prefix:
        return lines
    if not prefix.strip():
        return [lines[0], *(_dedented(line, prefix) for line in lines[1:])]
    like = re.compile(re.sub(r"\\?\d", r"\\d", re.escape(prefix)))
    found = [like.match(line) for line in lines[1:]]
    if len(lines) > 1 and found[0] is None:
        return lines  # a logger's, which stands in front of the first line alone
    kept = [lines[0]]
    for line, match in zip(lines[1:], found, strict=True):
        # A line without the prefix is another program's; in a blank line the logger's last blank is stripped.
        if match is not None:
            kept.append(line[match.end() :])
        elif line.strip() and line.strip() != prefix.strip():
            break
        else:
            kept.append("")
    return kept


def _dedented(line: str, prefix: str) -> str:
    """Take the indentation *prefix* off a line; all of its own where it has less, as an exception's line may."""
    if line.startswith(prefix):
        return line.removeprefix(prefix)
    return line.lstrip()


def _bare_syntax(lines: Sequence[str], after: int) -> int | None:
    """Return the first line of a SyntaxError without a header, as `python script.py` prints it, below line *after*.

    Above it, within seven lines, stands its place: ``File "shop.py", line 3`` or ``Cell In[1], line 3``.
    """
    for number in range(len(lines) - 1, after, -1):
        if not _SYNTAX.match(lines[number]):
            continue
        for above in range(number - 1, max(after, number - 8), -1):
            if _FILE.match(lines[above]) or _CELL.match(lines[above]):
                return above if after < 0 or not _belongs(lines[after:above]) else None
    return None


def _belongs(between: Sequence[str]) -> bool:
    """Whether a traceback goes on without another exception in between: its last frame is that of the parser."""
    return not any(line and not line[0].isspace() for line in between[1:])


def _indentation(line: str) -> str:
    """Return the blanks before a line, as its prefix; CPython's own two blanks before ``File`` are none."""
    if _FILE.match(line) and line.startswith("  File"):
        return ""
    return line[: len(line) - len(line.lstrip())]
