"""Fallback: return a substitute to the caller when the call fails.

The policy decides which failures are answered. The answers come from sources, asked in order: a function of the chain,
the stale cache, then a default or a factory. To add a kind of source, write a subclass of `Source` in
`_fallback_source`, and a parameter of `Fallback` that makes one.

A substitute is of no use when the caller has left. So under a deadline the fallback ends the call a little before that,
by a time limit of its own, and everything inside sees the earlier moment: the reserve is what its sources may take.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar, Unpack, overload

from resilience._listeners import has_listeners
from resilience._outcome import TIMED_OUT, Outcome
from resilience._runtime import protocol as base
from resilience._runtime.callables import name_of
from resilience._runtime.method_selection import MethodOptions, MethodSelection, select_methods
from resilience._runtime.place import Place
from resilience._runtime.protocol import PROCEED, Call, Proceed
from resilience._validation import optional, require, require_bool
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.classification.classifier import categories_of, category_of
from resilience.errors.base import DeadlineExceededError
from resilience.policies._fallback_chain import FallbackChain, chain_context
from resilience.policies._fallback_source import Answer, DefaultSource, FactorySource, Source, error_of, failed
from resilience.policies._timed_out import time_out
from resilience.policies.base import Policy, Steps, decorated_function

if TYPE_CHECKING:
    from resilience._runtime.context_manager import BlockResult
    from resilience._runtime.worst_case import WorstCase
    from resilience.policies.degraded import Degraded
    from resilience.policies.stale_cache import Stale

__all__ = ["COVERED", "DegradedFallback", "Fallback"]

V = TypeVar("V")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

COVERED: Final = ErrorCategory.INFRASTRUCTURE | ErrorCategory.REJECTED
"""The categories that are covered unless *on* names others."""

_RESERVED_SHARE = 0.1
"""The share of the time left that a fallback reserves at most: under a short deadline the call comes first."""


class Fallback(Policy, Generic[V]):
    """Answer a failure: by a function of a chain, else from the stale cache, else with a default or by a factory.

    A chain has categories of its own. The other sources answer where the category of the error is in *on*: that of
    the call's error or, where a function of the chain was called and failed too, of that function's. Of an exception
    group all members must be covered.

    `fallback` documents the parameters. The object holds no state of a call. Raises TypeError or ValueError for invalid
    options, and TypeError where a function of the chain takes other parameters than the decorated one.

    >>> from resilience import fallback
    >>> @fallback(default="EUR", chain={"unavailable": lambda country: "USD"})
    ... def currency(country: str) -> str:
    ...     raise TimeoutError
    >>> currency("de")
    'EUR'
    """

    supports_generators = False
    place: Place | None = Place.FALLBACK
    reserves_time: bool = True

    def __init__(
        self,
        default: object = ...,
        *,
        factory: Callable[[Exception], object] | Callable[[], object] | None = None,
        chain: Mapping[CategoryLike, Callable[..., object]] | None = None,
        stale: object = None,
        key: Callable[..., object] | None = None,
        max_age: float | timedelta | None = None,
        degraded: bool = False,
        on: CategoryLike = COVERED,
        **methods: Unpack[MethodOptions],
    ) -> None:
        self.degraded: bool = require_bool("degraded", degraded)
        self._as_degraded: type[Degraded[object]] | None = None
        if degraded:  # loaded here: nothing can be imported while the interpreter finalizes
            from resilience.policies import degraded as substitutes

            self._as_degraded = substitutes.Degraded
        self.on: ErrorCategory = combine("on", [on])
        self.methods: MethodSelection | None = select_methods(**methods)
        self.chain: FallbackChain | None = optional(_parse_chain, "chain", chain)
        self.stale: Stale | None = _parse_stale(stale, key, max_age)
        last = _parse_last(default, factory)
        #: The sources for failures in *on*, in the order in which they are asked.
        self.sources: tuple[Source, ...] = tuple(filter(None, (self.stale, last)))
        self._check_sources()
        #: The bits of the categories that no source of these is for: quicker to look at than a Flag.
        self._not_covered: int = ~self.on.value
        #: The default, where it is returned without any other step.
        self._at_once: DefaultSource | None = None
        if isinstance(last, DefaultSource) and stale is None and not degraded:
            self._at_once = last
        # Only a fallback that keeps good answers has to see them.
        self.fast_path: bool = stale is None
        #: Seconds before a deadline by which the call has to end: what it takes to answer a time-out.
        self._reserve: float = max((source.reserve for source in self._sources_for(ErrorCategory.TIMEOUT)), default=0.0)
        self.reserves_time = self._reserve > 0

    def _sources_for(self, category: ErrorCategory) -> tuple[Source, ...]:
        """Return the sources that are asked for a failure of *category*, a leaf."""
        route = self.chain and self.chain.find(category.value)
        routes = (route,) if route else ()
        return (*routes, *(self.sources if category in self.on else ()))

    def _check_sources(self) -> None:
        """Refuse a fallback without any source, and categories that no source is for."""
        if self.sources:
            return
        if self.chain is None:
            raise TypeError(
                "fallback(): give default=, a value, or factory=, a function of the error; or chain=, functions by"
                " category, or stale=, a cache of good answers"
            )
        expected = "it with default=, factory= or stale=; what a chain answers, its keys say"
        require(self.on == COVERED, "on", self.on.label, expected, TypeError)

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        """Return the functions that the fallback was given, by parameter."""
        return {name: hook for source in (*(self.chain or ()), *self.sources) for name, hook in source.hooks().items()}

    def run(self, call: Call) -> Steps:
        """Return the outcome of the call, or the answer of the first source that has one for its failure.

        A failure that is not covered passes as it is, the same object.
        """
        proceed = self._proceed(call)
        outcome: Outcome = yield proceed
        if outcome is TIMED_OUT:
            outcome = yield from time_out(call, DeadlineExceededError(call.target), "deadline", proceed.timeout or 0.0)
        if outcome.error is None:
            if self.stale is None:
                return outcome
            return (yield from self.stale.store(call, outcome))
        leaves = category_of(outcome)._value_
        if isinstance(outcome.error, BaseExceptionGroup):  # all members must be covered
            leaves = categories_of(outcome.error)._value_
        if self.chain is not None and (route := self.chain.find(leaves)) is not None:
            return (yield from self._substitute(call, outcome, (route, *self.sources)))
        if leaves & self._not_covered:
            return outcome
        if self._at_once is not None and not has_listeners():
            return Outcome(self._at_once.value)
        return (yield from self._substitute(call, outcome, self.sources))

    def _proceed(self, call: Call) -> Proceed:
        """Return the effect by which the call is made: under a deadline, one that ends it a reserve earlier.

        Where no time is left the call is made as without a fallback: the deadline itself ends it.
        """
        if call.due == math.inf or not self._reserve or call.admitted:
            return PROCEED
        left = call.due - call.clock.now()
        if left <= 0:
            return PROCEED
        return Proceed(left - min(self._reserve, left * _RESERVED_SHARE), cooperative=True, raw=True)

    def _substitute(self, call: Call, outcome: Outcome, sources: Iterable[Source]) -> Steps:
        """Return the answer of the first of *sources* that has one; the last failure where all fail.

        When a source fails, its error takes the place of the one before, which becomes its context; the sources after
        it answer where that error is covered.
        """
        failure: Source | None = None
        for source in sources:
            answer = yield from source.answer(call, outcome)
            if answer is None:
                continue
            if answer.outcome.error is None:
                return self._handed_out(answer, source, error_of(outcome))
            _show_both(call, source, answer.outcome.error, error_of(outcome))
            outcome, failure = answer.outcome, source
            if categories_of(answer.outcome.error)._value_ & self._not_covered:
                break
        if failure is not None:
            yield from failed(call, outcome, failure.name)
        return outcome

    def _handed_out(self, answer: Answer, source: Source, error: Exception) -> Outcome:
        """Return the outcome of a source, as `Degraded` where substitutes are to say what they stand in for."""
        value = answer.outcome.value
        if self._as_degraded is not None:
            value = self._as_degraded(value, source.name, error, answer.age)
        return Outcome(value)

    # -- as a decorator and as a block ---------------------------------------------------------------------------

    def policies(self, target: object = None) -> tuple[base.Policy, ...]:
        """Return this policy; raise TypeError where a function of the chain cannot be called as *target* is.

        At decoration time: the chain is called in an outage, which is no time to find out.
        """
        function = decorated_function(target)
        if function is not None and self.chain is not None:
            self.chain.check_signatures(function, name_of(function))
        return (self,)

    def _policy(self) -> base.Policy:
        if self.stale is not None:
            raise TypeError(f"with {self}: a block has no arguments to keep its value by; decorate a function")
        if self.degraded:
            raise TypeError(f"with {self}: a block's result says by itself whether it is degraded; leave it out")
        return self

    def _entered(self, result: BlockResult[object]) -> Any:
        return result

    if TYPE_CHECKING:
        # The substitute is a result as well: a default of None makes a ``str`` a ``str | None``. Other policies return
        # the type that they are given, which a checker asks of this one, too.
        @overload  # type: ignore[override]  # a type of its own, as said above
        def __call__(self, target: type[T], /) -> type[T]: ...  # type: ignore[overload-overlap]

        @overload
        def __call__(self, target: classmethod[T, P, R], /) -> classmethod[T, P, R | V]: ...

        @overload
        def __call__(self, target: staticmethod[P, R], /) -> staticmethod[P, R | V]: ...  # type: ignore[overload-overlap]

        @overload
        def __call__(
            self, target: Callable[P, Coroutine[Any, Any, R]], /
        ) -> Callable[P, Coroutine[Any, Any, R | V]]: ...

        @overload
        def __call__(self, target: Callable[P, R], /) -> Callable[P, R | V]: ...

        def __call__(self, target: Any, /) -> Any: ...

        def call(  # type: ignore[override]
            self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
        ) -> R | V: ...

        @overload  # type: ignore[override]
        async def acall(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R | V: ...

        @overload
        async def acall(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | V: ...

        async def acall(self, function: Any, /, *args: Any, **kwargs: Any) -> Any: ...

        def __enter__(self) -> BlockResult[V]: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]

        async def __aenter__(self) -> BlockResult[V]: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]

        # It swallows the errors that it covers.
        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> bool: ...

        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> bool: ...

    # -- description ---------------------------------------------------------------------------------------------

    def worst(self, inside: WorstCase) -> WorstCase:
        return inside

    def __str__(self) -> str:
        options: dict[str, object] = {"chain": self.chain}
        for source in self.sources:
            options |= source.options()
        options |= {"degraded": self.degraded, "on": self.sources and self.on.label}
        return f"fallback({', '.join(f'{name}={value}' for name, value in options.items() if value)})"

    def __repr__(self) -> str:
        return str(self)


def _show_both(call: Call, source: Source, second: Exception, first: Exception) -> None:
    """Have the error of a source show the one before, as if it had been raised in an except block for it."""
    chain_context(second, first, source.note(call, first))


class DegradedFallback(Fallback[V]):
    """A fallback with ``degraded=True``: its substitutes are marked, and so is the type of what it guards.

    It is a `Fallback` in all else.
    """

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # a type of its own, as said above
        def __call__(self, target: type[T], /) -> type[T]: ...  # type: ignore[overload-overlap]

        @overload
        def __call__(self, target: classmethod[T, P, R], /) -> classmethod[T, P, R | Degraded[R | V]]: ...

        @overload
        def __call__(self, target: staticmethod[P, R], /) -> staticmethod[P, R | Degraded[R | V]]: ...  # type: ignore[overload-overlap]

        @overload
        def __call__(
            self, target: Callable[P, Coroutine[Any, Any, R]], /
        ) -> Callable[P, Coroutine[Any, Any, R | Degraded[R | V]]]: ...

        @overload
        def __call__(self, target: Callable[P, R], /) -> Callable[P, R | Degraded[R | V]]: ...

        def __call__(self, target: Any, /) -> Any: ...  # pyright: ignore[reportIncompatibleMethodOverride]

        def call(  # type: ignore[override]
            self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
        ) -> R | Degraded[R | V]: ...

        @overload  # type: ignore[override]
        async def acall(
            self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
        ) -> R | Degraded[R | V]: ...

        @overload
        async def acall(
            self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
        ) -> R | Degraded[R | V]: ...

        async def acall(self, function: Any, /, *args: Any, **kwargs: Any) -> Any: ...


# -- checks of options -------------------------------------------------------------------------------------------------


def _parse_chain(parameter: str, chain: Mapping[CategoryLike, Callable[..., object]]) -> FallbackChain:
    expected = "functions by category, such as {'unavailable': replica}"
    require(isinstance(chain, Mapping) and len(chain) > 0, parameter, chain, expected, TypeError)
    return FallbackChain(chain)


def _parse_stale(stale: object, key: Callable[..., object] | None, max_age: float | timedelta | None) -> Stale | None:
    if stale is not None:
        from resilience.policies.stale_cache import Stale

        return Stale(stale, key, max_age)
    for name, value in (("key", key), ("max_age", max_age)):
        require(value is None, name, value, "it with stale=, a cache of good answers", TypeError)
    return None


def _parse_factory(_: str, factory: Callable[..., object]) -> FactorySource:
    return FactorySource(factory)


def _parse_last(default: object, factory: Callable[..., object] | None) -> Source | None:
    """Return the source that answers when no other does. No value is `...`: None is one a caller may well want back."""
    if default is ...:
        return optional(_parse_factory, "factory", factory)
    if factory is not None:
        raise TypeError("fallback(default=..., factory=...): give one of the two, not both")
    return DefaultSource(default)
