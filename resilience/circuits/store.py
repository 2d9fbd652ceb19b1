"""What circuits read from and write to a storage of pybreaker's, as questions to be asked of it."""

from __future__ import annotations

import datetime
import math
import weakref
from collections.abc import Sequence
from typing import NamedTuple, NoReturn, Protocol, cast

import pybreaker

from resilience.circuits.asking import Asker, Question
from resilience.policies.circuit_states import CircuitState

__all__ = ["KINDS", "Seen", "Store", "store_of"]

# pybreaker's names, and our own for the one that differs.
KINDS = {
    "closed": CircuitState.CLOSED,
    "open": CircuitState.OPEN,
    "half-open": CircuitState.HALF_OPEN,
    "half_open": CircuitState.HALF_OPEN,
}


class Seen(NamedTuple):
    """What a store holds. It is *empty* when it holds no state: it is new, or was flushed, or has lost its memory.

    *kind* is None then, and where the state has a name that is not known.
    """

    kind: CircuitState | None
    opened_at: float | None = None
    failures: int = 0
    empty: bool = False


class Store:
    """One storage object. All circuits that were given it share this, and with it what is known of its trouble."""

    def __init__(self, storage: pybreaker.CircuitBreakerStorage) -> None:
        #: The user's object.
        self.storage: pybreaker.CircuitBreakerStorage = storage
        #: The same, with errors that are raised and not logged.
        self.raw: pybreaker.CircuitBreakerStorage = storage
        blocking = not isinstance(storage, pybreaker.CircuitMemoryStorage)
        self.asker: Asker = Asker(type(storage).__qualname__, blocking=blocking)

    def read(self) -> Question[Seen]:
        """Return what it holds."""
        name = self.raw.state
        yield
        failures = self.raw.counter
        yield
        # Of a closed circuit too: where it is not there, the store has lost its memory and was not closed by anyone.
        opened_at = self.raw.opened_at
        return _seen(name, None if opened_at is None else opened_at.timestamp(), failures)

    def add_failures(self, weight: int) -> Question[int]:
        """Count a failure that weighs so much; return what the failures of all weigh."""
        for _ in range(weight):
            self.raw.increment_counter()
            yield
        return self.raw.counter

    def reset_failures(self) -> Question[bool]:
        """Count from 0."""
        self.raw.reset_counter()
        yield
        return True

    def write_closed(self) -> Question[bool]:
        """Have all start again: closed, with nothing counted."""
        self.raw.reset_counter()
        yield
        self.raw.reset_success_counter()
        yield
        self.raw.state = pybreaker.STATE_CLOSED
        return True

    def write(self, name: str, opened_at: float | None) -> Question[Seen]:
        """Write a state other than closed, and when it opened: never earlier than what is there. Return what then is.

        Where the time is lost a store that was flushed cannot be told from one that was closed, so it is written first.
        """
        held = self.raw.opened_at
        yield
        if opened_at is not None and (held is None or held.timestamp() < opened_at):
            self.raw.opened_at = datetime.datetime.fromtimestamp(opened_at, datetime.UTC)
            yield
            held = self.raw.opened_at  # it may keep whole seconds, or no times at all
            yield
        if name == pybreaker.STATE_OPEN:
            self.raw.reset_success_counter()
            yield
        self.raw.state = name
        return _seen(name, None if held is None else held.timestamp(), 0)

    def rounded(self, moment: float, *, up: bool) -> float:
        """Return a moment as the store can keep it."""
        return moment


def _seen(name: str | None, opened_at: float | None, failures: int) -> Seen:
    return Seen(None if name is None else KINDS.get(name), opened_at, failures, name is None)


class _RedisStore(Store):
    """pybreaker's storage in Redis.

    Its methods log each error of the client with a traceback and answer as if the circuit were closed and nothing had
    been counted. Here the errors are raised.
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
        self._counts_plainly = kind.increment_counter is pybreaker.CircuitRedisStorage.increment_counter

    @property
    def _client(self) -> _Client:
        return cast("_Client", self._redis._redis)

    def read(self) -> Question[Seen]:
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
        return _seen(name, float(opened_at) if opened_at else None, int(failures or 0))

    def add_failures(self, weight: int) -> Question[int]:
        if not (self._reads_plainly and self._counts_plainly):
            return (yield from super().add_failures(weight))
        counted = self._client.incrby(self._redis._namespace("fail_counter"), weight)
        yield
        return counted

    def rounded(self, moment: float, *, up: bool) -> float:
        return math.ceil(moment) if up else math.floor(moment)  # it keeps whole seconds


class _Raising:
    """A logger that raises the error it is told of."""

    def exception(self, *_: object) -> NoReturn:
        raise  # noqa: PLE0704  # it is called where the error is handled


# A property: it comes before a logger that a storage was given for itself.
_RAISING = property(lambda _: _Raising())


class _Client(Protocol):
    """Of a Redis client what is used here."""

    def get(self, key: str, /) -> bytes | str | None: ...

    def mget(self, keys: Sequence[str], /) -> list[bytes | str | None]: ...

    def incrby(self, key: str, amount: int, /) -> int: ...


_stores: weakref.WeakValueDictionary[int, Store] = weakref.WeakValueDictionary()


def store_of(storage: pybreaker.CircuitBreakerStorage) -> Store:
    """Return what all circuits share that were given *storage*."""
    # By identity, for as long as a circuit uses it: a storage may have an __eq__ of its own.
    found = _stores.get(id(storage))
    if found is None:
        made = _RedisStore(storage) if isinstance(storage, pybreaker.CircuitRedisStorage) else Store(storage)
        found = _stores.setdefault(id(storage), made)
    return found
