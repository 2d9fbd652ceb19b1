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
import keyword
import linecache
import re
import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType
from typing import NamedTuple, cast

from resilience.clock import SYSTEM, current_clock
from resilience.engine import asynchronous, blocking
from resilience.outcome import EXPIRED, Outcome, set_context
from resilience.policy.base import Call, Policy, Telling, abandon

__all__ = ["stream_wrapper_of", "wrapper_of"]

# The pieces wrappers are made of. A word in braces that has a line of its own is a block, any other a few words:
# {w} and {d} are `await ` and `async ` or nothing. The template's own names begin with two underscores, out of the way
# of the parameters, which stand in the same scope.
_MODULE = """\
def __make(
    __function, __target, __stack, __gate, __begins, __over, __drive, __clock, __system,
    __Call, __Outcome, __EXPIRED, __failed, __set_context, __Exception, __BaseException,
):
    {begins}
    {d}def wrapper({signature}):
        {body}
        if (__error := __outcome.error) is None:
            return __outcome.value
        __context = __error.__context__
        try:
            raise __error
        finally:
            if __context is not None:  # raised where the caller handles another error, it has got that one instead
                __set_context(__error, __context)
            __outcome = __error = __context = None
    return wrapper
"""
_STREAM = """\
def __make(
    __function, __target, __stack, __bottom, __enter, __leave, __abandon, __Call, __Outcome, __failed, __set_context,
    __Exception, __BaseException, __GeneratorExit, __StopAsyncIteration,
):
    {d}def wrapper({signature}):
        __call = __Call(__target, __function, {packed}, {packed_keywords})
        __outcome = {w}__enter(__stack, __call)
        if __outcome is None:
            try:
                {relayed}
            except __GeneratorExit:  # nobody wants more of what came, and it came
                {w}__leave(__stack, __call, __Outcome(), __bottom)
                raise
            except __Exception as __error:
                __outcome = __failed(__error)
            except __BaseException:
                __abandon(__stack, __call, __bottom)
                raise
            __outcome = {w}__leave(__stack, __call, __outcome, __bottom)
        if (__error := __outcome.error) is None:
            return{value}
        __context = __error.__context__
        try:
            raise __error
        finally:
            if __context is not None:
                __set_context(__error, __context)
            __outcome = __error = __context = None
    return wrapper
"""
_RELAYED = "__outcome = __Outcome((yield from __function({passed})))"
# What `yield from` would be, were there one for these.
_RELAYED_ASYNC = """\
__items = __function({passed})
try:
    __item = await __items.__anext__()
    while True:
        try:
            __sent = yield __item
        except __GeneratorExit:
            await __items.aclose()
            raise
        except __BaseException as __thrown:
            __item = await __items.athrow(__thrown)
        else:
            __item = await __items.asend(__sent)
except __StopAsyncIteration:
    __outcome = __Outcome()
"""
_DRIVEN = """\
__call = __Call(__target, __function, {packed}, {packed_keywords})
__outcome = {w}__drive(__stack, 0, __call, 0)
"""
_GATED = """\
__state = __gate.state
if __state.quiet:
    {began}
    {quiet}
else:
    __error = __gate.refuse(__clock())
    {refused}
"""
_REFUSED_OUTSIDE = """\
if __error is not None:
    try:
        raise __error
    finally:
        __error = None
{driven}
"""
_REFUSED_INSIDE = """\
__call = __Call(__target, __function, {packed}, {packed_keywords})
__call.first = None if __error is None else __Outcome(None, __error)
__outcome = {w}__drive(__stack, 0, __call, 0 if __error is None else {gate_at})
"""
_LIMITED = """\
if __clock() is __system and {begun}:
    {limited}
else:
    {driven}
"""
# As a `with` block: whatever leaves it is looked at, and goes on unless it is the limit's own cancellation.
_UNDER_LIMIT = """\
__call = None
try:
    {tried}
    {inside}
except __BaseException as __error:
    if not __over({watch}, __error):
        raise
    if __call is None:
        {new_call}
    __call.first = __EXPIRED
else:
    __over({watch})
"""
_INSIDE = "__call.first = {w}__drive(__stack, {depth}, __call, {at})"
_OUTSIDE = "__outcome = {w}__drive(__stack, 0, __call, {at})"
_TRIED = """\
try:
    return {w}__function({passed})
except __Exception as __error:
    {new_call}
    __call.first = __failed(__error)
"""
_NOTED = """\
try:
    __value = {w}__function({passed})
    {noted}
    return __value
except __Exception as __error:
    {new_call}
    __call.first = __failed(__error)
"""
_CHECKED = """\
try:
    __value = {w}__function({passed})
    {noted}
    if {still}:
        {ended}
        return __value
    {new_call}
    __call.first = __Outcome(__value)  # it comes late
except __Exception as __error:
    {new_call}
    __call.first = __failed(__error)
"""
_NOTES = {
    Telling.MARK: "__state.passed = True",
    Telling.COUNT: "__state.passes += 1",
    Telling.CALL: "__gate.ended(__state, __began, __clock())",
}
_NEW_CALL = "__call = __Call(__target, __function, {packed}, {packed_keywords})"
_NEW_ADMITTED_CALL = "__call = __Call(__target, __function, {packed}, {packed_keywords}, __state)"

_ANYTHING = "*args, **kwargs"


class _Shape(NamedTuple):
    """What of a stack the text of its wrapper depends on."""

    #: The number of policies.
    bottom: int
    #: The depth of the gate, where there is one.
    gate: int | None
    #: What that wants to know of a success.
    telling: Telling | None
    #: The depths of the limits.
    limits: tuple[int, ...]
    #: Whether the driver does everything.
    driven: bool


def wrapper_of(
    target: str, function: Callable[..., object], stack: Sequence[Policy], *, asynchronously: bool
) -> Callable[..., object]:
    """Return the function that calls *function* through *stack*, outermost first; a coroutine function if it is one."""
    gates = [depth for depth, policy in enumerate(stack) if policy.gate is not None]
    limits = tuple(depth for depth, policy in enumerate(stack) if policy.limit is not None)
    happy = all(policy.plain for policy in stack) and len(gates) <= 1 and (asynchronously or not limits)
    gate = stack[gates[0]].gate if gates else None
    shape = _Shape(len(stack), gates[0] if gates else None, None if gate is None else gate.telling, limits, not happy)
    signature = _signature_of(function)
    # In the function's own globals: whoever looks for the caller's module finds the one the function stands in.
    scope = function.__globals__ if type(function) is FunctionType else globals()
    wrapper: FunctionType = FunctionType(_code_of(signature, asynchronously, shape), scope)(
        function,
        target,
        stack,
        gate,
        *_limiting(stack, shape),
        asynchronous.drive if asynchronously else blocking.drive,
        current_clock,
        SYSTEM,
        Call,
        Outcome,
        EXPIRED,
        _failed,
        set_context,
        Exception,
        BaseException,
    )
    return _with_defaults(wrapper, function, signature)


def stream_wrapper_of(
    target: str, function: Callable[..., object], stack: Sequence[Policy], *, asynchronously: bool
) -> Callable[..., object]:
    """Return the generator function, async if *function* is, that runs *function* through *stack* to its end."""
    driver = asynchronous if asynchronously else blocking
    signature = _signature_of(function)
    scope = function.__globals__ if type(function) is FunctionType else globals()
    wrapper: FunctionType = FunctionType(_code_of(signature, asynchronously, None), scope)(
        function,
        target,
        stack,
        len(stack),
        driver.enter,
        driver.leave,
        abandon,
        Call,
        Outcome,
        _failed,
        set_context,
        Exception,
        BaseException,
        GeneratorExit,
        StopAsyncIteration,
    )
    return _with_defaults(wrapper, function, signature)


def _with_defaults(wrapper: FunctionType, function: Callable[..., object], signature: str) -> FunctionType:
    if signature != _ANYTHING:
        original = cast("FunctionType", function)
        wrapper.__defaults__ = original.__defaults__
        wrapper.__kwdefaults__ = original.__kwdefaults__ and dict(original.__kwdefaults__)
    return wrapper


def _limiting(stack: Sequence[Policy], shape: _Shape) -> tuple[object, object]:
    if shape.driven or not shape.limits:
        return (), None
    from resilience.timer import over, timer_of

    return [timer_of(stack[depth].limit).begin for depth in shape.limits], over


def _failed(error: Exception) -> Outcome:
    # Without the wrapper's own frame: it raises the error itself in the end.
    return Outcome(None, error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))


def _signature_of(function: Callable[..., object]) -> str:
    """Return the parameters of *function* as they stand in a ``def``, without defaults; of any other callable, all."""
    if type(function) is not FunctionType:  # not isinstance: a mock of a function says that it is one
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
    written = [part.lstrip("*") for part in parts if part not in ("*", "/")]
    exact = len(set(written)) == len(written) and all(map(_can_be_written, written))
    return ", ".join(parts) if exact else _ANYTHING


def _can_be_written(name: str) -> bool:
    # Code made by other means has parameters called `.0`, `class`, or what the compiler reads as another name; and some
    # begin with two underscores, as the template's own do.
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("__")
        and (name.isascii() or unicodedata.normalize("NFKC", name) == name)
    )


@functools.lru_cache(maxsize=4096)
def _code_of(signature: str, asynchronously: bool, shape: _Shape | None) -> CodeType:
    """Return the code of what makes wrappers for stacks of this shape, for generators without one."""
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
    module = _module_of(shape) if shape is not None else _stream_of(asynchronously)
    source = _with(
        module,
        signature=signature,
        passed=", ".join(positional + named),
        packed=f"({''.join(f'{name}, ' for name in positional)})",
        packed_keywords=f"{{{', '.join(packed_keywords)}}}" if keywords else "None",
        w="await " if asynchronously else "",
        d="async " if asynchronously else "",
    )
    filename = f"<resilience wrapper {next(_numbers)}>"
    # So that tracebacks and debuggers show the lines of what they are in.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    # Our own template, filled with identifiers. What it defines is all there is in it.
    return next(part for part in compile(source, filename, "exec").co_consts if isinstance(part, CodeType))


def _module_of(shape: _Shape) -> str:
    """Return the text of the module that makes wrappers for stacks of this shape, but for what the function says."""
    watches = [f"__watch{number}" for number in range(len(shape.limits))]
    begins = [f"__begin{number}" for number in range(len(shape.limits))]
    if shape.driven:
        return _with(_MODULE, begins="", body=_DRIVEN)
    still = [f"(__table{number} := {watch}.table) is not None" for number, watch in enumerate(watches)]
    ended = [f"del __table{number}[{watch}]" for number, watch in enumerate(watches)]
    noted = "" if shape.telling is None else _NOTES[shape.telling]
    new_call = _NEW_ADMITTED_CALL if noted else _NEW_CALL
    body = _CHECKED if watches else _NOTED if noted else _TRIED
    body = _with(body, still=" and ".join(still), ended="\n".join(ended), noted=noted)
    at = shape.bottom
    for watch, depth in reversed([*zip(watches, shape.limits, strict=True)]):
        inside = _with(_INSIDE, depth=str(depth + 1), at=str(at)) if depth + 1 < at else ""
        body = _with(_UNDER_LIMIT, tried=body, inside=inside, watch=watch)
        at = depth + 1
    body = _with(body, new_call=new_call) + _with(_OUTSIDE, at=str(at))
    if shape.limits:
        begun = " and ".join(
            f"({watch} := {begin}()) is not None" for watch, begin in zip(watches, begins, strict=True)
        )
        body = _with(_LIMITED, begun=begun, limited=body, driven=_DRIVEN)
    if shape.gate is not None:
        refused = (
            _with(_REFUSED_INSIDE, gate_at=str(shape.gate)) if shape.gate else _with(_REFUSED_OUTSIDE, driven=_DRIVEN)
        )
        began = "__began = __clock().now()" if shape.telling is Telling.CALL else ""
        body = _with(_GATED, began=began, quiet=body, refused=refused)
    return _with(_MODULE, begins=f"[{', '.join(begins)}] = __begins" if begins else "", body=body)


def _stream_of(asynchronously: bool) -> str:
    return _with(
        _STREAM,
        relayed=_RELAYED_ASYNC if asynchronously else _RELAYED,
        value="" if asynchronously else " __outcome.value",
    )


def _with(template: str, **pieces: str) -> str:
    """Put *pieces* where their names stand in braces: a block where the name has the line for itself."""

    def block(found: re.Match[str]) -> str:
        piece = pieces.get(found[2])
        return found[0] if piece is None else textwrap.indent(piece.rstrip("\n") + "\n" if piece else "", found[1])

    def words(found: re.Match[str]) -> str:
        return pieces.get(found[1], found[0])

    filled = re.sub(r"^( *)\{(\w+)\}\n", block, template, flags=re.MULTILINE)
    return re.sub(r"\{(\w+)\}", words, filled)


_numbers = itertools.count(1)
