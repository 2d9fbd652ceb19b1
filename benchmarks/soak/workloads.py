"""The workloads: each is a function that makes one round of calls and returns how many it made.

A round takes some tens of milliseconds, leaves nothing running, and checks its results: a soak whose calls do nothing
would be flat, too. Policies are made once, as an application makes them; `objects` makes and drops them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import Final, NamedTuple

import anyio

from resilience import (
    CallTimeoutError,
    CircuitOpenError,
    Pipeline,
    circuit_breaker,
    deadline,
    fallback,
    retry_on_category,
    subscribe,
    timeout,
)
from resilience.policies import Acquire, Call, Outcome, Policy, Proceed, Slots, Steps

__all__ = ["WORKLOADS", "RoundFailedError", "Workload"]

#: What the dependency raises, in turn; None is a success.
_OUTCOMES: Final = (None, ConnectionResetError, None, TimeoutError, None, KeyError, BrokenPipeError)

_KEYS_PER_ROUND: Final = 10_000
_CHILD_SECONDS: Final = 10
"""A child of a fork that takes longer ends by SIGALRM, so that a lock held over the fork fails the round."""


class RoundFailedError(Exception):
    """The check of a round has failed."""


class Workload(NamedTuple):
    """One kind of load: its name, what it does, and the function that makes a round of it."""

    name: str
    meaning: str
    make_round: Callable[[], int]


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise RoundFailedError(what)


def _outcome(number: int) -> int:
    """Act as the dependency: return *number*, or fail, by its turn."""
    failure = _OUTCOMES[number % len(_OUTCOMES)]
    if failure is not None:
        raise failure(f"call {number}")
    return number


class _ConcurrencyLimit(Policy):
    """Make at most *limit* calls at a time; others wait for their turn. A policy as an application writes it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.slots = Slots(limit)

    def run(self, call: Call) -> Steps:
        """Take a slot for the call."""
        if not (yield Acquire(self.slots)):
            return Outcome.failed(TimeoutError("no slot before the deadline"))
        try:
            outcome: Outcome = yield Proceed()
            return outcome
        finally:
            self.slots.release()


_breaker = circuit_breaker("soak", failure_threshold=3, reset_timeout=0.001)
_stack = Pipeline(fallback(default=-1), retry_on_category(attempts=2, base_delay=0), _breaker)
_plain = circuit_breaker("soak, plain", failure_threshold=4, failure_rate=0.9, window_seconds=1, reset_timeout=0.001)
_keyed = circuit_breaker("soak, keyed", failure_threshold=2, key=lambda key: key, max_keys=1024)
_limit = _ConcurrencyLimit(4)
_numbers = itertools.count()


@_stack
def _guarded(number: int) -> int:
    return _outcome(number)


@_plain
def _broken(number: int) -> int:
    return _outcome(number)


@_keyed
def _by_key(key: int) -> int:
    return _outcome(key)


def failures() -> int:
    """Make calls that fail every other time, through a whole stack, and through a circuit that opens and probes."""
    answers = 0
    for number in range(400):
        with contextlib.suppress(KeyError):  # not covered by the fallback
            answers += _guarded(number) in (number, -1)
        with contextlib.suppress(OSError, KeyError, CircuitOpenError):
            _broken(number)
    _require(answers > 300, f"{answers} of 400 calls had an answer")
    return 800


@_plain
def _items(number: int) -> Iterator[int]:
    yield number
    yield _outcome(number)


def blocks() -> int:
    """Enter blocks that fail and overlap, acquire permits and drop them, and abandon generators."""
    for number in range(100):
        with contextlib.suppress(OSError, KeyError, CircuitOpenError), _plain:
            _outcome(number)
        with contextlib.suppress(CircuitOpenError):
            first, second = _breaker.calling(), _breaker.calling()
            first.__enter__()
            with contextlib.suppress(CircuitOpenError):
                second.__enter__()
                first.__exit__(None, None, None)
                second.__exit__(None, None, None)
        with contextlib.suppress(CircuitOpenError):
            _breaker.acquire()
        with contextlib.suppress(CircuitOpenError):
            next(_items(number))
    return 500


def threads() -> int:
    """Call through one stack from eight threads at a time."""
    workers = [threading.Thread(target=_call_all_quietly, args=[range(50)]) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return 400


def _call_all_quietly(numbers: Iterable[int]) -> None:
    for number in numbers:
        _call_quietly(number)


def _call_quietly(number: int) -> None:
    with contextlib.suppress(KeyError):
        _guarded(number)


@timeout(0.002)
def _sleep_in_thread(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@timeout(0.002, mode="signal")
def _sleep_by_signal(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def time_limits() -> int:
    """Run into time limits in threads, which leaves the threads behind for a moment, and by a signal."""
    limited = [_sleep_in_thread]
    if hasattr(signal, "SIGALRM"):
        limited.append(_sleep_by_signal)
    late = 0
    for sleep, seconds in itertools.product(limited, (0.0, 0.1, 0.0, 0.1)):
        try:
            sleep(seconds)
        except CallTimeoutError:
            late += 1
    _require(late > 0, "no call ran into its limit")
    return 4 * len(limited)


@_stack
async def _async_guarded(number: int) -> int:
    await anyio.lowlevel.checkpoint()
    return _outcome(number)


@_breaker
@timeout(0.001)
async def _hang() -> None:
    await anyio.sleep_forever()


@_limit
async def _limited(number: int) -> int:
    await anyio.lowlevel.checkpoint()
    return number


@_plain
async def _async_items(number: int) -> AsyncGenerator[int, None]:
    yield number
    yield _outcome(number)


async def _call_async(number: int) -> None:
    """Make one of four kinds of async call: one that fails, one that hangs, one that waits for its turn, a stream."""
    with contextlib.suppress(OSError, KeyError, CircuitOpenError):
        await _async_guarded(number)
        await _limited(number)
        if number % 4 == 0:
            await _hang()
        async with contextlib.aclosing(_async_items(number)) as items:
            async for _ in items:
                break


async def _tasks() -> None:
    """Run calls as tasks side by side, some under a deadline, and cancel what still runs in the end."""
    with anyio.move_on_after(0.05):
        async with anyio.create_task_group() as group:
            for number in range(60):
                group.start_soon(_call_async, number)
            for _ in range(5):
                group.start_soon(_never_ends)


@_breaker
async def _forever() -> None:
    await anyio.sleep_forever()


async def _never_ends() -> None:
    with contextlib.suppress(CallTimeoutError, CircuitOpenError):
        async with deadline(60):
            await _forever()


def asyncio_tasks() -> int:
    """Run tasks on an asyncio loop of their own: failures, time limits, cancellations, streams."""
    anyio.run(_tasks)
    return 200


def trio_tasks() -> int:
    """Run the same tasks on trio."""
    anyio.run(_tasks, backend="trio")
    return 200


def two_loops() -> int:
    """Run the same tasks on two event loops at a time, in two threads, with the same policies."""
    loops = [threading.Thread(target=anyio.run, args=[_tasks]) for _ in range(2)]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    _require(_limit.slots.free == 4, f"{_limit.slots.free} of 4 slots are free")
    return 400


def keys() -> int:
    """Call by keys that never come again: ten thousand circuits, of which the last are kept."""
    for key in itertools.islice(_numbers, _KEYS_PER_ROUND):
        with contextlib.suppress(OSError, KeyError):
            _by_key(key)
    kept = len(_keyed.children())
    _require(kept <= 1024, f"{kept} circuits are kept")
    return _KEYS_PER_ROUND


def forks() -> int:
    """Fork while other threads make calls. The child makes calls of all kinds."""
    stop = threading.Event()
    workers = [threading.Thread(target=_call_until, args=[stop]) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        status = _wait_for(_fork(_calls_of_child))
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    _require(status != -signal.SIGALRM, f"the child of a fork hung for {_CHILD_SECONDS} s")
    _require(status == 0, f"the child of a fork ended with status {status}")
    return 20


def _call_until(stop: threading.Event) -> None:
    while not stop.is_set():
        _call_quietly(next(_numbers))


def _fork(work: Callable[[], object]) -> int:
    """Run *work* in a forked child, which ends by status 0 if it returns; return the child's process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks with threads: they are meant
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.alarm(_CHILD_SECONDS)
        work()
        status = 0
    finally:
        os._exit(status)


def _wait_for(child: int) -> int:
    """Wait for a child; return its exit status, negative where a signal has ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _calls_of_child() -> None:
    _call_all_quietly(range(10))
    with contextlib.suppress(CallTimeoutError):  # on a busy machine
        _sleep_in_thread(0)
    anyio.run(_tasks)


def objects() -> int:
    """Make policies, guarded functions and subscriptions, use each once, and drop them."""
    for number in range(20):
        breaker = circuit_breaker(f"soak, dropped {number}", failure_threshold=1)
        guarded = Pipeline(fallback(default=-1), retry_on_category(attempts=2, base_delay=0), breaker)(_outcome)
        heard: list[object] = []
        with subscribe(heard.append), contextlib.suppress(KeyError):
            guarded(number)
        if breaker.current_state == "open":
            _require(bool(heard), "an opened circuit emitted no event")
    return 20


def _workload(make_round: Callable[[], int]) -> Workload:
    """Return the workload of a function, by the name and the first line of the docstring that it has."""
    return Workload(make_round.__name__.replace("_", "-"), (make_round.__doc__ or "").splitlines()[0], make_round)


_ROUNDS = [failures, blocks, threads, time_limits, asyncio_tasks, trio_tasks, two_loops, keys, objects]
if hasattr(os, "fork"):
    _ROUNDS.append(forks)

WORKLOADS: Final = tuple(map(_workload, _ROUNDS))
"""All workloads, in the order in which a soak makes their rounds. Forks are left out where there are none."""
