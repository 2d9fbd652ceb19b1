"""Resolution of expressions to dotted names and constant strings, as far as the source allows.

Resolution follows assignments and imports to a limited depth, and gives up a name that has several meanings, but for
one with an effect. It runs nothing.

``f = os.system`` and ``getattr(__import__("o" + "s"), "system")`` both resolve to ``os.system``. A loop variable, an
argument and the value of most calls resolve to nothing. The depth bounds the time for code that was written to take
long.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from resilience.execution._analysis.effects import IMPORTERS, INSTANCES, LEAKS, Effect, effect_of
from resilience.execution._analysis.tree import Scope

__all__ = ["member", "resolve", "text_of"]

_MAX_DEPTH = 12  # of resolution: enough for code written by people, and a bound for generated code
_CACHEABLE_DEPTH = 6  # a resolution with so many steps left is cached
_MAX_TEXT = 1000


def resolve(node: ast.expr, scope: Scope, depth: int = _MAX_DEPTH) -> str | None:
    """Return the dotted name that *node* refers to: ``os.system``, ``builtins.eval``, ``pathlib.Path()``.

    With parentheses it is an instance. None if it cannot be resolved.
    """
    if depth <= 0:
        return None
    if isinstance(node, ast.Name):
        name = node.id
        if depth < _CACHEABLE_DEPTH:
            return _named(name, scope, depth)
        if name not in scope.known:
            scope.known[name] = _named(name, scope, depth)
        return scope.known[name]
    if isinstance(node, ast.Attribute):
        base = resolve(node.value, scope, depth - 1)
        return None if base is None else member(base, node.attr)
    if isinstance(node, ast.Call):
        return _called(node, scope, depth)
    if isinstance(node, ast.Subscript):
        return _item(node, scope, depth)
    if isinstance(node, ast.NamedExpr | ast.Await):
        return resolve(node.value, scope, depth - 1)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left = resolve(node.left, scope, depth - 1)
        return left if left == "pathlib.Path()" else None
    return None


def text_of(node: ast.expr | None, scope: Scope, depth: int = _MAX_DEPTH) -> str | None:
    """Return the string that *node* certainly is, a constant or a concatenation of constants; None if uncertain."""
    if depth <= 0 or node is None:
        return None
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) and len(node.value) <= _MAX_TEXT else None
    if isinstance(node, ast.Name):
        bound = scope.lookup(node.id)
        if bound is not None and len(bound) == 1 and isinstance(bound[0], ast.expr):
            return text_of(bound[0], scope, depth - 1)
        return None
    parts = _text_parts(node, scope, depth - 1)
    if parts is None or None in parts:
        return None
    text = "".join(part for part in parts if part is not None)
    return text if len(text) <= _MAX_TEXT else None


def _text_parts(node: ast.expr, scope: Scope, depth: int) -> list[str | None] | None:
    """Return the parts that *node* joins to a text, None for an uncertain part; None if it joins nothing."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [text_of(node.left, scope, depth), text_of(node.right, scope, depth)]
    if isinstance(node, ast.JoinedStr):
        pieces = [each.value if isinstance(each, ast.FormattedValue) else each for each in node.values]
        return [text_of(each, scope, depth) for each in pieces]
    if isinstance(node, ast.Subscript):
        return [_sliced(node, scope, depth)]
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        return _joined_parts(node.func, node.args[0], scope, depth)
    return None


def _sliced(node: ast.Subscript, scope: Scope, depth: int) -> str | None:
    """Return ``"so"[::-1]``."""
    part, text = node.slice, text_of(node.value, scope, depth)
    if text is None or not isinstance(part, ast.Slice) or part.lower is not None or part.upper is not None:
        return None
    step = part.step
    backwards = (
        isinstance(step, ast.UnaryOp) and isinstance(step.op, ast.USub) and isinstance(step.operand, ast.Constant)
    )
    return text[::-1] if backwards and step.operand.value == 1 else None  # type: ignore[union-attr]


def _joined_parts(function: ast.expr, argument: ast.expr, scope: Scope, depth: int) -> list[str | None] | None:
    """Return the parts of ``"".join(["o", "s"])`` and ``chr(111)``."""
    if isinstance(function, ast.Attribute) and function.attr == "join" and isinstance(argument, ast.List | ast.Tuple):
        between = text_of(function.value, scope, depth)
        parts = [text_of(each, scope, depth) for each in argument.elts[:_MAX_TEXT]]
        return None if between is None or None in parts else [between.join(part for part in parts if part is not None)]
    if resolve(function, scope, depth) == "builtins.chr" and isinstance(argument, ast.Constant):
        number = argument.value
        return [chr(number)] if isinstance(number, int) and 0 <= number <= 0x10FFFF else None
    return None


def _named(name: str, scope: Scope, depth: int) -> str | None:
    """Return the meaning of a name in *scope*. A name that the code does not bind is a builtin, or of a star import."""
    bound = scope.lookup(name)
    if bound is None:
        for module in _stars(scope):
            if effect_of(f"{module}.{name}") is not Effect.NONE:
                return f"{module}.{name}"
        return "builtins" if name == "__builtins__" else f"builtins.{name}"
    found: str | None = None
    for value in bound[-_MAX_DEPTH:]:
        one = value if isinstance(value, str) else None
        if isinstance(value, ast.expr) and not (isinstance(value, ast.Name) and value.id == name):
            one = resolve(value, scope, depth - 1)
        if one is not None and (found is None or effect_of(one) is not Effect.NONE):
            found = one  # of several bindings the one with an effect
    return found


def _stars(scope: Scope) -> Iterator[str]:
    here: Scope | None = scope
    while here is not None:
        yield from here.stars
        here = here.parent


def member(base: str, name: str) -> str:
    """Return the dotted name of the attribute *name* of *base*."""
    dotted = f"{base}.{name}"
    if base == "pathlib.Path()" and effect_of(dotted) is Effect.NONE:
        return base  # .parent, .with_suffix(...): paths again
    if name.startswith("_") and name[1:] in LEAKS:
        return name[1:]  # random._os is os
    return dotted


def _called(node: ast.Call, scope: Scope, depth: int) -> str | None:
    """Return the meaning of what a call returns, for the few functions of which that is known."""
    function = resolve(node.func, scope, depth - 1)
    if function is None:
        return None
    if function in IMPORTERS:
        return _imported(function, node, scope, depth)
    if function == "builtins.getattr" and len(node.args) > 1:
        name = text_of(node.args[1], scope, depth - 1)
        base = resolve(node.args[0], scope, depth - 1)
        return None if name is None or base is None else member(base, name)
    if function == "builtins.vars" and node.args:
        base = resolve(node.args[0], scope, depth - 1)
        return None if base is None else f"{base}.__dict__"
    if function == "builtins.globals":
        return "globals()"
    if function == "pathlib.Path()":
        return function  # of a method that gives a path
    return INSTANCES.get(function)


def _imported(function: str, node: ast.Call, scope: Scope, depth: int) -> str | None:
    """Return the module that a call of an importer returns: of ``__import__("os.path")`` the top, ``os``."""
    module = text_of(next(iter(node.args), None), scope, depth - 1)
    if module is None or function == "importlib.import_module" or len(node.args) >= 4:
        return module
    return module.partition(".")[0]


def _item(node: ast.Subscript, scope: Scope, depth: int) -> str | None:
    """Return the meaning of an item of a namespace: ``sys.modules["os"]``, ``vars(os)["system"]``."""
    base = resolve(node.value, scope, depth - 1)
    if base is None:
        return None
    if base in ("builtins", "sys.modules", "globals()") or base.endswith(".__dict__"):
        key = text_of(node.slice, scope, depth - 1)
        if key is None:
            return None
        if base == "sys.modules":
            return key
        if base == "globals()":
            return _named(key, scope.module, depth - 1)
        return f"{base.removesuffix('.__dict__')}.{key}"
    return None
