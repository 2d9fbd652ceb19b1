"""Retry with other arguments.

A call that cannot succeed as it is may succeed with other arguments: code that a model wrote fails, goes back to the
model with the report on its failure, and is written anew. `Arguments` are those of one call, `ArgumentReviser` replaces
them.

A model may write the same mistake again. So revisions are limited in number, and end when several failures in a row
have the same `failure_fingerprint`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import cast

from resilience._callback_errors import log_callback_error
from resilience._outcome import Outcome
from resilience._runtime.protocol import Call, Run, Steps
from resilience._validation import signature_of
from resilience.categories import ErrorCategory
from resilience.policies._announce import announce
from resilience.policies._retry_events import call_revised
from resilience.policies._retry_state import RetryState
from resilience.policies.retry_report import CallReport
from resilience.policies.stop_reason import StopReason

__all__ = ["NO_REVISIONS", "REVISED", "ArgumentReviser", "Arguments", "failure_fingerprint"]

REVISED = ErrorCategory.CODE_RELATED | ErrorCategory.VALIDATION
"""The categories that a revision of the arguments may mend: the default of ``revise_on``."""

_VARYING = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?", re.IGNORECASE)
_COMPARED = 500  # characters of a message
_VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


class Arguments:
    """The arguments of one call of *function*: *args* and *kwargs*, both read only.

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

        It does not matter whether an argument was given by position or by name. Raises TypeError for a parameter that
        the function does not have.
        """
        signature = signature_of(self.function)
        bound = signature.bind(*self.args, **self.kwargs)
        for name, value in parameters.items():
            _assign(bound, name, value)
        # One before another that is given by position has to be given, too.
        defaults = {
            each.name: each.default
            for each in signature.parameters.values()
            if each.kind is each.POSITIONAL_ONLY and each.default is not each.empty
        }
        found = {**defaults, **bound.arguments}
        # In the order of the signature: what is given by position must not move behind what was just added.
        bound.arguments = {name: found[name] for name in signature.parameters if name in found}
        return Arguments(self.function, bound.args, bound.kwargs)

    def __getitem__(self, parameter: str) -> object:
        """Return the value of *parameter*, its default where it was not given; KeyError where there is none."""
        bound = signature_of(self.function).bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return {**self.kwargs, **bound.arguments}[parameter]

    def __repr__(self) -> str:
        return f"<Arguments {self.args!r}, {dict(self.kwargs)!r}>"


def _assign(bound: inspect.BoundArguments, name: str, value: object) -> None:
    """Give the parameter *name* another value: one that is declared, else one that ``**kwargs`` takes."""
    parameters = bound.signature.parameters
    known = parameters.get(name)
    if known is not None and known.kind not in _VARIADIC:
        bound.arguments[name] = value
        return
    rest = [each.name for each in parameters.values() if each.kind is each.VAR_KEYWORD]
    if not rest:
        raise TypeError(f"{name}={value!r}: {bound.signature} has no such parameter")
    bound.arguments[rest[0]] = {**bound.arguments.get(rest[0], {}), name: value}


class ArgumentReviser:
    """Replaces the arguments of a call that failed with a category in *on* by what *callback* returns.

    It does so *max_revisions* times per call, and until *max_repeats* failures in a row look the same. A revised call
    is made at once, and takes none of the attempts of the retry. The arguments that the call came with are kept in its
    `RetryState`, and restored when the retry ends: enclosing policies see those.
    """

    __slots__ = ("bits", "callback", "max_repeats", "max_revisions", "on")

    def __init__(
        self,
        callback: Callable[[Arguments, CallReport], object],
        max_revisions: int,
        max_repeats: int,
        on: ErrorCategory = REVISED,
    ) -> None:
        self.callback: Callable[[Arguments, CallReport], object] = callback
        self.max_revisions: int = max_revisions
        self.max_repeats: int = max_repeats
        self.on: ErrorCategory = on
        #: The bits of *on*: quicker to look at than a Flag.
        self.bits: int = on.value

    def options(self) -> Mapping[str, object]:
        """Return what a description of a retry shows: *on* only where it is not the default.

        Those of `NO_REVISIONS` are 0 and empty, which a description leaves out.
        """
        options: dict[str, object] = {"max_revisions": self.max_revisions}
        if self.on != REVISED:
            options["revise_on"] = self.on.label
        return options

    def revise(
        self, call: Call, error: Exception, state: RetryState, min_attempt_time: float
    ) -> Steps[StopReason | None]:
        """Replace the arguments of *call*, which is then to be made again at once; or return why not.

        The callback gets a copy of the report so far, with the *error* itself, and may take its time: where less than
        *min_attempt_time* seconds of the deadline are left afterwards, the call is not made again.
        """
        blocked = self._blocked_by(call, state, min_attempt_time)
        if blocked is not None:
            return blocked
        given = Arguments(call.function, call.arguments, call.keywords)
        report = CallReport(state.copy(), StopReason.NOT_RETRYABLE, error=error)
        answer: Outcome = yield Run(self.callback, given, report, role="revise callback")
        if answer.error is not None:
            return StopReason.STRATEGY_FAILED
        if answer.value is None:
            return StopReason.NOT_REVISED
        try:
            new = _arguments(given, answer.value)
        except Exception as mistake:
            log_callback_error("revise callback", self.callback, mistake)
            return StopReason.STRATEGY_FAILED
        if call.lacks_time(min_attempt_time):  # the callback has taken some
            return StopReason.DEADLINE
        state.revise((call.arguments, call.keywords))
        call.arguments, call.keywords = new.args, new.kwargs
        yield from announce(call_revised, state, error)
        return None

    def _blocked_by(self, call: Call, state: RetryState, min_attempt_time: float) -> StopReason | None:
        """Return why no revision is asked for, if so."""
        if call.streaming_started:
            return StopReason.COMMITTED
        if state.repeated_failures >= self.max_repeats:
            return StopReason.NO_PROGRESS
        if call.lacks_time(min_attempt_time):
            return StopReason.DEADLINE
        if state.revisions >= self.max_revisions:
            return StopReason.REVISIONS
        return None


def _no_revision(_: Arguments, __: CallReport) -> None:
    """Return no new arguments."""


NO_REVISIONS = ArgumentReviser(_no_revision, max_revisions=0, max_repeats=0, on=ErrorCategory(0))
"""Revises nothing: of a retry without ``revise``."""


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


def failure_fingerprint(category: ErrorCategory, error: Exception | None) -> object:
    """Return what two failures that look the same have in common: category, type, and message without its numbers.

    Line numbers, addresses and counters differ between two runs of the same mistake.

    >>> mistake = ErrorCategory.RUNTIME
    >>> one, two = NameError("line 3: x"), NameError("line 14: x")
    >>> failure_fingerprint(mistake, one) == failure_fingerprint(mistake, two)
    True
    """
    if error is None:
        return category
    try:
        message = str(error)[:_COMPARED]
    except Exception:  # an error that cannot be shown
        message = ""
    return category, type(error), " ".join(_VARYING.sub("#", message).split())
