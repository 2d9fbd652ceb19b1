"""The last good answer, kept for when there is no other: stale-if-error."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, MutableMapping
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, TypeAlias

from resilience._runtime.protocol import Call, Run, Steps
from resilience._validation import seconds
from resilience.outcome import Outcome
from resilience.trouble import call_hook, report_trouble

__all__ = ["Stale", "StaleCache", "StaleEntry"]


class StaleEntry(NamedTuple):
    """What the cache holds: a *value*, and when it was stored, in seconds since 1970.

    Not by a clock that only this process has: the cache may outlive it.
    """

    value: object
    stored_at: float


class Store(Protocol):
    """A cache that is asked by methods, async ones where the function is; None stands for what is not there."""

    def get(self, key: Any, /) -> object:
        """Return what was set."""
        ...

    def set(self, key: Any, value: Any, /) -> object:
        """Keep *value*, a `StaleEntry`."""
        ...


StaleCache: TypeAlias = MutableMapping[Any, Any] | Store
"""Where good answers are kept."""


class Stale:
    """Keeps good answers in *cache*, by what *key* makes of a call's arguments, and hands them out up to *max_age*."""

    __slots__ = ("_get", "_key", "_mapping", "_set", "kind", "max_age")

    def __init__(
        self, cache: object, key: Callable[..., object] | None = None, max_age: float | timedelta | None = None
    ) -> None:
        self.kind: str = type(cache).__name__
        given: Any = cache
        self._mapping: Any = None
        self._get: Callable[..., object] | None = None
        self._set: Callable[..., object] | None = None
        if isinstance(cache, MutableMapping):
            self._mapping = given
        else:
            self._get, self._set = getattr(cache, "get", None), getattr(cache, "set", None)
            if isinstance(cache, type) or not (callable(self._get) and callable(self._set)):
                raise TypeError(f"stale={cache!r}: give a mutable mapping, or an object with get(key), set(key, value)")
        if key is not None and (not callable(key) or inspect.iscoroutinefunction(key)):
            raise TypeError(f"key={key!r}: give a plain function of the call's arguments that returns the key")
        self._key: Callable[..., object] | None = key
        self.max_age: float | None = None if max_age is None else seconds("max_age", max_age)

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        """Return the methods of the cache by parameter, where they may be async."""
        methods = {"stale.get": self._get, "stale.set": self._set}
        return {name: method for name, method in methods.items() if method is not None}

    def keep(self, call: Call, outcome: Outcome) -> Steps[Outcome]:
        """Store a good answer, and return it; a cache that fails is reported and changes nothing."""
        key = self._key_of(call)
        if key is None:
            return outcome
        entry = StaleEntry(outcome.value, call.clock.wall())
        if self._set is not None:
            yield Run(self._set, key[0], entry, role="stale cache")
            return outcome
        try:
            call_hook(self._mapping, self._mapping.__setitem__, key[0], entry)
        except Exception as trouble:
            report_trouble("stale cache", self._mapping, trouble)
        return outcome

    def find(self, call: Call) -> Steps[tuple[object, float | None] | None]:
        """Return the answer that is kept for *call*, if it is not too old, and its age as far as that is known."""
        key = self._key_of(call)
        if key is None:
            return None
        found = yield from self._looked_up(key[0])
        if found is None:
            return None
        if not isinstance(found, StaleEntry):  # somebody else's: it does not say how old it is
            return (found, None) if self.max_age is None else None
        age = max(0.0, call.clock.wall() - found.stored_at)
        return (found.value, age) if self.max_age is None or age <= self.max_age else None

    def _looked_up(self, key: object) -> Steps[object]:
        if self._get is not None:
            return (yield Run(self._get, key, role="stale cache")).value
        try:
            return call_hook(self._mapping, self._mapping.get, key)
        except Exception as trouble:
            report_trouble("stale cache", self._mapping, trouble)
            return None

    def _key_of(self, call: Call) -> tuple[object] | None:
        """Return the key, in a tuple; None where there is none to be had."""
        try:
            if self._key is not None:
                return (call_hook(self._key, self._key, *call.arguments, **call.keywords),)
            key = (call.target, call.arguments, tuple(sorted(call.keywords.items())))
            hash(key)
            return (key,)
        except Exception as trouble:  # arguments that cannot be hashed, for one: the call goes on without a cache
            report_trouble("stale key", self._key or call.function, trouble)
            return None

    def __str__(self) -> str:
        return self.kind
