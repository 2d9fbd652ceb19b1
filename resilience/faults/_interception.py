"""The stand-in of a guarded function, which takes its calls through the faults that are in force where they are made.

While faults are planned for a function, its wrapper calls a stand-in in its place: below all its policies, in each
attempt. The stand-in is the same for all tests and threads of the process. Which faults are in force is looked up in
the context of the call, so that a test which runs at the same time sees none of another one's. Without faults in force
anywhere the wrapper calls the function itself again, and costs what it did before.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from types import FunctionType
from typing import Any, ClassVar, Protocol, cast

from resilience._deadline_context import running_task
from resilience._forks import fork_safe
from resilience._runtime import async_runner, sync_runner
from resilience._runtime.cut_off import thread_limit_here
from resilience._runtime.decorate import Guarded, guarded_functions
from resilience._runtime.fast_path import substitute
from resilience._runtime.protocol import Abandoned, Call, PassThrough, Policy
from resilience._runtime.tracebacks import result_of

__all__ = ["Entry", "Interceptor", "Plan", "entries_here"]


class Plan(Protocol):
    """The faults of some guarded functions, as `Entry` puts them in force."""

    @property
    def policy(self) -> Policy:
        """The policy that injects them, in place of the function."""
        ...

    def covers(self, record: Guarded, /) -> bool:
        """Whether it is for a guarded function."""
        ...

    def is_for(self, record: Guarded, call: Call, /) -> bool:
        """Whether it is for a call of a function that it covers."""
        ...


_OUTSIDE = PassThrough()
"""Stands for the policies outside: `settings.disabled` switches off what is at the depth 0, and no fault of a test."""


class Interceptor:
    """The stand-in of one guarded function, installed while entries that cover it are in force.

    It counts what has installed it: blocks, planned failures, policies that are enabled. The first one puts the
    stand-in into the function's wrapper, and the last one to end takes it out again, whatever the order.
    """

    _lock = fork_safe(threading.RLock())
    _known: ClassVar[weakref.WeakKeyDictionary[FunctionType, Interceptor]] = weakref.WeakKeyDictionary()

    def __init__(self, record: Guarded) -> None:
        self._record = weakref.ref(record)
        self._uses = 0
        self._policies: list[Policy] = []
        self._restore: Callable[[], None] | None = None

    @classmethod
    def install(cls, record: Guarded, policy: Policy | None = None) -> Callable[[], None]:
        """Have the wrapper of a function call the stand-in, always through *policy*; return what takes that back."""
        wrapper = cast("FunctionType | None", record.wrapper)
        if wrapper is None:  # a further decorator has made another one
            return lambda: None
        with cls._lock:
            interceptor = cls._known.setdefault(wrapper, cls(record))
            interceptor._uses += 1
            if policy is not None:
                interceptor._policies.append(policy)
            if interceptor._restore is None:
                interceptor._restore = substitute(wrapper, interceptor._stand_in)
        return functools.partial(interceptor._release, policy)

    def _release(self, policy: Policy | None) -> None:
        with self._lock:
            self._uses -= 1
            if policy is not None:
                self._policies.remove(policy)
            if self._uses == 0 and self._restore is not None:
                self._restore()
                self._restore = None

    def _stand_in(self, function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            record = self._record()
            if record is None:
                return function(*args, **kwargs)
            made = Call(record.target, function, args, kwargs)
            stack = [entry.plan.policy for entry in entries_here() if entry.covers(record, made)]
            stack += self._policies
            if not stack:
                return function(*args, **kwargs)
            made.base = 1
            made.cancel_token = cast("Abandoned | None", thread_limit_here())  # waits end when its caller leaves
            if _is_async(record):
                return _awaited((_OUTSIDE, *stack), made)
            return result_of(sync_runner.drive((_OUTSIDE, *stack), 1, made, 1))

        return call


def _is_async(record: Guarded) -> bool:
    """Whether a call is awaited. Of a function that may be async or not, one inside an event loop is taken for it."""
    if record.is_async is None:
        return running_task() is not None
    return record.is_async


async def _awaited(stack: Sequence[Policy], call: Call) -> Any:
    return result_of(await async_runner.drive(stack, 1, call, 1))


class Entry:
    """One time that a plan is in force: in this context and those that are copied from it, or everywhere.

    `begin` puts it in force, `end` takes it back, in whatever context. After that it is over in contexts as well that
    were copied meanwhile, such as those of tasks that still run.
    """

    def __init__(self, plan: Plan, *, everywhere: bool) -> None:
        self.plan = plan
        self.is_over = False
        self._everywhere = everywhere
        self._releases: list[Callable[[], None]] = []
        self._lock = fork_safe(threading.RLock())

    def begin(self, records: Sequence[Guarded] | None) -> None:
        """Put the plan in force for *records*; None: for all functions that it covers, also later ones."""
        if records is None:
            guarded_functions.watchers.append(self._watch)
            records = list(guarded_functions)
        for record in records:
            self._watch(record)
        if self._everywhere:
            with _lock:
                _everywhere.append(self)
        else:
            _here.set((*_in_force(_here.get()), self))

    def _watch(self, record: Guarded) -> None:
        with self._lock:
            if not self.is_over and self.plan.covers(record):
                self._releases.append(Interceptor.install(record))

    def end(self) -> None:
        """Take it back. Doing it twice is fine."""
        with self._lock:
            self.is_over = True
            releases, self._releases = self._releases, []
        if self._watch in guarded_functions.watchers:
            guarded_functions.watchers.remove(self._watch)
        with _lock:
            if self in _everywhere:
                _everywhere.remove(self)
        _here.set(_in_force(_here.get()))
        for release in releases:
            release()

    def covers(self, record: Guarded, call: Call) -> bool:
        """Whether it is in force for a call."""
        return not self.is_over and self.plan.covers(record) and self.plan.is_for(record, call)


_lock = fork_safe(threading.RLock())
_everywhere: list[Entry] = []
_here: ContextVar[tuple[Entry, ...]] = ContextVar("resilience.chaos", default=())


def entries_here() -> tuple[Entry, ...]:
    """Return what is in force in this context, what holds everywhere first, and then in the order of beginning."""
    return (*_everywhere, *_here.get())


def _in_force(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return tuple([entry for entry in entries if not entry.is_over])
