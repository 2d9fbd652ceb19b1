"""Categories of failures: `ErrorCategory`, `Recovery` and `Severity`.

An exception is classified once, into one leaf of `ErrorCategory`. Every policy decides by that category; the row of
`resilience.profiles` for it has the numbers.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Literal, TypeAlias

__all__ = ["CategoryLike", "ErrorCategory", "Label", "Recovery", "Severity", "combine"]


class Recovery(enum.Enum):
    """The advice that belongs to a failure: what a person, a program or an agent should do next."""

    RETRY = "retry"
    WAIT = "wait"
    FIX_INPUT = "fix_input"
    REGENERATE = "regenerate"
    USE_ALTERNATIVE = "use_alternative"
    REAUTHENTICATE = "reauthenticate"
    FIX_CONFIGURATION = "fix_configuration"
    ESCALATE = "escalate"
    GIVE_UP = "give_up"


class Severity(enum.Enum):
    """The log level of a failure."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class ErrorCategory(enum.Flag):
    """The category of a failure, by which retry, breaker, fallback, log level and HTTP status are decided.

    One bit is a *leaf*, the answer of `classify`. Several bits are a *group*; write your own with ``|``.
    A label or a name is accepted wherever a category is, case and all:

    >>> ErrorCategory("timeout")
    <ErrorCategory.TIMEOUT: 1>
    >>> ErrorCategory.TIMEOUT in ErrorCategory.TRANSIENT
    True
    >>> str(ErrorCategory.TIMEOUT | ErrorCategory.NETWORK)
    'timeout|network'
    >>> ErrorCategory("tiemout")
    Traceback (most recent call last):
    ...
    ValueError: 'tiemout' is not an ErrorCategory; did you mean 'timeout'?
    """

    # Leaves. Bits are append-only: add at the end, never reorder (tests hold the list).
    TIMEOUT = enum.auto()
    NETWORK = enum.auto()
    RATE_LIMIT = enum.auto()
    UNAVAILABLE = enum.auto()
    SERVER_ERROR = enum.auto()
    DEPENDENCY = enum.auto()
    REJECTED = enum.auto()
    CAPACITY = enum.auto()
    AUTHENTICATION = enum.auto()
    AUTHORIZATION = enum.auto()
    VALIDATION = enum.auto()
    NOT_FOUND = enum.auto()
    CONFLICT = enum.auto()
    CONFIGURATION = enum.auto()
    SYNTAX = enum.auto()
    RUNTIME = enum.auto()
    IMPORT = enum.auto()
    GENERATION = enum.auto()
    MEMORY = enum.auto()
    SECURITY = enum.auto()
    EXECUTION_TIMEOUT = enum.auto()
    EXHAUSTED = enum.auto()
    APPROVAL = enum.auto()
    CANCELLED = enum.auto()
    INTERNAL = enum.auto()
    UNKNOWN = enum.auto()

    # Groups.
    RETRYABLE = RATE_LIMIT | SERVER_ERROR | UNAVAILABLE
    TRANSIENT = RETRYABLE | TIMEOUT | NETWORK
    INFRASTRUCTURE = TRANSIENT | DEPENDENCY
    CODE_RELATED = SYNTAX | RUNTIME | IMPORT | GENERATION | MEMORY
    WORKFLOW = EXECUTION_TIMEOUT | EXHAUSTED | APPROVAL | CANCELLED | INTERNAL
    AUTH_FAILURE = AUTHENTICATION | AUTHORIZATION
    CLIENT_ERROR = VALIDATION | NOT_FOUND | CONFLICT | AUTH_FAILURE
    RESOURCE = RATE_LIMIT | UNAVAILABLE | CAPACITY
    SYSTEM = DEPENDENCY | NETWORK | TIMEOUT | INTERNAL
    EXTERNAL = DEPENDENCY | SERVER_ERROR
    EXECUTION = SYNTAX | RUNTIME | IMPORT | SECURITY | EXECUTION_TIMEOUT | MEMORY
    ANY_TIMEOUT = TIMEOUT | EXECUTION_TIMEOUT
    # Spelled out: CPython 3.11 takes ~ in the body of a Flag for a negative mask and then refuses `|`.
    NON_RETRYABLE = (
        DEPENDENCY
        | REJECTED
        | CAPACITY
        | VALIDATION
        | NOT_FOUND
        | CONFLICT
        | CONFIGURATION
        | CODE_RELATED
        | SECURITY
        | WORKFLOW
        | UNKNOWN
    )

    @property
    def label(self) -> str:
        """The name on the wire: in JSON, logs, metrics and configuration files."""
        named = _LABELS.get(self.value)
        return named if named is not None else "|".join(_words(self.value))

    @property
    def is_leaf(self) -> bool:
        """Whether this is one precise category and not a group of them."""
        return len(self) == 1

    def __str__(self) -> str:
        return self.label

    @classmethod
    def _missing_(cls, value: object) -> ErrorCategory:
        if not isinstance(value, str):
            found: ErrorCategory = super()._missing_(value)
            return found
        return _union([_by_word(word) for word in value.split("|")])


Label: TypeAlias = Literal[
    "timeout",
    "network",
    "rate_limit",
    "unavailable",
    "server_error",
    "dependency",
    "rejected",
    "capacity",
    "authentication",
    "authorization",
    "validation",
    "not_found",
    "conflict",
    "configuration",
    "syntax_error",
    "runtime_error",
    "import_error",
    "generation",
    "memory_error",
    "security_error",
    "timeout_error",
    "attempts_exhausted",
    "approval",
    "cancelled",
    "internal",
    "unknown",
    # Groups.
    "retryable",
    "transient",
    "infrastructure",
    "code_related",
    "workflow",
    "auth_failure",
    "client_error",
    "resource",
    "system",
    "external",
    "execution",
    "any_timeout",
    "non_retryable",
    # Names whose label is another word.
    "syntax",
    "runtime",
    "import",
    "memory",
    "security",
    "execution_timeout",
    "exhausted",
]
"""A label or a name of a category, for type checkers. At run time case does not matter, and ``|`` joins several."""

CategoryLike: TypeAlias = ErrorCategory | Label
"""A category, or its label or name as text. Of a text that is read at run time, ``ErrorCategory(text)`` makes one."""

# Labels that are not the member's name in lower case: these are the words of the report format for agents.
_OTHER_LABELS = {
    "SYNTAX": "syntax_error",
    "RUNTIME": "runtime_error",
    "IMPORT": "import_error",
    "MEMORY": "memory_error",
    "SECURITY": "security_error",
    "EXECUTION_TIMEOUT": "timeout_error",
    "EXHAUSTED": "attempts_exhausted",
}
_LABELS: dict[int, str] = {
    member.value: _OTHER_LABELS.get(name, name.lower()) for name, member in ErrorCategory.__members__.items()
}
_BY_WORD: dict[str, ErrorCategory] = {name.lower(): member for name, member in ErrorCategory.__members__.items()} | {
    label: ErrorCategory(value) for value, label in _LABELS.items()
}


# Largest first; a group of two says less than its leaves.
_WIDE = sorted((value for value in _LABELS if value.bit_count() > 2), key=int.bit_count, reverse=True)


def _words(value: int) -> list[str]:
    """Return the labels of a combination without a name of its own: as few as the groups allow."""
    words: list[str] = []
    for known in (*_WIDE, *(leaf.value for leaf in ErrorCategory)):
        if value & known == known:
            words.append(_LABELS[known])
            value &= ~known
    return words


def _by_word(word: str) -> ErrorCategory:
    found = _BY_WORD.get(word.strip().lower())
    if found is not None:
        return found
    import difflib

    near = difflib.get_close_matches(word.strip().lower(), _BY_WORD, n=3, cutoff=0.75)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"one of {', '.join(sorted(_BY_WORD))}"
    raise ValueError(f"{word!r} is not an ErrorCategory; {hint}")


def combine(parameter: str, categories: Iterable[object]) -> ErrorCategory:
    """Make one category of several, given as members, labels or names.

    Raises TypeError on anything else and ValueError on an unknown word or an empty result: the empty
    flag is "in" every group, so a policy that took it would match everything or nothing.

    >>> combine("on", ["timeout", ErrorCategory.NETWORK]).label
    'timeout|network'
    """
    found = [_one(parameter, category) for category in categories]
    if not found:
        raise ValueError(f"{parameter}=(): give at least one ErrorCategory, such as ErrorCategory.TRANSIENT")
    return _union(found)


def _union(categories: list[ErrorCategory]) -> ErrorCategory:
    result, *others = categories
    for other in others:
        result |= other
    return result


def _expected(given: object) -> str:
    """Return what to give in place of something that is no category: often a class, or several labels in a tuple."""
    expected = "an ErrorCategory or its label, such as 'timeout'"
    if isinstance(given, type) and issubclass(given, BaseException):
        name = given.__name__
        return f"{expected}, not an exception class; the category of {name} is set by resilience.register({name}, ...)"
    if isinstance(given, tuple | list | set | frozenset):
        return f"{expected}; several are one text, such as 'network|timeout'"
    return expected


def _one(parameter: str, category: object) -> ErrorCategory:
    if isinstance(category, str):
        try:
            return ErrorCategory(category)
        except ValueError as unknown:
            raise ValueError(f"{parameter}: {unknown}") from None
    if not isinstance(category, ErrorCategory):
        raise TypeError(f"{parameter}={category!r}: give {_expected(category)}")
    if not category:
        raise ValueError(f"{parameter}={category!r}: an empty category matches nothing; name at least one leaf")
    return category
