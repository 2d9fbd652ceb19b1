"""The registry: every circuit of this process, found by name.

It owns nothing. A circuit stays in it for as long as anything else holds the circuit, or a function that it guards.
Names are for people and need not be unique, but a name that several circuits have finds none of them: two circuits of
one dependency are a mistake, since each sees only a part of the failures.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

__all__ = ["Registry"]


class _Named(Protocol):
    """An object with a name that may change."""

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


class Registry(Generic[N]):
    """Weak references to objects with a name, by identity: names may change, and two objects may share one.

    Safe to use from threads, and from a destructor that runs while a method is at work.
    """

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[N]] = {}
        self._lock = threading.RLock()  # a weak reference may die, and call back, while it is held

    def add(self, named: N) -> None:
        """Register an object until it is collected."""
        number = id(named)

        def forget(reference: weakref.ref[N]) -> None:
            """Take the object off the list when it is collected."""
            with self._lock:
                if self._references.get(number) is reference:  # not one that has the same address now
                    del self._references[number]

        with self._lock:
            self._references[number] = weakref.ref(named, forget)

    def __iter__(self) -> Iterator[N]:
        with self._lock:
            references = list(self._references.values())
        return (named for reference in references if (named := reference()) is not None)

    def get(self, name: str) -> N:
        """Return the object of that name. Raises LookupError where there is none, and where there are several."""
        found = [named for named in self if named.name == name]
        if len(found) > 1:
            raise LookupError(
                f"{len(found)} circuits are called {name!r}; give one object to all that call the same dependency"
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
