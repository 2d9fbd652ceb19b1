"""Walk through a syntax tree that collects scopes with their bindings, and the nodes that rules check.

Without recursion: a chain of a thousand calls is deeper than the interpreter's own limit.

Names are bound while the nodes are collected, and looked up when the rules check them, after the whole tree has been
seen: a function may use what is assigned below it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, cast

__all__ = ["Binding", "Scope", "nodes_with_scopes"]

Binding = str | ast.expr | ast.ClassDef | None
"""Binding of a name: the dotted name of an import, an expression, a class, or None for anything else."""

_CHECKED_NODES = frozenset({ast.Call, ast.Attribute, ast.Subscript, ast.Import, ast.ImportFrom, ast.MatchClass})


class Scope:
    """The names of a module, class, function or comprehension.

    A name has a list of bindings, in the order of the source: which of them holds where is not analysed. The names of a
    class are seen in its own body and not in its methods, as in Python.

    >>> module = Scope("module")
    >>> module.bind("np", "numpy")
    >>> Scope("function", module).lookup("np"), module.lookup("pd")
    (['numpy'], None)
    """

    __slots__ = ("_elsewhere", "kind", "known", "module", "names", "parent", "stars")

    def __init__(self, kind: str, parent: Scope | None = None) -> None:
        self.kind: str = kind
        self.parent: Scope | None = parent
        self.module: Scope = self if parent is None else parent.module
        self.names: dict[str, list[Binding]] = {}
        #: The modules of `from ... import *`.
        self.stars: list[str] = []
        #: Cache of resolved names, valid once all names are bound.
        self.known: dict[str, str | None] = {}
        self._elsewhere: dict[str, Scope] = {}

    def bind(self, name: str, value: Binding = None) -> None:
        """Bind *name* to *value* in this scope, or in the one it was declared to belong to."""
        scope = self._elsewhere.get(name, self)
        scope.names.setdefault(name, []).append(value)

    def declare(self, names: Iterable[str], scope: Scope) -> None:
        """Declare that *names* belong to another *scope*."""
        for name in names:
            self._elsewhere[name] = scope

    def lookup(self, name: str) -> list[Binding] | None:
        """Return the bindings of *name*; None if the code does not bind it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names and (scope is self or scope.kind != "class"):
                return scope.names[name]
            scope = scope.parent
        return None

    def function(self) -> Scope:
        """Return the nearest enclosing scope of a function or the module."""
        scope = self
        while scope.parent is not None and scope.kind in ("class", "comprehension"):
            scope = scope.parent
        return scope


Stack = list[tuple[ast.AST, Scope]]


def nodes_with_scopes(tree: ast.Module, words: Collection[str] = ()) -> list[tuple[ast.AST, Scope]]:
    """Return the nodes to check with their scopes, parents before children, and bind all names in the scopes.

    Of name nodes, which are most of a tree, only *words* are returned.
    """
    found: Stack = []
    stack: Stack = [(tree, Scope("module"))]
    while stack:
        node, scope = stack.pop()
        kind = type(node)
        if kind in _CHECKED_NODES or (isinstance(node, ast.Name) and node.id in words):
            found.append((node, scope))
        handler = _HANDLERS.get(kind)
        if handler is None:
            _push(node, scope, stack)
        else:
            handler(node, scope, stack)
    return found


# Fields without nodes, or without nodes of interest.
_SKIPPED = frozenset({"ctx", "op", "ops", "id", "attr", "arg", "type_comment", "conversion", "simple", "type_ignores"})
_CHILDREN: dict[type[ast.AST], tuple[str, ...]] = {}


def _push(node: ast.AST, scope: Scope, stack: Stack) -> None:
    kind = type(node)
    names = _CHILDREN.get(kind)
    if names is None:
        # The last is pushed first: the stack gives them back in the order of the source.
        names = _CHILDREN[kind] = tuple(name for name in reversed(kind._fields) if name not in _SKIPPED)
    for name in names:
        value = getattr(node, name, None)
        if isinstance(value, list):
            _push_all(cast("list[object]", value), scope, stack)
        elif isinstance(value, ast.AST):
            stack.append((value, scope))


def _push_all(values: Sequence[object], scope: Scope, stack: Stack) -> None:
    for value in reversed(values):
        if isinstance(value, ast.AST):
            stack.append((value, scope))


def _constant(_node: ast.Constant, _scope: Scope, _stack: Stack) -> None:
    """Ignore a constant, which has no child nodes."""


def _name(node: ast.Name, scope: Scope, _stack: Stack) -> None:
    if not isinstance(node.ctx, ast.Load):
        scope.bind(node.id)


def _assign(node: ast.Assign, scope: Scope, stack: Stack) -> None:
    stack.append((node.value, scope))
    for target in node.targets:
        _bind(target, node.value, scope, stack)


def _annotated(node: ast.AnnAssign, scope: Scope, stack: Stack) -> None:
    stack.append((node.annotation, scope))
    if node.value is not None:
        stack.append((node.value, scope))
        _bind(node.target, node.value, scope, stack)
    else:
        stack.append((node.target, scope))


def _walrus(node: ast.NamedExpr, scope: Scope, stack: Stack) -> None:
    """Bind the name of ``(name := value)`` in the function around, also from within a comprehension."""
    stack.append((node.value, scope))
    holder = scope if scope.kind == "class" else scope.function()
    holder.bind(node.target.id, node.value)


def _with(node: ast.withitem, scope: Scope, stack: Stack) -> None:
    stack.append((node.context_expr, scope))
    if node.optional_vars is not None:
        _bind(node.optional_vars, node.context_expr, scope, stack)


def _bind(target: ast.expr, value: ast.expr, scope: Scope, stack: Stack) -> None:
    """Bind the names of an assignment, element by element where both sides are written out: ``a, b = os, sys``."""
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        starred = any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts))
        if not starred and len(target.elts) == len(value.elts):
            pairs = list(zip(target.elts, value.elts, strict=True))
    for left, right in pairs:
        if isinstance(left, ast.Name):
            scope.bind(left.id, right)
        else:
            stack.append((left, scope))


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope, stack: Stack) -> None:
    scope.bind(node.name)
    inner = Scope("function", scope)
    _push_all(node.body, inner, stack)
    _push_all(getattr(node, "type_params", ()), inner, stack)
    if node.returns is not None:
        stack.append((node.returns, scope))
    _arguments(node.args, scope, inner, stack)
    _push_all(node.decorator_list, scope, stack)


def _lambda(node: ast.Lambda, scope: Scope, stack: Stack) -> None:
    inner = Scope("function", scope)
    stack.append((node.body, inner))
    _arguments(node.args, scope, inner, stack)


def _arguments(arguments: ast.arguments, outer: Scope, inner: Scope, stack: Stack) -> None:
    """Bind parameters within the function. Defaults and annotations are evaluated outside of it."""
    single = [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *single):
        inner.bind(argument.arg)
        if argument.annotation is not None:
            stack.append((argument.annotation, outer))
    _push_all([*arguments.defaults, *arguments.kw_defaults], outer, stack)


def _class(node: ast.ClassDef, scope: Scope, stack: Stack) -> None:
    scope.bind(node.name, node)
    inner = Scope("class", scope)
    _push_all(node.body, inner, stack)
    _push_all(getattr(node, "type_params", ()), inner, stack)
    _push_all([*node.decorator_list, *node.bases, *node.keywords], scope, stack)


def _comprehension(node: ast.expr, scope: Scope, stack: Stack) -> None:
    _push(node, Scope("comprehension", scope), stack)


def _named(node: ast.AST, scope: Scope, stack: Stack) -> None:
    """Bind the name in a field of *node*: a handler, a pattern, a type parameter."""
    name = getattr(node, "rest", None) or getattr(node, "name", None)
    if isinstance(name, str):
        scope.bind(name)
    _push(node, scope, stack)


def _import(node: ast.Import, scope: Scope, _stack: Stack) -> None:
    for alias in node.names:
        if alias.asname is not None:
            scope.bind(alias.asname, alias.name)
        else:
            top = alias.name.partition(".")[0]
            scope.bind(top, top)


def _import_from(node: ast.ImportFrom, scope: Scope, _stack: Stack) -> None:
    module = "." * node.level + (node.module or "")
    for alias in node.names:
        if alias.name == "*":
            scope.stars.append(module)
        else:
            scope.bind(alias.asname or alias.name, f"{module}.{alias.name}")


def _global(node: ast.Global, scope: Scope, _stack: Stack) -> None:
    scope.declare(node.names, scope.module)


def _nonlocal(node: ast.Nonlocal, scope: Scope, _stack: Stack) -> None:
    if scope.parent is not None:
        scope.declare(node.names, scope.parent.function())


_HANDLERS: dict[type[ast.AST], Callable[[Any, Scope, Stack], None]] = {
    ast.AnnAssign: _annotated,
    ast.Assign: _assign,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.Constant: _constant,
    ast.DictComp: _comprehension,
    ast.ExceptHandler: _named,
    ast.FunctionDef: _function,
    ast.GeneratorExp: _comprehension,
    ast.Global: _global,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.Lambda: _lambda,
    ast.ListComp: _comprehension,
    ast.MatchAs: _named,
    ast.MatchMapping: _named,
    ast.MatchStar: _named,
    ast.Name: _name,
    ast.NamedExpr: _walrus,
    ast.Nonlocal: _nonlocal,
    ast.SetComp: _comprehension,
    ast.withitem: _with,
    # `class A[T]` is of 3.12.
    **{getattr(ast, name): _named for name in ("ParamSpec", "TypeVar", "TypeVarTuple") if hasattr(ast, name)},
}
