"""Search with long tables of patterns, each compiled when a text may first match it.

A diagnosis searches a message for hundreds of patterns, of which all but a few have a word that the message lacks. The
longest literal text of each alternative is found once per pattern, and looked for first; that never loses a match.
"""

from __future__ import annotations

import functools
import re

__all__ = ["compiled_pattern", "search_pattern"]


def search_pattern(pattern: str, text: str) -> re.Match[str] | None:
    r"""Do what `re.search` does, and compile nothing where a word that the pattern needs is not in the text.

    To compile a table of a hundred patterns takes longer than all the rest of a report.

    >>> search_pattern(r"has no len\(\)|is not (\w+)", "it is not there")[1]
    'there'
    """
    if not any(word in text for word in _needed(pattern)):
        return None
    return compiled_pattern(pattern).search(text)


@functools.cache
def compiled_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern when it is first needed."""
    return re.compile(pattern, re.DOTALL)


@functools.cache
def _needed(pattern: str) -> tuple[str, ...]:
    r"""Return for each alternative of a pattern the longest text that stands in it literally.

    >>> _needed(r"unhashable type: '(?P<kind>\w+)'|can(?:not|'t) use"), _needed(r"\w+|x")
    (("unhashable type: '", ' use'), ('', 'x'))
    """
    found: list[str] = []
    runs, depth, number = [""], 0, 0
    while number < len(pattern):
        character = pattern[number]
        escaped = character == "\\"
        if escaped:
            number += 1
            character = pattern[number]
        number += 1
        if not escaped and character == "[":  # a class: any of several characters
            number = _end_of_class(pattern, number)
            runs.append("")
        elif not escaped and character in "()":
            depth += 1 if character == "(" else -1
            runs.append("")
        elif depth:
            continue
        elif not escaped and character == "|":
            found.append(max(runs, key=len))
            runs = [""]
        elif not escaped and character in "?*{":
            runs[-1] = runs[-1][:-1]  # what stands before it may be missing
            runs.append("")
        elif (escaped and character.isalnum()) or (not escaped and character in "+.^$"):
            runs.append("")
        else:
            runs[-1] += character
    return (*found, max(runs, key=len))


def _end_of_class(pattern: str, start: int) -> int:
    r"""Return the number behind the bracket that ends a class of characters, ``[^\]a]``, which begins at *start*."""
    number = start + (pattern[start] == "^")
    number += 1  # a bracket right at the beginning is a character of it
    while pattern[number] != "]":
        number += 2 if pattern[number] == "\\" else 1
    return number + 1
