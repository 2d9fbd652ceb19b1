"""Corpus of faulty programs: what people get wrong, each with its correction and the rules of its verdict.

The files in ``programs`` hold them as text, those in ``holdout`` the programs that no rule was written from. A program
begins with ``=== name``. A line ``---`` ends it, followed by corrections of lines: ``3: code`` replaces line 3, keeping
its indentation unless the code brings its own (after a bar, none), ``+3: code`` stands before it. Then come regular
expressions, for what a text must say: ``fix`` where the new words of the corrected lines would not do, ``evidence``,
and ``away``, which no text may say.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Program", "programs"]

_HERE = Path(__file__).parent
_CHANGE = re.compile(r"(?P<before>\+)?(?P<line>\d+): ?(?P<code>.*)")
_RULE = re.compile(r"(?P<kind>fix|evidence|away): (?P<pattern>.*)")
_WORD = re.compile(r"[A-Za-z_]\w*|%\w(?:\W%\w)*")
_IMPORT = re.compile(r"^\s*(?:from|import) +(.+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One faulty program."""

    name: str
    group: str
    code: str
    corrected: str
    lines: frozenset[int]
    """The lines that are corrected."""
    new_words: frozenset[str]
    """The words of the corrections that the lines in whose place they stand have not."""
    fix: str
    """What names the fix; empty: the new words of the corrected lines."""
    evidence: str
    away: str

    @property
    def is_standard(self) -> bool:
        """Whether it needs the standard library alone."""
        return self.group.startswith("standard")

    @property
    def runs_here(self) -> bool:
        """Whether the libraries of the corrected program are installed."""
        return all(importlib.util.find_spec(each) is not None for each in _imported(self.corrected))


@functools.cache
def programs(part: str = "programs") -> tuple[Program, ...]:
    """Return the corpus, or with ``"holdout"`` the programs that are held out."""
    found = [each for path in sorted((_HERE / part).glob("*.txt")) for each in _of_file(path)]
    names = [each.name for each in found]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"programs of the same name: {', '.join(doubled)}")
    return tuple(found)


def _of_file(path: Path) -> Iterator[Program]:
    for text in re.split(r"^=== ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        head, _, rest = text.partition("\n")
        code, _, said = rest.partition("\n---")
        changes: list[re.Match[str]] = []
        rules = {"fix": "", "evidence": "", "away": ""}
        for line in said.strip("\n").splitlines():
            rule, change = _RULE.fullmatch(line.strip()), _CHANGE.fullmatch(line.strip(" "))
            if rule is not None:
                rules[rule["kind"]] = rule["pattern"]
            elif change is not None:
                changes.append(change)
            elif line.strip():
                raise ValueError(f"{path.name}, {head}: {line!r} is neither a correction nor a rule")
        yield Program(
            name=head.strip(),
            group=path.stem,
            code=code + "\n",
            corrected=_corrected(code, changes),
            lines=frozenset(int(change["line"]) for change in changes),
            new_words=_new_words(code.split("\n"), changes),
            fix=rules["fix"],
            evidence=rules["evidence"],
            away=rules["away"],
        )


def _corrected(code: str, changes: list[re.Match[str]]) -> str:
    lines: list[str | None] = [*code.split("\n")]
    for change in sorted(changes, key=lambda change: int(change["line"]), reverse=True):
        number = int(change["line"]) - 1
        old, new = lines[number] or "", change["code"]
        if change["before"]:
            lines.insert(number, new)
        elif new.startswith((" ", "|")):  # with an indentation of its own
            lines[number] = new.removeprefix("|")
        else:
            lines[number] = old[: len(old) - len(old.lstrip())] + new
    return "\n".join(line for line in lines if line is not None) + "\n"


def _new_words(lines: list[str], changes: list[re.Match[str]]) -> frozenset[str]:
    old = [lines[int(change["line"]) - 1] for change in changes if not change["before"]]
    new = " ".join(change["code"] for change in changes)
    return frozenset(_WORD.findall(new)) - frozenset(_WORD.findall(" ".join(old)))


def _imported(code: str) -> set[str]:
    found: set[str] = set()
    for names in _IMPORT.findall(code):
        for name in names.partition(";")[0].split(" import ")[0].split(","):
            found.add(name.split(" as ")[0].strip().partition(".")[0])
    return found
