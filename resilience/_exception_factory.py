"""Construction of an application's exception from another exception, for `resilience.translate`.

Exception classes have all kinds of constructors. A factory decides once, when the translation is written, where each
parameter of the class gets its value from: the options of `translating`, the error itself, its text, or the wait and
the HTTP status that it carries. A class that needs more than that is rejected there and then.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from resilience._validation import require, require_callable, signature_of
from resilience.classification._attributes import status_of
from resilience.classification.retry_hints import retry_after
from resilience.errors._validation import safe_message

__all__ = ["exception_factory", "reject_unknown_arguments"]

_Source: TypeAlias = Callable[[Exception], object]
"""Where the value of a parameter comes from: a function of the error that is translated."""

_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_ERROR_NAMES = ("original_error", "original_exception", "cause")
_TEXT_NAMES = ("message", "error_message")


def exception_factory(parameter: str, target: object, given: Mapping[str, object]) -> Callable[..., Any]:
    """Return a function of an error that makes the exception for *target*: an exception class, or such a function.

    *given* are the options that parameters of the class may get. Raises TypeError for any other target, and for a class
    whose constructor needs more than *given* and the error.
    """
    if not isinstance(target, type):
        expected = "an exception class or a plain function of the error"
        require(not inspect.iscoroutinefunction(target), parameter, target, expected, TypeError)
        return require_callable(parameter, target, expected, takes=1)
    is_exception = issubclass(target, Exception)
    require(is_exception, parameter, target, "an Exception class, or a function of the error", TypeError)
    parameters = _parameters_of(target)
    sources = _sources(parameters, given)
    missing = [each.name for each in parameters if each.name not in sources and _is_required(each)]
    if missing and not _receives_error(sources) and not _is_keyword_only(parameters, missing[0]):
        sources[missing.pop(0)] = _text_of
    if missing:
        raise TypeError(
            f"{parameter}: {target.__qualname__} takes more than the error; give translating(...,"
            f" {', '.join(f'{name}=...' for name in missing)}), or a function of the error in place of the class"
        )
    if not sources and _takes_anything(parameters):
        return _named(target, functools.partial(_construct_from_text, target))
    return _named(target, functools.partial(_construct, target, parameters, sources))


def reject_unknown_arguments(targets: Sequence[type], given: Mapping[str, object]) -> None:
    """Raise TypeError for an option of *given* that is a parameter of none of the classes."""
    known = {parameter.name for target in targets for parameter in _parameters_of(target)}
    for name, value in given.items():
        if name not in known:
            takes = ", ".join(sorted({target.__qualname__ for target in targets}))
            raise TypeError(f"{name}={value!r}: give what one of the classes takes; none of {takes} does")


def _parameters_of(target: type) -> Sequence[inspect.Parameter]:
    """Return the parameters of a constructor; a class of Python's own takes any arguments."""
    try:
        return tuple(signature_of(target).parameters.values())
    except (TypeError, ValueError):
        return (inspect.Parameter("_", inspect.Parameter.VAR_POSITIONAL),)


def _sources(parameters: Iterable[inspect.Parameter], given: Mapping[str, object]) -> dict[str, _Source]:
    """Return the source of each parameter that has one by its name. Of several texts only the first gets one."""
    sources: dict[str, _Source] = {}
    for parameter in parameters:
        source = _source_of(parameter, given)
        if source is not None and (source is not _text_of or _text_of not in sources.values()):
            sources[parameter.name] = source
    return sources


def _source_of(parameter: inspect.Parameter, given: Mapping[str, object]) -> _Source | None:
    name = parameter.name
    if name in given and parameter.kind not in _STARRED:
        return functools.partial(_constant, given[name])
    if name in _ERROR_NAMES:
        return _the_error
    if name in _TEXT_NAMES:
        return _text_of
    return _CARRIED.get(name)


def _constant(value: object, _: Exception) -> object:
    return value


def _the_error(error: Exception) -> object:
    return error


def _text_of(error: Exception) -> str:
    if type(error) is KeyError and len(error.args) == 1:  # str() of a KeyError is the repr of its key
        return str(cast("object", error.args[0]))
    return safe_message(error) or type(error).__name__


def _wait_of(error: Exception) -> float | None:
    wait = retry_after(error)
    if wait == math.inf:
        return None
    return wait


_CARRIED: Mapping[str, _Source] = {"retry_after": _wait_of, "status_code": status_of}
"""What an error may carry. Where it carries none, a parameter keeps its default."""


def _receives_error(sources: Mapping[str, _Source]) -> bool:
    """Return whether a parameter gets the error or its text."""
    return not {_the_error, _text_of}.isdisjoint(sources.values())


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in _STARRED


def _is_keyword_only(parameters: Iterable[inspect.Parameter], name: str) -> bool:
    return any(each.name == name and each.kind is each.KEYWORD_ONLY for each in parameters)


def _takes_anything(parameters: Sequence[inspect.Parameter]) -> bool:
    return [each.kind for each in parameters[:1]] == [inspect.Parameter.VAR_POSITIONAL]


def _named(target: type, make: functools.partial[Exception]) -> Callable[..., Exception]:
    vars(make)["__qualname__"] = target.__qualname__  # for the log line about a constructor that raises
    return make


def _construct_from_text(target: type[Exception], error: Exception) -> Exception:
    return target(_text_of(error))


def _construct(
    target: type[Exception],
    parameters: Sequence[inspect.Parameter],
    sources: Mapping[str, _Source],
    error: Exception,
) -> Exception:
    positional: list[object] = []
    named: dict[str, object] = {}
    for parameter in parameters:
        if parameter.name not in sources:
            continue
        source = sources[parameter.name]
        value = source(error)
        if value is None and source in _CARRIED.values() and not _is_required(parameter):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        else:
            named[parameter.name] = value
    return target(*positional, **named)
