"""Stable codes of errors: declared with the class, unique, never used twice."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["CodeRegistry", "a_code", "class_of_code", "registries"]

_PREFIX: Final = re.compile(r"[A-Z][A-Z0-9]*")
_CODE: Final = re.compile(r"([A-Z][A-Z0-9]*)-E(\d{3})")
# A program that is run with `python -m shop` has its first module twice, under both names.
_MAIN: Final = frozenset({"__main__", "__mp_main__"})
_MOST = 999

_registries: dict[str, CodeRegistry] = {}
_lock = threading.RLock()


class CodeRegistry:
    """The codes with one prefix: which class has which, and which are retired. One per prefix, however often asked for.

    Codes are declared with their class. A code belongs to its class for ever: declaring a taken one fails, and one that
    is retired cannot be declared again.

    >>> from resilience.errors import ResilienceError
    >>> class LampLocked(ResilienceError, code="LAMPS-E001", category="conflict"): ...
    >>> lamps = CodeRegistry("LAMPS")
    >>> lamps.by_code("LAMPS-E001").__name__, LampLocked().code
    ('LampLocked', 'LAMPS-E001')
    >>> lamps.retire("LAMPS-E002", "was LampMissing until 1.4")
    >>> lamps.next_code()
    'LAMPS-E003'
    >>> class LampStolen(ResilienceError, code="LAMPS-E001"): ...
    Traceback (most recent call last):
    ...
    ValueError: code='LAMPS-E001' of ...LampStolen: it is taken by ...LampLocked; give a free one, such as 'LAMPS-E003'
    """

    prefix: str

    _declared: dict[str, type[BaseException]]
    _retired: dict[str, str]

    def __new__(cls, prefix: str) -> CodeRegistry:
        """Return the registry of *prefix*, such as ``SHOP``; open it when it is the first time."""
        if not isinstance(prefix, str):
            raise TypeError(f"prefix={prefix!r}: give capital letters, such as 'SHOP'")
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(f"prefix={prefix!r}: give capital letters, such as 'SHOP', for codes such as SHOP-E001")
        with _lock:
            found = _registries.get(prefix)
            if found is None:
                found = super().__new__(cls)
                found.prefix, found._declared, found._retired = prefix, {}, {}
                _registries[prefix] = found
            return found

    def __reduce__(self) -> tuple[type[CodeRegistry], tuple[str]]:
        return CodeRegistry, (self.prefix,)

    def codes(self) -> dict[str, type[BaseException]]:
        """Return the classes by their code, in order."""
        return dict(sorted(self._declared.items()))

    @property
    def retired(self) -> Mapping[str, str]:
        """The codes that are out of use, and what became of each."""
        return MappingProxyType(self._retired)

    def by_code(self, code: str) -> type[BaseException]:
        """Return the class that has *code*. Raises LookupError where none has, and says what is known of it."""
        found = self._declared.get(code)
        if found is None:
            why = f"it is retired: {self._retired[code]}" if code in self._retired else "no class declares it"
            known = ", ".join(sorted(self._declared)) or "none yet"
            raise LookupError(f"code={code!r}: {why}; {self.prefix} has {known}")
        return found

    def next_code(self) -> str:
        """Return the first code after all that were ever declared or retired."""
        last = max((int(code[-3:]) for code in (*self._declared, *self._retired)), default=-1)
        return f"{self.prefix}-E{last + 1:03}" if last < _MOST else f"{self.prefix}-E... (all are used up)"

    def retire(self, code: str, why: str) -> None:
        """Say that *code* is out of use for good, and *why*. No class can declare it again."""
        a_code("code", code)
        if not isinstance(why, str) or not why.strip():
            raise ValueError(f"why={why!r}: say what became of {code}, such as 'was StockMissing until 1.4'")
        with _lock:
            if not code.startswith(f"{self.prefix}-"):
                raise ValueError(f"code={code!r}: give one of this registry, such as {self.next_code()!r}")
            owner = self._declared.get(code)
            if owner is not None:
                raise ValueError(f"code={code!r}: {name_of(owner)} has it; remove it from the class, then retire it")
            if self._retired.setdefault(code, why) != why:
                raise ValueError(f"code={code!r}: it is retired already: {self._retired[code]}")

    def declare(self, code: str, owner: type[BaseException]) -> None:
        """Give *code* to a class that is no `ResilienceError`; those say ``code=`` with their class."""
        a_code("code", code)
        with _lock:
            if not code.startswith(f"{self.prefix}-"):
                raise ValueError(f"code={code!r}: give one of this registry, such as {self.next_code()!r}")
            if code in self._retired:
                why = f"it is retired ({self._retired[code]}), and no code is used twice"
                raise ValueError(f"code={code!r} of {name_of(owner)}: {why}; give {self.next_code()!r}")
            there = self._declared.get(code)
            if there is not None and not _same(there, owner):
                free = f"give a free one, such as {self.next_code()!r}"
                raise ValueError(f"code={code!r} of {name_of(owner)}: it is taken by {name_of(there)}; {free}")
            self._declared[code] = owner

    def __repr__(self) -> str:
        return f"<CodeRegistry {self.prefix}: {len(self._declared)} declared, {len(self._retired)} retired>"


def registries() -> Mapping[str, CodeRegistry]:
    """Return all registries by their prefix.

    >>> import resilience.errors
    >>> registries()["RES"].by_code("RES-E000").__name__
    'ResilienceError'
    """
    with _lock:
        return dict(sorted(_registries.items()))


def class_of_code(code: str) -> type[BaseException]:
    """Return the class that has *code*, whatever its prefix. Raises LookupError where none has.

    >>> import resilience.errors
    >>> class_of_code("RES-E001").__name__
    'CallTimeoutError'
    """
    prefix = a_code("code", code).partition("-")[0]
    found = _registries.get(prefix)
    if found is None:
        raise LookupError(f"code={code!r}: nothing with this prefix is declared; import the module that does")
    return found.by_code(code)


def a_code(parameter: str, code: object) -> str:
    """Return *code* where it is written as codes are; TypeError or ValueError otherwise."""
    right = "a prefix, -E and three digits, such as 'SHOP-E003'"
    if not isinstance(code, str):
        raise TypeError(f"{parameter}={code!r}: give {right}")
    if not _CODE.fullmatch(code) or not code.isascii():
        raise ValueError(f"{parameter}={code!r}: give {right}")
    return code


def name_of(kind: type) -> str:
    """Return where a class is from and what it is called."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _same(one: type, other: type) -> bool:
    """Return whether a class is another one that was made again: reloaded, run as a program, given slots."""
    if one is other:
        return True
    modules = {one.__module__, other.__module__}
    return one.__qualname__ == other.__qualname__ and (len(modules) == 1 or bool(modules & _MAIN))
