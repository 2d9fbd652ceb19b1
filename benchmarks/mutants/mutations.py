"""Mutations: each is a small mistake at one place of a source file.

A mutation replaces the text of one place and leaves all other text as it is, so that the line numbers stay and the
change reads like one that a person has made. It leaves out what no test can notice: annotations, docstrings,
``__all__``, blocks for the type checker alone, and the ``...`` of a protocol.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Mutation", "mutated", "mutations"]

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[str, str]]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}
_ARITHMETIC: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.Add: (r"\+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: (r"\*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"),
    ast.Pow: (r"\*\*", "*"),
    ast.BitOr: (r"\|", "&"),
    ast.BitAnd: ("&", "|"),
}
_NOT_SAID_AT_RUN_TIME: Final = frozenset({"TypeVar", "ParamSpec", "TypeVarTuple", "cast", "NewType"})
_OF_THE_MODULE: Final = frozenset({"__all__", "__slots__"})


class Mutation(NamedTuple):
    """One mistake: the bytes of *path* from *start* to *end* become *after*."""

    path: str
    line: int
    start: int
    end: int
    operator: str
    before: str
    after: str
    #: The first and the last line of the statement.
    lines: tuple[int, int]
    #: Whether the statement is executed when the module is imported, rather than by a call.
    at_import: bool

    def __str__(self) -> str:
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.path}:{self.line}: {self.operator}: {before} -> {after}"


def mutations(path: str, source: str) -> list[Mutation]:
    """Return all mutations of the *source* of the file *path* that compile, in the order of their places."""
    found = _Finder(path, source)
    found.visit(ast.parse(source))
    return sorted({one for one in found.found if _compiles(source, one)})


def mutated(source: str, mutation: Mutation) -> str:
    """Return *source* with that mistake in it."""
    text = source.encode()
    return (text[: mutation.start] + mutation.after.encode() + text[mutation.end :]).decode()


def _compiles(source: str, mutation: Mutation) -> bool:
    try:
        compile(mutated(source, mutation), mutation.path, "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


class _Finder(ast.NodeVisitor):
    """Walks through a module and collects the mutations."""

    def __init__(self, path: str, source: str) -> None:
        self.found: list[Mutation] = []
        self._path = path
        self._text = source.encode()
        self._offsets = [0]
        for line in self._text.splitlines(keepends=True):
            self._offsets.append(self._offsets[-1] + len(line))
        self._statement: ast.stmt | None = None
        self._functions = 0

    # What is visited, and what is left out.

    def visit(self, node: ast.AST) -> None:
        if not isinstance(node, ast.stmt):
            super().visit(node)
            return
        outside, self._statement = self._statement, node
        super().visit(node)
        self._statement = outside

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list):
            return
        for outside in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(outside)
        self._functions += 1
        self._visit_body(node.body)
        self._functions -= 1

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in node.keywords:
            self.visit(outside.value)
        self._visit_body(node.body)

    def visit_Module(self, node: ast.Module) -> None:
        self._visit_body(node.body)

    def _visit_body(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                self.visit(statement)

    # Statements.

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):  # the documentation of an attribute
            return
        self._replace(node, "statement left out", "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Name) and target.id in _OF_THE_MODULE for target in node.targets):
            return
        self._visit_assigned(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and ast.unparse(node.annotation) != "TypeAlias":
            self._visit_assigned(node.value)

    def _visit_assigned(self, value: ast.expr) -> None:
        if not isinstance(value, ast.Constant) and not _is_call_of(value, _NOT_SAID_AT_RUN_TIME):
            self._replace(value, "None assigned", "None")
        self.visit(value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._swap(node.target, node.value, "arithmetic", *_ARITHMETIC.get(type(node.op), ("", "")))
        self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            if not isinstance(node.value, ast.Constant):
                self._replace(node.value, "None returned", "None")
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._replace(node, "statement left out", "pass")
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._replace(node, "break or continue", "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._replace(node, "break or continue", "break")

    def visit_If(self, node: ast.If) -> None:
        condition = ast.unparse(node.test)
        if condition == "TYPE_CHECKING":
            return
        if re.fullmatch(
            r"sys\.version_info (<|>=) \([\d, ]+\)", condition
        ):  # what other interpreters do is not tested here
            self._visit_body(node.body if eval(condition, {"sys": sys}) else node.orelse)  # noqa: S307
            return
        self._visit_condition(node.test)
        self._visit_body(node.body)
        self._visit_body(node.orelse)

    def visit_While(self, node: ast.While) -> None:
        self._visit_condition(node.test)
        self._visit_body(node.body)
        self._visit_body(node.orelse)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._visit_condition(node.test)
        self.visit(node.body)
        self.visit(node.orelse)

    def _visit_condition(self, test: ast.expr) -> None:
        if isinstance(test, (ast.Name, ast.Attribute, ast.Call, ast.BoolOp, ast.NamedExpr)):
            self._replace(test, "condition negated", f"not ({self._source(test)})")
        self.visit(test)

    # Expressions.

    def visit_Call(self, node: ast.Call) -> None:
        if not _is_call_of(node, _NOT_SAID_AT_RUN_TIME):
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            self._swap(left, right, "comparison", *_COMPARISONS[type(operator)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        swapped = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._swap(left, right, "and or or", *swapped)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._replace(node, "not left out", f"({self._source(node.operand)})")
        elif isinstance(node.op, ast.USub):
            self._replace(node, "sign left out", f"({self._source(node.operand)})")
        self.visit(node.operand)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._swap(node.left, node.right, "arithmetic", *_ARITHMETIC.get(type(node.op), ("", "")))
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave f-strings as they are: before 3.12 the parts have no positions."""

    def visit_Constant(self, node: ast.Constant) -> None:
        if (other := _other_constant(node.value)) is not None:
            self._replace(node, "constant", other)

    # The places.

    def _swap(self, left: ast.expr, right: ast.expr, operator: str, old: str, new: str) -> None:
        """Replace the operator between two operands."""
        start, end = self._end(left), self._start(right)
        between = self._text[start:end].decode()
        match = re.search(old, between) if old else None
        if match:
            place = (start + len(between[: match.start()].encode()), start + len(between[: match.end()].encode()))
            self._add(place, left.end_lineno or 0, operator, new)

    def _replace(self, node: ast.expr | ast.stmt, operator: str, new: str) -> None:
        self._add((self._start(node), self._end(node)), node.lineno, operator, new)

    def _add(self, place: tuple[int, int], line: int, operator: str, after: str) -> None:
        assert self._statement is not None
        before = self._text[slice(*place)].decode()
        lines = _first_lines(self._statement)
        self.found.append(Mutation(self._path, line, *place, operator, before, after, lines, self._functions == 0))

    def _source(self, node: ast.expr) -> str:
        return self._text[self._start(node) : self._end(node)].decode()

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._offsets[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        return self._offsets[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)


def _first_lines(statement: ast.stmt) -> tuple[int, int]:
    """Return the lines of a statement, of one with a body those before it."""
    body: list[ast.stmt] = getattr(statement, "body", [])
    if body:
        return statement.lineno, max(statement.lineno, body[0].lineno - 1)
    return statement.lineno, statement.end_lineno or statement.lineno


def _is_call_of(value: ast.expr, names: frozenset[str]) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in names


def _other_constant(value: object) -> str | None:
    """Return the source of another constant of the same type, or None for those without one."""
    others: dict[type, Callable[[], str]] = {
        bool: lambda: str(not value),
        int: lambda: repr(value + 1),  # type: ignore[operator]
        float: lambda: repr(value + 1.0 if value != float("inf") else 1.0),  # type: ignore[operator]
        str: lambda: repr(_other_text(str(value))),
    }
    other = others.get(type(value))
    return other() if other else None


def _other_text(text: str) -> str:
    """Return a text that does not contain *text*, as tests look for messages inside of longer ones."""
    return text.swapcase() if text.swapcase() != text else f"{text[:-1]}X"


def read(tree: Path, folders: list[str]) -> Iterator[Mutation]:
    """Yield the mutations of all files below *folders* of *tree*."""
    for folder in folders:
        files = sorted((tree / folder).rglob("*.py")) if (tree / folder).is_dir() else [tree / folder]
        for file in files:
            yield from mutations(str(file.relative_to(tree)), file.read_text("utf-8"))
