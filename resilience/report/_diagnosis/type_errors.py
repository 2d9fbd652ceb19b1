"""Diagnosis of TypeError: operands, None, arguments, and the table of its messages.

Operands are named with their values and origins. Messages that need no look at the program are rules of `type_rules`.
"""

from __future__ import annotations

import ast
import builtins
import re

from resilience.report._diagnosis.arguments import wrong_arguments
from resilience.report._diagnosis.ast_utils import parsed_expression
from resilience.report._diagnosis.context import FailureContext, known_facts
from resilience.report._diagnosis.correction import kind_of, of_program
from resilience.report._diagnosis.line_edits import replace_line
from resilience.report._diagnosis.rules import diagnose_by_rules, expression_parts, failing_node
from resilience.report._diagnosis.text import single_line, with_article
from resilience.report._diagnosis.type_rules import RULES
from resilience.report._diagnosis.variable_origins import origin_of, reason_for_none, variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["type_error"]

_OPERANDS = re.compile(
    r"unsupported operand type\(s\) for (?P<op>\S+?)(?: or pow\(\))?: '(?P<one>[^']+)' and '(?P<two>[^']+)'"
    r"|'(?P<cmp>[<>=!]+)' not supported between instances of '(?P<first>[^']+)' and '(?P<second>[^']+)'"
    r"|can only concatenate (?P<left>\w+) \(not \"(?P<right>\w+)\"\) to \w+"
)
_UNFIT = re.compile(r"'(?P<kind>[\w.]+)' object is not (?P<lacks>callable|subscriptable|iterable)")
_LACKS = {"callable": "a function", "subscriptable": "a sequence", "iterable": "a collection"}
_NUMBERS = ("int", "float", "Decimal", "Fraction", "complex", "bool")
_NONE = re.compile(
    r"'NoneType' object (?:is not (?P<what>\w+)|does not support item)|cannot unpack non-iterable NoneType"
    r"|argument of type 'NoneType'|object of type 'NoneType' has no len"
)


def type_error(context: FailureContext) -> Diagnosis | None:
    """An operation got a value of a type that it does not take."""
    operands = _OPERANDS.search(context.message)
    if operands is not None:
        return _of_operands(context, operands)
    if _NONE.search(context.message):
        return _of_none(context)
    return (
        _missing_comma(context)
        or _unfit_argument(context)
        or wrong_arguments(context)
        or diagnose_by_rules(context, RULES)
    )


def _unfit_argument(context: FailureContext) -> Diagnosis | None:
    """Recognise a value that a function was given, and in which it failed: it is no fault of the function itself."""
    found = _UNFIT.search(context.message)
    node = context.expression
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        node = node.generators[0].iter
    if found is None or not isinstance(node, ast.Call) or not _is_foreign(context, node.func):
        return None
    called, lacks = f"{single_line(ast.unparse(node.func), 60)}()", _LACKS[found["lacks"]]
    kind = with_article(found["kind"])
    unfit = [each for each in node.args if isinstance(each, ast.Name) and kind_of(context, each) == found["kind"]]
    shown = unfit[0].id if len(unfit) == 1 else "an argument"
    return Diagnosis(
        immediate_cause=f"{called} was given {kind} where {lacks} is needed",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=(f"Give {called} {lacks}: {shown} is {kind}.",),
    )


def _is_foreign(context: FailureContext, function: ast.expr) -> bool:
    """Whether what is called is imported by the program, or built in, and is no value of its own."""
    root = function
    while isinstance(root, ast.Attribute):
        root = root.value
    imports: list[ast.Import | ast.ImportFrom] = [*of_program(context, ast.Import)]
    imports += of_program(context, ast.ImportFrom)
    imported = {(each.asname or each.name).partition(".")[0] for node in imports for each in node.names}
    if not isinstance(root, ast.Name):
        return False
    return root.id in imported or (hasattr(builtins, root.id) and origin_of(context, root.id) is None)


def _missing_comma(context: FailureContext) -> Diagnosis | None:
    """Recognise a value written out that a bracket follows: ``[(1, 2) (3, 4)]`` calls the first pair."""
    node = context.expression
    if not isinstance(node, (ast.Call, ast.Subscript)):
        return None
    value = node.func if isinstance(node, ast.Call) else node.value
    if "not callable" not in context.message and not isinstance(node, ast.Subscript):
        return None
    if not isinstance(value, (ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Constant, ast.JoinedStr)):
        return None
    written = ast.get_source_segment(f"({context.marked}\n)", value) or ""
    fix = None
    if written and context.raw_line.count(context.marked) == 1 and "\n" not in context.marked:
        rest = context.marked[len(written) :].lstrip()
        fix = replace_line(context, context.raw_line.replace(context.marked, f"{written}, {rest}"))
    return Diagnosis(
        immediate_cause=f"a comma is missing after {single_line(written, 40)}: what follows in brackets is taken for "
        + ("the arguments of a call" if isinstance(node, ast.Call) else "an index"),
        suggestions=(
            f"Put a comma after {single_line(written, 40)}.",
            "Or an operator, such as *, if it is to be computed.",
        ),
        suggested_fix=fix,
    )


def _of_operands(context: FailureContext, found: re.Match[str]) -> Diagnosis:
    operator = found["op"] or found["cmp"] or "+"
    left = found["one"] or found["first"] or found["left"]
    right = found["two"] or found["second"] or found["right"]
    known = expression_parts(context)
    one, two = known.get("left", ""), known.get("right", "")
    if not one and isinstance(statement := context.statement, ast.AugAssign):
        one, two = ast.unparse(statement.target), ast.unparse(statement.value)
    sides = f"{one or 'the left side'} is {with_article(left)} and {two or 'the right side'} is {with_article(right)}"
    facts = variable_factors(context, None if context.expression is not None else _names(one, two))
    tips: list[str] = []
    fix: str | None = None
    if "NoneType" in (left, right):
        empty = one if left == "NoneType" else two
        tips.append(
            f"Find out why {empty or 'a side'} is None, and give it a value before {known.get('line') or 'that'}."
        )
        origin = origin_of(context, empty) if empty.isidentifier() else None
        why = reason_for_none(context, origin.value) if origin is not None else ""
        if why:
            facts.append(why)
            tips.insert(0, f"Look at line {origin.line if origin else ''}: {why}.")
    elif "str" in (left, right) and (left in _NUMBERS or right in _NUMBERS):
        number, text = (one, two) if right == "str" else (two, one)
        if operator == "+":
            tips.append(f"For text: make the number text with str({number or 'number'}), or use an f-string.")
            fix = _with_str(context) if left == "str" else None
        if not _is_wording(parsed_expression(text)):
            tips.append(f"For numbers: convert the text with int({text or 'text'}) or float({text or 'text'}).")
    elif {left, right} == {"list", "int"} or {left, right} == {"list", "str"}:
        tips.append("Add a list to a list: put the single value in brackets, [value], or use append().")
    elif left == right == "dict" and operator == "+":
        tips.append(f"Merge dicts with |: {one or 'a'} | {two or 'b'}.")
    elif "list" in (left, right) and operator in "*/-+" and {left, right} & set(_NUMBERS):
        tips.append("Compute with each element: [each * 2 for each in values].")
    elif "function" in left + right or "method" in left + right:
        called = one if "function" in left or "method" in left else two
        tips.append(f"Call it: {called or 'name'}() with parentheses gives the result, the bare name is the function.")
    elif {"coroutine", "_GatheringFuture", "Future", "Task"} & {left, right}:
        tips.append(f"Await it: await {(two if left in _NUMBERS else one) or 'the call'}.")
    if operator in ("<", ">", "<=", ">=") and "NoneType" not in (left, right):
        tips.append("Compare values of one type, or say by what to compare: sorted(values, key=lambda each: ...).")
    if operator in ("^", "^="):
        tips.append("A power is written ** in Python; ^ works on bits.")
    tips.append(f"Convert one side so that both are of one type before {operator}.")
    return Diagnosis(
        immediate_cause=f"{operator} does not go with {with_article(left)} and {with_article(right)}: {sides}",
        contributing_factors=tuple(facts),
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics={"operator": operator, "left_type": left, "right_type": right},
    )


def _of_none(context: FailureContext) -> Diagnosis:
    known = expression_parts(context)
    target = known.get("target", "")
    if "unpack" in context.message and context.line_tree is not None:
        target = next(
            (ast.unparse(each.value) for each in context.line_tree.body if isinstance(each, ast.Assign)), target
        )
    if "argument of type" in context.message and known.get("right"):
        target = known["right"]
    if "has no len" in context.message and isinstance(node := context.expression, ast.Call) and node.args:
        target = ast.unparse(node.args[0])
    called = failing_node(context)
    if isinstance(called, ast.Call) and ast.unparse(called.func) == target and "callable" not in context.message:
        target = ast.unparse(called)  # what it returned, and not the function
    target = single_line(target, 60)
    node, line = parsed_expression(target), context.line
    if isinstance(node, ast.Name) and (origin := origin_of(context, node.id)) is not None:
        node, line = origin.value, origin.line
    why = reason_for_none(context, node)
    what = _purpose(context.message)
    tips = [f"Test it first: `if {target or 'value'} is not None:`."]
    if why:
        tips.insert(0, f"Look at line {line}: {why}.")
    elif target.isidentifier() and line != context.line:
        tips.insert(0, f"Look at line {line}, where {target} got its value, and give it another one than None.")
    return Diagnosis(
        immediate_cause=f"{target or 'the value'} is None, which cannot be {what}",
        contributing_factors=(*variable_factors(context, _names(target)), *filter(None, [why])),
        suggestions=tuple(tips),
        specifics=known_facts(none_expression=target),
    )


def _purpose(message: str) -> str:
    for words, purpose in (
        ("subscriptable", "indexed with [...]"),
        ("item", "indexed with [...]"),
        ("callable", "called"),
        ("unpack", "unpacked into several names"),
        ("argument of type", "searched with `in`"),
        ("has no len", "measured with len()"),
        ("context manager", "used in a `with` block"),
    ):
        if words in message:
            return purpose
    return "iterated over"


def _with_str(context: FailureContext) -> str | None:
    """Put str() around the right side, where the left one is written as text that is no number."""
    node = context.expression
    if not isinstance(node, ast.BinOp) or not _is_wording(node.left):
        return None
    marked = context.marked
    segment = ast.get_source_segment(f"({marked}\n)", node.right)
    if not segment or "\n" in marked or context.raw_line.count(marked) != 1 or not marked.endswith(segment):
        return None
    return replace_line(context, context.raw_line.replace(marked, f"{marked[: -len(segment)]}str({segment})"))


def _is_wording(node: ast.expr | None) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_wording(node.left) or _is_wording(node.right)
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.strip().isdigit()
    )


def _names(*expressions: str) -> list[str]:
    return [name for each in expressions for name in re.findall(r"(?<![\w.'\"])[A-Za-z_]\w*", each)]
