"""Error families: errors that have words of their own in HTTP answers, and perhaps statuses of their own.

A family is declared by the module that defines its classes, when that module is imported (`resilience.contrib.service`
does). An answer that names a code or a word is turned into a class of a family only where the program has imported it:
nothing that a server says imports a module.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resilience.errors.base import ResilienceError
from resilience.errors.codes import class_of_code

__all__ = ["ErrorFamily", "class_of", "class_of_word", "family_of", "register_family", "word_of"]


@dataclass(frozen=True)
class ErrorFamily:
    """The classes below *base*, their words, and the HTTP status of each.

    *words* has a class for each word; where several classes share a word, the most general of them. *status* returns
    the HTTP status to answer an error of the family with, in place of the status of its category.
    """

    base: type[ResilienceError]
    words: Mapping[str, type[ResilienceError]]
    status: Callable[[Any], int] | None = None

    @property
    def prefix(self) -> str:
        """The prefix of the family's codes."""
        return self.base.code.partition("-")[0]

    def word_of(self, kind: type[ResilienceError]) -> str:
        """Return the word that *kind* has in an answer: that of its nearest class with one."""
        words = {owner: word for word, owner in self.words.items()}
        return next((words[base] for base in kind.__mro__ if base in words), "UNKNOWN_ERROR")


_families: list[ErrorFamily] = []


def register_family(family: ErrorFamily) -> None:
    """Have answers over HTTP know *family*: the words and the statuses of its errors."""
    _families.append(family)


def family_of(kind: type) -> ErrorFamily | None:
    """Return the family that *kind* belongs to, or None."""
    return next((family for family in _families if issubclass(kind, family.base)), None)


def class_of(code: str, allowed: frozenset[str] | None) -> type[ResilienceError] | None:
    """Return the class that declares *code*, or None; *allowed* are the prefixes that count.

    >>> class_of("RES-E001", None).__name__, class_of("NOBODY-E001", None)
    ('CallTimeoutError', None)
    """
    prefix = code.partition("-")[0]
    if allowed is not None and prefix not in allowed:
        return None
    if prefix == "RES":  # the one of the toolkit's own that may not be declared yet: it brings pybreaker along
        importlib.import_module("resilience.errors.circuit")
    try:
        found = class_of_code(code)
    except LookupError:
        return None
    # A registry may hold foreign exceptions too; those are nothing a server may have raised here.
    return found if issubclass(found, ResilienceError) else None


def class_of_word(word: str, allowed: frozenset[str] | None) -> type[ResilienceError] | None:
    """Return the class of a family that has *word* in answers, or None; *allowed* are the prefixes that count.

    >>> import resilience.contrib.service
    >>> class_of_word("TASK_NOT_FOUND", None).__name__
    'TaskNotFoundError'
    """
    for family in _families:
        if word in family.words and (allowed is None or family.prefix in allowed):
            return family.words[word]
    return None


def word_of(kind: type[ResilienceError]) -> str | None:
    """Return the word that *kind* has in answers, or None where it belongs to no family."""
    family = family_of(kind)
    return None if family is None else family.word_of(kind)
