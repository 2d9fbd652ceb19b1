"""The driver of sync calls. `asynchronous` is the other one: same length, same words, with `await` in between."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from types import GeneratorType
from typing import Any, TypeVar, cast

from resilience.engine.limits import run_limited
from resilience.engine.streams import has_begun
from resilience.engine.worker import CallAbandoned
from resilience.outcome import EXPIRED, Outcome, set_traceback
from resilience.policy.base import NOBODY, Call, Effect, Invoke, Policy, Steps, abandon
from resilience.settings import DISABLED
from resilience.subscription import emit
from resilience.trouble import RUNNING, report_trouble, with_hook

__all__ = ["drive", "perform"]

T = TypeVar("T")


def drive(stack: Sequence[Policy], depth: int, call: Call, at: int) -> Outcome:
    """Carry out the policies of *stack* from *depth* inwards around *call*, which those above *at* have let in.

    Where the call has an outcome already, its `first`, they are told of that one first. Where it opens a stream they
    are told of nothing: what they took they keep until it has ended.
    """
    if DISABLED.used and depth == 0 and call.first is not EXPIRED and not call.committed and DISABLED.is_on():
        stack, at = NOBODY, 0
    bottom = len(stack)
    call.stack = stack
    opener = call.opener
    outcome, call.first = call.first, None
    answer: Any = None  # what a policy said: an Outcome, a float, None or Steps
    try:
        while True:
            while outcome is None:  # inwards, until somebody answers
                if at == bottom:
                    if call.abandoned is not None and call.abandoned.left:
                        raise CallAbandoned
                    try:
                        outcome = Outcome((opener or call.function)(*call.arguments, **call.keywords))
                    except Exception as error:  # without this frame in the traceback: the wrapper raises the error
                        trace = error.__traceback__
                        set_traceback(error, None if trace is None else trace.tb_next)
                        outcome = Outcome(None, error)
                        del trace
                    break
                policy = stack[at]
                if policy.limit is not None:
                    at += 1
                    outcome = run_limited(drive, stack, at, policy, call)
                    break
                answer = policy.before(call, at)
                if answer.__class__ is GeneratorType:
                    answer = perform(answer)
                if answer is None:
                    at += 1
                else:
                    outcome = answer
            if opener is not None and has_begun(outcome, call, depth):
                at = depth
                return outcome
            while at > depth:  # outwards, until somebody wants to run what is inside again
                at -= 1
                answer = stack[at].after(call, at, outcome)
                if answer is outcome:
                    continue
                if answer.__class__ is GeneratorType:
                    answer = perform(answer)
                if answer.__class__ is float:
                    outcome = None
                    at += 1  # who waits holds the call meanwhile
                    if answer > 0:
                        call.clock.sleep(answer, call.abandoned)
                        stack[at - 1].resumed(call, at - 1)
                    break
                outcome = answer
            else:
                return outcome
    finally:
        abandon(stack, call, at, depth)
        answer = outcome = None  # a frame that an error's traceback leads to must not lead back to the error


def perform(steps: Steps[T], effect: Effect | None = None) -> T:
    """Do what *steps* want done and return what they come to. *effect* is one they wait for already."""
    answer: Outcome | None = None
    try:
        while True:
            if effect is None:
                # Only `send` in the try: what is called below must not be taken for the end of the steps.
                try:
                    effect = steps.send(answer)  # type: ignore[arg-type]  # None starts a generator
                except StopIteration as done:
                    return cast("T", done.value)
            if isinstance(effect, Invoke):
                answer = invoke(effect)
            else:
                emit(effect.event)
                answer = None
            effect = None
    finally:
        steps.close()
        answer = None  # see `drive`


def invoke(effect: Invoke) -> Outcome:
    """Call a function of the user's that is not the guarded one."""
    running = RUNNING.get()
    try:
        if effect.role is not None:
            RUNNING.set(with_hook(effect.runs))
        value = effect.function(*effect.arguments)
        if isinstance(value, Coroutine):
            value.close()
            raise TypeError(f"{effect.function!r} is async and the call is not: nobody could await it")
        return Outcome(value)
    except Exception as error:
        if effect.role is not None:
            report_trouble(effect.role, effect.hook, error)
        set_traceback(error, error.__traceback__ and error.__traceback__.tb_next)
        return Outcome(None, error)
    finally:
        RUNNING.set(running)
