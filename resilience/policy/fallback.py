"""Give the caller something else when the call fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Final

from resilience.category import CategoryLike, ErrorCategory, combine
from resilience.classify.decide import categories_of, category_of
from resilience.outcome import Outcome
from resilience.policy.base import Call, Emit, Invoke, Policy, Steps
from resilience.policy.check import yes_or_no
from resilience.subscription import listened

if TYPE_CHECKING:
    from resilience.policy.chain import Chain, Link
    from resilience.policy.stale import Stale

__all__ = ["COVERED", "Fallback", "make_fallback"]

COVERED: Final = ErrorCategory.INFRASTRUCTURE | ErrorCategory.REJECTED
"""What is covered unless *on* says otherwise."""

_ALL = -1  # every bit


@dataclasses.dataclass(frozen=True, eq=False)
class Fallback(Policy):
    """Answer a failure with what a function of *chain* returns, else what was kept as *stale*, else with *default*.

    In place of the default, what *factory* makes of the error. The chain has categories of its own; the others answer
    where that of the error is in *on*: of the call's, or, where that was called, of the chain's.
    """

    default: object = ...  # no value: None is one a caller may well want back
    factory: Callable[[Exception], object] | None = None
    on: ErrorCategory = COVERED
    chain: Chain | None = None
    stale: Stale | None = None
    degraded: bool = False

    #: The bits of what is left alone: quicker to look at than a Flag.
    _not: int = dataclasses.field(init=False, repr=False)
    #: Whether there is nothing to be done but to hand out the default.
    _at_once: bool = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.default is ... and self.factory is None and self.chain is None and self.stale is None:
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
        object.__setattr__(self, "_not", ~combine("on", [self.on]).value if self._asks_on else _ALL)
        at_once = self.default is not ... and self.stale is None and not self.degraded
        object.__setattr__(self, "_at_once", at_once)
        # Only who keeps good answers has to see them.
        object.__setattr__(self, "fast_path", self.stale is None)

    @property
    def _asks_on(self) -> bool:
        return self.default is not ... or self.factory is not None or self.stale is not None

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        found: dict[str, Callable[..., object]] = {} if self.factory is None else {"factory": self.factory}
        for part in (self.chain, self.stale):
            if part is not None:
                found |= part.hooks()
        return found

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | Steps[Outcome]:
        error = outcome.error
        if error is None:
            return outcome if self.stale is None else self.stale.keep(call, outcome)
        # Of an exception group all members must be covered.
        covered = categories_of(error) if isinstance(error, BaseExceptionGroup) else category_of(outcome)
        leaves = covered._value_
        link = None if self.chain is None else self.chain.find(leaves)
        if link is None:
            if leaves & self._not:
                return outcome
            if self._at_once and not listened():
                return Outcome(self.default)
        return self._substitute(call, outcome, error, link)

    def _substitute(self, call: Call, outcome: Outcome, error: Exception, link: Link | None) -> Steps[Outcome]:
        if link is not None:
            yield from _told(call, outcome, error, link.source)
            second = yield link.invoke(call)
            if second.error is None:
                return self._handed_out(second.value, link.source, error)
            from resilience.policy.chain import keep_first

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
        substitute = yield Invoke(self.factory, error)
        if substitute.error is None:
            return self._handed_out(substitute.value, "factory", error)
        from resilience.policy.chain import keep_first

        # As if the factory had been called in an except block: whoever reads the second error sees the first.
        keep_first(substitute.error, error)
        yield from _told_of_failure(call, substitute, substitute.error, "factory")
        return substitute

    def _handed_out(self, value: object, source: str, error: Exception, age: float | None = None) -> Outcome:
        if not self.degraded:
            return Outcome(value)
        from resilience.policy.degraded import Degraded

        return Outcome(Degraded(value, source, error, age))

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


def _told(call: Call, outcome: Outcome, error: Exception, source: str) -> Steps[None]:
    if listened():
        from resilience.events import FallbackUsed

        category = category_of(outcome)
        yield Emit(FallbackUsed(target=call.target, policy="fallback", category=category, error=error, source=source))


def _told_of_failure(call: Call, outcome: Outcome, error: Exception, source: str) -> Steps[None]:
    if listened():
        from resilience.events import FallbackFailed

        category = category_of(outcome)
        yield Emit(FallbackFailed(target=call.target, policy="fallback", category=category, error=error, source=source))


def make_fallback(
    default: object,
    *,
    factory: Callable[[Exception], object] | None,
    chain: Mapping[CategoryLike, Callable[..., object]] | None,
    stale: object,
    key: Callable[..., object] | None,
    max_age: float | timedelta | None,
    degraded: bool,
    on: CategoryLike,
) -> Fallback:
    """Make the policy that the parameters of `fallback` ask for."""
    links = cache = None
    if chain is not None:
        from resilience.policy.chain import Chain

        links = Chain(chain)
    if stale is not None:
        from resilience.policy.stale import Stale

        cache = Stale(stale, key, max_age)
    else:
        for name, value in (("key", key), ("max_age", max_age)):
            if value is not None:
                raise TypeError(f"{name}={value!r}: give it with stale=, a cache of good answers")
    return Fallback(default, factory, combine("on", [on]), links, cache, yes_or_no("degraded", degraded))
