"""Give the caller something else when the call fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import FunctionType, MethodType, TracebackType
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from resilience._runtime import protocol as base
from resilience._runtime.callables import name_of, under_descriptor
from resilience._runtime.protocol import PROCEED, Call, Emit, Run
from resilience._validation import yes_or_no
from resilience.category import CategoryLike, ErrorCategory, combine
from resilience.classify.decide import categories_of, category_of
from resilience.outcome import Outcome
from resilience.policies.base import Policy, Steps
from resilience.subscription import has_listeners

if TYPE_CHECKING:
    from resilience._runtime.context_manager import BlockResult
    from resilience._runtime.worst_case import WorstCase
    from resilience.policies.fallback_chain import Chain, Link
    from resilience.policies.stale_cache import Stale

__all__ = ["COVERED", "Fallback"]

V = TypeVar("V")

COVERED: Final = ErrorCategory.INFRASTRUCTURE | ErrorCategory.REJECTED
"""What is covered unless *on* says otherwise."""

_ALL = -1  # every bit


class Fallback(Policy, Generic[V]):
    """Answer a failure with what a function of a chain returns, else what was kept as stale, else with a default.

    In place of the default, what a factory makes of the error. The chain has categories of its own; the others answer
    where that of the error is in *on*: of the call's, or, where that was called, of the chain's. `fallback` has the
    parameters.
    """

    supports_generators = False

    def __init__(
        self,
        default: object = ...,
        *,
        factory: Callable[[Exception], object] | None = None,
        chain: Mapping[CategoryLike, Callable[..., object]] | None = None,
        stale: object = None,
        key: Callable[..., object] | None = None,
        max_age: float | timedelta | None = None,
        degraded: bool = False,
        on: CategoryLike = COVERED,
    ) -> None:
        self.default: object = default  # no value is `...`: None is one a caller may well want back
        self.factory: Callable[[Exception], object] | None = factory
        self.chain: Chain | None = None
        self.stale: Stale | None = None
        self.degraded: bool = yes_or_no("degraded", degraded)
        self.on: ErrorCategory = combine("on", [on])
        if chain is not None:
            from resilience.policies.fallback_chain import Chain

            self.chain = Chain(chain)
        if stale is not None:
            from resilience.policies.stale_cache import Stale

            self.stale = Stale(stale, key, max_age)
        for name, value in (("key", key), ("max_age", max_age)):
            if value is not None and stale is None:
                raise TypeError(f"{name}={value!r}: give it with stale=, a cache of good answers")
        self._check_answers()
        #: The bits of what is left alone: quicker to look at than a Flag.
        self._not: int = ~self.on.value if self._asks_on else _ALL
        #: Whether there is nothing to be done but to hand out the default.
        self._at_once: bool = default is not ... and stale is None and not degraded
        # Only who keeps good answers has to see them.
        self.fast_path: bool = stale is None

    def _check_answers(self) -> None:
        if not self._asks_on and self.chain is None:
            raise TypeError(
                "fallback(): give default=, a value, or factory=, a function of the error; or chain=, functions by"
                " category, or stale=, a cache of good answers"
            )
        if self.default is not ... and self.factory is not None:
            raise TypeError("fallback(default=..., factory=...): give one of the two, not both")
        if isinstance(self.default, FunctionType | MethodType):
            raise TypeError(
                f"default={self.default!r}: a function would be handed out, not called; give factory=, which takes the"
                " error, and parentheses where the decorator has none"
            )
        if self.factory is not None and not callable(self.factory):
            raise TypeError(f"factory={self.factory!r}: give a function that takes the error; for a value, default=")
        if not self._asks_on and self.on != COVERED:
            raise TypeError(
                f"on={self.on.label!r}: give it with default=, factory= or stale=; what a chain answers, its keys say"
            )

    @property
    def _asks_on(self) -> bool:
        return self.default is not ... or self.factory is not None or self.stale is not None

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        found: dict[str, Callable[..., object]] = {} if self.factory is None else {"factory": self.factory}
        for part in (self.chain, self.stale):
            if part is not None:
                found |= part.hooks()
        return found

    def run(self, call: Call) -> Steps:
        outcome: Outcome = yield PROCEED
        error = outcome.error
        if error is None:
            return outcome if self.stale is None else (yield from self.stale.keep(call, outcome))
        # Of an exception group all members must be covered.
        covered = categories_of(error) if isinstance(error, BaseExceptionGroup) else category_of(outcome)
        leaves = covered._value_
        link = None if self.chain is None else self.chain.find(leaves)
        if link is None:
            if leaves & self._not:
                return outcome
            if self._at_once and not has_listeners():
                return Outcome(self.default)
        return (yield from self._substitute(call, outcome, error, link))

    # -- as a decorator and as a block ---------------------------------------------------------------------------

    def policies(self, target: object = None) -> tuple[base.Policy, ...]:
        function = under_descriptor(target)
        if self.chain is not None and callable(function) and not isinstance(function, type):
            self.chain.refuse_other_parameters(function, name_of(function))
        return (self,)

    def _policy(self) -> base.Policy:
        if self.stale is not None:
            raise TypeError(f"with {self}: a block has no arguments to keep its value by; decorate a function")
        if self.degraded:
            raise TypeError(f"with {self}: a block's result says by itself whether it is degraded; leave it out")
        return self

    def _entered(self, result: BlockResult[object]) -> object:
        return result

    if TYPE_CHECKING:

        def __enter__(self) -> BlockResult[V]: ...

        async def __aenter__(self) -> BlockResult[V]: ...

        # It swallows the errors that it covers.
        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> bool: ...

        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> bool: ...

    # -- what is handed out --------------------------------------------------------------------------------------

    def _substitute(self, call: Call, outcome: Outcome, error: Exception, link: Link | None) -> Steps:
        if link is not None:
            yield from _told(call, outcome, error, link.source)
            second = yield link.invoke(call)
            if second.error is None:
                return self._handed_out(second.value, link.source, error)
            from resilience.policies.fallback_chain import keep_first

            note = f"resilience: {link.source} was called in place of {call.target}, after {type(error).__name__}"
            keep_first(second.error, error, note)
            outcome, error = second, second.error
            if categories_of(error)._value_ & self._not:
                yield from _told_of_failure(call, outcome, error, link.source)
                return outcome
        if self.stale is not None:
            found = yield from self.stale.find(call)
            if found is not None:
                yield from _told(call, outcome, error, "stale")
                return self._handed_out(found[0], "stale", error, found[1])
        if self.default is not ...:
            yield from _told(call, outcome, error, "default")
            return self._handed_out(self.default, "default", error)
        if self.factory is None:
            if link is not None:
                yield from _told_of_failure(call, outcome, error, link.source)
            return outcome
        yield from _told(call, outcome, error, "factory")
        substitute: Outcome = yield Run(self.factory, error)
        if substitute.error is None:
            return self._handed_out(substitute.value, "factory", error)
        from resilience.policies.fallback_chain import keep_first

        # As if the factory had been called in an except block: whoever reads the second error sees the first.
        keep_first(substitute.error, error)
        yield from _told_of_failure(call, substitute, substitute.error, "factory")
        return substitute

    def _handed_out(self, value: object, source: str, error: Exception, age: float | None = None) -> Outcome:
        if not self.degraded:
            return Outcome(value)
        from resilience.policies.degraded import Degraded

        return Outcome(Degraded(value, source, error, age))

    def worst(self, inside: WorstCase) -> WorstCase:
        return inside

    def __str__(self) -> str:
        # Not the value: a default may be large, or secret.
        parts: list[str] = []
        if self.chain is not None:
            parts.append(f"chain={self.chain}")
        if self.stale is not None:
            parts.append(f"stale={self.stale}")
            if self.stale.max_age is not None:
                parts.append(f"max_age={self.stale.max_age:g}")
        if self.factory is not None:
            parts.append(f"factory={getattr(self.factory, '__qualname__', '...')}")
        elif self.default is not ...:
            parts.append(f"default={type(self.default).__name__}")
        if self.degraded:
            parts.append("degraded=True")
        if self._asks_on:
            parts.append(f"on={self.on.label}")
        return f"fallback({', '.join(parts)})"

    def __repr__(self) -> str:
        return str(self)


def _told(call: Call, outcome: Outcome, error: Exception, source: str) -> base.Steps[None]:
    if has_listeners():
        from resilience.events import FallbackUsed

        category = category_of(outcome)
        yield Emit(FallbackUsed(target=call.target, policy="fallback", category=category, error=error, source=source))


def _told_of_failure(call: Call, outcome: Outcome, error: Exception, source: str) -> base.Steps[None]:
    if has_listeners():
        from resilience.events import FallbackFailed

        category = category_of(outcome)
        yield Emit(FallbackFailed(target=call.target, policy="fallback", category=category, error=error, source=source))
