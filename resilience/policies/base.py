"""Base class of all policies, those of users included.

The protocol (`_runtime.protocol`) says what a policy does in a call. The base class adds the ways to use one, as a
decorator, as a block and in a `Pipeline`, and defaults that are safe for a policy that overrides `run` alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from resilience._outcome import Outcome
from resilience._runtime import protocol as base
from resilience._runtime.callables import Kind, kind_of, name_of, under_descriptor
from resilience._runtime.context_manager import Block
from resilience._runtime.method_selection import MethodSelection
from resilience._runtime.pipeline import Decorator
from resilience._runtime.protocol import Effect
from resilience._runtime.worst_case import WorstCase
from resilience._validation import signature_of

__all__ = ["Policy", "Steps", "decorated_function"]

Steps: TypeAlias = Generator[Effect, Any, Outcome]
"""What `Policy.run` returns: a generator that yields effects, is sent their answers, and returns an `Outcome`."""


class Policy(base.Policy, Decorator, Block):
    """A decision about calls, written once for sync, asyncio and trio: override `run`.

    An object of a subclass decorates functions, methods, classes and generator functions, is a ``with`` and ``async
    with`` block where it proceeds once, has `call` and `acall`, and stands in a `Pipeline`. It is asked about every
    call that is made through it.

    >>> from resilience.policies import Outcome, Policy, Proceed
    >>> class Default(Policy):
    ...     def __init__(self, value: object) -> None:
    ...         self.value = value
    ...
    ...     def run(self, call):
    ...         outcome = yield Proceed()
    ...         return outcome if outcome.error is None else Outcome(self.value)
    >>> @Default(0)
    ... def count(text: str) -> int:
    ...     return int(text)
    >>> count("42"), count("many")
    (42, 0)
    """

    supports_generators = True

    def __init_subclass__(cls, **options: object) -> None:
        """Refuse a `run` that is async: one generator is the same for sync, asyncio and trio."""
        super().__init_subclass__(**options)
        if kind_of(cls.run) in _ASYNC_KINDS:
            raise TypeError(f"{cls.__qualname__}.run is async: write a plain generator that yields effects")

    def policies(self, target: object = None) -> tuple[base.Policy, ...]:
        self._refuse_names_of_the_protocol()
        if self.methods is not None and target is not None and not isinstance(target, type):
            raise TypeError(f"{self.methods}: give it where a class is decorated; {name_of(target)} is none")
        return (self,)

    def _policy(self) -> base.Policy:
        self._refuse_names_of_the_protocol()
        if self.methods is not None:
            raise TypeError(f"{self.methods}: give it where a class is decorated; a block is none")
        return self

    def _refuse_names_of_the_protocol(self) -> None:
        hidden = _METHODS.intersection(vars(self))
        if isinstance(self.methods, MethodSelection | None):
            hidden -= {"methods"}
        if hidden:
            name = min(hidden)
            raise TypeError(
                f"{type(self).__name__}.{name} is an option, and a name of the protocol: keep it as _{name}"
            )

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return the worst case of a call through this policy, where *inside* is that of the next layer.

        A policy that does not override this may call any number of times, and `describe` says that it is unknown. One
        that proceeds once, and does not wait, returns *inside*; one that waits up to *wait* seconds before,
        ``inside._replace(waits=inside.waits + wait, seconds=inside.seconds + wait)``.
        """
        return inside.unknown_to(type(self).__name__)

    def __str__(self) -> str:
        """Return the policy as it would be written: its name, and the options that differ from their defaults.

        An option is a parameter of ``__init__`` that is kept as an attribute of its name, or of its name with an
        underscore before it.
        """
        shown: list[str] = []
        for name, parameter in _options_of(type(self)):
            value = getattr(self, name, getattr(self, f"_{name}", inspect.Parameter.empty))
            if value is not inspect.Parameter.empty and not _is_same(value, parameter.default):
                shown.append(f"{name}={_shown(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __repr__(self) -> str:
        return f"<{self}>"


_ASYNC_KINDS = (Kind.COROUTINE, Kind.ASYNC_GENERATOR)


def decorated_function(target: object) -> Callable[..., object] | None:
    """Return the function that is decorated, that of a static or class method too; None of a class, or without one."""
    function = under_descriptor(target)
    if isinstance(function, type) or not callable(function):
        return None
    return function


# What an instance would hide by an attribute of its own: the error would come with the first call that fails.
_METHODS = {"acall", "call", "check_stack", "hooks", "methods", "policies", "run", "status", "stopwatch", "worst"}


def _options_of(policy: type[Policy]) -> list[tuple[str, inspect.Parameter]]:
    try:
        parameters = signature_of(policy).parameters
    except (TypeError, ValueError):  # a signature that cannot be read
        return []
    anything = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [(name, parameter) for name, parameter in parameters.items() if parameter.kind not in anything]


def _is_same(value: object, default: object) -> bool:
    try:
        return value is default or bool(value == default)
    except Exception:  # an object that compares in its own way
        return False


def _shown(value: object) -> str:
    if inspect.isroutine(value) or isinstance(value, type):
        return value.__qualname__
    try:
        return repr(value)
    except Exception:  # a description must not fail
        return type(value).__name__
