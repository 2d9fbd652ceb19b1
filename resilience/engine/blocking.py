"""The driver of sync calls. `asynchronous` is the other one: same length, same words, with `await` in between."""

from __future__ import annotations

import functools
from collections.abc import Coroutine, Sequence

from resilience.engine.worker import CallAbandoned, run_in_worker
from resilience.outcome import Outcome
from resilience.policy.base import Call, Effect, Emit, Invoke, Policy, Proceed, Sleep, Steps
from resilience.subscription import emit
from resilience.trouble import report_trouble

__all__ = ["advance", "attempt", "drive"]


def drive(stack: Sequence[Policy], depth: int, call: Call) -> Outcome:
    """Carry out the policies of *stack* from *depth* inwards around *call*."""
    if depth == call.first_at and call.first is not None:  # what the happy path already came to
        first, call.first, call.first_at = call.first, None, -1
        return first
    if depth == len(stack):
        return attempt(call)
    step: Proceed | Outcome | None = None
    outcome: Outcome | None = None
    steps = stack[depth].run(call)
    try:
        step = advance(steps, call)
        while isinstance(step, Proceed):
            if step.limit is None:
                outcome = drive(stack, depth + 1, call)
            else:
                outcome = run_in_worker(functools.partial(drive, stack, depth + 1), step.limit, call)
            step = advance(steps, call, outcome)
        return step
    finally:
        steps.close()
        step = outcome = None  # a frame that an error's traceback leads to must not lead back to the error


def attempt(call: Call) -> Outcome:
    """Call the user's function."""
    if call.abandoned is not None and call.abandoned.is_set():
        raise CallAbandoned
    try:
        return Outcome(call.function(*call.arguments, **call.keywords))
    except Exception as error:
        return Outcome(None, error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))


def advance(steps: Steps, call: Call, answer: Outcome | Effect | None = None) -> Proceed | Outcome:
    """Perform what *steps* ask for, up to the next run of what is inside, or their end.

    *answer* is what they are sent first, or an effect they asked for and still wait for.
    """
    while True:
        if answer is None or isinstance(answer, Outcome):
            # Only `send` in the try: what is called below must not be taken for the end of the steps.
            try:
                effect = steps.send(answer)  # type: ignore[arg-type]  # None starts a generator
            except StopIteration as done:
                answer = None  # see `drive`
                return done.value  # type: ignore[no-any-return]  # an Outcome, says Steps
        else:
            effect = answer
        if isinstance(effect, Proceed):
            return effect
        answer = perform(effect, call)


def perform(effect: Effect, call: Call) -> Outcome | None:
    """Do what *effect* says."""
    if isinstance(effect, Sleep):
        call.clock.sleep(effect.seconds, call.abandoned)
        if call.abandoned is not None and call.abandoned.is_set():
            raise CallAbandoned
    elif isinstance(effect, Emit):
        emit(effect.event)
    elif isinstance(effect, Invoke):
        return invoke(effect)
    return None


def invoke(effect: Invoke) -> Outcome:
    """Call a function of the user's that is not the guarded one."""
    try:
        value = effect.function(*effect.arguments)
        if isinstance(value, Coroutine):
            value.close()
            raise TypeError(f"{effect.function!r} is async and the call is not: nobody could await it")
        return Outcome(value)
    except Exception as error:
        if effect.role is not None:
            report_trouble(effect.role, effect.function, error)
        return Outcome(None, error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
