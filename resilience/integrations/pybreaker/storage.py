"""Operations on pybreaker's storages: what circuits read from a shared store, and write to it.

A storage keeps a state by name, when the circuit opened last, and how many calls have failed and succeeded; each
attribute is a round trip of its own. An operation is a generator that yields after each round trip, and
`StorageExecutor` runs it. Nothing here knows a circuit.
"""

from __future__ import annotations

import datetime
import math
import weakref
from collections.abc import Sequence
from typing import NamedTuple, NoReturn, Protocol, cast

import pybreaker

from resilience.integrations.pybreaker.storage_executor import Operation, StorageExecutor
from resilience.policies.circuit_states import CircuitState

__all__ = ["NEVER", "STATES_BY_NAME", "Store", "StoredState", "store_of"]

STATES_BY_NAME = {
    "closed": CircuitState.CLOSED,
    "open": CircuitState.OPEN,
    "half-open": CircuitState.HALF_OPEN,
    "half_open": CircuitState.HALF_OPEN,
}
"""pybreaker's names of the states, and our own for the one that differs."""


NEVER = -math.inf
"""The date on which a circuit opened last, where it has not, or the store does not keep it."""


class StoredState(NamedTuple):
    """The contents of a store. It is *empty* when it holds no state: it is new, was flushed, or has lost its contents.

    *kind* is None then, and where the state has a name that is not known. *opened_at* is when a circuit opened last, in
    seconds since 1970, or NEVER.
    """

    kind: CircuitState | None
    opened_at: float
    failures: int
    empty: bool


class Store:
    """Operations on one storage object. All circuits that were given it share this, and with it its executor.

    Works on any `pybreaker.CircuitBreakerStorage`, by its public attributes alone. A storage in memory answers at once;
    all others are taken to do I/O.
    """

    def __init__(self, storage: pybreaker.CircuitBreakerStorage) -> None:
        #: The user's object.
        self.storage: pybreaker.CircuitBreakerStorage = storage
        #: The same, with errors that are raised and not logged.
        self.raw: pybreaker.CircuitBreakerStorage = storage
        blocking = not isinstance(storage, pybreaker.CircuitMemoryStorage)
        self.executor: StorageExecutor = StorageExecutor(type(storage).__qualname__, blocking=blocking)

    def read(self) -> Operation[StoredState]:
        """Return the contents."""
        name = self.raw.state
        yield
        failures = self.raw.counter
        yield
        # Of a closed circuit too: where it is not there, the store has lost its contents, and no circuit has closed.
        return _stored_state(name, _seconds(self.raw.opened_at), failures)

    def add_failures(self, weight: int) -> Operation[int]:
        """Count a failure of *weight*; return the weight of the failures of all circuits."""
        for _ in range(weight):
            self.raw.increment_counter()
            yield
        return self.raw.counter

    def reset_failures(self) -> Operation[bool]:
        """Count from 0."""
        self.raw.reset_counter()
        yield
        return True

    def write_closed(self) -> Operation[bool]:
        """Write that the circuit is closed, with nothing counted."""
        self.raw.reset_counter()
        yield
        self.raw.reset_success_counter()
        yield
        self.raw.state = pybreaker.STATE_CLOSED
        return True

    def write(self, name: str, opened_at: float) -> Operation[StoredState]:
        """Write a state other than closed, and when it opened: never earlier than what the store holds. Return both.

        The date is written first: a store without one is taken for flushed, and not for closed.
        """
        held = _seconds(self.raw.opened_at)
        yield
        if held < opened_at:
            self.raw.opened_at = datetime.datetime.fromtimestamp(opened_at, datetime.UTC)
            yield
            held = _seconds(self.raw.opened_at)  # it may keep whole seconds, or no times at all
            yield
        if name == pybreaker.STATE_OPEN:
            self.raw.reset_success_counter()
            yield
        self.raw.state = name
        return _stored_state(name, held, 0)

    def rounded(self, moment: float, *, up: bool) -> float:
        """Return a moment as the store can keep it: rounded *up* or down to whole seconds, where it keeps those."""
        return moment


def _stored_state(name: str | None, opened_at: float, failures: int) -> StoredState:
    return StoredState(STATES_BY_NAME.get(name or ""), opened_at, failures, empty=name is None)


def _seconds(moment: datetime.datetime | None) -> float:
    if moment is None:
        return NEVER
    return moment.timestamp()


class _RedisStore(Store):
    """Operations on pybreaker's storage in Redis, in fewer round trips.

    The storage's methods log each error of the client with a traceback and answer as if the circuit were closed and
    nothing had been counted. Here the errors are raised. It keeps whole seconds.

    Where a subclass of the storage overrides what is read or counted, its own methods are used, one round trip each.
    """

    def __init__(self, storage: pybreaker.CircuitRedisStorage) -> None:
        super().__init__(storage)
        # pybreaker calls `logger.exception` where it swallows an error. An object of a subclass whose logger raises the
        # error again shares its attributes with the user's, whose own logger stays what it is.
        kind = type(storage)
        raw: pybreaker.CircuitRedisStorage = object.__new__(type(kind.__name__, (kind,), {"logger": _RAISING}))
        raw.__dict__ = storage.__dict__
        self.raw = self._redis = raw
        self._reads_plainly = all(
            getattr(kind, name) is getattr(pybreaker.CircuitRedisStorage, name)
            for name in ("state", "counter", "opened_at")
        )
        increments_plainly = kind.increment_counter is pybreaker.CircuitRedisStorage.increment_counter
        self._counts_plainly = self._reads_plainly and increments_plainly

    @property
    def _client(self) -> _Client:
        return cast("_Client", self._redis._redis)

    def read(self) -> Operation[StoredState]:
        """Return the contents: in one round trip, or in three of a cluster."""
        if not self._reads_plainly:
            return (yield from super().read())
        # Not by its `state`: that writes "closed" where there is none. And in one round trip.
        keys = [self._redis._namespace(name) for name in ("state", "opened_at", "fail_counter")]
        client = self._client
        if self._redis._cluster_mode:  # the keys are on different nodes
            held: list[bytes | str | None] = []
            for key in keys:
                held.append(client.get(key))
                yield
        else:
            held = client.mget(keys)
            yield
        name, opened_at, failures = held
        if isinstance(name, bytes):  # str from a client with decode_responses=True
            name = name.decode()
        return _stored_state(name, float(opened_at or NEVER), int(failures or 0))

    def add_failures(self, weight: int) -> Operation[int]:
        if not self._counts_plainly:
            return (yield from super().add_failures(weight))
        counted = self._client.incrby(self._redis._namespace("fail_counter"), weight)
        yield
        return counted

    def rounded(self, moment: float, *, up: bool) -> float:
        if up:
            return math.ceil(moment)
        return math.floor(moment)


class _Raising:
    """A logger that raises the error it is to log."""

    def exception(self, *_: object) -> NoReturn:
        raise  # noqa: PLE0704  # it is called where the error is handled


# A property: it comes before a logger that a storage was given for itself.
_RAISING = property(lambda _: _Raising())


class _Client(Protocol):
    """The methods of a Redis client that are used here. Texts are bytes, unless it has ``decode_responses=True``."""

    def get(self, key: str, /) -> bytes | str | None: ...

    def mget(self, keys: Sequence[str], /) -> list[bytes | str | None]: ...

    def incrby(self, key: str, amount: int, /) -> int: ...


_stores: weakref.WeakValueDictionary[int, Store] = weakref.WeakValueDictionary()
# By identity, for as long as a circuit uses it: a storage may have an __eq__ of its own.


def store_of(storage: pybreaker.CircuitBreakerStorage) -> Store:
    """Return the one `Store` of *storage*, which all circuits share that were given it."""
    found = _stores.get(id(storage))
    if found is not None:
        return found
    made = Store(storage)
    if isinstance(storage, pybreaker.CircuitRedisStorage):
        made = _RedisStore(storage)
    return _stores.setdefault(id(storage), made)
