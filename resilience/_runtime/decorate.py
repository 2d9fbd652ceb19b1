"""Decorating one callable: a function, a method, a static or class method, a partial, a callable object.

A target is guarded in three steps. Its *flavour* says what a call of it gives: a result, an awaitable, or a generator
of either kind. Each policy is checked against that flavour, so that a policy that could not work fails here, where it
is written, with a TypeError. Then `fast_path` makes the wrapper.

Decorators do not nest. A function that is guarded already keeps its `Guarded`, and a further decorator makes one new
wrapper around the original function, for the policies of both. Classes are taken apart into their methods in `guard`.

A wrapper of a generator function calls it through an *opener*, which fetches the first item: that is the attempt which
policies retry, reject or limit. Openers stand in this module because `interruptible` takes its frames for ones that
only pass a call on: a signal may interrupt the user's code below them.
"""

from __future__ import annotations

import contextvars
import enum
import functools
import inspect
import sys
import threading
import weakref
from collections.abc import (
    AsyncGenerator,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager
from operator import attrgetter
from types import FunctionType
from typing import Any, NamedTuple, Protocol, cast

from resilience._forks import fork_safe
from resilience._process_bound import ProcessBound, function_by_its_code
from resilience._runtime.callables import (
    Kind,
    copy_metadata,
    has_name,
    is_annotated,
    is_async,
    is_dispatcher,
    keeps_single_use_results,
    kind_of,
    makes_context_manager,
    may_be_async,
    name_of,
    under_descriptor,
)
from resilience._runtime.fast_path import become, stream_in_block, stream_wrapper_of, wrapper_of
from resilience._runtime.generators import OpenStream
from resilience._runtime.protocol import Policy
from resilience._runtime.tracebacks import drop_frame
from resilience._runtime.worker_threads import in_worker
from resilience.settings import DISABLED

__all__ = [
    "Guarded",
    "GuardedFunctions",
    "Keeper",
    "async_generator_in_block",
    "async_opener",
    "guard_function",
    "guarded",
    "guarded_functions",
    "refuse_without_items",
]


class Flavour(enum.Enum):
    """The kinds of wrappers: one for each `Kind` of function, and one for functions whose kind decorating cannot tell.

    An undecided function is no ``async def``, but wraps one, or is annotated to return an awaitable in some cases.
    """

    PLAIN = "plain"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"
    UNDECIDED = "plain or coroutine: its first call shows it"


_ASYNC_FLAVOURS: Mapping[Flavour, bool] = {
    Flavour.PLAIN: False,
    Flavour.GENERATOR: False,
    Flavour.COROUTINE: True,
    Flavour.ASYNC_GENERATOR: True,
}


class Keeper(Protocol):
    """Policies that may change while functions are guarded by them: it is given the record of each such function."""

    @property
    def replaces(self) -> bool:
        """Whether it replaces them by `Guarded.replacing`: the wrapper is made so that it can become another one."""
        ...

    def keep(self, guarded: Guarded, /) -> None: ...


class Guarded(ProcessBound):
    """The record of a guarded function: the original, its flavour, and the policies around it, outermost first.

    The wrapper has it as its attribute ``__resilience__``. `describe` reads the policies from it, and a further
    decorator takes the original from it to make one wrapper for all policies: `around`. It refers to its own wrapper
    weakly, so that a wrapper which is replaced is freed at once.
    """

    __slots__ = ("__weakref__", "_flavour", "_wrapper", "function", "keepers", "policies", "target")

    def __init__(
        self,
        target: str,
        function: Callable[..., object],
        policies: tuple[Policy, ...],
        flavour: Flavour | None = None,
        keepers: tuple[Keeper, ...] = (),
    ) -> None:
        self.target: str = target
        self.function: Callable[..., object] = function
        self.policies: tuple[Policy, ...] = policies
        #: What may put other policies in the place of some of these: see `replace`.
        self.keepers: tuple[Keeper, ...] = keepers
        self._flavour: Flavour = flavour or _flavour_of(target, function)
        self._wrapper: weakref.ref[Callable[..., object]] | None = None

    def belongs_to(self, wrapper: object) -> bool:
        """Whether this is *wrapper*'s own: `functools.wraps` copies attributes to functions around it as well."""
        return self._wrapper is not None and self._wrapper() is wrapper

    @property
    def wrapper(self) -> Callable[..., object] | None:
        """The function that callers meet, while it lives."""
        if self._wrapper is None:
            return None
        return self._wrapper()

    @property
    def is_async(self) -> bool | None:
        """Whether calls of it are awaited, or its items are; None where its first call shows it."""
        return _ASYNC_FLAVOURS.get(self._flavour)

    def _instead_of_pickling(self) -> tuple[str, str]:
        return function_by_its_code(self.target)

    def wrap(self) -> Callable[..., object]:
        """Return the function guarded. Raises TypeError where a policy cannot guard a function of its flavour."""
        return self._wrap(self.policies, self.function)

    def around(self, policies: Sequence[Policy], like: object, keepers: Sequence[Keeper] = ()) -> Callable[..., object]:
        """Return the function guarded by *policies* outside of those it has, with the name and attributes of *like*."""
        policies = tuple(policies)
        stack = policies + self.policies
        outer = Guarded(self.target, self.function, stack, self._flavour, (*keepers, *self.keepers))
        return outer._wrap(policies, like)

    def replacing(self, stack: tuple[Policy, ...]) -> Callable[[], None]:
        """Return what puts *stack* in the place of the policies from the next call on. A call that runs keeps its own.

        Of a function that has `keepers` alone. Raises TypeError where a policy cannot guard it, and changes nothing.
        """
        if self._flavour_with(stack) is not self._flavour_with(self.policies):
            raise TypeError(f"cannot replace the policies of {self.target}: whether it is async, its first call shows")
        other = self._wrapper_for(stack, stack)

        def replace() -> None:
            wrapper = None
            if self._wrapper is not None:
                wrapper = self._wrapper()
            if wrapper is not None:
                become(cast("FunctionType", wrapper), cast("FunctionType", other))
                self.policies = stack

        return replace

    def _flavour_with(self, stack: Sequence[Policy]) -> Flavour:
        """Return its flavour: of one that is undecided, COROUTINE where a policy of *stack* guards no other."""
        if self._flavour is Flavour.UNDECIDED and not all(policy.supports_sync for policy in stack):
            return Flavour.COROUTINE
        return self._flavour

    def _wrapper_for(self, stack: tuple[Policy, ...], unchecked: Sequence[Policy]) -> Callable[..., object]:
        """Return a new wrapper for *stack*, of which the *unchecked* policies are checked against the flavour."""
        flavour = self._flavour_with(stack)
        for refuse in _REFUSALS[flavour]:
            refuse(self.target, unchecked)
        for policy in stack:
            policy.check_stack(self.target, self.function, stack)
        on_path = tuple([policy for policy in stack if policy.on_path])
        replaceable = any(keeper.replaces for keeper in self.keepers)
        return _WRAPPERS[flavour](self.target, self.function, on_path, replaceable)

    def _wrap(self, unchecked: Sequence[Policy], like: object) -> Callable[..., object]:
        """Return the wrapper, with the name and the attributes of *like*, and make this record known.

        Policies that *unchecked* leaves out have been checked when they were put around the function.
        """
        wrapper = self._wrapper_for(self.policies, unchecked)
        if not has_name(self.function):
            wrapper.__name__, wrapper.__qualname__ = self.target.rpartition(".")[2], self.target
        copy_metadata(wrapper, like)
        self._wrapper = weakref.ref(wrapper)
        # Looked up beside the function, never typed on it.
        vars(wrapper).update(__wrapped__=self.function, __resilience__=self)
        for keeper in self.keepers:
            keeper.keep(self)
        guarded_functions.add(self)
        return wrapper


class GuardedFunctions:
    """The guarded functions of the process, as long as they live: for what guards some of them by a policy they have.

    *watchers* are called with the record of each function that is guarded from now on.
    """

    def __init__(self) -> None:
        self.watchers: list[Callable[[Guarded], object]] = []
        self._records: weakref.WeakSet[Guarded] = weakref.WeakSet()
        # The collector may run while it is held, and with it a destructor that guards a function.
        self._lock = fork_safe(threading.RLock())

    def add(self, record: Guarded) -> None:
        """Add the record of a function that has its wrapper."""
        with self._lock:
            self._records.add(record)
        for watch in tuple(self.watchers):
            watch(record)

    def __iter__(self) -> Iterator[Guarded]:
        with self._lock:
            records = list(self._records)
        return iter(records)


guarded_functions = GuardedFunctions()


def _flavour_of(target: str, function: Callable[..., object]) -> Flavour:
    """Return the flavour of *function*.

    Raises TypeError for one that `contextlib.contextmanager` has made, and for a cache of coroutines.
    """
    if _is_plain(function):
        return Flavour.PLAIN
    if makes_context_manager(function):
        raise TypeError(
            f"cannot guard {target}: it returns a context manager, and entering it is another call; guard"
            " what is called when it is entered, or in the `with` block"
        )
    if keeps_single_use_results(function):
        raise TypeError(
            f"cannot guard {target}: its cache keeps coroutines or generators, and one that has run cannot run again;"
            " cache the results, not the function"
        )
    kind = kind_of(function)
    if is_dispatcher(function) or (kind is Kind.PLAIN and may_be_async(function)):
        return Flavour.UNDECIDED
    return Flavour(kind.value)


def _is_plain(function: object) -> bool:
    """Whether *function* is a plain one beyond doubt, as most are: the longer look takes as long as the rest."""
    return (
        type(function) is FunctionType
        and not function.__code__.co_flags & _NOT_PLAIN
        and not is_annotated(function)
        and not vars(function)
    )


_NOT_PLAIN = inspect.CO_GENERATOR | inspect.CO_ITERABLE_COROUTINE | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


# -- what cannot be guarded by which policy --------------------------------------------------------------------------


class _Requirement(NamedTuple):
    """A flag that policies set if they can guard functions of a flavour, and the error for a policy that does not.

    The *message* is a format text with the fields ``target``, ``policy`` and ``advice``.
    """

    is_met: Callable[[Policy], bool]
    message: str

    def check(self, target: str, stack: Sequence[Policy]) -> None:
        """Raise TypeError for the first policy of *stack*, outermost first, that cannot guard *target*."""
        for policy in stack:
            if not self.is_met(policy):
                raise TypeError(self.message.format(target=target, policy=policy, advice=_advice(policy)))


_SUPPORTS_CALLS = _Requirement(
    attrgetter("supports_calls"),
    "cannot guard {target} by {policy}: it is no generator function and has no items; give timeout(seconds)",
)
_SUPPORTS_SYNC = _Requirement(
    attrgetter("supports_sync"),
    "cannot guard {target} by {policy}: it is not async, and {policy.needs_async}",
)
_SUPPORTS_GENERATORS = _Requirement(
    attrgetter("supports_generators"),
    "cannot guard the generator function {target} by {policy}: {advice}; of a class its other methods one by one",
)


def refuse_without_items(target: str, stack: Sequence[Policy]) -> None:
    """Raise TypeError where a policy of *stack* can guard generators alone, of which *target* is none."""
    _SUPPORTS_CALLS.check(target, stack)


def _refuse_async_hooks(target: str, stack: Sequence[Policy]) -> None:
    """Raise TypeError for an async callback of a policy around *target*, which is sync and could not await it."""
    for policy in stack:
        for parameter, hook in policy.hooks().items():
            if is_async(hook):
                raise TypeError(
                    f"{parameter}={hook!r}: {target} is not async and cannot await it;"
                    f" give a plain function, or make {target} async"
                )


def _advice(policy: Policy) -> str:
    """Return why *policy* cannot guard a generator function, and what to write instead."""
    if policy.is_deadline:
        return "the time its consumer takes would count; put a `with` block of it around the loop that reads the items"
    if policy.time_limit is not None:
        return "the time its consumer takes would count; give timeout(first_item=..., idle=...), either or both"
    if "retry_if_result" in policy.hooks():
        return "retry_if_result has no result to judge before items are handed out; leave it out"
    return (
        "its items come after the call has returned, and those handed out cannot be taken back; guard the function"
        " that fetches one item or one page"
    )


_REFUSALS: Mapping[Flavour, Sequence[Callable[[str, Sequence[Policy]], None]]] = {
    Flavour.PLAIN: (_SUPPORTS_SYNC.check, _refuse_async_hooks, _SUPPORTS_CALLS.check),
    Flavour.COROUTINE: (_SUPPORTS_CALLS.check,),
    Flavour.GENERATOR: (_SUPPORTS_SYNC.check, _refuse_async_hooks, _SUPPORTS_GENERATORS.check),
    Flavour.ASYNC_GENERATOR: (_SUPPORTS_GENERATORS.check,),
    Flavour.UNDECIDED: (_SUPPORTS_CALLS.check,),
}


# -- wrappers --------------------------------------------------------------------------------------------------------


def _opener(function: Callable[..., object], stack: Sequence[Policy]) -> Callable[..., object]:
    """Return the function that calls a generator function, fetches the first item, and returns an `OpenStream`.

    A generator that ends without an item is a call that returned: the opener returns its value. Where items may be
    fetched in several threads, the generator gets a context of its own, which stays the same from item to item: the
    token of a context variable is valid in one context only.
    """
    function = cast("Callable[..., Generator[object, object, object]]", function)
    threads = any(policy.time_limit is not None or policy.item_timeout is not None for policy in stack)

    def open_stream(*args: object, **kwargs: object) -> object:
        context: contextvars.Context | None = None
        fetch: Any = next
        if (threads and not DISABLED.is_on()) or in_worker():
            context = contextvars.copy_context()
            fetch = functools.partial(context.run, fetch)
        items = function(*args, **kwargs)
        try:
            first = fetch(items)
        except StopIteration as done:
            return done.value
        except Exception as error:  # without this frame in the traceback
            drop_frame(error)
            raise
        return OpenStream(first, items, context)

    return open_stream


def _let_go(items: object) -> None:
    """Do nothing with an async generator that is collected: the finalizer while an opener fetches its first item."""


def async_opener(function: Callable[..., object]) -> Callable[..., object]:
    """Return the coroutine function that does for an async generator function what `_opener` does for a sync one."""
    function = cast("Callable[..., AsyncGenerator[object, object]]", function)

    async def open_stream(*args: object, **kwargs: object) -> object:
        items = function(*args, **kwargs)
        # The wrapper is a generator too, and closes this one. An event loop that knew of both would close both at once
        # when it ends.
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, _let_go)
        try:
            fetching = anext(items)
        finally:
            sys.set_asyncgen_hooks(*hooks)
        try:
            first = await fetching
        except StopAsyncIteration:
            return None
        except Exception as error:  # without this frame in the traceback
            drop_frame(error)
            raise
        return OpenStream(first, items)

    return open_stream


def async_generator_in_block(
    function: Callable[..., object], block: AbstractContextManager[object]
) -> Callable[..., object]:
    """Return an async generator function that does what *function* does, within *block* from its first item to its end.

    *block* is entered for each stream, several at once where they overlap. It has no part in `settings.disabled`.
    """
    return stream_in_block(function, async_opener(function), block)


def _plain_wrapper_of(
    target: str, function: Callable[..., object], stack: Sequence[Policy], replaceable: bool
) -> FunctionType:
    """Return the wrapper of a sync function."""
    return wrapper_of(target, function, stack, asynchronously=False, replaceable=replaceable)


def _coroutine_wrapper_of(
    target: str, function: Callable[..., object], stack: Sequence[Policy], replaceable: bool
) -> FunctionType:
    """Return the wrapper of a coroutine function."""
    return wrapper_of(target, function, stack, asynchronously=True, replaceable=replaceable)


def _generator_wrapper_of(
    target: str, function: Callable[..., object], stack: Sequence[Policy], replaceable: bool
) -> FunctionType:
    """Return the wrapper of a generator function, which makes its call by an opener."""
    opener = _opener(function, stack)
    return stream_wrapper_of(target, function, stack, opener, asynchronously=False, replaceable=replaceable)


def _async_generator_wrapper_of(
    target: str, function: Callable[..., object], stack: Sequence[Policy], replaceable: bool
) -> FunctionType:
    """Return the wrapper of an async generator function, which makes its call by an opener."""
    opener = async_opener(function)
    return stream_wrapper_of(target, function, stack, opener, asynchronously=True, replaceable=replaceable)


def _undecided_wrapper_of(
    target: str, function: Callable[..., object], stack: Sequence[Policy], replaceable: bool
) -> Callable[..., object]:
    """Return a wrapper that decides at the first call; `undecided` is loaded with the first such function.

    It may be replaced as any other, or not: it calls the wrappers that it finds in its closure.
    """
    del replaceable
    from resilience._runtime.undecided import undecided_wrapper_of

    return undecided_wrapper_of(target, function, stack)


_WRAPPERS: Mapping[Flavour, Callable[[str, Callable[..., object], Sequence[Policy], bool], Callable[..., object]]] = {
    Flavour.PLAIN: _plain_wrapper_of,
    Flavour.COROUTINE: _coroutine_wrapper_of,
    Flavour.GENERATOR: _generator_wrapper_of,
    Flavour.ASYNC_GENERATOR: _async_generator_wrapper_of,
    Flavour.UNDECIDED: _undecided_wrapper_of,
}


def guarded(target: object) -> Guarded | None:
    """Return the record of a guarded function or bound method; None for a function that is not guarded.

    Functions that `functools.wraps` has made around a guarded one are not guarded themselves.
    """
    function = getattr(target, "__func__", target)
    found = getattr(function, "__resilience__", None)
    if isinstance(found, Guarded) and found.belongs_to(function):
        return found
    return None


def guard_function(target: object, policies: Sequence[Policy], keepers: Sequence[Keeper] = ()) -> object:
    """Return *target*, a function or another callable but no class, guarded by *policies*, outermost first.

    A static or class method stays one, around the guarded function. Policies of a target that is guarded already are
    kept, inside *policies*. Raises TypeError for what cannot be called, and for a policy that cannot guard *target*.
    """
    inside = under_descriptor(target)
    if inside is not target:  # in either order: what is below the descriptor is guarded, the descriptor stays
        outside = type(target)(guard_function(inside, policies, keepers))  # type: ignore[call-arg]  # a static or class method
        vars(outside).update(vars(target))
        return outside
    if not callable(target):
        raise TypeError(f"cannot guard {target!r}: give a function, a method, a callable object or a class")
    inner = guarded(target)
    if inner is None or inspect.ismethod(target):  # a bound method is a target of its own
        return Guarded(name_of(target), target, tuple(policies), keepers=tuple(keepers)).wrap()
    # Fuse: one wrapper over the original, whatever the number of decorators. What a decorator in between left on
    # the function (abstract, final, a mark of pytest) stays.
    return inner.around(policies, like=target, keepers=keepers)
