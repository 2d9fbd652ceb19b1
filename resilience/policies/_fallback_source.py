"""Sources of substitute answers for a failed call: a default, a factory, and the base class of both.

A fallback asks its sources in order until one has an answer. A `Source` is a generator of effects, shared by all calls,
and emits `FallbackUsed` before it answers. The routes of a chain (`_fallback_chain`) and the stale cache
(`stale_cache`) are sources as well.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, NamedTuple

from resilience._outcome import Outcome
from resilience._runtime.protocol import Call, Run, Steps
from resilience._validation import require, signature_of
from resilience.classification.classifier import category_of
from resilience.policies._announce import announce

if TYPE_CHECKING:
    from resilience.events import FallbackFailed, FallbackUsed

__all__ = ["Answer", "DefaultSource", "FactorySource", "Source", "error_of", "failed", "used"]


class Answer(NamedTuple):
    """The answer of a source: an *outcome*, and the *age* in seconds of a value that was stored, where it is known."""

    outcome: Outcome
    age: float | None = None


def error_of(failure: Outcome) -> Exception:
    """Return the error of an outcome that is known to be a failure."""
    assert failure.error is not None, "a source is asked for failures only"
    return failure.error


class Source(abc.ABC):
    """One place where a fallback takes answers from. Its *name* is in events, and in `Degraded.source`.

    Shared by all calls: what belongs to one call is local to `answer`, which is a generator of effects.
    """

    __slots__ = ()

    name: str
    #: Seconds before the call's deadline that it needs to answer. Enough for what waits for nothing, on a busy loop.
    reserve: float = 0.1

    @abc.abstractmethod
    def answer(self, call: Call, failure: Outcome) -> Steps[Answer | None]:
        """Answer in place of *failure*, with an error where the source fails as well; None: it has no answer.

        Emits `FallbackUsed` when it is about to answer.
        """

    def note(self, call: Call, error: Exception) -> str | None:
        """Return what an error of this source says of the *error* before it, if anything."""
        return None

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        """Return the user's functions that this source calls, by parameter."""
        return {}

    @abc.abstractmethod
    def options(self) -> Mapping[str, object]:
        """Return what a description of the fallback shows of it, by parameter. Never a value: it may be secret."""


class DefaultSource(Source):
    """A value, the same object every time."""

    __slots__ = ("value",)

    name = "default"

    def __init__(self, value: object) -> None:
        if isinstance(value, FunctionType | MethodType):
            raise TypeError(
                f"default={value!r}: a function would be handed out, not called; give factory=, which takes the"
                " error, and parentheses where the decorator has none"
            )
        self.value: object = value

    def answer(self, call: Call, failure: Outcome) -> Steps[Answer | None]:
        yield from used(call, failure, self.name)
        return Answer(Outcome(self.value))

    def options(self) -> Mapping[str, object]:
        return {"default": type(self.value).__name__}


class FactorySource(Source):
    """A function of the user's, called with the error, or without it where it takes none. Its own error is raised."""

    __slots__ = ("_takes_error", "function")

    name = "factory"

    def __init__(self, function: Callable[..., object]) -> None:
        require(callable(function), "factory", function, _FACTORY, TypeError)
        self.function: Callable[..., object] = function
        self._takes_error = _takes_error(function)

    def answer(self, call: Call, failure: Outcome) -> Steps[Answer | None]:
        yield from used(call, failure, self.name)
        arguments = [failure.error] * self._takes_error
        outcome: Outcome = yield Run(self.function, *arguments)
        return Answer(outcome)

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        return {"factory": self.function}

    def options(self) -> Mapping[str, object]:
        return {"factory": getattr(self.function, "__qualname__", "...")}


_FACTORY = "a function that takes the error, or nothing; for a value, default="
_EMPTY = (list, dict, set, frozenset, tuple, int, float, complex, bytes, bytearray)
"""Classes that make an empty value without an argument, and can make none of an error."""


def _takes_error(factory: Callable[..., object]) -> bool:
    """Whether *factory* is called with the error. Raises TypeError where it takes neither that nor nothing."""
    if any(factory is each for each in _EMPTY):
        return False
    try:
        signature = signature_of(factory)
    except (TypeError, ValueError):  # a builtin that does not say what it takes
        return True
    for arguments in ([factory], []):
        with suppress(TypeError):
            signature.bind(*arguments)
            return bool(arguments)
    raise TypeError(f"factory={factory!r}: give {_FACTORY}; this one takes {signature}")


# -- events, made where something listens: see `announce` --------------------------------------------------------------


def used(call: Call, failure: Outcome, source: str) -> Steps[None]:
    """Emit that *source* answers in place of *failure*."""
    return announce(_used, call.target, failure, source)


def failed(call: Call, failure: Outcome, source: str) -> Steps[None]:
    """Emit that *source* has failed as well, by *failure*, which the caller gets."""
    return announce(_failed, call.target, failure, source)


def _used(target: str, failure: Outcome, source: str) -> FallbackUsed:
    from resilience.events import FallbackUsed

    category, error = category_of(failure), error_of(failure)
    return FallbackUsed(target=target, policy="fallback", category=category, error=error, source=source)


def _failed(target: str, failure: Outcome, source: str) -> FallbackFailed:
    from resilience.events import FallbackFailed

    category, error = category_of(failure), error_of(failure)
    return FallbackFailed(target=target, policy="fallback", category=category, error=error, source=source)
