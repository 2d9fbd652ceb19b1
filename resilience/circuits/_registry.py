"""The registry: every circuit of this process, found by name.

It owns nothing. A circuit stays in it for as long as anything else holds the circuit, or a function that it guards.
Names are for people and need not be unique. Two circuits of one dependency are a mistake, since each sees only a part
of the failures, so a second circuit of a name is logged, once for each name. Such circuits are found by the name with
the module in front that made them; the name alone finds none of them.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from resilience._callback_errors import log_internal_error
from resilience._forks import fork_safe

__all__ = ["Registry", "full_name"]

_MAX_NAMES = 10_000


class _Named(Protocol):
    """An object with a name that may change, and the module that made it."""

    module: str

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def full_name(named: _Named) -> str:
    """Return the name with the module in front that made the object."""
    return f"{named.module}.{named.name}"


def _no_object() -> None:
    """Stand for a reference to an object that is gone."""


class Registry(Generic[N]):
    """Weak references to objects with a name, by identity: names may change, and two objects may share one.

    Safe to use from threads, and from a destructor that runs while a method is at work.
    """

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[N]] = {}  # in the order in which they were registered
        self._numbers = itertools.count()
        self._first_of: dict[str, weakref.ref[N]] = {}  # the first object of each name; bounded by `_MAX_NAMES`
        self._logged: set[str] = set()
        self._lock = fork_safe(threading.RLock())  # a weak reference may die, and call back, while it is held

    def add(self, named: N) -> None:
        """Register an object until it is collected."""
        number = next(self._numbers)

        def forget(_reference: weakref.ref[N]) -> None:
            """Take the object off the list when it is collected: without the lock.

            In a forked process the collector may run before the lock is free, which a thread of the parent held.
            """
            self._references.pop(number, None)

        self._references[number] = weakref.ref(named, forget)

    def check_name(self, named: N) -> None:
        """Log where another object of that name exists, once for each name."""
        name = named.name
        with self._lock:
            first = self._first_of.get(name, _no_object)()
            if first is None:
                if len(self._first_of) >= _MAX_NAMES:
                    self._first_of.clear()
                self._first_of[name] = weakref.ref(named)
            if first is None or first is named or first.name != name or name in self._logged:
                return
            self._logged.add(name)
        log_internal_error(
            "circuits of %s and of %s are both called %r: each sees only its own failures; give one object to all that"
            " call the same dependency (logged once)",
            first.module,
            named.module,
            name,
        )

    def __iter__(self) -> Iterator[N]:
        references = self._references.copy().values()  # a copy is made at once, whatever other threads do
        return (named for reference in references if (named := reference()) is not None)

    def get(self, name: str) -> N:
        """Return the object of that name. Raises LookupError where there is none, and where there are several."""
        found = [named for named in self if name in (named.name, full_name(named))]
        if len(found) > 1:
            raise LookupError(
                f"{len(found)} circuits are called {name!r}: {', '.join(sorted(map(full_name, found)))}; give one"
                " object to all that call the same dependency, or put the module in front"
            )
        if not found:
            raise LookupError(f"no circuit is called {name!r}{self._hint(name)}")
        return found[0]

    def _hint(self, name: str) -> str:
        """Return the end of the error of an unknown name: the nearest that is known, or all."""
        import difflib

        known = sorted({named.name for named in self})
        near = difflib.get_close_matches(name, known, n=1)
        if near:
            return f"; did you mean {near[0]!r}?"
        return f"; there are {', '.join(map(repr, known)) or 'none'}"
