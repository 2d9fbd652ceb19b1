"""Registry of classification rules: what the application registers, and the answers remembered under those rules.

A registered class or predicate goes before every other rule. `Rules` is the state at one moment; a registration
replaces it as a whole. Nothing here looks into an exception: that is the classifier's work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Literal, TypeVar, cast, overload

from resilience._callback_errors import log_internal_error
from resilience._forks import fork_safe
from resilience._undo import Undo
from resilience._validation import require
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.classification._verdict import TypeRules
from resilience.classification.match import Match

__all__ = [
    "HINTLESS",
    "Predicate",
    "Registration",
    "Rules",
    "current_rules",
    "forget_answers",
    "register",
    "settle_hintless",
]

Predicate = Callable[[BaseException], bool]

_MAX_REMEMBERED = 1024  # types made at run time must not fill the memory

T = TypeVar("T")


class _Entry:
    """One registration in force, of a class or a predicate. Its identity tells it from another one of the same."""

    __slots__ = ("category", "matches", "reported")

    def __init__(self, matches: type[BaseException] | Predicate, category: ErrorCategory | None) -> None:
        self.matches: type[BaseException] | Predicate = matches
        self.category: ErrorCategory | None = category  # None: the cause decides
        self.reported: bool = False


class Rules:
    """All registrations at one moment, and the answers that follow from a type alone while they hold.

    Replaced, never changed: an answer that a thread works out under the old rules lands in a cache that no other
    thread reads. `settled` holds the category of a type, and the attributes without which every exception of it has
    that category; `of_types` holds what the rules say of a type before an exception is looked at.
    """

    __slots__ = ("entries", "of_types", "predicates", "settled", "types")

    def __init__(self, entries: tuple[_Entry, ...]) -> None:
        self.entries: tuple[_Entry, ...] = entries
        types: dict[type, ErrorCategory | None] = {
            e.matches: e.category for e in entries if isinstance(e.matches, type)
        }
        self.types: MappingProxyType[type, ErrorCategory | None] = MappingProxyType(types)
        self.predicates: tuple[_Entry, ...] = tuple(e for e in reversed(entries) if not isinstance(e.matches, type))
        self.settled: dict[type, tuple[ErrorCategory, frozenset[str]]] = {}
        self.of_types: dict[type, TypeRules] = {}

    def settle(self, kind: type, category: ErrorCategory, unless: frozenset[str]) -> None:
        """Remember that every exception of this type that has none of the attributes in *unless* is in *category*."""
        _remember(self.settled, kind, (category, unless))

    def keep(self, kind: type, known: TypeRules) -> TypeRules:
        """Remember what these rules say of a type, and return it."""
        _remember(self.of_types, kind, known)
        return known

    def by_type(self, kind: type) -> Match | None:
        """Return what is registered for the most derived class of a type; None where that is its cause."""
        registered = self._registered(kind)
        category = self.types.get(registered)
        return Match(category, f"{registered.__qualname__} is registered") if category else None

    def follows_cause(self, kind: type) -> bool:
        """Return whether the application has said that the cause decides for exceptions of this class."""
        return bool(self.types) and self.types.get(self._registered(kind), _UNREGISTERED) is None

    def _registered(self, kind: type) -> type:
        """Return the most derived class of *kind* that is registered, or `object`, which never is."""
        return next((base for base in kind.__mro__ if base in self.types), object)

    def by_predicate(self, exc: BaseException) -> Match | None:
        """Return what the newest predicate that says yes is registered for."""
        # A predicate that asks classify() about its own argument gets the answer of all other rules.
        if not self.predicates or getattr(_asking, "now", False):
            return None
        _asking.now = True
        try:
            for entry in self.predicates:
                if _says_yes(entry, exc):
                    return Match(
                        cast("ErrorCategory", entry.category),
                        f"the registered predicate {_name(entry.matches)} says yes",
                    )
        finally:
            _asking.now = False
        return None


def _remember(answers: dict[type, T], kind: type, answer: T) -> None:
    if len(answers) >= _MAX_REMEMBERED:
        answers.clear()
    answers[kind] = answer


HINTLESS: dict[type, None] = {}
"""Types whose plain exceptions ask for no wait (`retry_hints`). Cleared, never replaced: each failure looks at it."""
_UNREGISTERED = ErrorCategory.UNKNOWN
_asking = threading.local()
_lock = fork_safe(threading.Lock())
_rules = Rules(())


def current_rules() -> Rules:
    """Return the registrations in force. Read once per exception: they may be replaced between two reads."""
    return _rules


def settle_hintless(kind: type, rules: Rules) -> None:
    """Remember that plain exceptions of this type ask for no wait, unless *rules* have been replaced meanwhile."""
    _remember(HINTLESS, kind, None)
    if _rules is not rules:
        HINTLESS.pop(kind, None)


def _says_yes(entry: _Entry, exc: BaseException) -> bool:
    """Ask a predicate. It is the application's own code, so one that raises says no, and is logged once."""
    try:
        return bool(cast("Predicate", entry.matches)(exc))
    except Exception as error:
        if not entry.reported:
            entry.reported = True
            message = "predicate %s raised %s and is skipped; this is said once"
            log_internal_error(message, _name(entry.matches), type(error).__name__)
        return False


def _name(matches: object) -> str:
    return str(getattr(matches, "__qualname__", None) or type(matches).__qualname__)


class Registration(Undo):
    """A registration in force: call it, or leave its ``with`` block, to take it back. Doing so twice is harmless."""

    __slots__ = ("_text", "_undo")

    def __init__(self, text: str, undo: Callable[[], None]) -> None:
        self._text = text
        self._undo = undo

    def __call__(self) -> None:
        """Take the registration back."""
        self._undo()

    def __repr__(self) -> str:
        return f"<Registration of {self._text}>"


@overload
def register(type_or_predicate: type[BaseException], category: CategoryLike | Literal["cause"]) -> Registration: ...
@overload
def register(type_or_predicate: Predicate, category: CategoryLike) -> Registration: ...
def register(
    type_or_predicate: type[BaseException] | Predicate, category: CategoryLike | Literal["cause"]
) -> Registration:
    """Say what an exception class, or every exception a predicate accepts, means in this application.

    Goes before every other rule. The most derived registered class decides; where none is, the predicates are
    asked, newest first. One that raises is skipped and reported once. Take it back by calling what is returned,
    or use it as a context manager.

    For a class, ``"cause"`` in place of a category says that its exceptions mean what they were made of: the exception
    they were raised from, or hold in an attribute. Where that is not known, the other rules decide.

    Raises TypeError and ValueError for anything but an exception class or a function of one, and a leaf category.

    >>> from resilience import classify
    >>> class OutOfStock(Exception): ...
    >>> with register(OutOfStock, "conflict"):
    ...     classify(OutOfStock()).label
    'conflict'
    """
    _check(type_or_predicate)
    if category == "cause" and isinstance(type_or_predicate, type):
        return _registration(_Entry(type_or_predicate, None), "cause")
    leaf = combine("category", [category])
    if not leaf.is_leaf:
        leaves = " or ".join(repr(one.label) for one in leaf)
        raise ValueError(f"category={category!r}: an exception is in one leaf category; give {leaves}")
    return _registration(_Entry(type_or_predicate, leaf), leaf.label)


def _registration(entry: _Entry, label: str) -> Registration:
    _replace(add=(entry,))
    return Registration(f"{_name(entry.matches)} as {label}", partial(_replace, remove=entry))


def forget_answers() -> None:
    """Forget what was remembered of types: the tables of a library have changed."""
    _replace()


def _replace(*, add: tuple[_Entry, ...] = (), remove: _Entry | None = None) -> None:
    global _rules
    with _lock:
        kept = [entry for entry in _rules.entries if entry is not remove]
        _rules = Rules((*kept, *add))
        HINTLESS.clear()


def _check(what: object) -> None:
    right = "an exception class, or a function that takes an exception and returns True or False"
    if isinstance(what, type):
        right = "an exception class, such as ConnectionError"
        require(issubclass(what, BaseException), "type_or_predicate", what, right, TypeError)
    require(callable(what), "type_or_predicate", what, right, TypeError)
