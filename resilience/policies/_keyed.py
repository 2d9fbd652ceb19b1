"""State for each key that a user's function derives from a call's arguments: a host, a tenant, a shard.

The states are made when a key is first seen, and the number of them is bounded.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, Protocol, TypeVar

from resilience._callback_errors import refuse_coroutine
from resilience._forks import fork_safe
from resilience._runtime.callables import is_async
from resilience._runtime.protocol import Call
from resilience._validation import require

__all__ = ["Keyed", "from_arguments", "parse_key", "state_of_call"]

T = TypeVar("T")


class _Cache(Protocol):
    """Keeps states of a `Keyed` by their keys, to find them without its lock."""

    def forget(self) -> None:
        """Drop all states that it keeps."""


class Keyed(Generic[T]):
    """The states of at most *max_keys* keys, each made by *make*, for the policy that messages call *owner*.

    When there are more, the state that was not used for longest is evicted, of those that *may_evict* allows. One that
    matters, such as an open circuit, is evicted only where there are no others.

    >>> visits = Keyed(list, 2, lambda state: not state, lambda: "visits")
    >>> for key in "abca":
    ...     visits.of(key).append(key)
    >>> visits.items()
    [('c', ['c']), ('a', ['a'])]
    """

    def __init__(
        self, make: Callable[[], T], max_keys: int, may_evict: Callable[[T], bool], owner: Callable[[], str]
    ) -> None:
        self._make = make
        self._max_keys = max_keys
        self._may_evict = may_evict
        self._owner = owner
        self._states: OrderedDict[Hashable, T] = OrderedDict()
        self._caches: weakref.WeakSet[_Cache] = weakref.WeakSet()
        # The collector may run while it is held, and with it a destructor that calls.
        self._lock = fork_safe(threading.RLock())

    def items(self) -> list[tuple[Hashable, T]]:
        """Return the keys and their states, the least recently used first."""
        with self._lock:
            found = self._states.copy()
        return list(found.items())

    def pairs(self) -> Iterator[tuple[Hashable, T]]:
        """Yield the keys and their states as `items` returns them, without a list of so many pairs.

        The collector would look at all of them, several times for 10,000 keys.
        """
        with self._lock:
            keys, states = list(self._states), list(self._states.values())
        return zip(keys, states, strict=True)

    def of(self, key: Hashable) -> T:
        """Return the state of a key, a new one where the key was not seen yet."""
        with self._lock:
            found = self._states.get(key)
            if found is not None:
                self._states.move_to_end(key)
                return found
            if len(self._states) >= self._max_keys:
                del self._states[self._eviction_candidate()]
            found = self._states[key] = self._new(key)
            caches = list(self._caches) if self.is_crowded else []
        for cache in caches:
            cache.forget()
        return found

    @property
    def is_crowded(self) -> bool:
        """Whether more than half of the keys are in use: from then on it matters which of them was used last."""
        return 2 * len(self._states) > self._max_keys

    def add_cache(self, cache: _Cache) -> None:
        """Have *cache* forget what it keeps of the states when that may be evicted.

        It keeps none while `is_crowded`, so that each use of a state is seen here; and is itself not kept alive.
        """
        with self._lock:
            self._caches.add(cache)

    def _new(self, key: Hashable) -> T:
        """Return a new state, for *key*."""
        return self._make()

    def of_call(self, call: Call, key: Callable[..., Hashable]) -> T:
        """Return the state of the key that *key* derives from the arguments of *call*.

        Raises what the key function raises, with a note, and TypeError for a key that cannot be hashed. The call is not
        to be made then.
        """
        return state_of_call(self.of, call, key, self._owner)

    def _eviction_candidate(self) -> Hashable:
        return next(filter(lambda key: self._may_evict(self._states[key]), self._states), next(iter(self._states)))


def state_of_call(of: Callable[[Hashable], T], call: Call, key: Callable[..., Hashable], owner: Callable[[], str]) -> T:
    """Return what *of* has for the key that *key* derives from the arguments of *call*; raise as `Keyed.of_call`."""
    value = from_arguments(call, key, "key", owner)
    try:
        return of(value)
    except Exception as error:  # from its __hash__ or __eq__
        wrong = f"{owner()}: key= gave a {type(value).__name__}, which cannot be a dict's key"
        raise TypeError(f"{wrong}; the call was not made") from error


def from_arguments(call: Call, function: Callable[..., T], parameter: str, owner: Callable[[], str]) -> T:
    """Return what a user's function derives from the arguments of *call*; what it raises gets a note."""
    try:
        return refuse_coroutine(function(*call.arguments, **call.keywords))
    except Exception as error:
        error.add_note(f"resilience: raised by {parameter}= of {owner()}; the call was not made")
        raise


def parse_key(parameter: str, value: object) -> object:
    """Return the function of ``key=``. Raises TypeError for what is none, and for an async one."""
    expected = "a function of the call's arguments, such as lambda host, *_: host"
    require(callable(value), parameter, value, expected, TypeError)
    plain = "a plain function of the call's arguments; an async one is not awaited"
    require(not is_async(value), parameter, value, plain, TypeError)
    return value
