"""Settings of the process: policies off, a cap of attempts, a bound of abandoned threads.

* `disabled` switches policies off, `limit_attempts` caps what retries may do, in a context or in the whole process.
* The environment variable ``RESILIENCE_MAX_ATTEMPTS`` caps the attempts of a process from its start.
* `repeat_posts` says whether retries repeat a POST that the server may have processed.
* `limit_abandoned_threads` bounds the threads that calls have left behind.

`disabled` is for tests, and a kill switch for incidents in which a policy itself is the problem. A switch is on in a
context or in the whole process. While it is on nowhere, a guarded call pays for one look at a counter.

>>> from resilience import retry_on_category, settings
>>> @retry_on_category(attempts=3)
... def down() -> None:
...     raise ConnectionRefusedError
>>> with settings.disabled():
...     down()
Traceback (most recent call last):
...
ConnectionRefusedError
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from contextvars import ContextVar

from resilience._forks import fork_safe
from resilience._shutdown import Shutdown, begin_shutdown
from resilience._validation import parse_count, require_bool

__all__ = [
    "ABANDONED_THREADS",
    "ATTEMPTS_CAP",
    "DISABLED",
    "MUTED",
    "NO_WAITS",
    "REPEATED_POSTS",
    "AbandonedThreads",
    "AttemptsCap",
    "AttemptsLimited",
    "ContextSwitch",
    "RepeatedPosts",
    "Shutdown",
    "Switched",
    "abandoned_threads",
    "begin_shutdown",
    "disabled",
    "limit_abandoned_threads",
    "limit_abandoned_threads_per_target",
    "limit_attempts",
    "repeat_posts",
]


class ContextSwitch:
    """A switch that is on in some contexts, or in the whole process. Check `active_count` first on the happy path."""

    __slots__ = ("_everywhere", "_here", "_lock", "active_count", "on_change")

    def __init__(self, name: str) -> None:
        #: The number of blocks that have the switch on, in any context. While it is 0, the switch is off everywhere.
        self.active_count: int = 0
        #: Called without arguments whenever the switch is turned on.
        self.on_change: list[Callable[[], object]] = []
        self._everywhere = 0
        #: The number of blocks that have it on in this context; one block may be entered in many contexts.
        self._here: ContextVar[int] = ContextVar(f"resilience.{name}", default=0)
        self._lock = fork_safe(threading.Lock())

    def is_on(self) -> bool:
        """Return whether the switch is on in this context."""
        return self._everywhere > 0 or self._here.get() > 0

    def turn_on(self, everywhere: bool) -> None:
        """Turn the switch on in this context, or *everywhere* in the process."""
        with self._lock:
            self.active_count += 1
            self._everywhere += everywhere
        for notify in self.on_change:
            notify()
        if not everywhere:
            self._here.set(self._here.get() + 1)

    def turn_off(self, everywhere: bool) -> None:
        """Take back one `turn_on`. The switch stays on for other blocks that have it on."""
        if not everywhere:
            self._here.set(max(0, self._here.get() - 1))
        with self._lock:
            self.active_count -= 1
            self._everywhere -= everywhere


DISABLED = ContextSwitch("disabled")
NO_WAITS = ContextSwitch("no_waits")
MUTED = ContextSwitch("muted")
"""Whether events have no listeners: a simulation makes calls that are none of the program's."""


class Switched:
    """A ``with`` block in which a `ContextSwitch` is on; it may be entered several times."""

    __slots__ = ("_everywhere", "_switch")

    def __init__(self, switch: ContextSwitch, everywhere: bool) -> None:
        self._switch = switch
        self._everywhere = require_bool("everywhere", everywhere)

    def __enter__(self) -> None:
        self._switch.turn_on(self._everywhere)

    def __exit__(self, *raised: object) -> None:
        self._switch.turn_off(self._everywhere)


def disabled(*, everywhere: bool = False) -> Switched:
    """Switch all policies off in a ``with`` block: guarded functions behave as without their decorators.

    No retry, no circuit, no limit, no deadline, no fallback, no event: a call reaches the function once, and its error
    reaches the caller unchanged. This holds in this context (this task and those it starts, this thread), or
    *everywhere* in the process. Calls that are in flight keep their policies. Raises TypeError unless *everywhere* is a
    bool.
    """
    return Switched(DISABLED, everywhere)


class AttemptsCap:
    """The most attempts that a call may take, whatever its retry allows: the lowest of all caps in force.

    Caps come from the environment, from the process and from the context. A retry looks at `active` first, which is
    False until there is one.
    """

    __slots__ = ("_everywhere", "_here", "_lock", "active")

    def __init__(self, environment: str | None) -> None:
        #: Whether there may be a cap anywhere.
        self.active: bool = False
        self._everywhere: tuple[int, ...] = ()
        self._here: ContextVar[tuple[int, ...]] = ContextVar("resilience.attempts_cap", default=())
        self._lock = fork_safe(threading.Lock())
        if environment:
            self.add(_parse_environment(environment), everywhere=True)

    def lowest(self) -> float:
        """Return the cap in this context; infinity without one."""
        return min((*self._here.get(), *self._everywhere), default=math.inf)

    def add(self, cap: int, *, everywhere: bool) -> None:
        """Put *cap* in force in this context, or *everywhere* in the process."""
        self.active = True
        if everywhere:
            with self._lock:
                self._everywhere = (*self._everywhere, cap)
        else:
            self._here.set((*self._here.get(), cap))

    def remove(self, cap: int, *, everywhere: bool) -> None:
        """Take back one `add` of *cap*."""
        if everywhere:
            with self._lock:
                self._everywhere = _without(self._everywhere, cap)
        else:
            self._here.set(_without(self._here.get(), cap))


def _without(caps: tuple[int, ...], cap: int) -> tuple[int, ...]:
    """Return *caps* without one of *cap*; a block that ends in another context finds none there."""
    if cap not in caps:
        return caps
    position = caps.index(cap)
    return caps[:position] + caps[position + 1 :]


def _parse_environment(text: str) -> int:
    """Return the cap that ``RESILIENCE_MAX_ATTEMPTS`` gives. Raises ValueError for anything but a number."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise ValueError(f"RESILIENCE_MAX_ATTEMPTS={text!r}: give a whole number of 1 or more")
    return int(text)


ATTEMPTS_CAP = AttemptsCap(os.environ.get("RESILIENCE_MAX_ATTEMPTS"))


class AttemptsLimited:
    """A ``with`` block in which calls take at most *number* attempts; it may be entered several times."""

    __slots__ = ("_everywhere", "_number")

    def __init__(self, number: int, everywhere: bool) -> None:
        self._number = parse_count("number", number)
        self._everywhere = require_bool("everywhere", everywhere)

    def __enter__(self) -> None:
        ATTEMPTS_CAP.add(self._number, everywhere=self._everywhere)

    def __exit__(self, *raised: object) -> None:
        ATTEMPTS_CAP.remove(self._number, everywhere=self._everywhere)


def limit_attempts(number: int, *, everywhere: bool = False) -> AttemptsLimited:
    """Cap the attempts of every retry in a ``with`` block: a call is made *number* times at most.

    With 1 nothing is retried, while circuits, limits and fallbacks work on: for a batch job under the retries of its
    scheduler, for a request that is itself a retry, or to stop a storm. A retry that allows fewer attempts keeps to its
    own number; of several caps the lowest holds. This holds in this context (this task and those it starts, this
    thread), or *everywhere* in the process. The environment variable ``RESILIENCE_MAX_ATTEMPTS``, read when the process
    starts, is such a cap as well. Raises TypeError or ValueError unless *number* is a whole number of 1 or more.

    >>> from resilience import retry_on_category, settings
    >>> calls = []
    >>> @retry_on_category(attempts=3, base_delay=0)
    ... def down() -> None:
    ...     calls.append("made")
    ...     raise ConnectionRefusedError
    >>> with settings.limit_attempts(1):
    ...     down()
    Traceback (most recent call last):
    ...
    ConnectionRefusedError
    >>> calls
    ['made']
    """
    return AttemptsLimited(number, everywhere)


class RepeatedPosts:
    """The setting for retries without *idempotent*: whether they repeat a POST that the server may have processed."""

    __slots__ = ("allowed",)

    def __init__(self) -> None:
        #: True: without a word; False: never; None: they do, with one warning for each function.
        self.allowed: bool | None = None


REPEATED_POSTS = RepeatedPosts()


def repeat_posts(allowed: bool | None) -> bool | None:
    """Say whether retries repeat a POST or PATCH that the server may have processed; return what was said before.

    One line at start-up makes the retries of a whole program safe: ``resilience.settings.repeat_posts(False)``. It
    holds for the retries without *idempotent*, for failures that carry their request, as those of httpx, requests and
    aiohttp do. A request with an ``Idempotency-Key``, and a failure that proves that nothing was processed, are
    retried all the same. True allows it; None, as the toolkit starts, allows it with one warning for each function.
    Raises TypeError for anything else.

    >>> repeat_posts(False)
    >>> repeat_posts(None)
    False
    """
    if allowed is not None:
        require_bool("allowed", allowed)
    before, REPEATED_POSTS.allowed = REPEATED_POSTS.allowed, allowed
    return before


class AbandonedThreads:
    """The threads that still execute calls whose time limits have passed, and how many of them there may be.

    `add` and `discard` are called under one lock, by the caller that leaves and by the thread that comes back.
    """

    __slots__ = ("limit", "limit_per_target", "of_target", "running")

    def __init__(self, limit: int, limit_per_target: int) -> None:
        #: With so many *running*, further sync calls under a time limit are rejected.
        self.limit: int = limit
        #: With so many running of one target, further calls of that target are.
        self.limit_per_target: int = limit_per_target
        self.running: set[object] = set()
        #: How many of those that run execute each target. A target that has none is not in it.
        self.of_target: dict[str, int] = {}

    def add(self, token: object, target: str) -> None:
        """Count a call to *target* that its caller has left; *token* stands for it. Doing it twice is fine."""
        if token not in self.running:
            self.running.add(token)
            self.of_target[target] = self.of_target.get(target, 0) + 1

    def discard(self, token: object, target: str) -> None:
        """Count the call no longer: its thread has come back. Doing it twice, or without `add`, is fine."""
        if token in self.running:
            self.running.discard(token)
            self.of_target[target] -= 1
            if not self.of_target[target]:
                del self.of_target[target]

    def clear(self) -> None:
        """Forget all of them, in a forked process, which has none of its parent's threads."""
        self.running.clear()
        self.of_target.clear()


ABANDONED_THREADS = AbandonedThreads(256, 64)
"""The threads of this process. 64 of a target are more than the 40 worker threads of an anyio or FastAPI service can
leave behind at once, so that an outage begins with time-outs and not with rejections. 256 of the process are those of
four such targets, and a quarter of the 1024 processes and threads that some platforms allow a container."""


def abandoned_threads(target: str | None = None) -> int:
    """Return the number of calls that still run in a thread after their time limits: a number to monitor.

    With a *target*, the qualified name of a function as events have it, the number of calls to that function.
    """
    if target is None:
        return len(ABANDONED_THREADS.running)
    return ABANDONED_THREADS.of_target.get(target, 0)


def limit_abandoned_threads(number: int) -> int:
    """Allow *number* abandoned threads in the process, 256 by default, and return the limit before.

    A thread is abandoned when a sync call exceeds its time limit: the caller leaves, and the thread ends when the
    function returns. While so many run, sync calls under a time limit raise `TooManyAbandonedError`. The limit holds
    for the whole process, from the next call on; `limit_abandoned_threads_per_target` bounds those of one function.
    Raises TypeError or ValueError unless it is a whole number of 1 or more.

    >>> limit_abandoned_threads(512)
    256
    >>> limit_abandoned_threads(256)
    512
    """
    before, ABANDONED_THREADS.limit = ABANDONED_THREADS.limit, parse_count("number", number)
    return before


def limit_abandoned_threads_per_target(number: int) -> int:
    """Allow each guarded function *number* abandoned threads, 64 by default, and return the limit before.

    While so many calls to one function run in abandoned threads, further calls to it under a time limit raise
    `TooManyAbandonedError`; other functions are called as ever. A number of at least the process's own limit leaves
    that one alone. Raises TypeError or ValueError unless it is a whole number of 1 or more.

    >>> limit_abandoned_threads_per_target(16)
    64
    >>> limit_abandoned_threads_per_target(64)
    16
    """
    before, ABANDONED_THREADS.limit_per_target = ABANDONED_THREADS.limit_per_target, parse_count("number", number)
    return before
