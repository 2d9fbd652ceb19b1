"""The function a caller meets: the happy path, and nothing else.

It looks at the gate's state, calls, leaves a mark there, and returns. No lock, no clock, no generator, no tenacity.
Only when the call fails, or the state has no fast path, does a driver take over, with the outcome already in hand.

Wrappers are made from one `template`, sync and async, for the function's own signature, as `dataclasses` makes
``__init__``: nothing is packed into ``*args`` and unpacked again, and a call with wrong arguments fails as it would
without us. Functions of the same shape share their wrapper's code.

A wrapper raises in its own frame and then forgets the error: a traceback shows one frame of ours however many
policies guard the function, and no frame keeps the error that keeps the frame.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import keyword
import linecache
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, cast

from resilience._runtime import async_runner, sync_runner
from resilience._runtime.circuit_context import admitted_here
from resilience._runtime.exhaustion import exhaustion_counter
from resilience._runtime.fast_path_template import Shape, fill, module_of, stream_of
from resilience._runtime.first_call import FirstCall
from resilience._runtime.generators import OpenStream, cancel, finish, start_iteration
from resilience._runtime.protocol import Admission, Call, Policy
from resilience.clock import current_clock
from resilience.due import due_by
from resilience.outcome import EXPIRED, Outcome, set_context, set_traceback

if TYPE_CHECKING:
    from resilience.timer import Watch

__all__ = ["stream_wrapper_of", "wrapper_of"]

_ANYTHING = "*args, **kwargs"


class _Plan:
    """What a wrapper needs off the happy path. One name in its closure: a call pays for each of them."""

    __slots__ = ("drive", "function", "opener", "stack", "target")

    clock = staticmethod(current_clock)
    outcome = Outcome
    set_context = staticmethod(set_context)

    def __init__(
        self,
        target: str,
        function: Callable[..., object],
        stack: Sequence[Policy],
        asynchronously: bool,
        opener: Callable[..., object] | None,
    ) -> None:
        self.target = target
        self.function = function
        self.stack = stack
        self.drive = async_runner.drive if asynchronously else sync_runner.drive
        #: What a driver calls in place of the function: a stream's first item is fetched, a first result is looked at.
        self.opener = opener

    def call(
        self, arguments: tuple[object, ...], keywords: Mapping[str, object] | None, state: Admission | None = None
    ) -> Call:
        call = Call(self.target, self.function, arguments, keywords, state)
        call.opener = self.opener
        return call

    def failed(
        self,
        error: Exception,
        arguments: tuple[object, ...],
        keywords: Mapping[str, object] | None,
        state: Admission | None = None,
        since: int | None = None,
    ) -> Call:
        call = Call(self.target, self.function, arguments, keywords, state, since)
        call.opener = self.opener
        call.initial_outcome = self.failure(error)
        return call

    @staticmethod
    def failure(error: Exception) -> Outcome:
        # Without the wrapper's own frame: it raises the error itself in the end. Not by a method the error may have.
        trace = error.__traceback__
        set_traceback(error, None if trace is None else trace.tb_next)
        return Outcome(None, error)

    def late(
        self,
        value: object,
        arguments: tuple[object, ...],
        keywords: Mapping[str, object] | None,
        state: Admission | None = None,
        since: int | None = None,
    ) -> Call:
        call = Call(self.target, self.function, arguments, keywords, state, since)
        call.opener = self.opener
        call.initial_outcome = Outcome(value)
        return call

    def expired(
        self,
        cut: BaseException,
        call: Call | None,
        arguments: tuple[object, ...],
        keywords: Mapping[str, object] | None,
        state: Admission | None = None,
        since: int | None = None,
    ) -> Call:
        if call is None:
            call = Call(self.target, self.function, arguments, keywords, state, since)
            call.opener = self.opener
        else:
            self.without(call)
        call.initial_outcome = EXPIRED
        call.cancellation = cut
        return call

    @staticmethod
    def within(call: Call, watch: Watch) -> None:
        """Have the policies inside a limit, which are about to be driven, know how much it leaves."""
        from resilience.timer import time_left

        call.due = min(call.due, call.clock.now() + time_left(watch))

    @staticmethod
    def without(call: Call) -> None:
        """Forget the limits: those outside have not been looked at yet."""
        call.due = due_by(call.clock)

    def over(self, watch: Watch, error: BaseException | None = None) -> bool:
        from resilience.timer import over

        return over(watch, error)


class _StreamPlan(_Plan):
    """What the wrapper of a generator function needs."""

    __slots__ = ("asynchronously",)

    ended = staticmethod(finish)
    cut_short = staticmethod(cancel)

    def __init__(
        self,
        target: str,
        function: Callable[..., object],
        stack: Sequence[Policy],
        asynchronously: bool,
        opener: Callable[..., object],
    ) -> None:
        super().__init__(target, function, stack, asynchronously, opener)
        self.asynchronously = asynchronously

    def call(
        self, arguments: tuple[object, ...], keywords: Mapping[str, object] | None, state: Admission | None = None
    ) -> Call:
        call = super().call(arguments, keywords, state)
        call.enclosing = admitted_here()
        return call

    def begin(self, call: Call, outcome: Outcome) -> tuple[object, object]:
        return start_iteration(call, outcome, self.drive, asynchronously=self.asynchronously)


def wrapper_of(
    target: str,
    function: Callable[..., object],
    stack: Sequence[Policy],
    *,
    asynchronously: bool,
    first: FirstCall | None = None,
) -> Callable[..., object]:
    """Return the function that calls *function* through *stack*, outermost first; a coroutine function if it is one.

    It does so by *first* until the function has returned once.
    """
    gates = [depth for depth, policy in enumerate(stack) if policy.fast_path_gate is not None]
    limits = tuple(depth for depth, policy in enumerate(stack) if policy.time_limit is not None)
    watches = {depth: each for depth, policy in enumerate(stack) if (each := policy.stopwatch(target)) is not None}
    happy = (
        all(policy.fast_path for policy in stack)
        and len(gates) <= 1
        and len(watches) <= 1
        and (asynchronously or not limits)
    )
    gate = stack[gates[0]].fast_path_gate if gates else None
    tallies = [policy.success_counter for policy in stack if policy.success_counter is not None]
    telling = None if gate is None else gate.telling
    dated = any(policy.tracks_exhaustion for policy in stack)
    timed, stopwatch = next(iter(watches.items()), (None, None))
    shape = Shape(
        bottom=len(stack),
        gate=gates[0] if gates else None,
        telling=telling,
        nests=gate is not None and gate.nests,
        tallies=len(tallies),
        dated=dated,
        limits=limits,
        timed=timed,
        alone=stopwatch is not None and stopwatch.alone,
        driven=not happy,
    )
    signature = _signature_of(function)
    # In the function's own globals: whoever looks for the caller's module finds the one the function stands in.
    scope = function.__globals__ if type(function) is FunctionType else globals()
    first = first or FirstCall(target, function, asynchronously=asynchronously)
    plan = _Plan(target, function, stack, asynchronously, None if first.call is function else first.call)
    wrapper: FunctionType = FunctionType(_code_of(signature, asynchronously, shape), scope)(
        first.call,
        plan,
        gate,
        _begins(stack, shape),
        tallies,
        stopwatch,
        current_clock,
        exhaustion_counter,
        Exception,
        BaseException,
    )
    _call_directly_after(first, wrapper, plan)
    return _with_defaults(wrapper, function, signature)


def _call_directly_after(first: FirstCall, wrapper: FunctionType, plan: _Plan) -> None:
    """Have *wrapper* and the driver call the function itself once *first* has seen what it returns."""
    names = wrapper.__code__.co_freevars
    # A wrapper that leaves everything to the driver does not name the function.
    cell = wrapper.__closure__[names.index("__function")] if wrapper.__closure__ and "__function" in names else None

    def call_directly() -> None:
        plan.opener = None
        if cell is not None:
            cell.cell_contents = plan.function

    first.then = call_directly


def stream_wrapper_of(
    target: str,
    function: Callable[..., object],
    stack: Sequence[Policy],
    opener: Callable[..., object],
    *,
    asynchronously: bool,
) -> Callable[..., object]:
    """Return the generator function, async if *function* is, that runs *function* through *stack* to its end.

    *opener* calls *function* and fetches the first item: it comes to an `OpenStream`, or to what an empty one returns.
    """
    signature = _signature_of(function)
    scope = function.__globals__ if type(function) is FunctionType else globals()
    wrapper: FunctionType = FunctionType(_code_of(signature, asynchronously, None), scope)(
        _StreamPlan(target, function, stack, asynchronously, opener),
        OpenStream,
        Exception,
        BaseException,
        GeneratorExit,
        StopAsyncIteration if asynchronously else StopIteration,
    )
    return _with_defaults(wrapper, function, signature)


def _with_defaults(wrapper: FunctionType, function: Callable[..., object], signature: str) -> FunctionType:
    if signature != _ANYTHING:
        original = cast("FunctionType", function)
        wrapper.__defaults__ = original.__defaults__
        wrapper.__kwdefaults__ = original.__kwdefaults__ and dict(original.__kwdefaults__)
    return wrapper


def _begins(stack: Sequence[Policy], shape: Shape) -> Sequence[object]:
    if shape.driven or not shape.limits:
        return ()
    from resilience.timer import timer_of

    return [timer_of(cast("float", stack[depth].time_limit)).begin for depth in shape.limits]


def _signature_of(function: Callable[..., object]) -> str:
    """Return the parameters of *function* as they stand in a ``def``, without defaults; of any other callable, all."""
    if type(function) is not FunctionType:  # not isinstance: a mock of a function says that it is one
        return _ANYTHING
    code = function.__code__
    names = code.co_varnames
    plain, keyword_only = code.co_argcount, code.co_kwonlyargcount
    parts = list(names[:plain])
    if code.co_posonlyargcount:
        parts.insert(code.co_posonlyargcount, "/")
    end = plain + keyword_only
    if code.co_flags & inspect.CO_VARARGS:
        parts.append(f"*{names[end]}")
        end += 1
    elif keyword_only:
        parts.append("*")
    parts += names[plain : plain + keyword_only]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        parts.append(f"**{names[end]}")
    written = [part.lstrip("*") for part in parts if part not in ("*", "/")]
    exact = len(set(written)) == len(written) and all(map(_can_be_written, written))
    return ", ".join(parts) if exact else _ANYTHING


def _can_be_written(name: str) -> bool:
    # Code made by other means has parameters called `.0`, `class`, or what the compiler reads as another name; and some
    # begin with two underscores, as the template's own do.
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("__")
        and (name.isascii() or unicodedata.normalize("NFKC", name) == name)
    )


@functools.lru_cache(maxsize=4096)
def _code_of(signature: str, asynchronously: bool, shape: Shape | None) -> CodeType:
    """Return the code of what makes wrappers for stacks of this shape, for generators without one."""
    positional, keywords, after_star = list[str](), list[str](), False
    for part in filter(None, signature.split(", ")):
        if part.startswith("**"):
            keywords.append(part)
        elif part.startswith("*"):
            after_star = True
            if part != "*":
                positional.append(part)
        elif after_star:
            keywords.append(part)
        elif part != "/":
            positional.append(part)
    named = [name if name.startswith("**") else f"{name}={name}" for name in keywords]
    packed_keywords = [name if name.startswith("**") else f'"{name}": {name}' for name in keywords]
    module = module_of(shape) if shape is not None else stream_of(asynchronously)
    source = fill(
        module,
        signature=signature,
        passed=", ".join(positional + named),
        packed=f"({''.join(f'{name}, ' for name in positional)})",
        packed_keywords=f"{{{', '.join(packed_keywords)}}}" if keywords else "None",
        w="await " if asynchronously else "",
        d="async " if asynchronously else "",
    )
    filename = f"<resilience wrapper {next(_numbers)}>"
    # So that tracebacks and debuggers show the lines of what they are in.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    # Our own template, filled with identifiers. What it defines is all there is in it.
    return next(part for part in compile(source, filename, "exec").co_consts if isinstance(part, CodeType))


_numbers = itertools.count(1)
