"""The text of wrappers: pieces, and how they make up a module for a stack of some shape."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from resilience._runtime.protocol import SuccessReporting

__all__ = ["Shape", "fill", "module_of", "stream_of"]

# The pieces wrappers are made of. A word in braces that has a line of its own is a block, any other a few words:
# {w} and {d} are `await ` and `async ` or nothing. The template's own names begin with two underscores, out of the way
# of the parameters, which stand in the same scope.
_MODULE = """\
def __make(
    __function, __plan, __gate, __begins, __tallies, __stopwatch, __clock, __give_ups, __Exception, __BaseException
):
    {begins}
    {tallies}
    {d}def wrapper({signature}):
        {started}
        {body}
        if (__error := __outcome.error) is None:
            return __outcome.value
        __context = __error.__context__
        try:
            raise __error
        finally:
            if __context is not None:  # raised where the caller handles another error, it has got that one instead
                __plan.set_context(__error, __context)
            __outcome = __error = __context = None
    return wrapper
"""
_STREAM = """\
def __make(__plan, __Opened, __Exception, __BaseException, __GeneratorExit, __Stop):
    {d}def wrapper({signature}):
        __call = __plan.call({packed}, {packed_keywords})
        __outcome = {w}__plan.drive(__plan.stack, 0, __call, 0)
        if __outcome.value.__class__ is __Opened:
            __function, __item = __plan.begin(__call, __outcome)
            try:
                {relayed}
            except __GeneratorExit:  # nobody wants more of what came, and it came
                {w}__plan.drive(__call.stack, 0, __call, __plan.ended(__call))
                raise
            except __Exception as __error:
                __at = __plan.ended(__call, None, __error)
            except __BaseException:
                __plan.cut_short(__call)
                raise
            __outcome = {w}__plan.drive(__call.stack, 0, __call, __at)
        if (__error := __outcome.error) is None:
            return{value}
        __context = __error.__context__
        try:
            raise __error
        finally:
            if __context is not None:
                __plan.set_context(__error, __context)
            __outcome = __error = __context = __function = __item = None
    return wrapper
"""
# What `yield from` is from the first item on. The generator goes by the name of the function, by which `interrupt`
# knows the lines on which the user's code is at work.
_RELAYED = """\
try:
    while True:
        try:
            __sent = yield __item
        except __GeneratorExit:
            __function.close()
            raise
        except __BaseException as __thrown:
            __item = __function.throw(__thrown)
        else:
            __item = None
            if __sent is None:
                __value = yield from __function
                __at = __plan.ended(__call, __value)
                break
            __item = __function.send(__sent)
except __Stop as __done:
    __at = __plan.ended(__call, __done.value)
"""
# There is none for these.
_RELAYED_ASYNC = """\
try:
    while True:
        try:
            __sent = yield __item
        except __GeneratorExit:
            await __function.aclose()
            raise
        except __BaseException as __thrown:
            __item = await __function.athrow(__thrown)
        else:
            __item = None
            __item = await __function.asend(__sent)
except __Stop:
    __at = __plan.ended(__call)
"""
_DRIVEN = """\
__call = __plan.call({packed}, {packed_keywords})
__outcome = {w}__plan.drive(__plan.stack, 0, __call, 0)
"""
_GATED = """\
__state = __gate.{state}
if __state.fast_path:
    {began}
    {fast_path}
else:
    __error = __gate.reject_if_open(__plan.clock())
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
__call = __plan.call({packed}, {packed_keywords})
{handed}
__call.initial_outcome = None if __error is None else __plan.outcome(None, __error)
__outcome = {w}__plan.drive(__plan.stack, 0, __call, 0 if __error is None else {gate_at})
"""
_LIMITED = """\
{unbegun}
if {begun}:
    {limited}
else:
    {dropped}
    {driven}
"""
# As a `with` block: whatever leaves it is looked at, and goes on unless it is the limit's own cancellation.
_UNDER_LIMIT = """\
__call = None
try:
    {tried}
    {inside}
except __BaseException as __error:
    if not __plan.over({watch}, __error):
        {cut}
        raise
    __call = __plan.expired(__error, __call, {admitted})
else:
    __plan.over({watch})
"""
_INSIDE = """\
__plan.within(__call, {watch})
__call.initial_outcome = {w}__plan.drive(__plan.stack, {depth}, __call, {at})
__plan.without(__call)
"""
_OUTSIDE = "__outcome = {w}__plan.drive(__plan.stack, 0, __call, {at})"
_TRIED = """\
{dated}
try:
    return {w}__function({passed})
except __Exception as __error:
    __call = __plan.failed(__error, {admitted})
{unfinished}
"""
_NOTED = """\
{dated}
try:
    {called}
    {noted}
    return __value
except __Exception as __error:
    __call = __plan.failed(__error, {admitted})
{unfinished}
"""
_CHECKED = """\
{dated}
try:
    {called}
    if {still}:
        {noted}
        {ended}
        return __value
    __call = __plan.late(__value, {admitted})
    {began}
except __Exception as __error:
    __call = __plan.failed(__error, {admitted})
{unfinished}
"""
_CALLED = "__value = {w}__function({passed})"
# So that what the function calls through the same gate is known to be a part of this call.
_CALLED_NESTING = """\
__running = __gate.enter(__state)
try:
    __value = {w}__function({passed})
finally:
    __gate.leave(__running)
"""
# What no policy has to do with: nobody wants the call any more.
_UNFINISHED = """\
except __BaseException:
    {cut}
    raise
"""
_STARTED = """\
__now = __clock().now
__started = __now()
"""
_HANDED = "__call.started_at = __started\n"
_CUT = "__stopwatch.cancelled(__now() - __started)"
_NOTES = {
    SuccessReporting.MARK: "__state.success_seen = True",
    SuccessReporting.COUNT: "__state.call_count += 1",
    SuccessReporting.CALL: "__gate.ended(__state, __began, __plan.clock())",
}
_TIMED = """\
__took = __now() - __started
if __took <= __stopwatch.quick_up_to:
    __stopwatch.quick += 1
    __stopwatch.quick_seconds += __took
else:
    __stopwatch.slow(__took)
"""
_TIMED_BY_CALL = "__stopwatch.slow(__now() - __started)"


class Shape(NamedTuple):
    """What of a stack the text of its wrapper depends on."""

    #: The number of policies.
    bottom: int
    #: The depth of the gate, where there is one.
    gate: int | None
    #: What that wants to know of a success.
    telling: SuccessReporting | None
    #: Whether calls through it nest.
    nests: bool
    #: How many of them count what succeeds.
    tallies: int
    #: Whether any of them asks for the date of an attempt.
    dated: bool
    #: The depths of the limits.
    limits: tuple[int, ...]
    #: The depth of the policy that times the calls, where there is one.
    timed: int | None
    #: Whether a call may be counted by hand.
    alone: bool
    #: Whether the driver does everything.
    driven: bool


def module_of(shape: Shape) -> str:
    """Return the text of the module that makes wrappers for stacks of this shape, but for what the function says."""
    watches = [f"__watch{number}" for number in range(len(shape.limits))]
    begins = [f"__begin{number}" for number in range(len(shape.limits))]
    if shape.driven:
        return fill(_MODULE, begins="", tallies="", started="", body=_DRIVEN)
    body = _begun(shape, watches, begins) if shape.limits else _attempt(shape, watches)
    if shape.gate is not None:
        refused = _REFUSED_INSIDE if shape.gate else _REFUSED_OUTSIDE
        handed = _HANDED if shape.timed is not None and shape.timed < shape.gate else ""
        began = "__began = __plan.clock().now()" if shape.telling is SuccessReporting.CALL else ""
        refused = fill(refused, gate_at=str(shape.gate), handed=handed, driven=_DRIVEN)
        body = fill(
            _GATED, state="state_here" if shape.nests else "state", began=began, fast_path=body, refused=refused
        )
    tallies = _tallies(shape)
    return fill(
        _MODULE,
        begins=f"[{', '.join(begins)}] = __begins" if begins else "",
        tallies=f"[{', '.join(tallies)}] = __tallies" if tallies else "",
        started="" if shape.timed is None else _STARTED,
        body=body,
    )


def _begun(shape: Shape, watches: Sequence[str], begins: Sequence[str]) -> str:
    """Return the attempt where the time of a limit can run, and what else is done where it cannot."""
    begun = " and ".join(f"({watch} := {begin}()) is not None" for watch, begin in zip(watches, begins, strict=True))
    # Policies may be switched off between two of them: then the first must not stay.
    first = watches[:-1]
    return fill(
        _LIMITED,
        unbegun=f"{' = '.join(first)} = None" if first else "",
        begun=begun,
        limited=_attempt(shape, watches),
        dropped="\n".join(f"{watch} is None or __plan.over({watch})" for watch in first),
        driven=_DRIVEN,
    )


def _attempt(shape: Shape, watches: Sequence[str]) -> str:
    """Return the call of the function under its limits, and the driver that takes over where it fails."""
    timed = shape.timed
    # Whatever leaves the policy that times it was timed by then: it is outermost of all that is as deep as this.
    inner = [depth for depth in shape.limits if timed is not None and depth > timed]
    body = _innermost(shape, watches, unfinished=timed is not None and not inner)
    at = shape.bottom
    for watch, depth in reversed([*zip(watches, shape.limits, strict=True)]):
        inside = fill(_INSIDE, depth=str(depth + 1), at=str(at), watch=watch) if depth + 1 < at else ""
        outermost = bool(inner) and depth == inner[0]
        body = fill(_UNDER_LIMIT, tried=body, inside=inside, watch=watch, cut=_CUT if outermost else "")
        body += _HANDED if outermost else ""
        at = depth + 1
    admitted = ", ".join(
        [
            "{packed}, {packed_keywords}",
            *(["__state"] if shape.telling else []),
            *(["since=__since"] if shape.dated else []),
        ]
    )
    return fill(body, admitted=admitted) + fill(_OUTSIDE, at=str(at))


def _innermost(shape: Shape, watches: Sequence[str], *, unfinished: bool) -> str:
    """Return the call of the function, and what is noted of a success."""
    still = [f"(__table{number} := {watch}.table) is not None" for number, watch in enumerate(watches)]
    ended = [f"del __table{number}[{watch}]" for number, watch in enumerate(watches)]
    noted = [] if shape.telling is None else [_NOTES[shape.telling]]
    noted += [f"{tally}.passes += 1" for tally in _tallies(shape)]
    if shape.timed is not None:
        noted.append(_TIMED if shape.alone else _TIMED_BY_CALL)
    body = fill(
        _CHECKED if watches else _NOTED if noted else _TRIED,
        called=_CALLED_NESTING if shape.nests else _CALLED,
        still=" and ".join(still),
        ended="\n".join(ended),
        noted="\n".join(noted),
        dated="__since = __give_ups.count" if shape.dated else "",
        began="__call.began = __began" if shape.telling is SuccessReporting.CALL else "",
        unfinished=fill(_UNFINISHED, cut=_CUT) if unfinished else "",
    )
    return body + _HANDED if unfinished else body


def _tallies(shape: Shape) -> list[str]:
    return [f"__tally{number}" for number in range(shape.tallies)]


def stream_of(asynchronously: bool) -> str:
    return fill(
        _STREAM,
        relayed=_RELAYED_ASYNC if asynchronously else _RELAYED,
        value="" if asynchronously else " __outcome.value",
    )


def fill(template: str, **pieces: str) -> str:
    """Put *pieces* where their names stand in braces: a block where the name has the line for itself."""

    def block(found: re.Match[str]) -> str:
        piece = pieces.get(found[2])
        return found[0] if piece is None else textwrap.indent(piece.rstrip("\n") + "\n" if piece else "", found[1])

    def words(found: re.Match[str]) -> str:
        return pieces.get(found[1], found[0])

    filled = re.sub(r"^( *)\{(\w+)\}\n", block, template, flags=re.MULTILINE)
    return re.sub(r"\{(\w+)\}", words, filled)
