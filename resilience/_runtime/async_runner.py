"""The runner of async calls. `sync_runner` is the other one: the same text but for `await`."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from types import CoroutineType
from typing import Any, cast

from resilience._runtime.acquire import acquire_async
from resilience._runtime.generators import has_begun
from resilience._runtime.protocol import (
    NOBODY,
    Acquire,
    Call,
    Effect,
    Emit,
    Policy,
    Proceed,
    Race,
    Run,
    Sleep,
    Steps,
    check_generator,
    close,
    name_of,
    returned,
)
from resilience._runtime.time_limits import run_limited_async
from resilience._runtime.tracebacks import failed_here
from resilience.outcome import EXPIRED, Outcome, set_traceback
from resilience.settings import DISABLED
from resilience.subscription import emit
from resilience.trouble import RUNNING, report_trouble, with_hook

__all__ = ["advance", "drive", "perform"]


async def drive(stack: Sequence[Policy], depth: int, call: Call, at: int) -> Outcome:
    """Run *call* through the policies of *stack* from *depth* inwards, and return what they make of its outcome.

    Where the call has an outcome already, its `first`, those above *at* are sent that one: the happy path has let it in
    for them, or they are suspended. Where the call opens a stream, they stay suspended until it has ended.
    """
    if DISABLED.used and depth == 0 and call.first is not EXPIRED and not call.committed and DISABLED.is_on():
        stack, at = NOBODY, 0
    bottom = len(stack)
    call.stack = stack
    opener, base, suspended = call.opener, call.base, call.suspended
    outcome, call.first = call.first, None
    answer: object = None
    effect: Effect | None = None
    try:
        while base + len(suspended) < at:
            call.position, call.admitted = base + len(suspended), True
            suspended.append(stack[call.position].run(call))
            first = await advance(suspended[-1], None, call)
            call.admitted = False
            if not isinstance(first, Proceed):
                raise TypeError(f"{stack[call.position]} is on the fast path, but does not proceed first")
        while True:
            at = base + len(suspended)
            if outcome is None:
                if at < bottom:  # inwards
                    call.position = at
                    suspended.append(stack[at].run(call))
                else:
                    outcome = await call_function(call)
                    if opener is not None and has_begun(outcome, call, depth):
                        depth = at
                        return outcome
                    continue
            elif at == depth:
                return outcome
            # As `advance` does it, here for speed: a call takes this step for each policy, on its way in and out.
            steps, answer = suspended[-1], outcome
            while True:
                try:
                    effect = steps.send(answer)
                except StopIteration as done:
                    suspended.pop()
                    outcome = returned(done.value, steps)
                    break
                except AttributeError:
                    check_generator(steps)
                    raise
                if not isinstance(effect, Proceed):
                    answer = await perform(effect, call)
                    continue
                if effect.timeout is None:
                    outcome = None
                    break
                at = base + len(suspended)
                outcome = effect.answer(call, await run_limited_async(drive, stack, at, effect, call))
                if opener is not None and has_begun(outcome, call, depth):
                    depth = base + len(suspended)
                    return outcome
                answer = outcome
    finally:
        close(suspended, depth - base)
        outcome = answer = effect = None  # a frame that an error's traceback leads to must not lead back to the error


async def call_function(call: Call) -> Outcome:
    """Call the guarded function; return its outcome, without this frame in the traceback of its error.

    What the function returns is awaited where that can be done, also where it is no coroutine function.
    """
    if call.committed:
        raise RuntimeError(f"{call.target} cannot run again: its first items were handed out")
    try:
        value: Any = (call.opener or call.function)(*call.arguments, **call.keywords)
        if value.__class__ is CoroutineType or isinstance(cast("object", value), Awaitable):
            value = await value
        return Outcome(value)
    except Exception as error:
        return failed_here(error)


async def advance(steps: Steps[Outcome], answer: object, call: Call) -> Proceed | Outcome:
    """Send *answer* to a policy and do what it wants done, until it proceeds or returns."""
    try:
        while True:
            # Only `send` in the try: what is done below must not be taken for the end of the steps.
            try:
                effect = steps.send(answer)
            except StopIteration as done:
                return returned(done.value, steps)
            except AttributeError:
                check_generator(steps)
                raise
            if isinstance(effect, Proceed):
                return effect
            answer = await perform(effect, call)
    finally:
        answer = None  # see `drive`


async def perform(effect: Effect, call: Call) -> object:
    """Carry out an effect other than to proceed, and return its answer."""
    if isinstance(effect, Emit):
        emit(effect.event)
        return None
    if isinstance(effect, Run):
        return await invoke(effect)
    if isinstance(effect, Sleep):
        await call.clock.sleep_async(effect.seconds)
        return None
    if isinstance(effect, Acquire):
        return await acquire_async(effect, call)
    if isinstance(effect, Race):
        from resilience._runtime.race import race

        return await race(effect, drive, call)
    policy = name_of(call.suspended[-1]) if call.suspended else "a policy"
    raise TypeError(f"{policy} yielded {effect!r}: yield a Proceed, Sleep, Acquire, Run, Emit or Race")


async def invoke(effect: Run) -> Outcome:
    """Call a function of the user's that is not the guarded one."""
    running = RUNNING.get()
    try:
        if effect.role is not None:
            RUNNING.set(with_hook(effect.runs))
        if effect.blocking:
            from anyio import to_thread

            return Outcome(await to_thread.run_sync(effect.function, *effect.arguments))
        value = effect.function(*effect.arguments)
        return Outcome(await cast("Awaitable[object]", value) if isinstance(value, Awaitable) else value)
    except Exception as error:
        if effect.role is not None:
            report_trouble(effect.role, effect.hook, error)
        set_traceback(error, error.__traceback__ and error.__traceback__.tb_next)
        return Outcome(None, error)
    finally:
        RUNNING.set(running)
