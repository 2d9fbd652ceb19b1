"""Corrections of programs that run coroutines and threads: what is awaited, gathered, submitted, and in which way.

Each function recognises one kind of fault in the program's own syntax tree, as those of `corrections` do, and returns
the `Correction`, or None. ``await`` is written only inside of an async function: elsewhere the program does not compile
with it, and to make the function async would change its callers. `FAULTS` says for which messages each is tried.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.correction import (
    Correction,
    enclosing_function,
    here,
    indentation_of,
    of_program,
    of_statement,
    replaced,
    source_of,
)
from resilience.report._diagnosis.line_edits import replace_line
from resilience.report._diagnosis.variable_origins import functions_named, origin_of

__all__ = ["FAULTS"]

# Calls that take a function and its arguments apart: `pool.submit(square, 3)`.
_TAKE_FUNCTION = frozenset({"submit", "to_thread", "apply_async", "call_soon", "call_soon_threadsafe", "partial"})
_TAKE_COROUTINE = frozenset({"run", "create_task", "ensure_future", "run_until_complete", "wait_for"})
_ASYNC_CONTEXTS = r"Lock|Semaphore|BoundedSemaphore|Condition|TaskGroup|Timeout|ClientSession|Async\w+"
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _is_async(context: FailureContext) -> bool:
    return isinstance(enclosing_function(context), ast.AsyncFunctionDef)


def _name_of_call(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _gathered(context: FailureContext) -> Correction | None:
    """Recognise a list of coroutines that is given as one: ``asyncio.gather([load(1), load(2)])``."""
    for call in of_statement(context, ast.Call):
        given = call.args[0] if len(call.args) == 1 else None
        is_list = isinstance(given, (ast.List, ast.ListComp, ast.Tuple)) or (
            isinstance(given, ast.Name) and str(context.value_of(given.id)).startswith("[")
        )
        if _name_of_call(call) == "gather" and given is not None and is_list:
            written = f"*{source_of(context, given)}"
            return replaced(context, given, written, "gather() takes each coroutine as an argument: put a * before.")
    return None


def _coroutine_itself(context: FailureContext) -> Correction | None:
    """Recognise an async function that is handed over and not called: ``asyncio.run(main)``.

    Where it has parameters without defaults, the call lacks arguments, and there is an advice alone.
    """
    for call in of_statement(context, ast.Call):
        given = call.args[0] if call.args else None
        if _name_of_call(call) not in _TAKE_COROUTINE or not isinstance(given, ast.Name):
            continue
        for function in functions_named(context, given.id):
            if len(function.args.args) == len(function.args.defaults):
                new = f"{given.id}()"
                return replaced(context, given, new, f"Call it: {new} makes the coroutine that is to run.")
            return here(None, f"Call {given.id}() with its arguments: the call makes the coroutine that is to run.")
    return None


def _run_inside(context: FailureContext) -> Correction | None:
    """Recognise ``asyncio.run(load())`` in an async function, where an event loop runs.

    Not where ``load`` is a plain function: to await its result may be another fault.
    """
    for call in of_statement(context, ast.Call):
        runs = _name_of_call(call) in ("run", "run_until_complete") and len(call.args) == 1 and not call.keywords
        if runs and _is_async(context) and not _is_plain_call(context, call.args[0]):
            new = f"await {source_of(context, call.args[0])}"
            return replaced(context, call, new, f"An event loop runs in an async function: write {new}.")
    return None


def _gathered_result(context: FailureContext) -> Correction | None:
    """Recognise the future of `gather` where its results are meant: ``sum(asyncio.gather(one(), two()))``."""
    awaited = [id(each.value) for each in of_statement(context, ast.Await)]
    for call in of_statement(context, ast.Call):
        if _name_of_call(call) == "gather" and id(call) not in awaited and _is_async(context):
            return replaced(
                context, call, f"await {source_of(context, call)}", "Await gather(): its results come then."
            )
    return None


def _is_plain_call(context: FailureContext, node: ast.expr) -> bool:
    """Whether a function of the program is called that is not async."""
    name = _name_of_call(node) if isinstance(node, ast.Call) else ""
    return any(isinstance(each, ast.FunctionDef) for each in functions_named(context, name))


def _awaited_value(context: FailureContext) -> Correction | None:
    """Recognise a coroutine that is asked for what its result has: ``load().json()``, also in a comprehension.

    A coroutine that an earlier line made is awaited there: `corrections` has that fault.
    """
    name = context.hint("name")
    asked: list[ast.Attribute | ast.Subscript] = [*of_statement(context, ast.Attribute)]
    asked += of_statement(context, ast.Subscript)
    for node in asked:
        if isinstance(node, ast.Attribute) and node.attr != name:
            continue
        origin = origin_of(context, node.value.id) if isinstance(node.value, ast.Name) else None
        is_made_before = origin is not None and isinstance(origin.value, ast.Call)
        if isinstance(node.value, (ast.Name, ast.Call)) and not is_made_before and _is_async(context):
            new = f"(await {source_of(context, node.value)})"
            return replaced(context, node.value, new, f"Await the coroutine: {new} is its result.")
    return None


def _async_comprehension(context: FailureContext) -> Correction | None:
    """Recognise a comprehension that goes through an async generator with `for` alone."""
    for comprehension in of_statement(context, ast.expr):
        if not isinstance(comprehension, _COMPREHENSIONS) or not _is_async(context):
            continue
        loop = comprehension.generators[0]
        line = context.line_at(loop.target.lineno)
        start = line.rfind("for ", 0, loop.target.col_offset)
        if isinstance(loop.iter, ast.Call) and not loop.is_async and start >= 0:
            new = f"async {line[start : loop.target.col_offset]}{ast.unparse(loop.target)}"
            advice = "Go through an async generator with async for."
            return _line_with(context, loop.target, start, new, advice)
    return None


def _line_with(context: FailureContext, node: ast.expr, start: int, new: str, advice: str) -> Correction | None:
    """Write *new* from a column to the end of a node, which does not have the keyword before it: ``for x``."""
    wider = ast.Name("x", ast.Load(), lineno=node.lineno, end_lineno=node.end_lineno, col_offset=start)
    wider.end_col_offset = node.end_col_offset
    return replaced(context, wider, new, advice)


def _async_with(context: FailureContext) -> Correction | None:
    """Recognise `with` around a lock or client of asyncio, in an async function."""
    if not of_statement(context, ast.With) or not _is_async(context):
        return None
    line = f"{indentation_of(context.raw_line)}async {context.raw_line.strip()}"
    return here(replace_line(context, line), "Write async with: this context is entered asynchronously.")


def _submitted_call(context: FailureContext) -> Correction | None:
    """Recognise a call that is handed over in place of the function: ``pool.submit(square(3))``.

    The failure comes from the library, on another line, so the one such call in the whole program is looked for.
    """
    if not context.library_function:
        return None
    handed = [
        (call, call.args[0])
        for call in of_program(context, ast.Call)
        if _name_of_call(call) in _TAKE_FUNCTION and len(call.args) == 1 and isinstance(call.args[0], ast.Call)
    ]
    if len(handed) != 1:
        return None
    call, given = handed[0]
    assert isinstance(given, ast.Call)
    parts = [source_of(context, each) for each in (given.func, *given.args)]
    parts += [f"{each.arg}={source_of(context, each.value)}" for each in given.keywords if each.arg]
    taking = source_of(context, call.func)
    advice = f"{taking}() calls the function itself: give it the function and its arguments apart."
    return replaced(context, given, ", ".join(parts), advice)


def _mapped_call(context: FailureContext) -> Correction | None:
    """Recognise a call that is mapped in place of the function: ``pool.map(double(1), values)``."""
    for call in of_statement(context, ast.Call):
        given = (
            call.args[0] if len(call.args) > 1 and _name_of_call(call) in ("map", "imap", "starmap", "filter") else None
        )
        if isinstance(given, ast.Call):
            new = source_of(context, given.func)
            return replaced(context, given, new, f"{_name_of_call(call)}() calls the function itself: give it {new}.")
    return None


def _called_target(context: FailureContext) -> Correction | None:
    """Recognise a call in place of the function that a thread is to run: ``Thread(target=work(1))``."""
    for call in of_statement(context, ast.Call):
        for keyword in call.keywords:
            given = keyword.value
            if keyword.arg == "target" and isinstance(given, ast.Call) and not given.keywords:
                arguments = "".join(f"{source_of(context, each)}, " for each in given.args).rstrip()
                new = source_of(context, given.func) + (f", args=({arguments})" if arguments else "")
                return replaced(context, given, new, "target= takes the function, and args= its arguments.")
    return None


FAULTS: tuple[tuple[str, Callable[[FailureContext], Correction | None]], ...] = (
    (r"unhashable type: '(?:list|tuple)'|coroutine or an awaitable is required", _gathered),
    (r"a coroutine was expected, got <function|coroutine or an awaitable is required", _coroutine_itself),
    (r"cannot be called from a running event loop|This event loop is already running", _run_inside),
    (r"'coroutine' object (?:has no attribute|is not subscriptable)", _awaited_value),
    (r"_GatheringFuture", _gathered_result),
    (r"'async_generator' object is not iterable", _async_comprehension),
    (rf"'(?:{_ASYNC_CONTEXTS})' object does not support the context manager protocol", _async_with),
    (r"object is not callable", _submitted_call),
    (r"object is not callable", _mapped_call),
    (r"object is not callable", _called_target),
)
"""Which messages mean which fault, by the type and the message, the first that finds a correction."""
