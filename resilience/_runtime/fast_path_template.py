"""The texts of the functions that callers meet: one for calls, one for streams of either kind, one for a block.

Each text is the whole wrapper, as it would be written by hand for a function of ``*args, **kwargs``. `code_for` makes
code of it, as `dataclasses` makes an ``__init__``, in two steps:

* Of an ``if`` on a word in capitals, a feature, only the branch remains that the stack needs. A stack without a breaker
  does not look at the state of one, not even to find that there is none.
* ``*args, **kwargs`` become as many parameters as the function has. They are numbered in the text and get their names
  in the code object. So a text is compiled once for all functions with as many parameters of each kind, which takes a
  millisecond, and a function whose parameters have other names costs some microseconds.

For a retry around a function of two parameters this remains of `CALL`, which tracebacks and debuggers show::

    def wrapper(argument_0, argument_1):
        since = exhaustion.count
        try:
            return function(argument_0, argument_1)
        except Exception as error:
            call = slow.failed(error, (argument_0, argument_1), None)
        call.exhaustions_at_start = since
        outcome = slow.drive(slow.stack, 0, call, call.position)
        if (error := outcome.error) is None:
            return outcome.value
        ...

`Features` are the words that the text of `CALL` is cut by.

A wrapper's own variables get a dot before their name in the code object, as the compiler calls the iterable of a
comprehension ``.0``. No parameter can have such a name. Debuggers read variables into a dictionary and Python writes
them back by their names, so that two variables of one name would get each other's values.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import linecache
import textwrap
import warnings
from collections.abc import Mapping
from inspect import Parameter
from operator import attrgetter
from types import CodeType, FunctionType
from typing import NamedTuple, cast

__all__ = [
    "ANYTHING",
    "ASYNC_STREAM",
    "ASYNC_STREAM_IN_BLOCK",
    "CALL",
    "STREAM",
    "Features",
    "Parameters",
    "Shape",
    "code_for",
    "is_wrapper",
    "parameters_of",
]

# What the texts take from around them: what a stack is made of, and builtins, which a module may have shadowed.
_FREE = (
    "function, block, slow, gate, limiter, begin, counter, recorder, clock, deadlines_used, exhaustion, calls,"
    " still_running, disabled, OpenStream, Stop, Exception, BaseException, GeneratorExit"
)

CALL = """
async def wrapper(*args, **kwargs):
    if ENTERS:
        permit = [None, None, None]
    try:
        if TIMED:
            now = clock().now
            started = now()
        if GATED:
            state = gate.admission
        if NESTS and not state.quiet:
            state = gate.state_here
        if RUNNER:
            call = slow.call(args, kwargs)
        elif RESERVES and (deadlines_used and slow.due_here() is not None):
            call = slow.call(args, kwargs)
        elif GATED and not state.fast_path:
            error = gate.reject_if_open(slow.clock())
            if OUTERMOST_GATE and error is not None:
                try:
                    raise error
                finally:
                    error = None
            call = slow.rejected(error, args, kwargs)
            if TIMED:
                call.started_at = started
        elif LIMITED and (watch := begin()) is None:
            call = slow.call(args, kwargs)
        elif ENTERS and (disabled.active_count or not limiter.try_enter(permit)):
            if LIMITED:
                slow.end_limits(watch)
            call = slow.call(args, kwargs)
        else:
            if REPORTS:
                began = slow.clock().now()
            if TRACKS_EXHAUSTION:
                since = exhaustion.count
            try:
                if NESTS:
                    outer = calls.get()
                    if outer:
                        outer = still_running(outer)
                    running = [state]
                    noted = (*outer, running)
                    try:
                        calls.set(noted)
                        value = await function(*args, **kwargs)
                    finally:
                        running[0] = None
                        if calls.get() is noted:
                            calls.set(outer)
                        else:  # a block that the function has entered is open, or this is another context
                            calls.set(still_running(calls.get()))
                elif NOTES:
                    value = await function(*args, **kwargs)
                else:
                    return await function(*args, **kwargs)
                if LIMITED and (table := watch.table) is None:
                    call = slow.late(value, args, kwargs)
                elif NOTES:
                    if MARKS:
                        if NESTS:
                            if not state.quiet:
                                gate.succeeded(state)
                        else:
                            state.success_seen = True
                    if COUNTS:
                        state.call_count += 1
                    if REPORTS:
                        gate.ended(state, began, slow.clock())
                    if COUNTED:
                        counter.passes += 1
                    if TIMED:
                        took = now() - started
                        if TIMES_ALONE and took <= recorder.quick_up_to:
                            recorder.quick += 1
                            recorder.quick_seconds += took
                        else:
                            recorder.slow(took)
                    if LIMITED:
                        del table[watch]
                    return value
            except Exception as error:
                call = slow.failed(error, args, kwargs)
            except BaseException as cut:
                if LIMITED and (call := slow.expired(cut, watch, args, kwargs)) is not None:
                    pass
                else:
                    if TIMED:
                        recorder.cancelled(now() - started, slow.cut_off_here())
                    if GATED:
                        call = slow.call(args, kwargs)
                        if REPORTS:
                            call.began = began
                        slow.cut_off(call, state)
                    raise
            if GATED:
                call.admission = state
            if REPORTS:
                call.began = began
            if TRACKS_EXHAUSTION:
                call.exhaustions_at_start = since
            if TIMED:
                call.started_at = started
            if ENTERS:
                slow.hand_over(call, permit)
            if LIMITED:
                await slow.leave_limits(call, watch)
        outcome = await slow.drive(slow.stack, 0, call, call.position)
        if (error := outcome.error) is None:
            return outcome.value
        context = error.__context__
        try:
            raise error
        finally:
            if context is not None:  # raised while the caller handles another error, it has got that one instead
                slow.set_context(error, context)
            outcome = error = context = None
    finally:
        if LEAVES:
            try:
                limiter.leave(permit)
            except BaseException:  # Ctrl-C as it begins
                limiter.leave(permit)
                raise
"""

_STREAM = """
async def wrapper(*args, **kwargs):
    call = slow.call(args, kwargs)
    outcome = await slow.drive(slow.stack, 0, call, 0)
    if outcome.value.__class__ is OpenStream:
        items, item = slow.begin(call, outcome)
        try:
            {relay}
            at = slow.finish(call, value)
        except GeneratorExit:  # the caller wants no more of what came, and it came
            await slow.drive(call.stack, 0, call, slow.finish(call))
            raise
        except Exception as error:
            at = slow.finish(call, None, error)
        except BaseException:
            slow.cancel(call)
            raise
        outcome = await slow.drive(call.stack, 0, call, at)
    if (error := outcome.error) is None:
        return outcome.value
    context = error.__context__
    try:
        raise error
    finally:
        if context is not None:
            slow.set_context(error, context)
        outcome = error = context = items = item = value = None
"""

# What `yield from` does, from the first item on.
_RELAY = """
            try:
                while True:
                    try:
                        sent = yield item
                    except GeneratorExit:
                        items.close()
                        raise
                    except BaseException as thrown:
                        item = items.throw(thrown)
                    else:
                        item = None
                        if sent is None:
                            value = yield from items
                            break
                        item = items.send(sent)
            except Stop as done:
                value = done.value
"""

# Async generators have no `yield from`, and return nothing.
_ASYNC_RELAY = """
            try:
                while True:
                    try:
                        sent = yield item
                    except GeneratorExit:
                        await items.aclose()
                        raise
                    except BaseException as thrown:
                        item = await items.athrow(thrown)
                    else:
                        item = None
                        item = await items.asend(sent)
            except Stop:
                value = None
"""

# Not a policy, which `settings.disabled` would switch off.
_STREAM_IN_BLOCK = """
async def wrapper(*args, **kwargs):
    with block:
        stream = await function(*args, **kwargs)
        if stream is not None:
            items, item = stream.detach()
            {relay}
"""

STREAM = _STREAM.replace("{relay}", _RELAY.strip())
ASYNC_STREAM = _STREAM.replace("{relay}", _ASYNC_RELAY.strip()).replace("return outcome.value", "return")
ASYNC_STREAM_IN_BLOCK = _STREAM_IN_BLOCK.replace("{relay}", _ASYNC_RELAY.strip())


class Features(NamedTuple):
    """The features of the wrapper of a stack. The text has their names in capitals, ``if GATED:``.

    Beside these it has ``NOTES``: a success that is noted in some way, or checked for a limit.
    """

    #: Leave each call to the runner: a policy has no fast path. No other feature is present then.
    runner: bool = False
    #: Look at the state of the one gate before the call.
    gated: bool = False
    #: Raise the gate's rejection at once: no policy is outside of it.
    outermost_gate: bool = False
    #: Ask the one limiter before the call, and leave it after.
    enters: bool = False
    leaves: bool = False
    #: Note the call in `circuit_context` while the function runs: calls through the gate nest.
    nests: bool = False
    #: Tell the gate that a call has succeeded.
    marks: bool = False
    #: Tell the gate how many calls have succeeded.
    counts: bool = False
    #: Tell the gate of each call that succeeds, and when it began.
    reports: bool = False
    #: Add to the one counter of calls that succeed at once.
    counted: bool = False
    #: Time the calls.
    timed: bool = False
    #: Add to the times without a lock.
    times_alone: bool = False
    #: Begin the limits of an async call, and end them.
    limited: bool = False
    #: Leave a call under a deadline to the runner: a policy ends it before that.
    reserves: bool = False
    #: Read how many retries had been exhausted when the call began.
    tracks_exhaustion: bool = False

    def words(self) -> frozenset[str]:
        """Return the words in capitals that hold for the text.

        >>> sorted(Features(gated=True, counts=True).words())
        ['COUNTS', 'GATED', 'NOTES']
        """
        present = {name.upper() for name in itertools.compress(self._fields, self)}
        if present & _NOTING:
            present.add("NOTES")
        return frozenset(present)


_NOTING = frozenset({"GATED", "COUNTED", "TIMED", "LIMITED"})


class Shape(NamedTuple):
    """The number of parameters of each kind that a function has."""

    positional: int = 0
    positional_only: int = 0
    keyword_only: int = 0
    var_positional: bool = False
    var_keyword: bool = False

    def numbered(self) -> list[Parameter]:
        """Return parameters of this shape in the order of a signature, with the numbers they have in a code object."""
        kinds = [
            *[Parameter.POSITIONAL_ONLY] * self.positional_only,
            *[Parameter.POSITIONAL_OR_KEYWORD] * (self.positional - self.positional_only),
            *[Parameter.KEYWORD_ONLY] * self.keyword_only,
            *[Parameter.VAR_POSITIONAL] * self.var_positional,
            *[Parameter.VAR_KEYWORD] * self.var_keyword,
        ]
        parameters = [Parameter(f"argument_{number}", kind) for number, kind in enumerate(kinds)]
        return sorted(parameters, key=attrgetter("kind"))


class Parameters(NamedTuple):
    """The parameters of a function: their names, in the order of its code object, and their shape.

    In a code object parameters that can be passed by keyword alone stand before ``*args``.
    """

    names: tuple[str, ...]
    shape: Shape


ANYTHING = Parameters(("args", "kwargs"), Shape(var_positional=True, var_keyword=True))
"""The parameters of callables that are not written in Python."""


def parameters_of(function: object) -> Parameters:
    """Return the parameters of a Python function; `ANYTHING` for any other callable."""
    if type(function) is not FunctionType:  # not isinstance: a mock of a function says that it is one
        return ANYTHING
    code = function.__code__
    flags, positional, keyword_only = code.co_flags, code.co_argcount, code.co_kwonlyargcount
    args, kwargs = flags & _VARARGS != 0, flags & _VARKEYWORDS != 0
    names = code.co_varnames[: positional + keyword_only + args + kwargs]
    return Parameters(names, Shape(positional, code.co_posonlyargcount, keyword_only, args, kwargs))


_VARARGS, _VARKEYWORDS = inspect.CO_VARARGS, inspect.CO_VARKEYWORDS


@functools.lru_cache(maxsize=128)
def code_for(
    text: str, parameters: Parameters, features: Features, *, asynchronously: bool, closed: bool = False
) -> CodeType:
    """Return the code of *text* for a function of these *parameters*, and a stack of these *features*.

    Functions of one signature share it, where not too many others are decorated in between: each decorator of a stack
    makes a wrapper, and only the last one's is called. The code of the others must not stay for ever.

    *closed* code has no free variables: where it needs one, it has the name of it as a constant, see `filled`.
    """
    code = _compiled(text, parameters.shape, features, asynchronously, closed)
    names, numbered, constants = parameters.names, code.co_varnames, code.co_consts
    if code.co_kwonlyargcount:  # calls have the names of these among their constants
        renamed = dict(zip(numbered, names, strict=False))
        constants = tuple(_renamed(constant, renamed) for constant in constants)
    return code.replace(co_varnames=names + numbered[len(names) :], co_consts=constants)


def filled(code: CodeType, values: Mapping[str, object]) -> CodeType:
    """Return closed *code* with the *values* of its free variables, by their names, among its constants.

    A function that gets this code in place of its own runs on other values from the next call on. Calls that run go on
    with the code, and so with the values, that they began with.
    """
    constants = [values.get(each, each) if type(each) is str else each for each in code.co_consts]
    return code.replace(co_consts=tuple(constants))


def _renamed(constant: object, names: Mapping[str, str]) -> object:
    """Return a *constant* of the code with other names for keywords."""
    if isinstance(constant, str):
        return names.get(constant, constant)
    if isinstance(constant, tuple):  # the keywords of a call
        return tuple(_renamed(part, names) for part in cast("tuple[object, ...]", constant))
    return constant


@functools.lru_cache(maxsize=1024)
def _compiled(text: str, shape: Shape, features: Features, asynchronously: bool, closed: bool) -> CodeType:
    """Return the code of *text* with numbered parameters."""
    if not asynchronously:
        text = text.replace("async def", "def").replace("await ", "")
    tree = ast.parse(f"def make({_FREE}):\n" + textwrap.indent(_with_parameters(text, shape), "    "))
    source = ast.unparse(_Specialized(features.words()).visit(tree))
    filename = f"{_FILENAME} {next(_numbers)}>"
    # So that tracebacks and debuggers show the lines of what they are in.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    # A text of our own, with words of our own in it.
    code = _inner(_inner(_compiled_closed(source, filename) if closed else compile(source, filename, "exec")))
    parameters, own = len(shape.numbered()), code.co_varnames
    return code.replace(
        co_varnames=own[:parameters] + tuple(f".{name}" for name in own[parameters:]),
        co_freevars=tuple(f".{name}" for name in code.co_freevars),
    )


def _compiled_closed(source: str, filename: str) -> CodeType:
    """Return the code of *source* with the names of its free variables as constants in their places."""
    tree = _Closed().visit(ast.parse(source, filename))
    wrapper = tree.body[0].body[0]
    # As its docstring, the first of the constants, which is pickled first, and refuses that in words.
    wrapper.body.insert(0, ast.copy_location(ast.Expr(ast.Constant(".slow")), wrapper))
    ast.fix_missing_locations(tree)
    with warnings.catch_warnings(action="ignore", category=SyntaxWarning):  # a constant that is called, or compared
        return compile(tree, filename, "exec")


def _inner(code: CodeType) -> CodeType:
    """Return the code of the one function that *code* defines."""
    return next(constant for constant in code.co_consts if isinstance(constant, CodeType))


def _with_parameters(text: str, shape: Shape) -> str:
    """Put the parameters of a function where *text* takes any, passes them on, and hands them to the runner.

    >>> _with_parameters("wrapper(*args, **kwargs): function(*args, **kwargs); slow.call(args, kwargs)", Shape(1))
    'wrapper(argument_0): function(argument_0); slow.call((argument_0, ), None)'
    """
    parameters = shape.numbered()
    signature = str(inspect.Signature(parameters))
    passed = ", ".join(_PASSED[each.kind].format(each.name) for each in parameters)
    arguments = "".join(_PACKED[each.kind].format(each.name) for each in parameters if each.kind in _PACKED)
    keywords = ", ".join(_KEYWORDS[each.kind].format(each.name) for each in parameters if each.kind in _KEYWORDS)
    packed = f"({arguments}), {{{keywords}}}" if keywords else f"({arguments}), None"
    text = text.replace("wrapper(*args, **kwargs)", f"wrapper{signature}")
    return text.replace("function(*args, **kwargs)", f"function({passed})").replace("args, kwargs", packed)


# How a parameter is written where it is passed on, and in the tuple and the dictionary that the runner gets.
_PASSED = {
    Parameter.POSITIONAL_ONLY: "{0}",
    Parameter.POSITIONAL_OR_KEYWORD: "{0}",
    Parameter.VAR_POSITIONAL: "*{0}",
    Parameter.KEYWORD_ONLY: "{0}={0}",
    Parameter.VAR_KEYWORD: "**{0}",
}
_PACKED = {
    Parameter.POSITIONAL_ONLY: "{0}, ",
    Parameter.POSITIONAL_OR_KEYWORD: "{0}, ",
    Parameter.VAR_POSITIONAL: "*{0}, ",
}
_KEYWORDS = {Parameter.KEYWORD_ONLY: "'{0}': {0}", Parameter.VAR_KEYWORD: "**{0}"}


class _Specialized(ast.NodeTransformer):
    """Leaves one branch of each ``if FEATURE`` or ``if FEATURE and condition``, and no handler that only raises.

    Such a handler does nothing, but names `BaseException`, and each name of a closure costs every call a little. So one
    that does not use its exception becomes a bare ``except:``. A ``try`` that is left without handlers and ``finally``
    becomes its body.
    """

    def __init__(self, features: frozenset[str]) -> None:
        self.features = features

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Replace ``if FEATURE`` by one of its branches; keep the condition that follows ``and``."""
        self.generic_visit(node)
        feature, condition = node.test, None
        if isinstance(feature, ast.BoolOp):
            feature, condition = feature.values
        if not isinstance(feature, ast.Name) or not feature.id.isupper():
            return node
        if feature.id not in self.features:
            return node.orelse
        if condition is None:
            return node.body
        node.test = condition
        return node

    def visit_Try(self, node: ast.Try) -> ast.Try | list[ast.stmt]:
        """Drop handlers that only raise, and a ``try`` that is left without any purpose."""
        self.generic_visit(node)
        node.handlers = [handler for handler in node.handlers if not isinstance(handler.body[0], ast.Raise)]
        for handler in node.handlers:
            names = {inner.id for inner in ast.walk(handler) if isinstance(inner, ast.Name)}
            if "BaseException" in names and handler.name not in names:
                handler.type = handler.name = None
        if not node.handlers and not node.finalbody:
            return node.body
        return node


class _Closed(ast.NodeTransformer):
    """Puts the names of free variables where their values are to stand, as constants.

    `deadlines_used` is set while the program runs: it is read from its cell, which the slow path has.
    """

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace the name of a free variable by a constant of that name, which `filled` replaces by the value."""
        if node.id not in _FREE_NAMES:
            return node
        constant: ast.expr = ast.Constant(f".{node.id}")
        if node.id == "deadlines_used":
            cell = ast.Attribute(ast.Constant(".slow"), node.id, ast.Load())
            constant = ast.Attribute(cell, "cell_contents", ast.Load())
        return ast.fix_missing_locations(ast.copy_location(constant, node))


_FREE_NAMES = frozenset(_FREE.split(", "))
_numbers = itertools.count(1)
_FILENAME = "<resilience wrapper"


def is_wrapper(code: CodeType) -> bool:
    """Return whether *code* is that of a wrapper, whose globals are those of the user's module.

    What looks for the code that called a guarded function leaves it out.
    """
    return code.co_filename.startswith(_FILENAME)
