"""The function a caller meets: the happy path, and nothing else.

It looks at the gate's state, calls, and returns. No lock, no clock, no generator, no tenacity. Only when the call
fails, or the state is not plain, does a driver take over, with the outcome already in hand.

Each wrapper raises in its own frame and forgets the error in a ``finally``: a traceback shows one frame of ours
however many policies guard the function, and no frame keeps the error that keeps the frame.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING

from resilience.engine import asynchronous, blocking
from resilience.outcome import Outcome
from resilience.policy.base import Call, Gate, Policy

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["asynchronous_wrapper", "blocking_wrapper"]

Sync: TypeAlias = "Callable[..., object]"
Async: TypeAlias = "Callable[..., Coroutine[object, object, object]]"


def _happy_gate(stack: Sequence[Policy]) -> tuple[bool, Gate | None, int]:
    """Say whether *stack* has a happy path, the gate on it, and at which depth it stands."""
    gates = [(policy.gate, depth) for depth, policy in enumerate(stack) if policy.gate is not None]
    happy = all(policy.plain for policy in stack) and len(gates) <= 1
    return (happy, *gates[0]) if happy and gates else (happy, None, -1)


def blocking_wrapper(target: str, function: Sync, stack: Sequence[Policy]) -> Sync:
    """Return the sync function that calls *function* through *stack*, outermost first."""
    drive = blocking.drive
    bottom = len(stack)
    happy, gate, gate_at = _happy_gate(stack)

    def driven(*args: object, **kwargs: object) -> object:
        outcome = drive(stack, 0, Call(target, function, args, kwargs))
        if outcome.error is None:
            return outcome.value
        try:
            raise outcome.error
        finally:
            del outcome

    def free(*args: object, **kwargs: object) -> object:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            first = Outcome(None, error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
        outcome = drive(stack, 0, Call(target, function, args, kwargs, first=first, first_at=bottom))
        if outcome.error is None:
            return outcome.value
        try:
            raise outcome.error
        finally:
            del first, outcome

    if gate is None:
        return free if happy else driven

    def gated(*args: object, **kwargs: object) -> object:
        state = gate.state
        first = None
        if state.quiet:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                first = Outcome(None, error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
            call = Call(target, function, args, kwargs, first=first, first_at=bottom, admission=state)
        else:
            call = Call(target, function, args, kwargs)
            call.first, call.first_at = gate.refuse(call), gate_at
        outcome = drive(stack, 0, call)
        if outcome.error is None:
            return outcome.value
        try:
            raise outcome.error
        finally:
            del first, outcome

    return gated


def asynchronous_wrapper(target: str, function: Async, stack: Sequence[Policy]) -> Async:
    """Return the coroutine function that calls *function* through *stack*, outermost first."""
    drive = asynchronous.drive
    bottom = len(stack)
    happy, gate, gate_at = _happy_gate(stack)

    async def driven(*args: object, **kwargs: object) -> object:
        outcome = await drive(stack, 0, Call(target, function, args, kwargs))
        if outcome.error is None:
            return outcome.value
        try:
            raise outcome.error
        finally:
            del outcome

    async def free(*args: object, **kwargs: object) -> object:
        try:
            return await function(*args, **kwargs)
        except Exception as error:
            first = Outcome(None, error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
        outcome = await drive(stack, 0, Call(target, function, args, kwargs, first=first, first_at=bottom))
        if outcome.error is None:
            return outcome.value
        try:
            raise outcome.error
        finally:
            del first, outcome

    if gate is None:
        return free if happy else driven

    async def gated(*args: object, **kwargs: object) -> object:
        state = gate.state
        first = None
        if state.quiet:
            try:
                return await function(*args, **kwargs)
            except Exception as error:
                first = Outcome(None, error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
            call = Call(target, function, args, kwargs, first=first, first_at=bottom, admission=state)
        else:
            call = Call(target, function, args, kwargs)
            call.first, call.first_at = gate.refuse(call), gate_at
        outcome = await drive(stack, 0, call)
        if outcome.error is None:
            return outcome.value
        try:
            raise outcome.error
        finally:
            del first, outcome

    return gated
