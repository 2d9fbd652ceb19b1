"""Several policies as one value: reusable, decorates, calls; and the answer to what guards a function."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast, overload

from resilience._runtime import async_runner, sync_runner
from resilience._runtime.callables import is_async, is_generator, name_of, under_descriptor
from resilience._runtime.decorate import guarded
from resilience._runtime.first_call import warn_of_unfinished
from resilience._runtime.guard import guard, public_methods
from resilience._runtime.protocol import Call, Policy
from resilience._runtime.tracebacks import result_of
from resilience._runtime.worst_case import SINGLE_CALL, WorstCase, worst_case

__all__ = ["Decorator", "Description", "Pipeline", "WorstCase", "describe"]

P = ParamSpec("P")
R = TypeVar("R")
# The very type that went in comes out: methods still bind, overloads stay. classmethod is invariant in its class.
F = TypeVar("F", bound="Callable[..., object] | classmethod[Any, ..., object]")


class Decorator:
    """Policies that guard what they decorate: functions, methods, callable objects, classes.

    The base of every public policy and of `Pipeline`. A subclass says by `policies` what it adds to a target;
    decorating and calling are the same for all. A target that is guarded already gets one wrapper for all its policies.
    """

    __slots__ = ()

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        """Return the policies *target* is to be guarded by, outermost first."""
        raise NotImplementedError

    def __call__(self, target: F, /) -> F:
        """Return *target* guarded; a class is changed in place. Raises TypeError for what cannot be called."""
        return guard(target, *self.policies(target))

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a sync *function* through the policies.

        Raises TypeError for a coroutine function: await `acall` instead. Warns where the function returns a coroutine.
        """
        if is_async(function):
            raise TypeError(f"call({name_of(function)}): it is async; use `await ... .acall(...)`")
        _refuse_generators("call", function)
        value = result_of(
            sync_runner.drive(self.policies(function), 0, Call(name_of(function), function, args, kwargs), 0)
        )
        warn_of_unfinished(name_of(function), function, value)
        return cast("R", value)

    @overload
    async def acall(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    async def acall(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    async def acall(self, function: Callable[..., object], /, *args: object, **kwargs: object) -> object:
        """Call *function*, async or sync, through the policies; await what it returns if that can be awaited."""
        _refuse_generators("acall", function)
        call = Call(name_of(function), function, args, kwargs)
        return result_of(await async_runner.drive(self.policies(function), 0, call, 0))


def _refuse_generators(method: str, function: object) -> None:
    if is_generator(function):
        raise TypeError(
            f"{method}({name_of(function)}): its items come after the call has returned; decorate it instead"
        )


class Pipeline(Decorator):
    """Policies in order, the outermost first, as one value that decorates and calls.

    >>> from resilience import ErrorCategory, fallback, retry_on_category
    >>> guarded = Pipeline(fallback(default=0), retry_on_category(attempts=2, base_delay=0))
    >>> guarded.call(int, "42")
    42

    Raises TypeError for what is not a policy.
    """

    __slots__ = ("_parts",)

    def __init__(self, *policies: Decorator) -> None:
        for part in policies:
            if not isinstance(part, Decorator):
                raise TypeError(
                    f"Pipeline({part!r}): give policies, such as timeout(2.0) or retry_on_category(), outermost first"
                )
        if not policies:
            raise TypeError("Pipeline(): give at least one policy, outermost first")
        self._parts: Sequence[Decorator] = policies

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        return tuple(policy for part in self._parts for policy in part.policies(target))

    def __str__(self) -> str:
        return " > ".join(str(policy) for policy in self.policies())

    def __repr__(self) -> str:
        return f"<Pipeline {self}>"


@dataclasses.dataclass(frozen=True, slots=True)
class Description:
    """The policies around *target*, as text, the outermost first, and the *worst* case of a call.

    Its text shows them as a tree, the function innermost; iterating over it gives the policies. Of a class these are
    empty, and *methods* has the descriptions of its public methods, those that are not guarded included.
    """

    target: str
    policies: tuple[str, ...]
    worst: WorstCase = SINGLE_CALL
    methods: Mapping[str, Description] = dataclasses.field(default_factory=dict[str, "Description"])

    def __iter__(self) -> Iterator[str]:
        return iter(self.policies)

    def __len__(self) -> int:
        return len(self.policies)

    def __str__(self) -> str:
        if self.methods:
            return "\n".join([self.target, *self._shown_methods()])
        lines = [f"{'  ' * depth}{policy}" for depth, policy in enumerate(self.policies)]
        worst = [str(self.worst)] if self.policies else []
        return "\n".join([*lines, f"{'  ' * len(lines)}{self.target}", *worst])

    def _shown_methods(self) -> Iterator[str]:
        """Yield the lines for the methods of a class: those that are guarded alike together, the others last."""
        alike: dict[Description, list[str]] = {}
        for name, method in self.methods.items():
            alike.setdefault(dataclasses.replace(method, target="{}"), []).append(name)
        for method, names in sorted(alike.items(), key=lambda item: not item[0].policies):
            if method.policies:
                yield textwrap.indent(str(method).replace("{}", ", ".join(names)), "  ")
            else:
                yield f"  not guarded: {', '.join(names)}"

    def __hash__(self) -> int:
        return hash((self.target, self.policies))


_A_FUNCTION = "a function"
"""The target of the description of policies that are not around a function yet."""


def describe(target: object) -> Description:
    r"""Return the policies around a function or method, in order, and the worst case of a call.

    Of a class it is that of each public method; of a policy or `Pipeline` that of any function it will guard. Raises
    TypeError for what cannot be called.

    >>> from resilience import fallback, retry_on_category
    >>> @fallback(default=())
    ... @retry_on_category("timeout", attempts=2, base_delay=0.1, jitter="none")
    ... def search(query: str) -> tuple[str, ...]: ...
    >>> print("\n".join(describe(search).policies))
    fallback(default=tuple, on=infrastructure|rejected)
    retry_on_category(timeout, attempts=2, base_delay=0.1, max_delay=60, jitter=none)
    >>> print(describe(search).worst)
    worst case: 2 calls, 0.1 s of waiting and what the calls take (up to 66 s per wait if the server sends Retry-After)
    """
    if isinstance(target, Decorator):
        policies = target.policies()
        return Description(_A_FUNCTION, tuple(str(policy) for policy in policies), worst_case(policies))
    target = under_descriptor(target)
    if isinstance(target, type):
        return _describe_class(cast("type[object]", target))
    if not callable(target):
        raise TypeError(f"describe({target!r}): give a function or a method")
    found = guarded(target)
    if found is None:
        return Description(name_of(target), ())
    return Description(found.target, tuple(str(policy) for policy in found.policies), worst_case(found.policies))


def _describe_class(cls: type[object]) -> Description:
    """Return the descriptions of the public methods of *cls*, by name."""
    methods: dict[str, Description] = {}
    for name, member in public_methods(cls):
        function = under_descriptor(member)
        if guarded(function) is None:
            methods[name] = Description(f"{name_of(cls)}.{name}", ())
        else:
            methods[name] = describe(function)
    return Description(name_of(cls), (), methods=methods)
