"""The runner of async calls, on asyncio and trio: the text of `sync_runner`, where it is explained, with ``await``.

A call stays in the caller's own task, so that context variables, cancel scopes and ``current_task()`` are the caller's;
only the further copies of a `Race` get tasks of their own. Cancellation arrives in `drive` as an exception from what it
awaits: the function, a wait, a callback. It passes through, after the generators have been closed, and is never turned
into an outcome. A time limit's own cancellation ends in `run_with_timeout_async`, which answers with an outcome
instead.

Each `await` of a coroutine function of ours costs as much as several policies do, so the loop awaits only where
something may wait; the policies themselves are plain generators.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import CoroutineType
from typing import Any, cast

from resilience._callback_errors import RUNNING
from resilience._listeners import emit
from resilience._outcome import Outcome
from resilience._runtime.acquire import acquire_async, give_back
from resilience._runtime.generators import is_open_stream, may_open_stream
from resilience._runtime.pauses import pause_async
from resilience._runtime.protocol import (
    NO_POLICIES,
    PROCEED,
    Acquire,
    Call,
    Emit,
    Policy,
    Proceed,
    Race,
    Run,
    Sleep,
    Steps,
)
from resilience._runtime.steps import (
    are_switched_off,
    begin_admitted,
    cut_off,
    end,
    handler_of,
    outcome_of,
    resume,
)
from resilience._runtime.time_limits import run_with_timeout_async
from resilience._runtime.tracebacks import failed_here
from resilience.settings import DISABLED

__all__ = ["advance", "drive", "perform"]


async def drive(stack: Sequence[Policy], depth: int, call: Call, at: int) -> Outcome:
    """Run *call* through the policies of *stack* from *depth* inwards, and return its outcome at that depth.

    Where the call has an outcome already, its `initial_outcome`, the policies above *at* are sent that one: the fast
    path has admitted the call for them, or they are suspended. A whole call is ``drive(stack, 0, call, 0)``; one that
    failed on the fast path ``drive(stack, 0, call, len(stack))``; what a limit at depth 1 encloses ``drive(stack, 2,
    call, 2)``. Where the call opens a stream, the policies stay suspended until it has ended.
    """
    if DISABLED.active_count and are_switched_off(call, depth):
        stack, at = NO_POLICIES, 0
    call.stack, bottom = stack, len(stack)
    base, suspended, opener = call.base, call.suspended, call.opener
    # An outcome goes outwards; while there is none, the last effect counts.
    outcome, call.initial_outcome = call.initial_outcome, None
    effect: object = PROCEED
    answer: object = None
    try:
        if outcome is not None:
            begin_admitted(call, at)
        at = base + len(suspended)
        while True:
            if outcome is not None:
                if (opener is not None and is_open_stream(outcome, call, depth)) or at == depth:
                    return outcome
                answer, outcome = outcome, None
            elif type(effect) is not Proceed:
                answer = await perform(effect, call)
                if may_open_stream(effect, call):
                    outcome = cast("Outcome", answer)
                    continue
            elif effect.timeout is not None:
                outcome = effect.answer(call, await run_with_timeout_async(drive, stack, at, effect, call))
                continue
            elif at < bottom:
                suspended.append(stack[at].run(call))
                answer = None
                at += 1
            else:
                outcome = await call_function(call)
                continue
            try:  # as in `resume`: another Python call here is 4 % of a call that is retried twice
                effect = suspended[-1].send(answer)
            except StopIteration as done:
                outcome = outcome_of(done.value, suspended.pop())
                at -= 1
    except BaseException as error:
        cut_off(call, depth - base, error)
        give_back(effect, call)
        raise
    finally:
        outcome = answer = effect = None  # a frame that an error's traceback leads to must not lead back to the error


async def call_function(call: Call) -> Outcome:
    """Call the guarded function; return its outcome, without this frame in the traceback of its error.

    What the function returns is awaited where that can be done, also where it is no coroutine function.
    """
    if call.streaming_started:
        raise RuntimeError(f"{call.target} cannot run again: its first items were handed out")
    try:
        value: Any = (call.opener or call.function)(*call.arguments, **call.keywords)
        if value.__class__ is CoroutineType or isinstance(cast("object", value), Awaitable):
            value = await value
        return Outcome(value)
    except Exception as error:
        return failed_here(error)


async def advance(steps: Steps[Outcome], answer: object, call: Call) -> Proceed | Outcome:
    """Send *answer* to a policy and perform its effects, until it proceeds or returns.

    For what has one policy and is resumed from outside: a block, a retry loop. The policy is closed where an effect is
    cancelled or interrupted.
    """
    step: object = None
    try:
        step = resume(steps, answer)
        while not isinstance(step, (Proceed, Outcome)):
            step = resume(steps, await perform(step, call))
        return step
    except BaseException:
        end(steps)
        give_back(step, call)
        raise
    finally:
        answer = None  # see `drive`


def perform(effect: object, call: Call) -> Any:
    """Carry out an effect other than to proceed, and return its answer."""
    handler = _HANDLERS.get(type(effect)) or handler_of(effect, _HANDLERS, call)
    return handler(effect, call)


async def emit_event(effect: Emit, _call: Call) -> None:
    """Hand the event to its listeners, which may neither wait nor fail the call."""
    emit(effect.event)


async def sleep(effect: Sleep, call: Call) -> None:
    """Wait in this task; other tasks run even where there is nothing to wait for."""
    await pause_async(effect, call)


def race(effect: Race, call: Call) -> Awaitable[Outcome]:
    """Run copies of the next layer in tasks; `race` is loaded with the first one."""
    from resilience._runtime.race import race

    return race(effect, drive, call)


async def call_user_function(effect: Run, _call: Call) -> Outcome:
    """Call a function of the user's that is not the guarded one. Its error is an outcome, and reported under a role."""
    running = RUNNING.get()
    try:
        effect.enter()
        if effect.blocking:
            from anyio import to_thread

            return Outcome(await to_thread.run_sync(effect.function, *effect.arguments))
        value = effect.function(*effect.arguments)
        return Outcome(await cast("Awaitable[object]", value) if isinstance(value, Awaitable) else value)
    except Exception as error:
        return effect.failed(error)
    finally:
        RUNNING.set(running)


_HANDLERS: dict[type, Callable[..., Awaitable[object]]] = {
    Emit: emit_event,
    Sleep: sleep,
    Acquire: acquire_async,
    Run: call_user_function,
    Race: race,
}
