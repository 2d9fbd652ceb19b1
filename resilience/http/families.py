"""Code or word -> class: only classes that are declared here already, and those the toolkit itself brings."""

from __future__ import annotations

import importlib
from typing import Final

from resilience.errors.base import ResilienceError
from resilience.errors.codes import class_of_code

__all__ = ["class_of", "class_of_word", "word_of"]

# Which of the toolkit's own modules declares a code that is not known yet. Nothing else is ever imported.
_HOMES: Final = {
    "OCTO": "resilience.errors.service",
    "PYX": "resilience.errors.executor",
    "RES": "resilience.errors.circuit",
}
# Words that several classes share stand for the most general of them.
_WORDS: Final = {
    "VALIDATION_ERROR": "ValidationError",
    "VALIDATION_ERRORS": "ValidationErrors",
    "TASK_NOT_FOUND": "TaskNotFoundError",
    "AUTHENTICATION_ERROR": "AuthenticationError",
    "AUTHORIZATION_ERROR": "AuthorizationError",
    "ARM_UNAVAILABLE": "ArmUnavailableError",
    "CAPACITY_EXCEEDED": "CapacityExceededError",
    "RATE_LIMIT_EXCEEDED": "RateLimitError",
    "DATABASE_ERROR": "DatabaseError",
    "CACHE_ERROR": "CacheError",
    "NETWORK_ERROR": "NetworkError",
    "TIMEOUT_ERROR": "TimeoutError",
    "LLM_API_ERROR": "LLMAPIError",
    "VECTOR_DB_ERROR": "VectorDBError",
    "THIRD_PARTY_API_ERROR": "ThirdPartyAPIError",
}


def class_of(code: str, allowed: frozenset[str] | None) -> type[ResilienceError] | None:
    """Return the class that declares *code*, or None; *allowed* are the prefixes that count.

    >>> class_of("RES-E001", None).__name__, class_of("NOBODY-E001", None)
    ('CallTimeoutError', None)
    """
    prefix = code.partition("-")[0]
    if allowed is not None and prefix not in allowed:
        return None
    try:
        found = class_of_code(code)
    except LookupError:
        if prefix not in _HOMES:
            return None
        importlib.import_module(_HOMES[prefix])
        try:
            found = class_of_code(code)
        except LookupError:
            return None
    # A registry may hold foreign exceptions too; those are nothing a stranger may have raised here.
    return found if issubclass(found, ResilienceError) else None


def class_of_word(word: str, allowed: frozenset[str] | None) -> type[ResilienceError] | None:
    """Return the class of the service's family that says *word*, or None.

    >>> class_of_word("TASK_NOT_FOUND", None).__name__
    'TaskNotFoundError'
    """
    if word not in _WORDS or (allowed is not None and "OCTO" not in allowed):
        return None
    from resilience.errors import service

    found: type[ResilienceError] = getattr(service, _WORDS[word])
    return found


def word_of(kind: type[ResilienceError]) -> str | None:
    """Return the word that a class of the service's family says, or None."""
    names = {name: word for word, name in _WORDS.items()}
    family = [base.__name__ for base in kind.__mro__ if base.__module__ == _HOMES["OCTO"]]
    return next((names[name] for name in family if name in names), "UNKNOWN_ERROR" if family else None)
