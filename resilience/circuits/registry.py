"""The circuits of this process, by name."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resilience.circuits.breaker import CircuitBreaker

__all__ = ["REGISTRY", "Registry"]


class Registry:
    """Every circuit that somebody holds. It holds none itself."""

    def __init__(self) -> None:
        self._breakers: dict[int, weakref.ref[CircuitBreaker]] = {}
        self._lock = threading.RLock()  # a weak reference may die, and call back, while it is held

    def add(self, breaker: CircuitBreaker) -> None:
        """Put a circuit on the list."""
        number = id(breaker)

        def forget(reference: weakref.ref[CircuitBreaker]) -> None:
            with self._lock:
                if self._breakers.get(number) is reference:  # not one that has the same address now
                    del self._breakers[number]

        with self._lock:
            self._breakers[number] = weakref.ref(breaker, forget)

    def __iter__(self) -> Iterator[CircuitBreaker]:
        with self._lock:
            references = list(self._breakers.values())
        found = (reference() for reference in references)
        return (breaker for breaker in found if breaker is not None)

    def get(self, name: str) -> CircuitBreaker:
        """Return the circuit of that name.

        Raises LookupError where there is none, or more than one: which of them is meant nobody can say.
        """
        found = [breaker for breaker in self if breaker.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise LookupError(
                f"{len(found)} circuits are called {name!r}; give one object to all that call the same dependency"
            )
        import difflib

        known = sorted({breaker.name for breaker in self})
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(map(repr, known)) or 'none'}"
        raise LookupError(f"no circuit is called {name!r}{hint}")


REGISTRY = Registry()
