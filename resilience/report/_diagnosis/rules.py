"""Tables of messages: a pattern of what Python says, the cause, and advice.

Where a message says enough, a diagnosis is a `Rule` and no code: the first rule of the table whose pattern matches
fills its texts with the groups of the pattern and the parts of the failing expression.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from resilience.report._diagnosis.ast_utils import code_of
from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.regex_cache import search_pattern
from resilience.report._diagnosis.text import phrase, single_line, with_article
from resilience.report._diagnosis.variable_origins import variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["Rule", "Values", "diagnose_by_rules", "expression_parts", "fill_template", "rule"]

Values = Mapping[str, str]
_PLACE = re.compile(r"<(a )?(\w+)>")
_WITHOUT = {
    "target": "the value",
    "left": "the left side",
    "right": "the right side",
    "index": "the index",
    "marked": "the expression",
    "code": "the line",
    "line": "the failing line",
}


class Rule(NamedTuple):
    """A message and what is said of it.

    In the texts ``<name>`` is a group of the pattern, or a part of the failing expression: ``<target>`` what was
    called, indexed or iterated over, ``<left>`` and ``<right>`` operands, ``<index>``, ``<marked>`` all of it;
    ``<line>`` and ``<code>``. ``<a name>`` puts an article in front.
    """

    pattern: str
    cause: str
    tips: tuple[str, ...]


def rule(pattern: str, cause: str, *tips: str) -> Rule:
    """Make a rule of a pattern that is searched for in the message."""
    return Rule(pattern, cause, tips)


def diagnose_by_rules(context: FailureContext, rules: Iterable[Rule]) -> Diagnosis | None:
    """Say what the first rule says whose pattern is in the message."""
    for each in rules:
        found = search_pattern(each.pattern, context.message)
        if found is not None:
            values = {
                **expression_parts(context),
                **{key: single_line(value) for key, value in found.groupdict().items() if value},
            }
            return Diagnosis(
                immediate_cause=fill_template(each.cause, values),
                contributing_factors=tuple(variable_factors(context)),
                suggestions=tuple(fill_template(tip, values) for tip in each.tips),
            )
    return None


def fill_template(template: str, values: Values) -> str:
    """Fill the places of a text.

    >>> fill_template("<target> is <a kind>, and <index> no <other>", {"target": "x", "kind": "int", "index": "i"})
    'x is an int, and i no it'
    """

    def word(found: re.Match[str]) -> str:
        value = values.get(found[2]) or _WITHOUT.get(found[2], "it")
        return with_article(value) if found[1] else value

    return _PLACE.sub(word, template)


def expression_parts(context: FailureContext) -> dict[str, str]:
    """Return the parts of the failing expression as they stand in the program."""
    found = {
        "line": phrase("line {}", context.line),
        "code": single_line(context.code, 80),
        "marked": single_line(context.marked, 80),
    }
    node = context.expression
    statement = context.statement
    if statement is not None and (node is None or _is_target(statement, node)):
        node = _value_of_statement(statement)
    match node:
        case ast.BinOp(left=left, right=right) | ast.Compare(left=left, comparators=[right]):
            found |= {"left": _text(left), "right": _text(right)}
        case (
            ast.Call(func=target) | ast.Attribute(value=target) | ast.UnaryOp(operand=target) | ast.Await(value=target)
        ):
            found["target"] = _text(target)
        case ast.Subscript(value=target, slice=index):
            found |= {"target": _text(target), "index": _text(index)}
        case None:
            pass
        case _:
            found["target"] = _text(node)
    return found


def _text(node: ast.expr) -> str:
    return single_line(code_of(node), 60)


def _is_target(statement: ast.stmt, node: ast.expr) -> bool:
    """Whether what is marked is the left side of an assignment, as where unpacking fails."""
    return (
        isinstance(statement, ast.Assign)
        and isinstance(node, (ast.Tuple, ast.List))
        and _text(node).strip("()") == _text(statement.targets[0]).strip("()")
    )


def _value_of_statement(node: ast.stmt) -> ast.expr | None:
    match node:
        case ast.Assign(value=value) | ast.AugAssign(value=value) | ast.Expr(value=value) | ast.For(iter=value):
            return value
        case ast.Return(value=value) | ast.AnnAssign(value=value):
            return value
        case ast.Assert(test=value) | ast.If(test=value) | ast.While(test=value):
            return value
        case _:
            return None
