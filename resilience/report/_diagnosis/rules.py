"""Tables of messages: a pattern of what Python says, the cause, and advice.

Where a message says enough, a diagnosis is a `Rule` and no code: the first rule of the table whose pattern matches
fills its texts with the groups of the pattern and the parts of the failing expression. So the order of a table counts:
a pattern that is more special stands before the general one.

A text that speaks of an operand of which nothing is known is left out, and a correction with such a place is not
proposed. Nothing is evaluated: all parts are source text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from resilience.report._diagnosis.ast_utils import code_of
from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.line_edits import rename_in_line, rename_text, replace_marked, segment_of
from resilience.report._diagnosis.regex_cache import search_pattern
from resilience.report._diagnosis.text import phrase, single_line, with_article
from resilience.report._diagnosis.variable_origins import variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["Rule", "Values", "diagnose_by_rules", "expression_parts", "failing_node", "fill_template", "rule"]

Values = Mapping[str, str]
_PLACE = re.compile(r"<(a )?(\w+)>")
_RENAMES = re.compile(
    r"Write (?:'(?P<text>[^']+)' instead of '(?P<old_text>[^']+)'|(?P<new>\w+) instead of (?P<old>\w+))\."
)
_OPERANDS = frozenset({"left", "right", "first", "second", "only", "function"})
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
    ``<line>`` and ``<code>``. Of a call there are ``<function>``, ``<first>`` and ``<second>``, its positional
    arguments, and ``<only>``, where it has just one. ``<a name>`` puts an article in front.

    The pattern is searched for in the message alone, without the class of the exception. The cause is a clause that can
    follow a colon, without capital and full stop; the tips are whole sentences. The first tip in the form
    ``Write new instead of old.`` is carried out on the failing line, where that has *old* once.
    """

    pattern: str
    cause: str
    tips: tuple[str, ...]
    fix: str = ""
    """What to write in place of the failing expression, where all of its places can be filled."""


def rule(pattern: str, cause: str, *tips: str, fix: str = "") -> Rule:
    """Make a rule of a pattern that is searched for in the message.

    *cause* and *tips* are templates; *fix* is the expression to write in place of the failing one, such as
    ``<function>(<only>, errors='coerce')``. A fix is written into the line only if the program compiles with it.
    """
    return Rule(pattern, cause, tips, fix)


def diagnose_by_rules(context: FailureContext, rules: Iterable[Rule]) -> Diagnosis | None:
    r"""Return the diagnosis of the first rule whose pattern is in the message; None where none is.

    Captured values of the variables in the failing expression are added as contributing factors.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> table = [rule(r"'(?P<kind>\w+)' object is not callable", "<target> is <a kind>", "Leave out the parentheses.")]
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="TypeError",
    ...     message="'int' object is not callable",
    ...     exception={"hints": {"marked": "total()"}},
    ... )
    >>> diagnose_by_rules(FailureContext(failure), table).immediate_cause
    'total is an int'
    """
    for each in rules:
        found = search_pattern(each.pattern, context.message)
        if found is not None:
            values = {
                **{key: single_line(value, 60) for key, value in _segments(context).items() if value},
                **expression_parts(context),
                **{key: single_line(value) for key, value in found.groupdict().items() if value},
            }
            known = [
                tip for tip in (each.cause, *each.tips) if _OPERANDS.isdisjoint(_places(tip)) or _known(tip, values)
            ]
            cause = fill_template(each.cause, values) if each.cause in known else single_line(context.message, 220)
            return Diagnosis(
                immediate_cause=cause,
                contributing_factors=tuple(variable_factors(context)),
                suggestions=(tips := tuple(fill_template(tip, values) for tip in each.tips if tip in known)),
                suggested_fix=_fix(context, each.fix, found.groupdict())
                or (_renamed(context, tips[0]) if tips else None),
            )
    return None


def _places(template: str) -> set[str]:
    return {found[2] for found in _PLACE.finditer(template)}


def _known(template: str, values: Values) -> bool:
    """Whether all operands and arguments that a text speaks of are known."""
    return all(values.get(each) for each in _places(template) & _OPERANDS)


def _renamed(context: FailureContext, advice: str) -> str | None:
    """Return the failing line as an advice has it that names one word for another."""
    found = _RENAMES.fullmatch(advice)
    if found is None:
        return None
    if found["text"]:
        return rename_text(context, found["old_text"], found["text"])
    return rename_in_line(context, found["old"], found["new"])


def _fix(context: FailureContext, template: str, groups: Mapping[str, str | None]) -> str | None:
    """Return the failing line with the filled template; None where a part of the expression is missing."""
    if not template:
        return None
    values = {**_segments(context), **{key: value for key, value in groups.items() if value}}
    if any(not values.get(found[2]) for found in _PLACE.finditer(template)):
        return None
    return replace_marked(context, fill_template(template, values))


def _segments(context: FailureContext) -> dict[str, str]:
    """Return the parts of the failing expression exactly as they are written, for corrections."""
    node = context.expression
    named: dict[str, ast.expr] = {}
    match node:
        case ast.BinOp(left=left, right=right) | ast.Compare(left=left, comparators=[right]):
            named = {"left": left, "right": right}
        case ast.Call(func=ast.Attribute(value=target) as function):
            named = {"target": target, "function": function}
        case ast.Call(func=function):
            named = {"function": function}
        case ast.Attribute(value=target) | ast.Await(value=target):
            named = {"target": target}
        case ast.Subscript(value=target, slice=index):
            named = {"target": target, "index": index}
        case ast.Name():
            named = {"target": node}
        case _:
            pass
    if isinstance(node, ast.Call):
        plain = [each for each in node.args if not isinstance(each, ast.Starred)]
        named |= dict(zip(("first", "second"), plain[:2], strict=False))
        if len(node.args) == 1 and not node.keywords:
            named["only"] = node.args[0]
    return {"marked": context.marked, **{name: segment_of(context, each) for name, each in named.items()}}


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
    node = failing_node(context)
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


def failing_node(context: FailureContext) -> ast.expr | None:
    """Return the expression that failed; where that is not known, the value that the statement is about.

    For ``a, b = values``, where unpacking fails, a traceback marks ``a, b``: the value is the right side. A saved
    traceback may have no marks: then the message says which kind of expression has failed, and the statement may have
    one of that kind alone. Of several it is not known which.
    """
    node, statement = context.expression, context.statement
    if statement is None or (node is not None and not _is_target(statement, node)):
        return node
    is_named = None if node is not None else _kind_by_message(context.message)
    if is_named is None or isinstance(statement, ast.For):
        return _value_of_statement(statement)
    named = [each for each in ast.walk(statement) if isinstance(each, ast.expr) and is_named(each)]
    return named[0] if len(named) == 1 else None


def _kind_by_message(message: str) -> Callable[[ast.expr], bool] | None:
    """Return whether an expression is of the kind that a message speaks of; None for a message that names none."""
    if "subscriptable" in message or "support item" in message:
        return lambda node: isinstance(node, ast.Subscript)
    if "is not callable" in message:
        return lambda node: isinstance(node, ast.Call)
    if (attribute := re.search(r"has no attribute '(\w+)'", message)) is not None:
        name = attribute[1]
        return lambda node: isinstance(node, ast.Attribute) and node.attr == name
    if "argument of type" in message or "not supported between instances" in message:
        return lambda node: isinstance(node, ast.Compare)
    if "has no len" in message:
        return lambda node: isinstance(node, ast.Call) and code_of(node.func) == "len"
    if "unsupported operand" in message:
        return lambda node: isinstance(node, ast.BinOp)
    if "is not iterable" in message:
        return lambda _: False  # what a function iterates over does not show
    return None


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
    """Return the expression that a statement evaluates: the right side, the iterable of a loop, the condition."""
    match node:
        case ast.Assign(value=value) | ast.AugAssign(value=value) | ast.Expr(value=value) | ast.For(iter=value):
            return value
        case ast.Return(value=value) | ast.AnnAssign(value=value):
            return value
        case ast.Assert(test=value) | ast.If(test=value) | ast.While(test=value):
            return value
        case _:
            return None
