"""Cache of good answers, from which a fallback answers a call that has failed.

HTTP caches call this stale-if-error (RFC 5861): answers are stored while calls succeed, and returned when a call has
failed. The cache is never read before the call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, MutableMapping
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, cast

from resilience._callback_errors import call_hook, log_callback_error
from resilience._outcome import Outcome
from resilience._runtime.protocol import Call, Run, Steps
from resilience._validation import optional, parse_duration, require
from resilience.policies._fallback_source import Answer, Source, used

__all__ = ["Stale", "StaleCache", "StaleEntry"]

V = TypeVar("V")


class StaleEntry(NamedTuple, Generic[V]):
    """An entry of the cache: a *value*, and when it was stored, in seconds since 1970.

    The time is that of the wall clock, since the cache may outlive this process. A cache of prices is typed by its
    entries, ``StaleEntry[Price]``.
    """

    value: V
    stored_at: float


class Store(Protocol):
    """A cache with two methods, which may be async where the function is. None from `get`: there is no entry."""

    def get(self, key: Any, /) -> object:
        """Return the entry that `set` has stored for *key*."""
        ...

    def set(self, key: Any, value: Any, /) -> object:
        """Store *value*, a `StaleEntry`."""
        ...


StaleCache: TypeAlias = MutableMapping[Any, Any] | Store
"""A cache that ``fallback(stale=...)`` takes."""


class Stale(Source):
    """A source that stores good answers in *cache*, and answers with them while they are not older than *max_age*.

    *key* makes the key of an entry from the call's arguments. The cache belongs to the user: it bounds itself and
    evicts. An error of the cache is logged once and changes nothing. *max_age* is in seconds; an entry that another
    program has put into the cache has no age, and is an answer only without *max_age*.

    Raises TypeError for an object that is no cache, and for a *key* that is no plain function.

    >>> from resilience import fallback
    >>> answers = iter(["1.08"])
    >>> @fallback(stale={}, on="unknown")
    ... def rate(currency: str) -> str:
    ...     return next(answers, None) or 1 / 0
    >>> rate("EUR"), rate("EUR")  # the second one fails
    ('1.08', '1.08')
    """

    __slots__ = ("_cache", "_key", "kind", "max_age")

    name = "stale"

    def __init__(
        self, cache: object, key: Callable[..., object] | None = None, max_age: float | timedelta | None = None
    ) -> None:
        self.kind: str = type(cache).__name__
        self._cache: _Mapping | _Methods = _cache_of(cache)
        self._key: Callable[..., object] | None = optional(_parse_key, "key", key)
        self.max_age: float | None = optional(parse_duration, "max_age", max_age)

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        """Return the methods of the cache by parameter, where they may be async."""
        return self._cache.hooks()

    def options(self) -> Mapping[str, object]:
        options: dict[str, object] = {"stale": self.kind}
        if self.max_age is not None:
            options["max_age"] = f"{self.max_age:g}"
        return options

    def store(self, call: Call, outcome: Outcome) -> Steps[Outcome]:
        """Store a good answer, and return it."""
        key = self._key_of(call)
        if key is not None:
            yield from self._cache.set(key[0], StaleEntry(outcome.value, call.clock.wall()))
        return outcome

    def answer(self, call: Call, failure: Outcome) -> Steps[Answer | None]:
        """Answer with what is kept for *call*, if it is not too old, and its age as far as that is known."""
        key = self._key_of(call)
        if key is None:
            return None
        found = yield from self._cache.get(key[0])
        answer = _answer_with(found, call.clock.wall())
        if found is None or self._is_too_old(answer.age):
            return None
        yield from used(call, failure, self.name)
        return answer

    def _is_too_old(self, age: float | None) -> bool:
        return self.max_age is not None and (age is None or age > self.max_age)

    def _key_of(self, call: Call) -> tuple[object] | None:
        """Return the key, in a tuple; None where the arguments give none: the call goes on without a cache."""
        try:
            if self._key is not None:
                return (call_hook(self._key, self._key, *call.arguments, **call.keywords),)
            key = (call.target, call.arguments, tuple(sorted(call.keywords.items())))
            hash(key)
            return (key,)
        except Exception as trouble:  # arguments that cannot be hashed, for one
            log_callback_error("stale key", self._key or call.function, trouble)
            return None


def _parse_key(parameter: str, key: Callable[..., object]) -> Callable[..., object]:
    expected = "a plain function of the call's arguments that returns the key"
    require(callable(key) and not inspect.iscoroutinefunction(key), parameter, key, expected, TypeError)
    return key


def _answer_with(found: object, now: float) -> Answer:
    """Return what the cache has *found* as an answer, with its age unless it does not say when it was stored."""
    if isinstance(found, StaleEntry):
        entry = cast("StaleEntry[object]", found)
        return Answer(Outcome(entry.value), max(0.0, now - entry.stored_at))
    return Answer(Outcome(found))


# -- the two kinds of caches -------------------------------------------------------------------------------------------


class _Mapping:
    """A cache that is a mutable mapping: quick, and never async.

    Its methods are generators without effects, as those of `_Methods` are generators.
    """

    __slots__ = ("_mapping",)

    def __init__(self, mapping: MutableMapping[object, object]) -> None:
        self._mapping = mapping

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        return {}

    def get(self, key: object) -> Steps[object]:
        yield from ()
        return self._ask(self._mapping.get, key)

    def set(self, key: object, entry: StaleEntry[object]) -> Steps[object]:
        yield from ()
        return self._ask(self._mapping.__setitem__, key, entry)

    def _ask(self, method: Callable[..., object], *arguments: object) -> object:
        try:
            return call_hook(self._mapping, method, *arguments)
        except Exception as trouble:
            log_callback_error("stale cache", self._mapping, trouble)
            return None


class _Methods:
    """A cache that is asked by methods, which may be async around an async call."""

    __slots__ = ("_get", "_set")

    def __init__(self, get: Callable[..., object], set_: Callable[..., object]) -> None:
        self._get = get
        self._set = set_

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        return {"stale.get": self._get, "stale.set": self._set}

    def get(self, key: object) -> Steps[object]:
        answer: Outcome = yield Run(self._get, key, role="stale cache")
        return answer.value

    def set(self, key: object, entry: StaleEntry[object]) -> Steps[object]:
        yield Run(self._set, key, entry, role="stale cache")
        return None


def _cache_of(cache: object) -> _Mapping | _Methods:
    if isinstance(cache, MutableMapping):
        return _Mapping(cast("MutableMapping[object, object]", cache))
    get, set_ = getattr(cache, "get", None), getattr(cache, "set", None)
    if isinstance(cache, type) or not callable(get) or not callable(set_):
        raise TypeError(f"stale={cache!r}: give a mutable mapping, or an object with get(key), set(key, value)")
    return _Methods(get, set_)
