"""Folding of what a program printed: the end of it, without what a progress bar overwrote and without repetitions.

For a model, a thousand lines of progress cost tokens and say nothing. Lines count as repeated where they differ in
digits, bars and marks alone. Only the last 100 000 characters are read; the order of lines stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

__all__ = ["folded"]

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07")
_VARYING = re.compile(r"[\d#=█▉▊▋▌▍▎▏>.\-+e%:/|\s]+")
_RULER = re.compile(r"\s*([-=_*~])\1{9,}\s*")
_ALIKE = 3
"""Lines that differ in numbers alone: more than these are folded to the first and the last."""
_MAX_READ = 100_000


def folded(text: str) -> list[str]:
    r"""Return the lines of an output as a terminal would end with them, floods folded.

    Blank lines and rulers such as ``==========`` are left out, and so are colours.

    >>> folded("10%\r50%\r100%\ndone\n")
    ['100%', 'done']
    >>> folded("".join(f"step {number}\n" for number in range(100)) + "ready\n")
    ['step 0', '... 98 lines like it', 'step 99', 'ready']
    """
    lines = [_overwritten(line) for line in _CONTROL.sub("", text[-_MAX_READ:]).split("\n")]
    return list(_runs([line for line in lines if line.strip() and not _RULER.fullmatch(line)]))


def _overwritten(line: str) -> str:
    """Return what a terminal shows of a line in which carriage returns go back to its beginning."""
    parts = [part for part in line.split("\r") if part.strip()]
    return parts[-1].rstrip() if parts else ""


def _runs(lines: list[str]) -> Iterator[str]:
    """Yield the lines; of a run of more than three similar ones the first, a count of those between, and the last."""
    for _, run in groupby(lines, key=lambda line: _VARYING.sub("0", line)):
        alike = list(run)
        if len(alike) <= _ALIKE:
            yield from alike
        else:
            yield from (alike[0], f"... {len(alike) - 2} lines like it", alike[-1])
