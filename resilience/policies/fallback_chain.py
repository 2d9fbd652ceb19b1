"""Functions that are called in place of one that has failed, by the category of its failure."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping

from resilience._runtime.protocol import Call, Run
from resilience.category import CategoryLike, combine
from resilience.outcome import set_context

__all__ = ["Chain", "Link", "keep_first"]

_MOST_FOLLOWED = 64


class Link:
    """One entry: of which category, what is called, and what that is called in events."""

    __slots__ = ("_not", "function", "label", "source")

    def __init__(self, leaves: int, label: str, function: Callable[..., object]) -> None:
        self._not = ~leaves
        self.label: str = label
        self.function: Callable[..., object] = function
        self.source: str = _name_of(function)

    def covers(self, leaves: int) -> bool:
        """Whether it is meant for a failure with all of these leaves."""
        return not leaves & self._not

    def invoke(self, call: Call) -> Run:
        """Call the function with the arguments of *call*."""
        if not call.keywords:
            return Run(self.function, *call.arguments)
        return Run(_Unseen(self.function, *call.arguments, **call.keywords))


class Chain:
    """What stands in for a failed call: the first entry that covers its category."""

    __slots__ = ("_links",)

    def __init__(self, functions: Mapping[CategoryLike, Callable[..., object]]) -> None:
        if not isinstance(functions, Mapping) or not functions:
            raise TypeError(f"chain={functions!r}: give functions by category, such as {{'unavailable': replica}}")
        self._links: list[Link] = []
        seen = 0
        for key, function in functions.items():
            category = combine("chain", [key])
            parameter = f"chain[{category.label!r}]"
            if not callable(function) or isinstance(function, type):
                raise TypeError(f"{parameter}={function!r}: give a function that takes the arguments of the failed one")
            if not category.value & ~seen:
                raise ValueError(f"{parameter}: what stands before covers all of it; put it first")
            seen |= category.value
            self._links.append(Link(category.value, category.label, function))

    def find(self, leaves: int) -> Link | None:
        """Return the first entry for a failure with these leaves."""
        for link in self._links:
            if link.covers(leaves):
                return link
        return None

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        """Return the functions by parameter."""
        return {f"chain[{link.label!r}]": link.function for link in self._links}

    def refuse_other_parameters(self, function: Callable[..., object], name: str) -> None:
        """Raise TypeError where a function of the chain cannot be called as *function* is: better now than at night."""
        expected = _signature_of(function)
        if expected is None or any(each.kind in _STARRED for each in expected.parameters.values()):
            return  # it takes who knows what
        kinds = [each.kind for each in expected.parameters.values()]
        keywords = [each.name for each in expected.parameters.values() if each.kind is each.KEYWORD_ONLY]
        # All of them: defaults are handed on, too.
        positional = [None] * (len(kinds) - len(keywords))
        for link in self._links:
            signature = _signature_of(link.function)
            if signature is None:
                continue
            try:
                signature.bind(*positional, **dict.fromkeys(keywords))
            except TypeError:
                raise TypeError(
                    f"chain[{link.label!r}]={link.source}: give a function that takes what {name} takes,"
                    f" ({', '.join(expected.parameters)}), defaults included; this one takes"
                    f" ({', '.join(signature.parameters)})"
                ) from None

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links)

    def __str__(self) -> str:
        return "{" + ", ".join(f"{link.label}: {link.source}" for link in self._links) + "}"


def keep_first(second: Exception, first: Exception, note: str | None = None) -> None:
    """Have *second* show *first*, as if it had been raised in an except block for it, and say so in a *note*."""
    if second is first:
        return
    with contextlib.suppress(Exception):  # notes of the user's own making must not hide the error
        if note is not None and note not in getattr(second, "__notes__", ()):
            second.add_note(note)
    end, before = _contexts(second)[-1], _contexts(first)
    if all(each is not end for each in before) and all(each is not second for each in before):  # no way in circles
        set_context(end, first)


def _contexts(error: BaseException) -> list[BaseException]:
    """Return *error* and what it was raised in the handling of, the first last."""
    found = [error]
    while (context := found[-1].__context__) is not None and len(found) < _MOST_FOLLOWED:
        found.append(context)
    return found


class _Unseen(functools.partial[object]):
    """A call that does not show its arguments: they may hold what must not reach a log."""

    def __repr__(self) -> str:
        return repr(self.func)


_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _signature_of(function: Callable[..., object]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # one that does not say what it takes
        return None


def _name_of(function: Callable[..., object]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name: object = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__
