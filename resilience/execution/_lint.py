"""Linter: recommendations for code that will not do what it seems meant to do. Only what the source proves.

A recommendation is not an obstacle: the code runs all the same. So a rule must be certain, since a model that reads
it will change code that works.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from resilience.execution._analysis.names import resolve
from resilience.execution._analysis.tree import Scope, nodes_with_scopes
from resilience.execution._worker.source import Source
from resilience.execution.diagnostic import Diagnostic

__all__ = ["lint"]

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_EXITS = (ast.Return, ast.Raise, ast.Yield, ast.YieldFrom, ast.Await, ast.Assert)
# Calls that do not end a loop by raising. Any other call may.
_NEVER_RAISE = frozenset(
    {f"builtins.{name}" for name in ("abs", "len", "max", "min", "print", "range", "round", "str", "sum")}
)
_METHODS_NEVER_RAISE = frozenset({"add", "append", "extend", "format", "join", "lower", "strip", "update", "upper"})
_MAX_EXPRESSION = 60


def lint(tree: ast.Module, source: Source, seconds: float) -> Iterator[Diagnostic]:
    """Yield recommendations in the order of the source. *seconds* is the time limit."""
    nodes = nodes_with_scopes(tree)
    calls = {id(node): name for node, scope in nodes if (name := _called_name(node, scope)) is not None}
    found = [
        *_check_calls(nodes, calls, seconds),
        *_check_statements(tree, calls),
        *_check_last_statement(tree, calls, source),
    ]
    for message, node in sorted(found, key=lambda each: (each[1].lineno, each[1].col_offset)):
        yield Diagnostic.at(node, message, source)


Messages = Iterator[tuple[str, ast.stmt | ast.expr | ast.excepthandler]]


def _called_name(node: ast.AST, scope: Scope) -> str | None:
    return resolve(node.func, scope) if isinstance(node, ast.Call) else None


def _check_calls(nodes: list[tuple[ast.AST, Scope]], calls: dict[int, str], seconds: float) -> Messages:
    for node, _ in nodes:
        if not isinstance(node, ast.Call):
            continue
        name = calls.get(id(node))
        if name == "builtins.input":
            yield "input() raises EOFError: stdin is closed. Write the value into the code, or have it passed in.", node
        elif name == "time.sleep" and node.args and isinstance(node.args[0], ast.Constant):
            wait = node.args[0].value
            if isinstance(wait, int | float) and wait >= seconds:
                yield f"this sleeps longer than the time limit of {seconds:g} seconds", node


def _check_statements(tree: ast.Module, calls: dict[int, str]) -> Messages:
    for node in ast.walk(tree):
        if isinstance(node, ast.While) and _is_endless(node, calls):
            yield "this loop never ends: it runs until the time limit. Add a break.", node
        elif isinstance(node, ast.ExceptHandler) and node.type is None and not _contains(node.body, ast.Raise):
            yield (
                "a bare except also catches what ends the program, the time limit's signal too: use except Exception",
                node,
            )


def _check_last_statement(tree: ast.Module, calls: dict[int, str], source: Source) -> Messages:
    if not tree.body:
        return
    last = tree.body[-1]
    if all(isinstance(each, _DEFINITIONS) or _is_text(each) for each in tree.body):
        if any(isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in tree.body):
            yield "nothing is called: the code only defines. End with a call.", last
    elif isinstance(last, ast.Expr):
        value = _only_argument(last.value, source) if calls.get(id(last.value)) == "builtins.print" else ""
        if value:
            yield f"print() gives text, and no value. End with the expression {value} to have it returned.", last
    elif isinstance(last, ast.Assign | ast.AugAssign | ast.AnnAssign) and "builtins.print" not in calls.values():
        target = last.targets[0] if isinstance(last, ast.Assign) else last.target
        if isinstance(target, ast.Name):
            yield f"nothing is returned: end with the expression {target.id}", last


def _only_argument(call: ast.expr, source: Source) -> str:
    """Return the source of the only argument of *call*; empty if that is a text, or long."""
    arguments = call.args if isinstance(call, ast.Call) and not call.keywords else []
    if len(arguments) != 1 or isinstance(arguments[0], ast.Constant | ast.JoinedStr | ast.Starred):
        return ""
    text = source.of(arguments[0])
    return text if len(text) <= _MAX_EXPRESSION else ""


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_endless(loop: ast.While, calls: dict[int, str]) -> bool:
    """Return whether nothing leaves a `while True`: no break of its own, no return, no call that may raise."""
    if not isinstance(loop.test, ast.Constant) or not loop.test.value:
        return False
    stack: list[tuple[ast.AST, bool]] = [(each, True) for each in loop.body]
    while stack:
        node, own = stack.pop()
        if isinstance(node, _EXITS) or (own and isinstance(node, ast.Break)):
            return False
        if isinstance(node, ast.Call) and not _never_raises(node, calls):
            return False
        if not isinstance(node, _FUNCTIONS):
            inner = own and not isinstance(node, ast.For | ast.AsyncFor | ast.While)
            stack += [(each, inner) for each in ast.iter_child_nodes(node)]
    return True


def _never_raises(call: ast.Call, calls: dict[int, str]) -> bool:
    if calls.get(id(call)) in _NEVER_RAISE:
        return True
    return isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS_NEVER_RAISE


def _contains(body: list[ast.stmt], kind: type[ast.AST]) -> bool:
    return any(isinstance(node, kind) for statement in body for node in ast.walk(statement))
