"""Try again with other arguments: what a model wrote fails, is sent back with the report, and written anew."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import cast

from resilience.category import ErrorCategory
from resilience.policy.base import Call, Emit, Invoke, Steps
from resilience.policy.give_ups import GIVE_UPS
from resilience.policy.history import CallReport, History
from resilience.policy.stop import StopReason
from resilience.policy.telling import revised
from resilience.subscription import listened
from resilience.trouble import report_trouble

__all__ = ["REVISED", "Arguments", "Reviser", "look_of"]

REVISED = ErrorCategory.CODE_RELATED | ErrorCategory.VALIDATION
"""The failures that the arguments are to blame for, unless it is said otherwise."""

_VARYING = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?", re.IGNORECASE)
_LOOKED_AT = 500  # characters of a message


class Arguments:
    """What *function* is called with: *args* and *kwargs*, both read only.

    >>> def run(code: str, *, timeout: float = 1.0) -> None: ...
    >>> Arguments(run, ("1 +",), {"timeout": 2.0}).replace(code="1 + 1")
    <Arguments ('1 + 1',), {'timeout': 2.0}>
    """

    __slots__ = ("args", "function", "kwargs")

    def __init__(
        self, function: Callable[..., object], args: tuple[object, ...] = (), kwargs: Mapping[str, object] | None = None
    ) -> None:
        self.function: Callable[..., object] = function
        self.args: tuple[object, ...] = tuple(args)
        self.kwargs: Mapping[str, object] = dict(kwargs or {})

    def replace(self, /, **parameters: object) -> Arguments:
        """Return these with other values for *parameters*, by the names the function gives them.

        Raises TypeError for a parameter it does not have.
        """
        signature = inspect.signature(self.function)
        bound = signature.bind(*self.args, **self.kwargs)
        rest = next((each.name for each in signature.parameters.values() if each.kind is each.VAR_KEYWORD), None)
        for name, value in parameters.items():
            known = signature.parameters.get(name)
            if known is not None and known.kind not in (known.VAR_KEYWORD, known.VAR_POSITIONAL):
                bound.arguments[name] = value
            elif rest is not None:
                bound.arguments[rest] = {**bound.arguments.get(rest, {}), name: value}
            else:
                raise TypeError(f"{name}={value!r}: {signature} has no such parameter")
        for each in signature.parameters.values():  # one before another that is given by position has to be given, too
            if each.kind is each.POSITIONAL_ONLY and each.default is not each.empty:
                bound.arguments.setdefault(each.name, each.default)
        # In the order of the signature: what is given by position must not move behind what was just added.
        bound.arguments = {name: bound.arguments[name] for name in signature.parameters if name in bound.arguments}
        return Arguments(self.function, bound.args, bound.kwargs)

    def __getitem__(self, parameter: str) -> object:
        """Return the value of *parameter*, its default where it was not given; KeyError where there is none."""
        bound = inspect.signature(self.function).bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return bound.arguments[parameter] if parameter in bound.arguments else self.kwargs[parameter]

    def __repr__(self) -> str:
        return f"<Arguments {self.args!r}, {dict(self.kwargs)!r}>"


class Reviser:
    """Asks *callback* for other arguments, *most* times for one call, until *alike* failures in a row look the same.

    It does so after failures whose category is in *on*.
    """

    __slots__ = ("alike", "callback", "most", "on")

    def __init__(
        self,
        callback: Callable[[Arguments, CallReport], object],
        most: int,
        alike: int,
        on: ErrorCategory = REVISED,
    ) -> None:
        self.callback: Callable[[Arguments, CallReport], object] = callback
        self.most: int = most
        self.alike: int = alike
        self.on: ErrorCategory = on

    @property
    def usual(self) -> bool:
        """Whether *on* is what it is unless somebody says otherwise."""
        return self.on == REVISED

    def revise(self, call: Call, error: Exception, history: History, needs: float) -> Steps[StopReason | None]:
        """Give *call* other arguments, to be made again at once; or say why not. It *needs* so many seconds."""
        if history.revisions >= self.most:
            return StopReason.REVISIONS
        given = Arguments(call.function, call.arguments, call.keywords)
        report = CallReport(history.copy(), StopReason.NOT_RETRYABLE, error=error)
        answer = yield Invoke(self.callback, given, report, role="revise callback")
        if answer.error is not None:
            return StopReason.STRATEGY_FAILED
        if answer.value is None:
            return StopReason.NOT_REVISED
        try:
            new = _arguments(given, answer.value)
        except Exception as trouble:
            report_trouble("revise callback", self.callback, trouble)
            return StopReason.STRATEGY_FAILED
        if call.due != math.inf and call.clock.now() + needs >= call.due:  # to be asked may have taken its time
            return StopReason.DEADLINE
        history.given = history.given or (call.arguments, call.keywords)
        call.arguments, call.keywords = new.args, new.kwargs
        history.revisions += 1
        history.last_wait = 0.0
        history.since = GIVE_UPS.count
        history.began = call.clock.now()
        if listened():
            yield Emit(revised(history, error))
        return None


def _arguments(given: Arguments, answer: object) -> Arguments:
    """Return what the *answer* of a callback asks for: `Arguments`, or changes by parameter."""
    if isinstance(answer, Arguments):
        return answer
    if isinstance(answer, Mapping):
        return given.replace(**cast("Mapping[str, object]", answer))
    raise TypeError(
        f"revise returned {type(answer).__name__}: give a mapping of parameters to new values, such as"
        " {'code': ...}, call.replace(code=...), or None to give up"
    )


def look_of(category: ErrorCategory, error: Exception | None) -> object:
    """Return what makes two failures the same: category, type and message, whatever numbers stand in it."""
    if error is None:
        return category
    try:
        message = str(error)[:_LOOKED_AT]
    except Exception:  # an error that cannot be shown
        message = ""
    return category, type(error), " ".join(_VARYING.sub("#", message).split())
