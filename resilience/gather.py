"""Make many calls, and learn of each how it went: one failure stops nothing."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar, cast, overload

from resilience._call_results import CallResult, GatheredResults
from resilience._deadline_context import remaining
from resilience._outcome import set_traceback
from resilience._runtime.callables import is_async, name_of
from resilience._runtime.circuit_context import copied_context
from resilience._validation import parse_count
from resilience.errors.base import DeadlineExceededError

__all__ = ["CallResult", "GatheredResults", "gather_results", "gather_results_async"]

T = TypeVar("T")
Calls: TypeAlias = Mapping[Any, Callable[[], T]] | Iterable[Callable[[], T]]
"""Functions without arguments, by name or in order."""


def gather_results(calls: Calls[T], *, limit: int = 1) -> GatheredResults[T]:
    """Call every function, whatever becomes of the others, and return how each went, in order.

    *calls* take no arguments: functions, lambdas, partials; by name in a mapping, or in any iterable, from which the
    next is taken when there is room for it. At most *limit* run at a time: one after the other here and now, or in as
    many threads, each with a copy of the caller's context variables.

    What a deadline around it leaves no time to begin fails with `DeadlineExceededError`. KeyboardInterrupt and other
    exceptions that are no `Exception` reach the caller: nothing more is begun, and what runs in threads is waited for.

    >>> gathered = gather_results({"ten": lambda: int("10"), "x": lambda: int("x")})
    >>> gathered.successes, [failure.task_id for failure in gathered.failures]
    ([10], ['x'])
    """
    intake = _Intake(calls, parse_count("limit", limit), asynchronously=False)
    if limit == 1:
        for number, (name, function) in enumerate(intake):
            intake.note(number, _call(name, function))
    else:
        _in_threads(intake, limit)
    return intake.gathered()


def _call(name: Hashable, function: Callable[[], object]) -> CallResult[Any]:
    if _too_late():
        return _not_begun(name, function)
    try:
        value = function()
        if isinstance(value, Coroutine):
            value.close()
            raise TypeError(f"{function!r} is async: use gather_results_async, or nobody awaits it")
    except Exception as error:
        return _failed(name, error)
    return CallResult(name, value)


def _in_threads(intake: _Intake, limit: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    room = threading.Semaphore(limit)
    raised: list[BaseException] = []

    def one(number: int, name: Hashable, function: Callable[[], object]) -> None:
        try:
            if not raised:
                intake.note(number, _call(name, function))
        except BaseException as error:  # handed to the caller, whose thread it belongs in
            raised.append(error)
        finally:
            room.release()

    # The caller's thread takes the calls from the iterable, which need not be ready for several at once.
    with ThreadPoolExecutor(limit, "resilience gather") as threads:
        try:
            room.acquire()
            for number, (name, function) in enumerate(intake):
                threads.submit(copied_context().run, one, number, name, function)
                room.acquire()
                if raised:
                    break
        except BaseException as error:
            raised.append(error)  # those that wait for a thread are not begun
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
    """Do what `gather_results` does with functions that are async, or not: at most *limit* tasks at a time.

    On asyncio and trio. Cancelled from outside, all of them are cancelled, and nothing more is begun; a deadline that
    cancels does that, too. One with *limit* 1 runs them one after the other in the caller's own task.

    >>> import anyio
    >>> async def double(number: int) -> int:
    ...     return number * 2
    >>> async def main() -> GatheredResults[int]:
    ...     return await gather_results_async(lambda n=n: double(n) for n in range(4))
    >>> anyio.run(main).successes
    [0, 2, 4, 6]
    """
    intake = _Intake(calls, parse_count("limit", limit), asynchronously=True)
    if limit == 1:
        for number, (name, function) in enumerate(intake):
            intake.note(number, await _call_async(name, function))
    else:
        await _in_tasks(intake, limit)
    return intake.gathered()


async def _call_async(name: Hashable, function: Callable[[], object]) -> CallResult[Any]:
    if _too_late():
        return _not_begun(name, function)
    try:
        value: object = function()
        if isinstance(value, Awaitable):
            value = await cast("Awaitable[object]", value)
    except Exception as error:
        return _failed(name, error)
    return CallResult(name, value)


async def _in_tasks(intake: _Intake, limit: int) -> None:
    import anyio

    room = anyio.Semaphore(limit)
    raised: list[BaseException] = []

    cancelled = (anyio.get_cancelled_exc_class(), GeneratorExit)

    async def one(number: int, name: Hashable, function: Callable[[], object]) -> None:
        try:
            intake.note(number, await _call_async(name, function))
        except cancelled as error:
            raised.append(error)  # of what the call waited for, perhaps, and then of no task here: it is not lost
            raise
        except BaseException as error:  # without a group around it
            raised.append(error)
            tasks.cancel_scope.cancel()
        finally:
            room.release()

    async with anyio.create_task_group() as tasks:
        try:
            await room.acquire()
            for number, (name, function) in enumerate(intake):
                tasks.start_soon(one, number, name, function, name=f"resilience gather {name!r}")
                await room.acquire()
        except cancelled:
            raise
        except BaseException as error:  # of the iterable's own
            raised.insert(0, error)
            tasks.cancel_scope.cancel()
    if raised:
        try:
            raise raised[0]
        finally:
            raised.clear()


class _Intake:
    """The calls, one at a time, and what became of each."""

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
        if isinstance(calls, Collection):  # all of them before any is begun
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

    def note(self, number: int, result: CallResult[Any]) -> None:
        """Keep how the call with this number went."""
        self._results[number] = result

    def gathered(self) -> GatheredResults[Any]:
        """Return all results, in order."""
        return GatheredResults([self._results[number] for number in range(len(self._results))])


def _too_late() -> bool:
    left = remaining()
    return left is not None and left <= 0


def _not_begun(name: Hashable, function: Callable[[], object]) -> CallResult[Any]:
    return CallResult(name, error=DeadlineExceededError(name if isinstance(name, str) else name_of(function)))


def _failed(name: Hashable, error: Exception) -> CallResult[Any]:
    # Without our own frame, which would lead from the error back to it.
    set_traceback(error, error.__traceback__ and error.__traceback__.tb_next)
    return CallResult(name, error=error)
