"""Cache of good answers, from which a fallback answers a call that has failed.

HTTP caches call this stale-if-error (RFC 5861): answers are stored while calls succeed, and returned when a call has
failed. The cache is never read before the call.

The cache must not hurt. A mapping is asked in place, as it answers at once. A cache that is asked by methods may hang
or be down: no call waits for it to store an answer (`WriteBehind`), a failed call waits `READ_TIMEOUT` seconds at most
for one, and not at all for some time after that was in vain. Its trouble is an event, a metric, and a log line per
minute.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Generator, Hashable, Mapping, MutableMapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, cast

from resilience._callback_errors import (
    RUNNING,
    call_hook,
    is_running,
    log_callback_error,
    log_internal_error,
    with_hook,
)
from resilience._listeners import emit, has_listeners
from resilience._outcome import Outcome
from resilience._runtime.protocol import Call, Run, Steps
from resilience._runtime.write_behind import WriteBehind
from resilience._validation import optional, parse_duration, require
from resilience.clock import current_clock
from resilience.errors.base import CallTimeoutError
from resilience.policies._fallback_source import Answer, Source, used
from resilience.policies.timeout import Timeout

if TYPE_CHECKING:
    from resilience.events import CacheFailed

__all__ = ["READ_TIMEOUT", "WRITE_TIMEOUT", "Stale", "StaleCache", "StaleEntry"]

READ_TIMEOUT = 0.25
"""Seconds that a failed call waits for an answer of the cache. One in the same data center has it in a hundredth."""

WRITE_TIMEOUT = 1.0
"""Seconds that the cache has to store an answer, for which no call waits."""

_PAUSE = 1.0  # seconds for which a cache that hung is not read
_LOGGED_EVERY = 60.0  # seconds

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
    evicts. An error of the cache changes nothing, see `CacheFailed`. *max_age* is in seconds; an entry that another
    program has put into the cache has no age, and is an answer only without *max_age*.

    What the function itself returns is stored, as a `StaleEntry`. A mapping is asked in place, and gives back the same
    object. Of any other cache `set` is called in the background, by a task or a thread, with 1 s for each value; what
    is not written yet, up to 1000 values, is an answer all the same. A failed call waits 0.25 s at most for `get`, half
    of what a deadline leaves, and not at all for a second after that was in vain. Failures of the cache are one line a
    minute on the logger ``resilience``, and counted in ``resilience_cache_failures_total``.

    Raises TypeError for an object that is no cache, and for a *key* that is no plain function.

    >>> from resilience import fallback
    >>> answers = iter(["1.08"])
    >>> @fallback(stale={}, on="unknown")
    ... def rate(currency: str) -> str:
    ...     return next(answers, None) or 1 / 0
    >>> rate("EUR"), rate("EUR")  # the second one fails
    ('1.08', '1.08')
    """

    __slots__ = ("_cache", "_key", "kind", "max_age", "reserve")

    name = "stale"

    def __init__(
        self, cache: object, key: Callable[..., object] | None = None, max_age: float | timedelta | None = None
    ) -> None:
        self.kind: str = type(cache).__name__
        self._cache: _Mapping | _Methods = _cache_of(cache)
        self.reserve: float = Source.reserve + self._cache.read_timeout
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
            yield from self._cache.set(call, key[0], StaleEntry(outcome.value, call.clock.wall()))
        return outcome

    def answer(self, call: Call, failure: Outcome) -> Steps[Answer | None]:
        """Answer with what is kept for *call*, if it is not too old, and its age as far as that is known."""
        key = self._key_of(call)
        if key is None:
            return None
        found = yield from self._cache.get(call, key[0])
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


class _Trouble:
    """The failures of one *cache*: each is an event, and all of a minute are one line on the logger ``resilience``."""

    __slots__ = ("_kind", "_logged_at", "_suppressed")

    def __init__(self, cache: object) -> None:
        self._kind = type(cache).__name__
        self._logged_at = -math.inf
        #: How many there were since the last line.
        self._suppressed = 0

    def note(self, target: str, operation: Literal["get", "set"], error: Exception) -> None:
        """Emit the event, and log a line unless one was logged within the last minute."""
        if has_listeners():
            emit(_cache_failed(target, operation, error))
        now = current_clock().now()
        if 0 <= now - self._logged_at < _LOGGED_EVERY:  # below 0: another clock
            self._suppressed += 1
            return
        suppressed, self._logged_at, self._suppressed = self._suppressed, now, 0
        log_internal_error(
            "stale cache %s of %s: %s raised %s; the call goes on without it (%d more since the last such line, at most"
            " one each minute)",
            self._kind,
            target,
            operation,
            type(error).__name__,
            suppressed,
        )


def _cache_failed(target: str, operation: str, error: Exception) -> CacheFailed:
    from resilience.events import CacheFailed

    return CacheFailed(target=target, policy="fallback", operation=operation, error=error)


class _Mapping:
    """A cache that is a mutable mapping: quick, and never async.

    Its methods are generators without effects, as those of `_Methods` are generators.
    """

    __slots__ = ("_mapping", "_trouble")

    read_timeout = 0.0

    def __init__(self, mapping: MutableMapping[object, object]) -> None:
        self._mapping = mapping
        self._trouble = _Trouble(mapping)

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        return {}

    def get(self, call: Call, key: object) -> Steps[object]:
        yield from ()
        return self._ask(call, "get", self._mapping.get, key)

    def set(self, call: Call, key: object, entry: StaleEntry[object]) -> Steps[object]:
        yield from ()
        return self._ask(call, "set", self._mapping.__setitem__, key, entry)

    def _ask(
        self, call: Call, operation: Literal["get", "set"], method: Callable[..., object], *arguments: object
    ) -> object:
        try:
            return call_hook(self._mapping, method, *arguments)
        except Exception as error:
            self._trouble.note(call.target, operation, error)
            return None


class _Methods:
    """A cache that is asked by methods, which may be async around an async call, and may take any time.

    The methods are looked up for each call: a test may replace them.
    """

    __slots__ = ("__weakref__", "_aside_until", "_store", "_target", "_trouble", "_writer")

    read_timeout = READ_TIMEOUT

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trouble = _Trouble(store)
        #: The function whose answer was stored last, for the trouble of a write.
        self._target = ""
        #: Until when a cache that hung is left alone, by the clock of the call that found that out.
        self._aside_until = -math.inf
        self._writer = WriteBehind(store, self._write, WRITE_TIMEOUT, self._failed_to_write)

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        return {"stale.get": self._store.get, "stale.set": self._store.set}

    def get(self, call: Call, key: Any) -> Steps[object]:
        """Return the entry of *key*: one that is not written yet, else the cache's. None where there is none.

        None as well where the cache raises. One that hangs is left alone for a while.
        """
        now = call.clock.now()
        limit = min(READ_TIMEOUT, (call.due - now) / 2)
        is_aside = self._aside_until - _PAUSE <= now < self._aside_until
        pending = self._pending(call, key)  # it may be written, and forgotten, while the cache is read
        if limit <= 0 or is_aside or is_running(self._store):
            return pending
        read = _Read(self._store, key, limit)
        outcome: Outcome = yield Run(read.begin)
        if outcome.value is read:  # a sync runner awaits nothing
            outcome = yield Run(read.run)
        if outcome.error is not None:
            self._trouble.note(call.target, "get", outcome.error)
            if not isinstance(outcome.error, CallTimeoutError):
                return None
            self._aside_until = call.clock.now() + _PAUSE
        return self._pending(call, key) or pending or outcome.value

    def set(self, call: Call, key: Any, entry: StaleEntry[object]) -> Steps[object]:
        """Have *entry* stored; wait for nothing."""
        self._target = call.target
        try:
            begins = not is_running(self._store) and self._writer.put(key, entry)
        except Exception as error:  # a key that cannot be hashed
            self._trouble.note(call.target, "set", error)
            return None
        if begins:
            outcome: Outcome = yield Run(self._writer.begin)
            if outcome.value is self._writer:
                yield Run(self._writer.begin_thread)
        return None

    def _pending(self, call: Call, key: Any) -> object:
        """Return the entry of *key* that is not written yet; None without one."""
        try:
            return self._writer.pending(key)
        except Exception as error:  # a key that cannot be hashed
            self._trouble.note(call.target, "get", error)
            return None

    def _write(self, key: Any, entry: object) -> object:
        return self._store.set(key, entry)

    def _failed_to_write(self, error: Exception) -> None:
        self._trouble.note(self._target, "set", error)


class _Read:
    """One read of a *store*, within so many *seconds*: by a thread in a sync call, awaited in an async one."""

    __slots__ = ("_key", "_limit", "_store")

    def __init__(self, store: Store, key: Hashable, seconds: float) -> None:
        self._store = store
        self._key = key
        self._limit = Timeout(seconds)

    def begin(self) -> _Read:
        """Return this, which an async runner awaits."""
        return self

    def __await__(self) -> Generator[Any, Any, object]:
        running = RUNNING.get()
        try:
            RUNNING.set(with_hook(self._store))
            found: object = yield from self._limit.acall(self._store.get, self._key).__await__()
            return found
        finally:
            RUNNING.set(running)

    def run(self) -> object:
        """Read in a worker thread."""
        return call_hook(self._store, self._limit.call, self._store.get, self._key)


def _cache_of(cache: object) -> _Mapping | _Methods:
    if isinstance(cache, MutableMapping):
        return _Mapping(cast("MutableMapping[object, object]", cache))
    get, set_ = getattr(cache, "get", None), getattr(cache, "set", None)
    if isinstance(cache, type) or not callable(get) or not callable(set_):
        raise TypeError(f"stale={cache!r}: give a mutable mapping, or an object with get(key), set(key, value)")
    return _Methods(cast("Store", cache))
