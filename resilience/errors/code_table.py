"""Check of declared error codes against a written table.

The table, a Markdown file in the project's documentation, is the memory of the codes: it says what each has meant, also
after its class is gone. A test compares it with the classes, so that a code can be neither renumbered nor reused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from resilience.errors.base import ResilienceError
from resilience.errors.codes import CodeRegistry, full_name, registries

__all__ = ["CodeProblem", "check_codes", "rows_in"]

_MARKUP = "`*_ \t~"


@dataclass(frozen=True, slots=True)
class CodeProblem:
    """One problem of a code, or of a class without one: *what* is wrong and the *fix*."""

    code: str | None
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}"


def check_codes(prefix: str, table_text: str) -> list[CodeProblem]:
    """Return the differences between the classes of *prefix* and a table of their codes; none when they agree.

    *table_text* is Markdown with any content; rows count that have a code in one cell and the name of its class in the
    next. Import the modules of the classes first. Problems are: a public exception without a code of its own; a code
    that is missing from the table, is in it twice or belongs to another class there; and a row whose code is neither
    declared nor retired.

    >>> class TeaSpilled(ResilienceError, code="TEA-E001", category="conflict"): ...
    >>> [str(problem) for problem in check_codes("TEA", "| TEA-E001 | TeaSpilled | conflict |")]
    []
    >>> for problem in check_codes("TEA", "| TEA-E001 | TeaCold | conflict |"):
    ...     print(problem)
    TEA-E001 was TeaCold and is TeaSpilled now; give TeaSpilled a code of its own, such as TEA-E002, or, if it is \
TeaCold by a new name, change the name in the table
    """
    registry = CodeRegistry(prefix)
    return list(_Comparison(registry, list(rows_in(prefix, table_text))).problems())


def rows_in(prefix: str, table_text: str) -> Iterator[tuple[str, str]]:
    """Return code and name of each row of a Markdown table that has them.

    >>> list(rows_in("TEA", "| `TEA-E001` | `shop.TeaSpilled` | conflict |"))
    [('TEA-E001', 'TeaSpilled')]
    """
    wanted = re.compile(rf"{re.escape(prefix)}-E\d{{3}}")
    for line in table_text.splitlines():
        if not line.lstrip().startswith("|"):
            continue
        cells = [cell.strip(_MARKUP) for cell in line.strip().strip("|").split("|")]
        for code, name in zip(cells, [*cells[1:], ""], strict=True):
            if wanted.fullmatch(code):
                yield code, name.rpartition(".")[2]
                break


class _Comparison:
    """The codes of one registry beside the rows of a table."""

    def __init__(self, registry: CodeRegistry, rows: list[tuple[str, str]]) -> None:
        self._registry = registry
        self._rows = rows
        self._declared = registry.codes()
        self._retired = registry.retired
        #: The first class of each code in the table, and the last code of each class.
        self._table: dict[str, str] = dict(reversed(rows))
        self._code_of_name: dict[str, str] = {name: code for code, name in rows}
        numbers = [int(code[-3:]) for code in (*self._declared, *self._retired, *self._table)]
        self._free = f"{registry.prefix}-E{max(numbers, default=-1) + 1:03}"

    def problems(self) -> Iterator[CodeProblem]:
        """Yield all problems, those of the table first."""
        yield from self._duplicates()
        for code, kind in self._declared.items():
            if self._table.get(code) != kind.__name__:
                yield self._mismatch(code, kind)
        yield from self._undeclared()
        yield from self._removed()
        for kind in _classes_without_code(self._registry):
            fix = f'declare one: class {kind.__name__}(..., code="{self._free}")'
            yield CodeProblem(None, f"{full_name(kind)} has no code of its own", fix)

    def _duplicates(self) -> Iterator[CodeProblem]:
        seen: set[str] = set()
        for code, name in self._rows:
            if code in seen:
                what = f"{code} stands in the table twice: {self._table[code]} and {name}"
                fix = f"keep the row of the class that had it first, and give the other {self._free}"
                yield CodeProblem(code, what, fix)
            seen.add(code)

    def _mismatch(self, code: str, kind: type[BaseException]) -> CodeProblem:
        """Return the problem of a code that the table does not have for its class."""
        name = kind.__name__
        before = self._code_of_name.get(name, code)
        if before != code:
            fix = f"codes are never renumbered: give it {before} again"
            return CodeProblem(code, f"{name} was {before} and is {code} now", fix)
        if code in self._table:
            was = self._table[code]
            fix = f"give {name} a code of its own, such as {self._free}, or, if it is {was} by a new name, change the"
            return CodeProblem(code, f"{code} was {was} and is {name} now", f"{fix} name in the table")
        category: object = getattr(kind, "category", "")
        what = f"{code} ({full_name(kind)}) is missing from the table"
        return CodeProblem(code, what, f"add the row | {code} | {name} | {category} |")

    def _undeclared(self) -> Iterator[CodeProblem]:
        for code in dict.fromkeys(code for code, _ in self._rows):
            if code not in self._declared and code not in self._retired:
                name = self._table[code]
                retire = f'CodeRegistry("{self._registry.prefix}").retire("{code}", "was {name} until ...")'
                what = f"{code} ({name}) is in the table, and no class declares it"
                yield CodeProblem(code, what, f"declare it, import its module, or say {retire}")

    def _removed(self) -> Iterator[CodeProblem]:
        for code, why in self._retired.items():
            if code not in self._table:
                what = f"{code} is retired ({why}) and its row is gone from the table"
                yield CodeProblem(code, what, "put it back: the table is the memory of what codes have meant")


def _classes_without_code(registry: CodeRegistry) -> Iterator[type[ResilienceError]]:
    """Yield the public error classes that belong to a registry and declare no code, sorted by name."""
    declared = registry.codes().values()
    packages = {_package(kind) for kind in declared}
    known = {full_name(kind) for kind in declared}  # a class that was defined again leaves its old self for a while
    for kind in sorted(set(_subclasses(ResilienceError)), key=full_name):
        name = full_name(kind)
        if _package(kind) in packages and name not in known and _lacks_code(kind) and _prefix(kind) == registry.prefix:
            known.add(name)
            yield kind


def _lacks_code(kind: type[ResilienceError]) -> bool:
    """Return whether a class should declare a code and does not: it is public, and was accepted when it was defined."""
    is_public = not kind.__name__.startswith("_") and "<locals>" not in kind.__qualname__
    return is_public and "code" not in vars(kind) and "_valid" in vars(kind)


def _prefix(kind: type[ResilienceError]) -> str | None:
    """Return the prefix that the code of a class should have: that of its nearest base class in its own package."""
    package = _package(kind)
    for base in kind.__mro__:
        code: object = vars(base).get("code")
        if isinstance(code, str) and "-" in code and _package(base) == package:
            return code.partition("-")[0]
    # Derived from another package's error alone: a package with one prefix is meant to use that.
    prefixes = [prefix for prefix, registry in registries().items() if package in _packages_of(registry)]
    if len(prefixes) == 1:
        return prefixes[0]
    return None


def _packages_of(registry: CodeRegistry) -> set[str]:
    return {_package(kind) for kind in registry.codes().values()}


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _subclasses(kind: type[ResilienceError]) -> Iterator[type[ResilienceError]]:
    for subclass in type.__subclasses__(kind):
        yield subclass
        yield from _subclasses(subclass)
