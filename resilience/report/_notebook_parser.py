"""Frames of a traceback in IPython's format: several lines of source each, the failing one with an arrow.

The heads of frames differ between versions of IPython: ``Cell In[1], line 2``, ``Input In [1], in <module>``,
``File ~/shop.py:7, in total(cart)``. All lead to the same values as CPython's format; `_traceback_parser` makes the
exception of them. Lines that fit no head are passed over.
"""

from __future__ import annotations

import re

__all__ = ["Shown", "is_cell", "notebook_frames"]

Shown = tuple[str, str, int, str]
"""File, function, line, source line."""

_HEADS = (
    re.compile(r"^\s*(?P<filename>Cell In\s?\[\d+\]), line (?P<line>\d{1,9})(?:, in (?P<function>[\w.<>]+).*)?$"),
    re.compile(r"^(?P<filename>Input In \[\d+\]), in (?P<function>.+?)(?:\(.*)?$"),
    re.compile(r"^File (?P<filename>.+?):(?P<line>\d{1,9}), in (?P<function>[\w.<>]+).*$"),
    re.compile(r"^(?P<filename><ipython-input[^>]*>|\S+\.py) in (?P<function>[\w.<>]+).*$"),
    re.compile(r'^\s*File "?(?P<filename>[^"\n]+?)"?:?,? (?:line )?(?P<line>\d{1,9})$'),
)
_ARROW = re.compile(r"^-+> ?(?P<line>\d{1,9})(?: (?P<code>.*))?$")


def notebook_frames(lines: list[str]) -> tuple[list[Shown], tuple[str, int, str] | None]:
    """Return the frames, and for code that did not compile file, line and source line of that.

    *lines* are those of one exception, without colours. A head without an arrow below it is the place of a syntax
    error.

    >>> notebook_frames(["Cell In[1], line 2", "      1 x = 0", "----> 2 1/x", ""])[0]
    [('Cell In[1]', '<module>', 2, '1/x')]
    """
    frames: list[Shown] = []
    bare: tuple[str, int, str] | None = None
    for number, line in enumerate(lines):
        head = next((found for pattern in _HEADS if (found := pattern.match(line)) is not None), None)
        if head is None:
            continue
        given = head.groupdict()
        arrow = next((found for each in _block(lines, number) if (found := _ARROW.match(each)) is not None), None)
        if arrow is not None:
            function = (given.get("function") or "<module>").replace("<cell line", "<module>").split("(")[0]
            function = "<module>" if function.startswith("<module") else function
            frames.append((given["filename"], function, int(arrow["line"]), (arrow["code"] or "").strip()))
        elif given.get("line"):
            code = lines[number + 1].strip() if number + 1 < len(lines) else ""
            bare = (given["filename"], int(given["line"]), code)
    return frames, bare if not frames else None


def is_cell(line: str) -> bool:
    """Return whether a line says which cell of a notebook failed."""
    return _HEADS[0].match(line) is not None


def _block(lines: list[str], head: int) -> list[str]:
    """Return the lines that belong to a head, up to the next blank one."""
    found: list[str] = []
    for line in lines[head + 1 :]:
        if not line.strip():
            break
        found.append(line)
    return found
