"""The cases: each is one call of ours, and the same call of its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from benchmarks import ours, references, subjects
from benchmarks.check import opened
from benchmarks.shapes import OWNED, called, owner
from benchmarks.terms import ARGUMENT, DEFAULT, Function, Wrap

__all__ = ["CASES", "SIDES", "Case", "Drive", "Side"]

Side: TypeAlias = Literal["ours", "reference"]
SIDES: tuple[Side, ...] = ("ours", "reference")

#: How it is called: as it is, as a method, with its errors caught, awaited by hand, awaited inside asyncio.
Drive: TypeAlias = Literal["call", "method", "catch", "by hand", "asyncio"]


@dataclass(frozen=True)
class Case:
    """One call, as it is counted on both sides."""

    name: str
    title: str
    #: What `benchmarks.ours` calls it.
    capability: str
    against: str
    reference: Wrap
    shape: Literal["sync", "method", "class", "async"] = "sync"
    subject: Literal["answer", "open", "flaky", "yielding"] = "answer"
    #: Whether it needs an event loop. Without one, only what the call itself does is counted.
    asyncio: bool = False
    #: Whether the circuit of ours is opened first, so that the function is not called at all.
    rejected: bool = False
    #: What the call returns; None where it raises.
    answer: object = ARGUMENT
    #: How many calls are counted: fewer where one call takes longer.
    calls: int = 1000

    @property
    def drive(self) -> Drive:
        """How it is called."""
        if self.shape in OWNED:
            return "method"
        if self.shape == "async":
            return "asyncio" if self.asyncio else "by hand"
        return "catch" if self.answer is None else "call"

    def made(self, side: Side) -> object:
        """Return what the loop calls, made anew: a guarded function, or an object with a guarded method."""
        guard, shape = self.guard(side), self.shape_of(side)
        if self.rejected and side == "ours":
            return opened(shape, guard)[0]
        inside = subjects.of_shape(self.subject, shape)
        return owner(shape, guard, inside) if shape in OWNED else guard(inside)

    def guarded(self, side: Side, inside: Function) -> Function:
        """Return *inside* as this side guards it, ready to be called with one argument."""
        return called(self.shape_of(side), self.guard(side), inside)

    def shape_of(self, side: Side) -> str:
        """Return the shape this side is called in: a reference decorates no classes."""
        return "method" if (self.shape, side) == ("class", "reference") else self.shape

    def guard(self, side: Side) -> Wrap:
        """Return what guards a function on this side."""
        guard: Wrap = getattr(ours, self.capability) if side == "ours" else self.reference
        return guard


_STACK = "fallback + retry + breaker"
_FAILING = "two failures, then success"
_EMPTY = ("empty decorator", references.empty)
_LOOP = ("loop with try/except", references.naive_retry)
_LIMIT = ("asyncio.timeout", references.plain_limit)
_RAISING = ("raising a plain exception", references.raising)
_COUNTER = ("counter under a lock", references.counter)
_GCRA = ("GCRA under a lock", references.gcra)
_CAUGHT = ("raising and catching a plain exception", references.caught)

CASES = (
    Case("sync-retry", "success: retry", "retry", *_EMPTY),
    Case("sync-breaker", "success: breaker", "breaker", *_EMPTY),
    Case("fleet-breaker", "success: breaker of a fleet", "fleet_breaker", "breaker without a fleet", ours.breaker),
    Case("sync-stack", f"success: {_STACK}", "stack", *_EMPTY),
    Case("sync-stack-open", f"success: {_STACK}, of a function of *args, **kwargs", "stack", *_EMPTY, subject="open"),
    Case("method-stack", f"success, method: {_STACK}", "stack", *_EMPTY, shape="method"),
    Case("class-stack", f"success, method: {_STACK}, on the class", "stack", *_EMPTY, shape="class"),
    Case("async-stack", f"success, async: {_STACK}", "stack", *_EMPTY, shape="async"),
    Case("chaos-off", f"success: {_STACK} + chaos that is off", "stack_with_chaos_off", f"{_STACK}", ours.stack),
    Case("async-limit", "success, asyncio: time limit", "limit", *_LIMIT, shape="async", asyncio=True, calls=500),
    Case("async-full", f"success, asyncio: {_STACK} + limit", "full", *_LIMIT, shape="async", asyncio=True, calls=500),
    Case(
        "async-full-yielding",  # a time limit has less to do where a call never waits; most do
        f"success, asyncio: {_STACK} + limit, of a function that waits once",
        "full",
        *_LIMIT,
        shape="async",
        subject="yielding",
        asyncio=True,
        calls=500,
    ),
    Case("sync-bulkhead", "success: bulkhead", "bulkhead", *_COUNTER),
    Case("async-bulkhead", "success, async: bulkhead", "bulkhead", *_COUNTER, shape="async"),
    Case("sync-adaptive-limit", "success: adaptive limit", "adaptive_limit", *_COUNTER),
    Case("async-adaptive-limit", "success, async: adaptive limit", "adaptive_limit", *_COUNTER, shape="async"),
    Case("sync-rate-limit", "success: rate limit", "rate_limit", *_GCRA),
    Case("async-rate-limit", "success, async: rate limit", "rate_limit", *_GCRA, shape="async"),
    Case("failures-retry", f"{_FAILING}: retry", "retry", *_LOOP, subject="flaky", calls=300),
    Case("failures-stack", f"{_FAILING}: {_STACK}", "stack", *_LOOP, subject="flaky", calls=300),
    Case(
        "async-failures-stack",
        f"{_FAILING}, asyncio: {_STACK}",
        "stack",
        *_LOOP,
        shape="async",
        subject="flaky",
        asyncio=True,
        calls=300,
    ),
    Case("rejection-raised", "rejected by an open circuit: raised", "breaker", *_RAISING, rejected=True, answer=None),
    Case(
        "rejection-fallback",
        "rejected by an open circuit: behind a fallback",
        "fallback_breaker",
        *_CAUGHT,
        rejected=True,
        answer=DEFAULT,
    ),
)
