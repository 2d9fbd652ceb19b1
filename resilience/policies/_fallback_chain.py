"""Functions that are called in place of one that has failed, by the category of its failure.

A `FallbackChain` is a list of `FallbackRoute`, each a source of the fallback that it belongs to. Routes are tried in
the order in which they are written; the first one that is meant for a failure is the only one called for it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping

from resilience._outcome import Outcome, set_context
from resilience._runtime.protocol import Call, Run, Steps
from resilience._validation import require, signature_of
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.policies._fallback_source import Answer, Source, used

__all__ = ["FallbackChain", "FallbackRoute", "chain_context"]

_MAX_CONTEXTS = 64


class FallbackRoute(Source):
    """One entry of a chain: *function* is called for failures of *category*, with the arguments of the failed call.

    Its name in events is that of the function. The function may be guarded by policies of its own, and be async where
    the call is. Raises TypeError for what is no function.
    """

    __slots__ = ("_not", "category", "function", "name", "parameter")

    def __init__(self, category: ErrorCategory, function: Callable[..., object]) -> None:
        self.category: ErrorCategory = category
        self._not = ~category.value
        #: How the entry is written, for messages.
        self.parameter: str = f"chain[{category.label!r}]"
        expected = "a function that takes the arguments of the failed one"
        require(callable(function) and not isinstance(function, type), self.parameter, function, expected, TypeError)
        self.function: Callable[..., object] = function
        self.name: str = _name_of(function)

    def matches(self, leaves: int) -> bool:
        """Whether it is meant for a failure with all of these leaves."""
        return not leaves & self._not

    def answer(self, call: Call, failure: Outcome) -> Steps[Answer | None]:
        yield from used(call, failure, self.name)
        function, arguments = self.function, call.arguments
        if call.keywords:
            function, arguments = _OpaquePartial(function, *arguments, **call.keywords), ()
        outcome: Outcome = yield Run(function, *arguments)
        return Answer(outcome)

    def note(self, call: Call, error: Exception) -> str | None:
        """Return the note on an error of the function, which does not lie on the path that the caller called."""
        return f"resilience: {self.name} was called in place of {call.target}, after {type(error).__name__}"

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        return {self.parameter: self.function}

    def options(self) -> Mapping[str, object]:
        return {self.parameter: self.name}

    def check_signature(self, expected: inspect.Signature, name: str) -> None:
        """Raise TypeError where the function cannot be called as *name* is, whose signature is the *expected* one."""
        signature = _signature_of(self.function)
        keywords = [each.name for each in expected.parameters.values() if each.kind is each.KEYWORD_ONLY]
        # All of them: defaults are handed on, too.
        positional = [None] * (len(expected.parameters) - len(keywords))
        try:
            signature.bind(*positional, **dict.fromkeys(keywords))
        except TypeError:
            raise TypeError(
                f"{self.parameter}={self.name}: give a function that takes what {name} takes,"
                f" ({', '.join(expected.parameters)}), defaults included; this one takes"
                f" ({', '.join(signature.parameters)})"
            ) from None


class FallbackChain:
    """The routes for failed calls: the first one that matches the category of the failure is taken.

    Raises TypeError for what is no function, and ValueError for a route that is never reached.

    >>> chain = FallbackChain({"timeout": min, "transient": max})
    >>> print(chain, chain.find(ErrorCategory.UNAVAILABLE.value).name)
    {timeout: min, transient: max} max
    >>> FallbackChain({"transient": max, "timeout": min})
    Traceback (most recent call last):
    ...
    ValueError: chain['timeout']: what stands before covers all of it; put it first
    """

    __slots__ = ("_routes",)

    def __init__(self, functions: Mapping[CategoryLike, Callable[..., object]]) -> None:
        self._routes: dict[str, FallbackRoute] = {}
        seen = 0
        for key, function in functions.items():
            category = combine("chain", [key])
            route = FallbackRoute(category, function)
            if not category.value & ~seen:
                raise ValueError(f"{route.parameter}: what stands before covers all of it; put it first")
            seen |= category.value
            self._routes[category.label] = route

    def find(self, leaves: int) -> FallbackRoute | None:
        """Return the first route for a failure with these leaves."""
        for route in self._routes.values():
            if route.matches(leaves):
                return route
        return None

    def check_signatures(self, function: Callable[..., object], name: str) -> None:
        """Raise TypeError where a function of the chain cannot be called as *function* is: at decoration time.

        A function that takes any arguments says nothing of those that it will be called with.
        """
        expected = _signature_of(function)
        if any(each.kind in _STARRED for each in expected.parameters.values()):
            return
        for route in self:
            route.check_signature(expected, name)

    def __iter__(self) -> Iterator[FallbackRoute]:
        return iter(self._routes.values())

    def __str__(self) -> str:
        return "{" + ", ".join(f"{label}: {route.name}" for label, route in self._routes.items()) + "}"


def chain_context(second: Exception, first: Exception, note: str | None = None) -> None:
    """Have *second* show *first*, as if it had been raised in an except block for it, and say so in a *note*.

    Contexts never become a circle, which tracebacks would be followed around in.
    """
    if second is first:
        return
    with contextlib.suppress(Exception):  # notes of the user's own making must not hide the error
        if note is not None and note not in getattr(second, "__notes__", ()):
            second.add_note(note)
    end, before = _contexts(second)[-1], _contexts(first)
    if {id(end), id(second)}.isdisjoint(map(id, before)):
        set_context(end, first)


def _contexts(error: BaseException) -> list[BaseException]:
    """Return *error* and what it was raised in the handling of, the first last."""
    found = [error]
    while (context := found[-1].__context__) is not None and len(found) < _MAX_CONTEXTS:
        found.append(context)
    return found


class _OpaquePartial(functools.partial[object]):
    """A call that does not show its arguments: they may hold what must not reach a log."""

    def __repr__(self) -> str:
        return repr(self.func)


_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


_ANY_ARGUMENTS = inspect.Signature(
    [
        inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ]
)


def _signature_of(function: Callable[..., object]) -> inspect.Signature:
    """Return the signature of *function*: any arguments where it does not say what it takes, as many builtins."""
    try:
        return signature_of(function)
    except (TypeError, ValueError):
        return _ANY_ARGUMENTS


def _name_of(function: Callable[..., object]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name: object = getattr(function, "__name__", None)
    if isinstance(name, str):
        return name
    return type(function).__name__
