"""Make an exception of a class from another exception, by the parameters its constructor has."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from resilience._validation import require, require_callable, signature_of
from resilience.classification._attributes import status_of
from resilience.classification.retry_hints import retry_after
from resilience.errors._validation import safe_message

__all__ = ["maker_of", "refuse_what_nobody_takes"]

_ERROR = ("original_error", "original_exception", "cause")
_TEXT = ("message", "error_message")
# What the error carries and the new one may want; nothing is given where it carries none.
_CARRIED: Mapping[str, Callable[[Exception], float | None]] = {"retry_after": retry_after, "status_code": status_of}


def maker_of(parameter: str, target: object, given: Mapping[str, object]) -> Callable[..., Any]:
    """Return a function of an error that makes the exception for *target*, a class or a function already.

    Raises TypeError for anything else, and for a class whose constructor asks for more than *given* and the error.
    """
    if not isinstance(target, type):
        right = "an exception class or a plain function of the error"
        require(not inspect.iscoroutinefunction(target), parameter, target, right, TypeError)
        return require_callable(parameter, target, right, takes=1)
    if not issubclass(target, Exception):
        raise TypeError(f"{parameter}={target!r}: give an Exception class, or a function of the error")
    signature = _signature_of(target)
    if signature is None:
        return _called(target, functools.partial(_by_text, target))
    named: dict[str, str | None] = {}  # parameter: what it is given; None where that is *given*
    text: str | None = None
    left: list[str] = []
    for each in signature.parameters.values():
        if each.name in given and each.kind not in _STARRED:
            named[each.name] = None
        elif each.name in _ERROR:
            named[each.name] = "error"
        elif each.name in _TEXT and text is None:
            named[each.name], text = "text", each.name
        elif each.name in _CARRIED:
            named[each.name] = each.name
        elif each.default is each.empty and each.kind not in _STARRED:
            left.append(each.name)
    if (
        left
        and text is None
        and "error" not in named.values()
        and signature.parameters[left[0]].kind is not inspect.Parameter.KEYWORD_ONLY
    ):
        text = left.pop(0)
        named[text] = "text"
    if left:
        raise TypeError(
            f"{parameter}: {target.__qualname__} takes more than the error; give translating(...,"
            f" {', '.join(f'{name}=...' for name in left)}), or a function of the error in place of the class"
        )
    first = next(iter(signature.parameters.values()), None)
    bare = not named and first is not None and first.kind is inspect.Parameter.VAR_POSITIONAL
    if bare:
        return _called(target, functools.partial(_by_text, target))
    return _called(target, functools.partial(_by_name, target, signature, named, given))


def refuse_what_nobody_takes(targets: Sequence[type], given: Mapping[str, object]) -> None:
    """Raise TypeError for a parameter that none of the classes has."""
    signatures = [_signature_of(target) for target in targets]
    known = {name for signature in signatures if signature is not None for name in signature.parameters}
    for name, value in given.items():
        if name not in known:
            takes = ", ".join(sorted({target.__qualname__ for target in targets}))
            raise TypeError(f"{name}={value!r}: give what one of the classes takes; none of {takes} does")


_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _signature_of(target: type) -> inspect.Signature | None:
    try:
        return signature_of(target)
    except (TypeError, ValueError):  # with the constructor of a built-in exception: takes anything
        return None


def _called(target: type, make: functools.partial[Exception]) -> Callable[..., Exception]:
    vars(make)["__qualname__"] = target.__qualname__  # for whoever reports that it failed
    return make


def _by_text(target: type[Exception], error: Exception) -> Exception:
    return target(_text_of(error))


def _by_name(
    target: type[Exception],
    signature: inspect.Signature,
    named: Mapping[str, str | None],
    given: Mapping[str, object],
    error: Exception,
) -> Exception:
    values: dict[str, object] = {}
    for name, what in named.items():
        if what is None:
            values[name] = given[name]
        elif what == "error":
            values[name] = error
        elif what == "text":
            values[name] = _text_of(error)
        else:
            carried = _CARRIED[what](error)
            if carried is not None and carried != math.inf:
                values[name] = carried
            elif signature.parameters[name].default is inspect.Parameter.empty:
                values[name] = None
    positional = [
        values.pop(name)
        for name, each in signature.parameters.items()
        if each.kind is each.POSITIONAL_ONLY and name in values
    ]
    return target(*positional, **values)


def _text_of(error: Exception) -> str:
    # str() of a KeyError is the repr of its key.
    if type(error) is KeyError and len(error.args) == 1:
        return str(cast("object", error.args[0]))
    return safe_message(error) or type(error).__name__
