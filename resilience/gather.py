"""Many calls at once: `gather_results` in threads, `gather_results_async` in tasks. One failure stops no other call.

Both take their calls from a `_CallSource`, one at a time, so that the calls may come from a generator without end in
memory. Cancellation and Ctrl-C are no failures: they end the whole.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Iterable, Iterator, Mapping
from contextvars import copy_context
from typing import Any, TypeAlias, TypeVar, cast, overload

from resilience._call_results import CallResult, GatheredResults
from resilience._deadline_context import remaining
from resilience._outcome import set_traceback
from resilience._runtime.callables import is_async, name_of
from resilience._validation import parse_count
from resilience.errors.base import DeadlineExceededError

__all__ = ["CallResult", "GatheredResults", "gather_results", "gather_results_async"]

T = TypeVar("T")
Calls: TypeAlias = Mapping[Any, Callable[[], T]] | Iterable[Callable[[], T]]
"""Functions without arguments, by name or in order."""


def gather_results(calls: Calls[T], *, limit: int = 1) -> GatheredResults[T]:
    """Call every function, also where others fail, and return the result of each, in order.

    *calls* are functions without arguments: in a mapping by name, or in any iterable. The next one is taken from the
    iterable when it can start. At most *limit* run at a time: with 1 in the caller's thread, else in *limit* threads,
    each call with a copy of the caller's context variables.

    A call that an enclosing deadline leaves no time to start fails with `DeadlineExceededError`. KeyboardInterrupt and
    other exceptions that are no `Exception` reach the caller: no further call starts, and running threads are awaited.
    Raises TypeError or ValueError for an invalid *limit* and for calls that cannot be called without arguments.

    >>> gathered = gather_results({"ten": lambda: int("10"), "x": lambda: int("x")})
    >>> gathered.successes, [failure.task_id for failure in gathered.failures]
    ([10], ['x'])
    """
    source = _CallSource(calls, parse_count("limit", limit), asynchronously=False)
    if limit == 1:
        for number, (name, function) in enumerate(source):
            source.set_result(number, _call(name, function))
    else:
        _in_threads(source, limit)
    return source.results()


def _call(name: Hashable, function: Callable[[], object]) -> CallResult[Any]:
    if _is_too_late():
        return _not_started(name, function)
    try:
        value = function()
        if isinstance(value, Coroutine):
            value.close()
            raise TypeError(f"{function!r} is async: use gather_results_async, which awaits it")
    except Exception as error:
        return _failed(name, error)
    return CallResult(name, value)


def _in_threads(source: _CallSource, limit: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    slots = threading.Semaphore(limit)
    raised: list[BaseException] = []

    def one(number: int, name: Hashable, function: Callable[[], object]) -> None:
        try:
            if not raised:
                source.set_result(number, _call(name, function))
        except BaseException as error:  # raised in the thread of the caller
            raised.append(error)
        finally:
            slots.release()

    # Only the caller's thread takes calls from the iterable, which need not be safe for several threads.
    with ThreadPoolExecutor(limit, "resilience gather") as threads:
        try:
            slots.acquire()
            for number, (name, function) in enumerate(source):
                threads.submit(copy_context().run, one, number, name, function)
                slots.acquire()
                if raised:
                    break
        except BaseException as error:
            raised.append(error)  # calls that wait for a thread do not start
            raise
    if raised:
        try:
            raise raised[0]
        finally:
            raised.clear()


@overload
async def gather_results_async(calls: Calls[Awaitable[T]], *, limit: int = ...) -> GatheredResults[T]: ...


@overload
async def gather_results_async(calls: Calls[T], *, limit: int = ...) -> GatheredResults[T]: ...


async def gather_results_async(calls: Calls[object], *, limit: int = 32) -> GatheredResults[Any]:
    """Call functions that are async, or not, as `gather_results` does: at most *limit* tasks at a time.

    Works on asyncio and trio. Where this call is cancelled, by a deadline too, all tasks are cancelled and no further
    one starts. With a *limit* of 1 the calls run one after the other in the caller's task.

    >>> import anyio
    >>> async def double(number: int) -> int:
    ...     return number * 2
    >>> async def main() -> GatheredResults[int]:
    ...     return await gather_results_async(lambda n=n: double(n) for n in range(4))
    >>> anyio.run(main).successes
    [0, 2, 4, 6]
    """
    source = _CallSource(calls, parse_count("limit", limit), asynchronously=True)
    if limit == 1:
        for number, (name, function) in enumerate(source):
            source.set_result(number, await _call_async(name, function))
    else:
        await _in_tasks(source, limit)
    return source.results()


async def _call_async(name: Hashable, function: Callable[[], object]) -> CallResult[Any]:
    if _is_too_late():
        return _not_started(name, function)
    try:
        value: object = function()
        if isinstance(value, Awaitable):
            value = await cast("Awaitable[object]", value)
    except Exception as error:
        return _failed(name, error)
    return CallResult(name, value)


async def _in_tasks(source: _CallSource, limit: int) -> None:
    import anyio

    slots = anyio.Semaphore(limit)
    raised: list[BaseException] = []

    cancelled = (anyio.get_cancelled_exc_class(), GeneratorExit)

    async def one(number: int, name: Hashable, function: Callable[[], object]) -> None:
        try:
            source.set_result(number, await _call_async(name, function))
        except cancelled as error:
            raised.append(error)  # perhaps of a task outside, for which the call waited: then it must not be lost
            raise
        except BaseException as error:  # without a group around it
            raised.append(error)
            tasks.cancel_scope.cancel()
        finally:
            slots.release()

    async with anyio.create_task_group() as tasks:
        try:
            await slots.acquire()
            for number, (name, function) in enumerate(source):
                tasks.start_soon(one, number, name, function, name=f"resilience gather {name!r}")
                await slots.acquire()
        except cancelled:
            raise
        except BaseException as error:  # of the iterable
            raised.insert(0, error)
            tasks.cancel_scope.cancel()
    if raised:
        try:
            raise raised[0]
        finally:
            raised.clear()


class _CallSource:
    """The calls that are to be made, checked one at a time, and the results of those that were made."""

    def __init__(self, calls: Calls[object], limit: int, *, asynchronously: bool) -> None:
        if not isinstance(calls, Iterable):
            raise TypeError(f"calls={calls!r}: give functions without arguments: a list, a mapping by name")
        self._asynchronously = asynchronously
        self._results: dict[int, CallResult[Any]] = {}
        if isinstance(calls, Mapping):
            pairs = cast("Mapping[Hashable, Callable[[], object]]", calls).items()
            self._pairs: Iterable[tuple[Hashable, Callable[[], object]]] = pairs
        else:
            self._pairs = enumerate(calls)
        if isinstance(calls, Collection):  # checked as a whole before the first call
            for name, function in self._pairs:
                self._check(name, function)
            self._pairs = self._pairs if isinstance(calls, Mapping) else enumerate(calls)

    def __iter__(self) -> Iterator[tuple[Hashable, Callable[[], object]]]:
        for name, function in self._pairs:
            self._check(name, function)
            yield name, function

    def _check(self, name: Hashable, function: object) -> None:
        if isinstance(function, Coroutine):
            cast("Coroutine[object, object, object]", function).close()
            raise TypeError(f"calls[{name!r}] is a coroutine: give what makes it, such as functools.partial(fetch, 1)")
        if not callable(function):
            raise TypeError(f"calls[{name!r}]={function!r}: give a function without arguments")
        if not self._asynchronously and is_async(function):
            raise TypeError(f"calls[{name!r}]={function!r}: it is async; await gather_results_async(...)")

    def set_result(self, number: int, result: CallResult[Any]) -> None:
        """Store the result of the call with this number, from 0."""
        self._results[number] = result

    def results(self) -> GatheredResults[Any]:
        """Return all results, in order."""
        return GatheredResults([self._results[number] for number in range(len(self._results))])


def _is_too_late() -> bool:
    left = remaining()
    return left is not None and left <= 0


def _not_started(name: Hashable, function: Callable[[], object]) -> CallResult[Any]:
    return CallResult(name, error=DeadlineExceededError(name if isinstance(name, str) else name_of(function)))


def _failed(name: Hashable, error: Exception) -> CallResult[Any]:
    # Without the frame of this module, which would refer from the error back to itself.
    set_traceback(error, error.__traceback__ and error.__traceback__.tb_next)
    return CallResult(name, error=error)
