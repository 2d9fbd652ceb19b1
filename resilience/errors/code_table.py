"""Hold the codes that are declared against a written table: the memory of what every code has meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from resilience.errors.base import ResilienceError
from resilience.errors.codes import CodeRegistry, name_of, registries

__all__ = ["CodeProblem", "check_codes", "rows_in"]

_MARKS = "`*_ \t~"


@dataclass(frozen=True, slots=True)
class CodeProblem:
    """What is wrong with a code, or a class that has none, and what to do about it."""

    code: str | None
    what: str
    do: str

    def __str__(self) -> str:
        return f"{self.what}; {self.do}"


def check_codes(prefix: str, table_text: str) -> list[CodeProblem]:
    """Return what is wrong between the classes of *prefix* and a table of their codes; nothing when all is well.

    *table_text* is Markdown, whatever else is in it: the rows that count have a code in one cell and the name of its
    class in the next. The classes must have been imported. Found are: a public exception without a code of its own,
    a code that is missing from the table or stands in it twice, one that has been given to another class, and a row
    whose code nothing declares and nobody has retired.

    >>> class TeaSpilled(ResilienceError, code="TEA-E001", category="conflict"): ...
    >>> [str(problem) for problem in check_codes("TEA", "| TEA-E001 | TeaSpilled | conflict |")]
    []
    >>> for problem in check_codes("TEA", "| TEA-E001 | TeaCold | conflict |"):
    ...     print(problem)
    TEA-E001 was TeaCold and is TeaSpilled now; give TeaSpilled a code of its own, such as TEA-E002, or, if it is \
TeaCold by a new name, change the name in the table
    """
    registry = CodeRegistry(prefix)
    return list(_problems(registry, list(rows_in(prefix, table_text))))


def rows_in(prefix: str, table_text: str) -> Iterator[tuple[str, str]]:
    """Return code and name of each row of a Markdown table that has them.

    >>> list(rows_in("TEA", "| `TEA-E001` | `shop.TeaSpilled` | conflict |"))
    [('TEA-E001', 'TeaSpilled')]
    """
    wanted = re.compile(rf"{re.escape(prefix)}-E\d{{3}}")
    for line in table_text.splitlines():
        if not line.lstrip().startswith("|"):
            continue
        cells = [cell.strip(_MARKS) for cell in line.strip().strip("|").split("|")]
        for code, name in zip(cells, [*cells[1:], ""], strict=True):
            if wanted.fullmatch(code):
                yield code, name.rpartition(".")[2]
                break


def _problems(registry: CodeRegistry, rows: list[tuple[str, str]]) -> Iterator[CodeProblem]:
    declared, retired = registry.codes(), registry.retired
    table: dict[str, str] = {}
    place = {name: code for code, name in rows}
    last = max((int(code[-3:]) for code in (*declared, *retired, *(code for code, _ in rows))), default=-1)
    free = f"{registry.prefix}-E{last + 1:03}"

    for code, name in rows:
        if code in table:
            said = f"{code} stands in the table twice: {table[code]} and {name}"
            yield CodeProblem(code, said, f"keep the row of the class that had it first, and give the other {free}")
        else:
            table[code] = name
    for code, kind in declared.items():
        name = kind.__name__
        was = table.get(code)
        if was == name:
            continue
        before = place.get(name)
        if before is not None and before != code:
            do = f"codes are never renumbered: give it {before} again"
            yield CodeProblem(code, f"{name} was {before} and is {code} now", do)
        elif was is not None:
            renamed = f"or, if it is {was} by a new name, change the name in the table"
            do = f"give {name} a code of its own, such as {free}, {renamed}"
            yield CodeProblem(code, f"{code} was {was} and is {name} now", do)
        else:
            category: object = getattr(kind, "category", "")
            row = f"| {code} | {name} | {category} |"
            yield CodeProblem(code, f"{code} ({name_of(kind)}) is missing from the table", f"add the row {row}")
    for code, name in table.items():
        if code not in declared and code not in retired:
            retire = f'CodeRegistry("{registry.prefix}").retire("{code}", "was {name} until ...")'
            what = f"{code} ({name}) is in the table, and no class declares it"
            yield CodeProblem(code, what, f"declare it, import its module, or say {retire}")
    for code, why in retired.items():
        if code not in table:
            what = f"{code} is retired ({why}) and its row is gone from the table"
            yield CodeProblem(code, what, "put it back: the table is the memory of what codes have meant")
    for kind in _without(registry):
        what = f"{name_of(kind)} has no code of its own"
        yield CodeProblem(None, what, f'declare one: class {kind.__name__}(..., code="{free}")')


def _without(registry: CodeRegistry) -> Iterator[type[BaseException]]:
    """Yield the public errors that belong to a registry and declare no code."""
    declared = registry.codes().values()
    named = {name_of(kind) for kind in declared}  # a class that was made again leaves its old self behind for a while
    homes = {_package(kind) for kind in declared}
    for kind in sorted(set(_below(ResilienceError)), key=name_of):
        name = name_of(kind)
        if "code" in vars(kind) or name in named or _package(kind) not in homes:
            continue
        if "_made" not in vars(kind) or kind.__name__.startswith("_") or "<locals>" in kind.__qualname__:
            continue
        if _owner(kind) == registry.prefix:
            named.add(name)
            yield kind


def _owner(kind: type[ResilienceError]) -> str | None:
    """Return the prefix a class without a code is expected to have: what it inherits from its own package."""
    for base in kind.__mro__:
        code: object = vars(base).get("code")
        if isinstance(code, str) and "-" in code:
            prefix = code.partition("-")[0]
            if _package(base) == _package(kind):
                return prefix
    # Derived straight from another package's error: a package with one prefix is meant to use that.
    own = [
        prefix
        for prefix, registry in registries().items()
        if _package(kind) in {_package(each) for each in registry.codes().values()}
    ]
    return own[0] if len(own) == 1 else None


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _below(kind: type[ResilienceError]) -> Iterator[type[ResilienceError]]:
    for each in type.__subclasses__(kind):
        yield each
        yield from _below(each)
