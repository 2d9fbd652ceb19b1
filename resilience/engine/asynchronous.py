"""The driver of async calls. `blocking` is the other one: same length, same words, without `await`."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import cast

from resilience.outcome import EXPIRED, Outcome
from resilience.policy.base import Call, Effect, Emit, Invoke, Policy, Proceed, Sleep, Steps
from resilience.subscription import emit
from resilience.trouble import report_trouble

__all__ = ["advance", "attempt", "drive"]


async def drive(stack: Sequence[Policy], depth: int, call: Call) -> Outcome:
    """Carry out the policies of *stack* from *depth* inwards around *call*."""
    if depth == call.first_at and call.first is not None:  # what the happy path already came to
        first, call.first, call.first_at = call.first, None, -1
        return first
    if depth == len(stack):
        return await attempt(call)
    step: Proceed | Outcome | None = None
    outcome: Outcome | None = None
    steps = stack[depth].run(call)
    try:
        step = await advance(steps, call)
        while isinstance(step, Proceed):
            if step.limit is None:
                outcome = await drive(stack, depth + 1, call)
            else:
                outcome = EXPIRED
                with call.clock.limit(step.limit):
                    outcome = await drive(stack, depth + 1, call)
            step = await advance(steps, call, outcome)
        return step
    finally:
        steps.close()
        step = outcome = None  # a frame that an error's traceback leads to must not lead back to the error


async def attempt(call: Call) -> Outcome:
    """Call the user's function."""
    try:
        value = call.function(*call.arguments, **call.keywords)
        return Outcome(await cast("Awaitable[object]", value) if isinstance(value, Awaitable) else value)
    except Exception as error:
        return Outcome(None, error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))


async def advance(steps: Steps, call: Call, answer: Outcome | Effect | None = None) -> Proceed | Outcome:
    """Perform what *steps* ask for, up to the next run of what is inside, or their end.

    *answer* is what they are sent first, or an effect they asked for and still wait for.
    """
    while True:
        if answer is None or isinstance(answer, Outcome):
            # Only `send` in the try: what is awaited below must not be taken for the end of the steps.
            try:
                effect = steps.send(answer)  # type: ignore[arg-type]  # None starts a generator
            except StopIteration as done:
                answer = None  # see `drive`
                return done.value  # type: ignore[no-any-return]  # an Outcome, says Steps
        else:
            effect = answer
        if isinstance(effect, Proceed):
            return effect
        answer = await perform(effect, call)


async def perform(effect: Effect, call: Call) -> Outcome | None:
    """Do what *effect* says."""
    if isinstance(effect, Sleep):
        await call.clock.sleep_async(effect.seconds)
    elif isinstance(effect, Emit):
        emit(effect.event)
    elif isinstance(effect, Invoke):
        return await invoke(effect)
    return None


async def invoke(effect: Invoke) -> Outcome:
    """Call a function of the user's that is not the guarded one."""
    try:
        if effect.blocking:
            from anyio import to_thread

            return Outcome(await to_thread.run_sync(effect.function, *effect.arguments))
        value = effect.function(*effect.arguments)
        return Outcome(await cast("Awaitable[object]", value) if isinstance(value, Awaitable) else value)
    except Exception as error:
        if effect.role is not None:
            report_trouble(effect.role, effect.function, error)
        return Outcome(None, error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
