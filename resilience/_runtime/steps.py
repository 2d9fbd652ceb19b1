"""One policy's generator: started, resumed with an answer, and closed.

Everything that both runners do with a generator without waiting for anything stands here, once. A generator is sent
the answer to its last effect by `resume`, and yields the next effect or returns the policy's `Outcome`. While it is
suspended at a `Proceed` it stands in ``Call.suspended``; there it is closed, innermost first, where the call ends
without an outcome: on cancellation, on Ctrl-C, when a limit expires. Closing raises `GeneratorExit` at its ``yield``,
so its ``finally`` blocks give back what it took.

The wrong things that a policy's author may write (a plain `run`, a yield in ``finally``, a value that is no `Outcome`)
are reported here as a TypeError or a RuntimeError that names the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from resilience._outcome import TIMED_OUT, Outcome
from resilience._runtime.cut_off import cut_off_by
from resilience._runtime.protocol import Call, Effect, PassThrough, Policy, Proceed, Steps
from resilience.settings import DISABLED

__all__ = [
    "are_switched_off",
    "begin_admitted",
    "close",
    "cut_off",
    "end",
    "handler_of",
    "outcome_of",
    "policy_in_force",
    "resume",
]

_EFFECTS = "yield a Proceed, Sleep, Acquire, Run, Emit or Race"


def resume(steps: Steps[Outcome], answer: object) -> Effect | Outcome:
    """Send *answer* to a policy; return its next effect, or the outcome it has returned.

    Raises TypeError for a `run` that returns or yields the wrong kind of value. Where it is no generator at all, `end`
    says so, as the call is over with it.
    """
    try:
        effect = steps.send(answer)
    except StopIteration as done:
        return outcome_of(done.value, steps)
    finally:
        answer = None  # a frame that an error's traceback leads to must not lead back to the error
    if isinstance(effect, Outcome):
        raise TypeError(f"{_name_of(steps)} yielded {effect!r}: {_EFFECTS}")
    return effect


def outcome_of(value: object, steps: Steps[Outcome]) -> Outcome:
    """Return what a policy has returned. Raises TypeError for what is no `Outcome`."""
    if isinstance(value, Outcome):
        return value
    raise TypeError(f"{_name_of(steps)} returned {value!r}: return an Outcome")


def policy_in_force(policy: Policy) -> Policy:
    """Return *policy*, or one that does nothing in its place where policies are switched off: for a block, a loop."""
    if DISABLED.is_on():
        return _NO_POLICY
    return policy


_NO_POLICY = PassThrough()


def are_switched_off(call: Call, depth: int) -> bool:
    """Whether policies are disabled where *call* begins; a call that has got past one of them stays as it is."""
    return depth == 0 and DISABLED.is_on() and call.initial_outcome is not TIMED_OUT and not call.streaming_started


def begin_admitted(call: Call, at: int) -> None:
    """Start the policies above the depth *at*: the fast path has admitted the call for them, and made the attempt.

    A call that succeeds at once costs no generator. Those of a call that fails are made afterwards, and brought to
    where they would stand if they had been run from the beginning.

    Each finds ``call.admitted`` set, and has to proceed first; it is then sent the outcome that the fast path got.
    """
    call.admitted = True
    for policy in call.stack[call.base + len(call.suspended) : at]:
        steps = policy.run(call)
        call.suspended.append(steps)
        if type(next(steps, None)) is not Proceed:
            raise TypeError(f"{policy} is on the fast path, but does not proceed first")
    call.admitted = False


def handler_of(effect: object, handlers: Mapping[type, Callable[..., Any]], call: Call) -> Callable[..., Any]:
    """Return what carries out *effect*, which may be of a subclass; raises TypeError for what is no effect."""
    for kind in type(effect).__mro__:
        if kind in handlers:
            return handlers[kind]
    policy = _name_of(call.suspended[-1]) if call.suspended else "a policy"
    raise TypeError(f"{policy} yielded {effect!r}: {_EFFECTS}")


def cut_off(call: Call, keep: int, error: BaseException | None) -> None:
    """End all but the first *keep* suspended policies of a call that *error* has cut off."""
    if len(call.suspended) > keep:
        call.ended_by = cut_off_by(error)
        close(call.suspended, keep)


def close(suspended: list[Steps[Outcome]], keep: int) -> None:
    """End all but the first *keep* of suspended generators, the innermost first: each gives back what it took.

    An error that one of them raises reaches the caller after the others have been closed.
    """
    if len(suspended) > keep:
        try:
            end(suspended.pop())
        finally:
            close(suspended, keep)


def end(steps: Steps[Outcome]) -> None:
    """Close one generator. Raises RuntimeError where it yields in its ``finally``, and TypeError for no generator."""
    if not hasattr(steps, "close"):
        raise TypeError(f"a policy's run() returned {steps!r}: make it a generator, by a yield") from None
    try:
        steps.close()
    except RuntimeError:
        if getattr(steps, "gi_frame", None) is None:  # an error of its own
            raise
        raise RuntimeError(
            f"{_name_of(steps)} yields while it is closed: a call that is cancelled has no effects left; give back"
            " what was taken by plain calls, in `finally`"
        ) from None


def _name_of(steps: object) -> str:
    """Return the name of the method whose generator this is, such as ``DenyAll.run``."""
    return str(getattr(steps, "__qualname__", type(steps).__name__))
