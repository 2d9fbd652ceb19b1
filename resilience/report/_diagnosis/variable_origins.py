"""Origins of the variables in a failing expression: the line that gave each its value.

It reads the source alone. The last assignment before the failing line counts, in the function or else in the module; in
a loop that may be a line further down. That is the line that is most likely to have given the value, and not always the
one that did: branches are not followed. So an origin is shown as a fact, beside the captured value.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from resilience.report._diagnosis.context import FailureContext, FunctionNode
from resilience.report._diagnosis.text import format_value, phrase, single_line

__all__ = ["Origin", "functions_named", "names_in", "origin_of", "reason_for_none", "variable_factors", "walk_scope"]

_MAX_FACTORS = 4
# What changes an object and returns nothing.
_IN_PLACE = {
    "sort": "sorted()",
    "reverse": "reversed()",
    "append": "",
    "extend": "",
    "insert": "",
    "remove": "",
    "clear": "",
    "update": "",
    "add": "",
    "discard": "",
    "shuffle": "random.sample()",
    "print": "",
}
_MATCHERS = ("match", "search", "fullmatch")


@dataclass(frozen=True, slots=True)
class Origin:
    """The last place before the failure that gave a variable its value: its line, from 1, and the code there."""

    line: int
    code: str
    value: ast.expr | None
    """What was assigned; None for a loop, a parameter, an import."""


def names_in(node: ast.AST | None) -> list[str]:
    """Return the variables an expression reads, in order, each once."""
    if node is None:
        return []
    found = [each for each in ast.walk(node) if isinstance(each, ast.Name)]
    found.sort(key=lambda each: (each.lineno, each.col_offset))
    return list(dict.fromkeys(each.id for each in found))


def functions_named(context: FailureContext, name: str) -> list[FunctionNode]:
    """Return the functions and methods that the program defines under a name."""
    if context.tree is None:
        return []
    return [node for node in ast.walk(context.tree) if isinstance(node, FunctionNode) and node.name == name]


def origin_of(context: FailureContext, name: str) -> Origin | None:
    """Return what gave a variable its value: before the failing line, in its function or else in the module.

    None of a parameter, and where the source is not at hand. In a function that has assignments but none before the
    failing line, the last one below counts: the line is in a loop.
    """
    if context.tree is None or context.line is None:
        return None
    function = context.function
    if function is not None:
        # In a loop the line may be further down.
        own = list(_assignments(function, name))
        if own:
            return _origin(context, own, context.line)
        if name in [each.arg for each in _parameters(function)]:
            return None
    return _origin(context, list(_assignments(context.tree, name)), context.line if function is None else None)


def variable_factors(context: FailureContext, names: list[str] | None = None) -> list[str]:
    """Return a sentence for each variable the failing expression reads: its value, and where that came from.

    ``price = '12', set on line 3: price = input()``. *names* are the variables to speak of in place of those in the
    expression. There are at most `_MAX_FACTORS`, and none of variables whose value is not known.
    """
    found: list[str] = []
    for name in names_in(context.expression) if names is None else names:
        if not context.knows(name):
            continue
        origin, value = origin_of(context, name), format_value(context.value_of(name))
        if origin is None:
            where = _as_argument(context, name)
        elif isinstance(origin.value, ast.Constant):  # whose code would say the same once more
            value, where = single_line(repr(context.value_of(name)), 60), f", set on line {origin.line}"
        else:
            code = single_line(origin.code)
            where = f", set on line {origin.line}" + ("" if code == f"{name} = {value}" else f": {code}")
        found.append(f"{name} = {value}{where}")
    return found[:_MAX_FACTORS]


def reason_for_none(context: FailureContext, value: ast.expr | None) -> str:
    """Return why an expression is None, where its form shows that; empty where it does not.

    It knows methods that work in place, ``values.sort()``, ``get`` and ``re.match``, and functions of the program that
    have no ``return`` with a value.
    """
    if isinstance(value, ast.Await):
        value = value.value
    if not isinstance(value, ast.Call):
        return ""
    function = value.func
    name = getattr(function, "attr", "") or getattr(function, "id", "")
    if isinstance(function, ast.Attribute) or name in ("print", "shuffle"):
        if name in _IN_PLACE:
            return f"{name}() returns None: it only has an effect{phrase('; use {} for a result', _IN_PLACE[name])}"
        if name == "get":
            return "get() returns None for a key that is not there: give it a default"
        if name in _MATCHERS:
            beginning = "; it looks at the beginning alone, search() everywhere" if name == "match" else ""
            return f"{name}() returns None where the pattern does not match: test for that first{beginning}"
    for each in functions_named(context, name):
        returns = [node for node in walk_scope(each) if isinstance(node, ast.Return) and node.value is not None]
        if not returns:
            return f"{name}(), defined on line {each.lineno}, has no return statement with a value"
        return f"{name}(), defined on line {each.lineno}, returned None: not every way through it returns a value"
    return ""


def _as_argument(context: FailureContext, name: str) -> str:
    """Return the line that passed a parameter to the failing function; empty at the top level."""
    if name not in context.frame.locals or context.frame_index < 1 or context.frame.is_top_level:
        return ""
    function = context.function
    if function is None or name not in [each.arg for each in _parameters(function)]:
        return ""
    caller = context.frames[context.frame_index - 1]
    return phrase(f", given on line {caller.line}: {{}}", single_line(caller.code))


def _parameters(function: FunctionNode) -> list[ast.arg]:
    given = function.args
    rest = [each for each in (given.vararg, given.kwarg) if each is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]


def _assignments(scope: ast.Module | FunctionNode, name: str) -> Iterator[tuple[ast.stmt, ast.expr | None]]:
    """Yield the statements of a scope that bind a name, and the value where a name is bound to just that."""
    for node in walk_scope(scope):
        value: ast.expr | None = None
        match node:
            case ast.Assign(targets=targets):
                value = node.value if any(isinstance(target, ast.Name) for target in targets) else None
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.AugAssign(target=target, value=value):
                targets = [target]
            case ast.For(target=target) | ast.AsyncFor(target=target):
                targets = [target]
            case ast.With(items=items) | ast.AsyncWith(items=items):
                targets = [item.optional_vars for item in items if item.optional_vars is not None]
            case _:
                continue
        if any(_binds(target, name) for target in targets):
            yield node, value


def walk_scope(scope: ast.AST) -> Iterator[ast.AST]:
    """Walk the nodes of a scope, with the functions and classes in it, but not with their bodies."""
    queue = list(ast.iter_child_nodes(scope))
    while queue:
        node = queue.pop(0)
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            queue.extend(ast.iter_child_nodes(node))


def _binds(target: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(target))


def _origin(
    context: FailureContext, found: list[tuple[ast.stmt, ast.expr | None]], before: int | None
) -> Origin | None:
    """Choose the last of the bindings before a line; of all of them where *before* is None or none is earlier."""
    earlier = [each for each in found if before is None or each[0].lineno < before]
    chosen = max(earlier or found, key=lambda each: each[0].lineno, default=None)
    if chosen is None:
        return None
    node, value = chosen
    return Origin(node.lineno, context.line_at(node.lineno).strip(), value)
