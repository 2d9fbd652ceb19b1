"""Registries of stable error codes, such as ``SHOP-E017``.

A code identifies a class of errors for programs, dashboards and support, across releases. It is declared with the
class, is unique in the process, and is never used again: a class that is gone leaves its code retired.

There is one registry for each prefix. `resilience.errors.code_table` compares a registry with a written table.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from resilience._forks import fork_safe
from resilience._validation import require

__all__ = ["CodeRegistry", "class_of_code", "full_name", "parse_code", "registries"]

_PREFIX: Final = re.compile(r"[A-Z][A-Z0-9]*")
_CODE: Final = re.compile(r"([A-Z][A-Z0-9]*)-E(\d{3})")
# A program that is run with `python -m shop` has its first module twice, under both names.
_MAIN: Final = frozenset({"__main__", "__mp_main__"})
_MAX_NUMBER = 999

_registries: dict[str, CodeRegistry] = {}
_lock = fork_safe(threading.RLock())


class CodeRegistry:
    """The codes with one prefix: the class of each, and those that are retired.

    ``CodeRegistry("SHOP")`` returns the same object each time. A prefix is capital letters and digits. Codes are
    declared with their class. A code belongs to its class for ever, though the message may change: declaring a taken
    or a retired one raises ValueError. `str` of an error does not show it. `class_of_code` searches all registries.

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
        """Return the registry of *prefix*, such as ``SHOP``; the first call makes it."""
        expected = "capital letters, such as 'SHOP'"
        require(isinstance(prefix, str), "prefix", prefix, expected, TypeError)
        require(bool(_PREFIX.fullmatch(prefix)), "prefix", prefix, f"{expected}, for codes such as SHOP-E001")
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
        """The codes that are out of use, each with the reason."""
        return MappingProxyType(self._retired)

    def by_code(self, code: str) -> type[BaseException]:
        """Return the class that declares *code*. Raises LookupError, which lists the known codes, where none does."""
        found = self._declared.get(code)
        if found is not None:
            return found
        why = "no class declares it"
        if code in self._retired:
            why = f"it is retired: {self._retired[code]}"
        known = ", ".join(sorted(self._declared)) or "none yet"
        raise LookupError(f"code={code!r}: {why}; {self.prefix} has {known}")

    def next_code(self) -> str:
        """Return the first code after all that were ever declared or retired."""
        number = 1 + max((int(code[-3:]) for code in (*self._declared, *self._retired)), default=-1)
        if number > _MAX_NUMBER:
            return f"{self.prefix}-E... (all are used up)"
        return f"{self.prefix}-E{number:03}"

    def retire(self, code: str, why: str) -> None:
        """Take *code* out of use for good, with the reason *why*. No class can declare it again.

        Raises TypeError or ValueError for an invalid code or reason, and for a code that a class declares.
        """
        parse_code("code", code)
        if not isinstance(why, str) or not why.strip():
            raise ValueError(f"why={why!r}: say what became of {code}, such as 'was StockMissing until 1.4'")
        with _lock:
            self._check_prefix(code)
            owner = self._declared.get(code)
            if owner is not None:
                raise ValueError(f"code={code!r}: {full_name(owner)} has it; remove it from the class, then retire it")
            if self._retired.setdefault(code, why) != why:
                raise ValueError(f"code={code!r}: it is retired already: {self._retired[code]}")

    def declare(self, code: str, owner: type[BaseException]) -> None:
        """Register *code* for a class. A `ResilienceError` does so by ``code=``; other exception classes call this.

        Raises TypeError or ValueError for an invalid code, and for one that is taken or retired.
        """
        parse_code("code", code)
        with _lock:
            self._check_prefix(code)
            if code in self._retired:
                why = f"it is retired ({self._retired[code]}), and no code is used twice"
                raise ValueError(f"code={code!r} of {full_name(owner)}: {why}; give {self.next_code()!r}")
            other = self._declared.setdefault(code, owner)
            if not _is_same(other, owner):
                free = f"give a free one, such as {self.next_code()!r}"
                raise ValueError(f"code={code!r} of {full_name(owner)}: it is taken by {full_name(other)}; {free}")
            self._declared[code] = owner

    def _check_prefix(self, code: str) -> None:
        belongs = code.startswith(f"{self.prefix}-")
        require(belongs, "code", code, f"one of this registry, such as {self.next_code()!r}")

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
    """Return the class that declares *code*, whatever its prefix. Raises LookupError where none does.

    >>> import resilience.errors
    >>> class_of_code("RES-E001").__name__
    'CallTimeoutError'
    """
    prefix = parse_code("code", code).partition("-")[0]
    found = _registries.get(prefix)
    if found is None:
        raise LookupError(f"code={code!r}: nothing with this prefix is declared; import the module that does")
    return found.by_code(code)


def parse_code(parameter: str, code: object) -> str:
    """Return *code*. Raises TypeError or ValueError unless it is a prefix, ``-E`` and three digits."""
    expected = "a prefix, -E and three digits, such as 'SHOP-E003'"
    require(isinstance(code, str), parameter, code, expected, TypeError)
    text = cast("str", code)
    require(text.isascii() and bool(_CODE.fullmatch(text)), parameter, code, expected)
    return text


def full_name(kind: type) -> str:
    """Return the module and the qualified name of a class, joined by a dot."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_same(one: type, other: type) -> bool:
    """Return whether two classes come from the same statement, which ran twice: reloaded, as a program, with slots."""
    if one is other:
        return True
    modules = {one.__module__, other.__module__}
    return one.__qualname__ == other.__qualname__ and (len(modules) == 1 or bool(modules & _MAIN))
