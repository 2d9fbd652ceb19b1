"""The runner of sync calls: it carries out the effects that policies yield. `async_runner` is its twin.

The runner is the only part of the toolkit that calls, catches, waits and sleeps; it knows effects and no policy. Both
runners are one text but for ``await``, which `tests/_runtime/test_runner_parity.py` holds: what waits for nothing is in
`steps`, and is shared.

`drive` takes a call through a stack of policies. The policies that have proceeded are generators, suspended in
``Call.suspended``, the outermost first. The loop has one thing in hand. A `Proceed` leads inwards, to the next policy
or to the function. An outcome goes outwards, to the policy that waits for it. Any other effect is performed on the
spot. A `Proceed` with a timeout runs the layers inside it by a `drive` of its own: in a worker thread here, in a cancel
scope in the async runner.

Where a call ends without an outcome, the exception passes through `drive`, which closes the generators it has in its
charge, those from its *depth* on inwards. Where a stream has begun nothing is closed: its policies stay suspended until
the items have ended, see `generators`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

from resilience._callback_errors import RUNNING
from resilience._listeners import emit
from resilience._outcome import Outcome
from resilience._runtime.acquire import acquire, give_back
from resilience._runtime.generators import is_open_stream, may_open_stream
from resilience._runtime.pauses import pause
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
from resilience._runtime.thread_timeout import check_caller
from resilience._runtime.time_limits import run_with_timeout
from resilience._runtime.tracebacks import failed_here
from resilience.settings import DISABLED

__all__ = ["advance", "drive", "perform"]


def drive(stack: Sequence[Policy], depth: int, call: Call, at: int) -> Outcome:
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
                answer = perform(effect, call)
                if may_open_stream(effect, call):
                    outcome = cast("Outcome", answer)
                    continue
            elif effect.timeout is not None:
                outcome = effect.answer(call, run_with_timeout(drive, stack, at, effect, call))
                continue
            elif at < bottom:
                suspended.append(stack[at].run(call))
                answer = None
                at += 1
            else:
                outcome = call_function(call)
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


def call_function(call: Call) -> Outcome:
    """Call the guarded function; return its outcome, without this frame in the traceback of its error.

    A signal may interrupt what runs in this frame (`interruptible`).
    """
    if call.cancel_token is not None:
        check_caller(call)
    if call.streaming_started:
        raise RuntimeError(f"{call.target} cannot run again: its first items were handed out")
    try:
        return Outcome((call.opener or call.function)(*call.arguments, **call.keywords))
    except Exception as error:
        return failed_here(error)


def advance(steps: Steps[Outcome], answer: object, call: Call) -> Proceed | Outcome:
    """Send *answer* to a policy and perform its effects, until it proceeds or returns.

    For what has one policy and is resumed from outside: a block, a retry loop. The policy is closed where an effect is
    cancelled or interrupted.
    """
    step: object = None
    try:
        step = resume(steps, answer)
        while not isinstance(step, (Proceed, Outcome)):
            step = resume(steps, perform(step, call))
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


def emit_event(effect: Emit, _call: Call) -> None:
    """Hand the event to its listeners, which may neither wait nor fail the call."""
    emit(effect.event)


def sleep(effect: Sleep, call: Call) -> None:
    """Wait in this thread, unless the call's caller leaves it."""
    if effect.seconds > 0:
        pause(effect, call)
        check_caller(call)


def race(effect: Race, call: Call) -> Outcome:
    """Run copies in threads, where the policy allows that; `thread_race` is loaded with the first race."""
    if not effect.in_threads:  # nothing could end the copy that has lost
        raise TypeError(f"{call.target} is not async: Race cannot end a sync copy of a call")
    from resilience._runtime.thread_race import race_in_threads

    return race_in_threads(effect, drive, call)


def call_user_function(effect: Run, _call: Call) -> Outcome:
    """Call a function of the user's that is not the guarded one. Its error is an outcome, and reported under a role."""
    running = RUNNING.get()
    try:
        effect.enter()
        value = effect.function(*effect.arguments)
        if isinstance(value, Coroutine):
            value.close()
            raise TypeError(f"{effect.function!r} is async and the call is not: its result would not be awaited")
        return Outcome(value)
    except Exception as error:
        return effect.failed(error)
    finally:
        RUNNING.set(running)


_HANDLERS: dict[type, Callable[..., object]] = {
    Emit: emit_event,
    Sleep: sleep,
    Acquire: acquire,
    Run: call_user_function,
    Race: race,
}
