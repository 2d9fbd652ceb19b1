"""A reader that does what the first suggestion says, and knows nothing else.

It reads the text for a model alone: the corrected line, else the first suggestion where that proposes a name. It never
thinks, so that the programs it repairs are those that the text repairs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.diagnosis.running import Run, directory, run

__all__ = ["Reading", "obeyed", "read"]

ROUNDS = 3
_CORRECTED = re.compile(r"^ *(?:- )?Corrected line (?P<line>\d+): (?P<code>.*)$", re.MULTILINE)
_ADDED = re.compile(r"^ *(?:- )?Insert before line (?P<line>\d+): (?P<code>.*)$", re.MULTILINE)
_PLACE = re.compile(r"on line (\d+)")
_FIRST = re.compile(r"^ *- (?P<advice>.*)$", re.MULTILINE)
_WRITE = re.compile(r"Write (?P<new>[\w.]+)=? instead of (?P<old>[\w.]+)=?[.:]")
_MEANT = re.compile(r"Did you mean '?(?P<new>[\w. ]+?)'?(?:,| or |\?)")
_WORD = re.compile(r"[A-Za-z_][\w ]*\w|[A-Za-z_]")


@dataclass(frozen=True, slots=True)
class Reading:
    """The end of a reading: how many rounds, and whether it came to a program that works, or back to one it had."""

    rounds: int
    works: bool
    loops: bool
    program: str


def read(code: str, wanted: str, explain: Callable[[Run], str]) -> Reading:
    """Correct a program by what *explain* says of each failure, until it prints *wanted* or says no more."""
    seen = [code]
    for number in range(ROUNDS + 1):
        with directory():
            ended = run(seen[-1])
            if ended.succeeded:
                return Reading(number, ended.stdout == wanted, loops=False, program=seen[-1])
            text = explain(ended) if number < ROUNDS else ""
        following = obeyed(seen[-1], text)
        if following is None:
            return Reading(number, works=False, loops=False, program=seen[-1])
        if following in seen:
            return Reading(number + 1, works=False, loops=True, program=following)
        seen.append(following)
    return Reading(ROUNDS, works=False, loops=False, program=seen[-1])


def obeyed(code: str, text: str) -> str | None:
    """Return a program as the first suggestion of a text wants it; None where it proposes no words of a program."""
    lines = code.splitlines()
    if (found := _CORRECTED.search(text)) is not None and 0 < (number := int(found["line"])) <= len(lines):
        old = lines[number - 1]
        indentation = "" if found["code"].startswith(" ") else old[: len(old) - len(old.lstrip())]
        lines[number - 1] = indentation + found["code"]
        return "\n".join(lines) + "\n"
    if (found := _ADDED.search(text)) is not None:
        lines.insert(int(found["line"]) - 1, found["code"])
        return "\n".join(lines) + "\n"
    place, first = _PLACE.search(text), _FIRST.search(text)
    if place is None or first is None or not 0 < int(place[1]) <= len(lines):
        return None
    changed = _renamed(lines[int(place[1]) - 1], first["advice"])
    if changed is None:
        return None
    lines[int(place[1]) - 1] = changed
    return "\n".join(lines) + "\n"


def _renamed(line: str, advice: str) -> str | None:
    if (found := _WRITE.search(advice)) is not None:
        old, new = found["old"], found["new"]
    elif (found := _MEANT.search(advice)) is not None:
        new = found["new"]
        near = difflib.get_close_matches(new, _WORD.findall(line), n=1, cutoff=0.5)
        if not near:
            return None
        old = near[0]
    else:
        return None
    changed = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new.replace("\\", r"\\"), line, count=1)
    return None if changed == line else changed
