"""Give the caller something else when the call fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType

from resilience.category import ErrorCategory, combine
from resilience.classify.decide import categories_of, category_of
from resilience.outcome import Outcome, set_context
from resilience.policy.base import Call, Emit, Invoke, Policy, Steps
from resilience.subscription import listened

__all__ = ["Fallback"]


@dataclasses.dataclass(frozen=True, eq=False)
class Fallback(Policy):
    """Answer with *default*, or what *factory* makes of the error, when its category is in *on*."""

    default: object = ...  # no value: None is one a caller may well want back
    factory: Callable[[Exception], object] | None = None
    on: ErrorCategory = ErrorCategory.INFRASTRUCTURE | ErrorCategory.REJECTED

    #: The bits of what is left alone: quicker to look at than a Flag.
    _not: int = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_not", ~combine("on", [self.on]).value)
        if self.default is ... and self.factory is None:
            raise TypeError("fallback(): give default=, a value, or factory=, a function of the error")
        if self.default is not ... and self.factory is not None:
            raise TypeError("fallback(default=..., factory=...): give one of the two, not both")
        if isinstance(self.default, FunctionType | MethodType):
            raise TypeError(
                f"default={self.default!r}: a function would be handed out, not called; give factory=, which takes the"
                " error, and parentheses where the decorator has none"
            )
        if self.factory is not None and not callable(self.factory):
            raise TypeError(f"factory={self.factory!r}: give a function that takes the error; for a value, default=")

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        return {} if self.factory is None else {"factory": self.factory}

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | Steps[Outcome]:
        error = outcome.error
        if error is None:
            return outcome
        # Of an exception group all members must be covered.
        covered = categories_of(error) if isinstance(error, BaseExceptionGroup) else category_of(outcome)
        if covered._value_ & self._not:
            return outcome
        if self.factory is None and not listened():
            return Outcome(self.default)
        return self._substitute(call, outcome, error)

    def _substitute(self, call: Call, outcome: Outcome, error: Exception) -> Steps[Outcome]:
        if listened():
            from resilience.events import FallbackUsed

            yield Emit(FallbackUsed(target=call.target, policy="fallback", category=category_of(outcome), error=error))
        if self.factory is None:
            return Outcome(self.default)
        substitute = yield Invoke(self.factory, error)
        second = substitute.error
        # As if the factory had been called in an except block: whoever reads the second error sees the first.
        if second is not None and second is not error and second.__context__ is None:
            set_context(second, error)
        return substitute

    def __str__(self) -> str:
        # Not the value: a default may be large, or secret.
        what = (
            f"factory={getattr(self.factory, '__qualname__', '...')}"
            if self.factory
            else f"default={type(self.default).__name__}"
        )
        return f"fallback({what}, on={self.on.label})"
