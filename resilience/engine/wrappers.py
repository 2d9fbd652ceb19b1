"""The function a caller meets: the happy path, and nothing else.

It looks at the gate's state, calls, looks again, and returns. No lock, no clock, no generator, no tenacity. Only when
the call fails, or the state is not quiet, does a driver take over, with the outcome already in hand.

Wrappers are made from one template, sync and async, for the function's own signature, as `dataclasses` makes
``__init__``: nothing is packed into ``*args`` and unpacked again, and a call with wrong arguments fails as it would
without us. Functions of the same shape share their wrapper's code.

A wrapper raises in its own frame and then forgets the error: a traceback shows one frame of ours however many
policies guard the function, and no frame keeps the error that keeps the frame.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import linecache
import re
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import cast

from resilience.clock import current_clock
from resilience.engine import asynchronous, blocking
from resilience.outcome import Outcome
from resilience.policy.base import Call, Gate, Policy

__all__ = ["wrapper_of"]

# {w} and {d} are `await ` and `async ` or nothing. The template's own names begin with two underscores, out of the
# way of the parameters, which stand in the same scope.
_DRIVEN = """
        __call = __Call(__target, __function, {packed}, {packed_keywords})
        __outcome = {w}__drive(__stack, 0, __call, 0)
"""
_FREE = """
        try:
            return {w}__function({passed})
        except __Exception as __error:
            __call = __Call(__target, __function, {packed}, {packed_keywords})
            __call.first = __failed(__error)
        __outcome = {w}__drive(__stack, 0, __call, __bottom)
"""
_GATED = """
        __state = __gate.state
        if __state.quiet:
            try:
                __value = {w}__function({passed})
                if __state.quiet:
                    return __value
                __call = __Call(__target, __function, {packed}, {packed_keywords}, __state)
                __call.first = __Outcome(__value)  # others failed meanwhile: this success counts
            except __Exception as __error:
                __call = __Call(__target, __function, {packed}, {packed_keywords}, __state)
                __call.first = __failed(__error)
            __outcome = {w}__drive(__stack, 0, __call, __bottom)
        else:
            __outcome = __gate.refuse(__clock())
            if __gate_at or __outcome is None:
                __call = __Call(__target, __function, {packed}, {packed_keywords})
                __call.first = __outcome
                __outcome = {w}__drive(__stack, 0, __call, 0 if __outcome is None else __gate_at)
"""
_HEAD = """\
def __make(
    __function, __target, __stack, __bottom, __gate, __gate_at, __drive,
    __clock, __Call, __Outcome, __failed, __Exception,
):
    {d}def wrapper({signature}):
"""
_TAIL = """
        if __outcome.error is None:
            return __outcome.value
        try:
            raise __outcome.error
        finally:
            __outcome = None
    return wrapper
"""

_ANYTHING = "*args, **kwargs"


def wrapper_of(
    target: str, function: Callable[..., object], stack: Sequence[Policy], *, asynchronously: bool
) -> Callable[..., object]:
    """Return the function that calls *function* through *stack*, outermost first; a coroutine function if it is one."""
    gates = [(policy.gate, depth) for depth, policy in enumerate(stack) if policy.gate is not None]
    happy = all(policy.plain for policy in stack) and len(gates) <= 1
    gate, gate_at = gates[0] if happy and gates else (None, -1)
    form = _DRIVEN if not happy else _FREE if gate is None else _GATED
    signature = _signature_of(function)
    wrapper = _maker(form, signature, asynchronously)(
        function,
        target,
        stack,
        len(stack),
        cast("Gate", gate),
        gate_at,
        asynchronous.drive if asynchronously else blocking.drive,
        current_clock,
        Call,
        Outcome,
        _failed,
        Exception,
    )
    if signature != _ANYTHING:
        original = cast("FunctionType", function)
        wrapper.__defaults__ = original.__defaults__
        wrapper.__kwdefaults__ = original.__kwdefaults__ and dict(original.__kwdefaults__)
    return wrapper


def _failed(error: Exception) -> Outcome:
    # Without the wrapper's own frame: it raises the error itself in the end.
    return Outcome(None, error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))


def _signature_of(function: Callable[..., object]) -> str:
    """Return the parameters of *function* as they stand in a ``def``, without defaults; of any other callable, all."""
    if not isinstance(function, FunctionType):
        return _ANYTHING
    code = function.__code__
    names = code.co_varnames
    plain, keyword_only = code.co_argcount, code.co_kwonlyargcount
    parts = list(names[:plain])
    if code.co_posonlyargcount:
        parts.insert(code.co_posonlyargcount, "/")
    end = plain + keyword_only
    if code.co_flags & inspect.CO_VARARGS:
        parts.append(f"*{names[end]}")
        end += 1
    elif keyword_only:
        parts.append("*")
    parts += names[plain : plain + keyword_only]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        parts.append(f"**{names[end]}")
    # A generator expression's code has a parameter called `.0`; some begin with two underscores, as our names do.
    written = [part.lstrip("*") for part in parts if part not in ("*", "/")]
    exact = all(name.isidentifier() and "__" not in name for name in written)
    return ", ".join(parts) if exact else _ANYTHING


@functools.lru_cache(maxsize=4096)
def _maker(form: str, signature: str, asynchronously: bool) -> Callable[..., FunctionType]:
    positional, keywords, after_star = list[str](), list[str](), False
    for part in filter(None, signature.split(", ")):
        if part.startswith("**"):
            keywords.append(part)
        elif part.startswith("*"):
            after_star = True
            if part != "*":
                positional.append(part)
        elif after_star:
            keywords.append(part)
        elif part != "/":
            positional.append(part)
    named = [name if name.startswith("**") else f"{name}={name}" for name in keywords]
    packed_keywords = [name if name.startswith("**") else f'"{name}": {name}' for name in keywords]
    source = (_HEAD + form + _TAIL).format(
        signature=signature,
        passed=", ".join(positional + named),
        packed=f"({''.join(f'{name}, ' for name in positional)})",
        packed_keywords=f"{{{', '.join(packed_keywords)}}}" if keywords else "None",
        w="await " if asynchronously else "",
        d="async " if asynchronously else "",
    )
    source = re.sub(r"\n\n+", "\n", source)
    filename = f"<resilience wrapper {next(_numbers)}>"
    # So that tracebacks and debuggers show the lines of what they are in.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    scope: dict[str, Callable[..., FunctionType]] = {}
    exec(compile(source, filename, "exec"), scope)  # noqa: S102  # our own template, filled with identifiers
    return scope["__make"]


_numbers = itertools.count(1)
