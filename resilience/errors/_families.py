"""Error families: groups of error classes with identifiers, and perhaps HTTP statuses, of their own.

The errors of another system are identified by words such as ``TASK_NOT_FOUND`` in HTTP answers, not by the codes of
this toolkit. A family maps such words to classes. The module that defines the classes registers the family when it is
imported, as `resilience.contrib.service` does. An answer is turned into a class of a family only where the program has
imported it: nothing that a server sends imports a module.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from resilience.errors.base import ResilienceError
from resilience.errors.codes import class_of_code

__all__ = ["ErrorFamily", "class_for_code", "class_for_word", "family_of", "register_family", "word_of"]


@dataclass(frozen=True)
class ErrorFamily:
    """The error classes derived from *base*, with their *words* in HTTP answers.

    *words* maps each word to a class; of several classes with the same word to the most general. *status* returns the
    HTTP status to answer an error of the family with, in place of the status of its category.
    """

    base: type[ResilienceError]
    words: Mapping[str, type[ResilienceError]]
    status: Callable[[Any], int] | None = None

    @property
    def prefix(self) -> str:
        """The prefix of the family's codes."""
        return self.base.code.partition("-")[0]

    def word_of(self, kind: type[ResilienceError]) -> str:
        """Return the word of *kind* in an answer: its own, or that of its nearest base class with one."""
        words = {owner: word for word, owner in self.words.items()}
        return next((words[base] for base in kind.__mro__ if base in words), "UNKNOWN_ERROR")


_families: list[ErrorFamily] = []


def register_family(family: ErrorFamily) -> None:
    """Make the words and the statuses of *family* known to HTTP answers and clients of this process."""
    _families.append(family)


def family_of(kind: type) -> ErrorFamily | None:
    """Return the family that *kind* belongs to, or None."""
    return next((family for family in _families if issubclass(kind, family.base)), None)


def word_of(kind: type[ResilienceError]) -> str | None:
    """Return the word of *kind* in answers, or None where it belongs to no family."""
    family = family_of(kind)
    if family is None:
        return None
    return family.word_of(kind)


def class_for_code(code: str, prefixes: Collection[str] | None) -> type[ResilienceError] | None:
    """Return the class that declares *code*, or None. Only codes with one of *prefixes* count; None allows all.

    >>> class_for_code("RES-E001", None).__name__, class_for_code("UNKNOWN-E001", None)
    ('CallTimeoutError', None)
    """
    prefix = code.partition("-")[0]
    if not _is_allowed(prefix, prefixes):
        return None
    if prefix == "RES":  # the class that may not be declared yet: its module imports pybreaker
        importlib.import_module("resilience.errors.circuit")
    try:
        kind = class_of_code(code)
    except LookupError:
        return None
    if issubclass(kind, ResilienceError):
        return kind
    return None  # a foreign class in a registry: no server of ours raises it


def class_for_word(word: str, prefixes: Collection[str] | None) -> type[ResilienceError] | None:
    """Return the class of a family that has *word* in answers, or None. *prefixes* as for `class_for_code`.

    >>> import resilience.contrib.service
    >>> class_for_word("TASK_NOT_FOUND", None).__name__
    'TaskNotFoundError'
    """
    allowed = [family for family in _families if _is_allowed(family.prefix, prefixes)]
    return next((family.words[word] for family in allowed if word in family.words), None)


def _is_allowed(prefix: str, prefixes: Collection[str] | None) -> bool:
    return prefixes is None or prefix in prefixes
