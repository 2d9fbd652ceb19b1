"""Several policies as one value: reusable, decorates, calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast, overload

from resilience._runtime import async_runner, sync_runner
from resilience._runtime.callables import is_async, is_generator, name_of
from resilience._runtime.decorate import Keeper
from resilience._runtime.first_call import warn_of_unfinished
from resilience._runtime.guard import guard
from resilience._runtime.protocol import Call, Policy
from resilience._runtime.tracebacks import result_of

__all__ = ["Decorator", "Pipeline"]

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

    def keepers(self) -> tuple[Keeper, ...]:
        """Return what may put other policies in the place of some of these later, as configuration does."""
        return ()

    def __call__(self, target: F, /) -> F:
        """Return *target* guarded; a class is changed in place. Raises TypeError for what cannot be called."""
        return guard(target, *self.policies(target), keepers=self.keepers())

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

    def keepers(self) -> tuple[Keeper, ...]:
        return tuple(keeper for part in self._parts for keeper in part.keepers())

    def __str__(self) -> str:
        return " > ".join(str(policy) for policy in self.policies())

    def __repr__(self) -> str:
        return f"<Pipeline {self}>"
