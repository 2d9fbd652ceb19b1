"""Verdicts by rules: whether a text names the fix, holds the evidence for it, says nothing, or leads away.

* **away**: a text says what the program's rule ``away`` forbids, proposes a name by "did you mean" or "write" that the
  corrected program has not, gives an install command for a package that it does not import, or code as the
  correction that loops or does not end in the corrected program's output.
* **fix**: outside of the lines of the program that it repeats, the text has what the rule ``fix`` wants: a regular
  expression, or each of the words that the corrected lines have and the faulty ones have not.
* **evidence**: the text has them somewhere, in a value or in a line of the program it repeats, or has what the rule
  ``evidence`` wants.
* **nothing**: none of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from benchmarks.diagnosis.corpus import Program

__all__ = ["VERDICTS", "leads_away", "verdict"]

VERDICTS = ("fix", "evidence", "nothing", "away")
_MARKS = re.compile(r"^[\s>|│❱*\-\d:.=^~`'\u2500-\u257f-]*")
_PROPOSED = re.compile(
    r"(?:[Dd]id you mean:?|[Yy]ou might have meant|[Pp]erhaps you meant|[Yy]ou probably meant)\s+"
    r"(?P<names>.{1,160})|^[\s-]*Write (?P<name>\S{1,80}) instead of",
    re.MULTILINE,
)
_NAME = re.compile(r"[`'\"]([\w. %/:-]+)[`'\"]|(?<![\w.])([\w.]+)(?: instead of|=|\?|,| or )")
_INSTALL = re.compile(r"pip install (?:--\S+ )*([\w.-]+)")
_WORD = re.compile(r"\w+")


def verdict(program: Program, text: str) -> str:
    """Judge a text about a program's failure."""
    if any(True for _ in leads_away(program, text)):
        return "away"
    if _names(program, _without_program(program, text)):
        return "fix"
    if _names(program, text) or (program.evidence and re.search(program.evidence, text)):
        return "evidence"
    return "nothing"


def leads_away(program: Program, text: str) -> Iterator[str]:
    """Yield what in a text leads away from the correction."""
    if program.away and (found := re.search(program.away, text)):
        yield f"says {found[0]!r}"
    for package in _INSTALL.findall(text):
        if not re.search(rf"\b{re.escape(package.replace('-', '_'))}\b", program.corrected, re.IGNORECASE):
            yield f"installs {package}"
    for line in _PROPOSED.finditer(text):
        names = [quoted or bare for quoted, bare in _NAME.findall(line["names"] or f"{line['name']},")]
        if names and not any(_is_in(name, program.corrected) for name in names):
            if program.fix and re.search(program.fix, line[0]):
                continue
            yield f"proposes {', '.join(names)}"


def _is_in(name: str, code: str) -> bool:
    words = _WORD.findall(name)
    return not words or words[-1] in _WORD.findall(code)


def _names(program: Program, text: str) -> bool:
    if program.fix:
        return re.search(program.fix, text, re.DOTALL) is not None
    return bool(program.new_words) and all(
        re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in program.new_words
    )


def _without_program(program: Program, text: str) -> str:
    """Return a text without the lines in which it repeats the program."""
    own = {line.strip() for line in program.code.splitlines() if len(line.strip()) > 3}
    return "\n".join(line for line in text.splitlines() if not _repeats(line, own))


def _repeats(line: str, own: Iterable[str]) -> bool:
    bare = _MARKS.sub("", line).rstrip(" │")
    return bare in own or line.strip() in own
