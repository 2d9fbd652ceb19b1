"""What the application says about exceptions, before any rule of ours."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import MappingProxyType, TracebackType
from typing import Self, cast, overload

from resilience.category import CategoryLike, ErrorCategory, combine
from resilience.classify.look import Found
from resilience.trouble import log_trouble

__all__ = ["Predicate", "Registration", "Rules", "current_rules", "register"]

Predicate = Callable[[BaseException], bool]

_MOST_SETTLED = 1024  # types made at run time must not fill the memory


class _Entry:
    """One registration in force."""

    __slots__ = ("category", "matches", "reported")

    def __init__(self, matches: type[BaseException] | Predicate, category: ErrorCategory) -> None:
        self.matches: type[BaseException] | Predicate = matches
        self.category: ErrorCategory = category
        self.reported: bool = False


class Rules:
    """All registrations at one moment, and the answers that follow from a type alone while they hold.

    Never changed but replaced: an answer worked out under the old rules lands in a cache nobody reads any more.
    """

    __slots__ = ("entries", "predicates", "settled", "types")

    def __init__(self, entries: tuple[_Entry, ...]) -> None:
        self.entries: tuple[_Entry, ...] = entries
        types: dict[type, ErrorCategory] = {e.matches: e.category for e in entries if isinstance(e.matches, type)}
        self.types: MappingProxyType[type, ErrorCategory] = MappingProxyType(types)
        self.predicates: tuple[_Entry, ...] = tuple(e for e in reversed(entries) if not isinstance(e.matches, type))
        self.settled: dict[type, ErrorCategory] = {}

    def settle(self, kind: type, category: ErrorCategory) -> None:
        """Remember that every plain exception of this type is in *category*."""
        if len(self.settled) >= _MOST_SETTLED:
            self.settled.clear()
        self.settled[kind] = category

    def by_type(self, exc: BaseException) -> Found | None:
        """Return what is registered for the most derived class of *exc*."""
        if self.types:
            for kind in type(exc).__mro__:
                category = self.types.get(kind)
                if category is not None:
                    return Found(category, f"{kind.__qualname__} is registered")
        return None

    def by_predicate(self, exc: BaseException) -> Found | None:
        """Return what the newest predicate that says yes is registered for."""
        # A predicate that asks classify() about its own argument gets the answer of all other rules.
        if not self.predicates or getattr(_asking, "now", False):
            return None
        _asking.now = True
        try:
            for entry in self.predicates:
                if _says_yes(entry, exc):
                    return Found(entry.category, f"the registered predicate {_name(entry.matches)} says yes")
        finally:
            _asking.now = False
        return None


_asking = threading.local()
_lock = threading.Lock()
_rules = Rules(())


def current_rules() -> Rules:
    """Return the registrations in force."""
    return _rules


def _says_yes(entry: _Entry, exc: BaseException) -> bool:
    try:
        return bool(cast("Predicate", entry.matches)(exc))
    except Exception as error:  # the application's own code must not replace the failure
        if not entry.reported:
            entry.reported = True
            message = "predicate %s raised %s and is skipped; this is said once"
            log_trouble(message, _name(entry.matches), type(error).__name__)
        return False


def _name(matches: object) -> str:
    return str(getattr(matches, "__qualname__", None) or type(matches).__qualname__)


class Registration:
    """A registration in force: call it, or leave its ``with`` block, to take it back."""

    __slots__ = ("_entry",)

    def __init__(self, entry: _Entry) -> None:
        self._entry = entry

    def __call__(self) -> None:
        """Take the registration back. Doing so twice is harmless."""
        global _rules
        with _lock:
            _rules = Rules(tuple(entry for entry in _rules.entries if entry is not self._entry))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self()

    def __repr__(self) -> str:
        return f"<Registration of {_name(self._entry.matches)} as {self._entry.category.label}>"


@overload
def register(type_or_predicate: type[BaseException], category: CategoryLike) -> Registration: ...
@overload
def register(type_or_predicate: Predicate, category: CategoryLike) -> Registration: ...
def register(type_or_predicate: type[BaseException] | Predicate, category: CategoryLike) -> Registration:
    """Say what an exception class, or every exception a predicate accepts, means in this application.

    Goes before every other rule. The most derived registered class decides; where none is, the predicates are
    asked, newest first. One that raises is skipped and reported once. Take it back by calling what is returned,
    or use it as a context manager.

    Raises TypeError and ValueError for anything but an exception class or a function of one, and a leaf category.

    >>> from resilience import classify
    >>> class OutOfStock(Exception): ...
    >>> with register(OutOfStock, "conflict"):
    ...     classify(OutOfStock()).label
    'conflict'
    """
    global _rules
    _check(type_or_predicate)
    leaf = combine("category", [category])
    if not leaf.is_leaf:
        leaves = " or ".join(repr(one.label) for one in leaf)
        raise ValueError(f"category={category!r}: an exception is in one leaf category; give {leaves}")
    entry = _Entry(type_or_predicate, leaf)
    with _lock:
        _rules = Rules((*_rules.entries, entry))
    return Registration(entry)


def _check(what: object) -> None:
    if isinstance(what, type):
        if not issubclass(what, BaseException):
            raise TypeError(f"type_or_predicate={what!r}: give an exception class, such as ConnectionError")
    elif not callable(what):
        raise TypeError(
            f"type_or_predicate={what!r}: give an exception class, or a function that takes an exception "
            "and returns True or False"
        )
