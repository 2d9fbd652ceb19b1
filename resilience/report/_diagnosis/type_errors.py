"""Diagnosis of TypeError: None, values that a function cannot take, arguments, and the table of its messages.

Operands that do not go together are a matter of `operands`. Messages that need no look at the program are rules of
`type_rules`. The order matters: ``'NoneType' object is not iterable`` has a rule as well, and the look at where None
came from says more.
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
from resilience.report._diagnosis.operands import names_in_text, refused_operands
from resilience.report._diagnosis.rules import diagnose_by_rules, expression_parts, failing_node
from resilience.report._diagnosis.text import single_line, with_article
from resilience.report._diagnosis.type_rules import RULES
from resilience.report._diagnosis.variable_origins import origin_of, reason_for_none, variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["type_error"]

_UNFIT = re.compile(r"'(?P<kind>[\w.]+)' object is not (?P<lacks>callable|subscriptable|iterable)")
_LACKS = {"callable": "a function", "subscriptable": "a sequence", "iterable": "a collection"}
_NONE = re.compile(
    r"'NoneType' object (?:is not (?P<what>\w+)|does not support item)|cannot unpack non-iterable NoneType"
    r"|argument of type 'NoneType'|object of type 'NoneType' has no len"
)


def type_error(context: FailureContext) -> Diagnosis | None:
    r"""Diagnose an operation on a value of a type that it does not take. None of a message that no table has.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="TypeError",
    ...     message="'NoneType' object is not subscriptable",
    ...     exception={"hints": {"marked": "found[0]"}},
    ...     source="found = re.match('a', text)\nprint(found[0])",
    ...     line=2,
    ... )
    >>> type_error(FailureContext(failure)).suggestions[1]
    'Test it first: `if found is not None:`.'
    """
    refused = refused_operands(context)
    if refused is not None:
        return refused
    if _NONE.search(context.message):
        return _of_none(context)
    return (
        _missing_comma(context)
        or _unfit_argument(context)
        or wrong_arguments(context)
        or diagnose_by_rules(context, RULES)
    )


def _unfit_argument(context: FailureContext) -> Diagnosis | None:
    """Recognise a value that a function was given, and in which it failed: it is no fault of the function itself.

    ``sum(3)`` raises ``'int' object is not iterable``. Only functions that the program imports or that are built in
    count: inside of its own functions the failing line is another one.
    """
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
    """Recognise a value written out that a bracket follows: ``[(1, 2) (3, 4)]`` calls the first pair.

    A text, a number or a collection that is written out is never meant to be called; one that fails to be indexed is
    most likely the element before the bracket.
    """
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


def _of_none(context: FailureContext) -> Diagnosis:
    """Diagnose a value that is None and is indexed, called, unpacked or iterated over.

    The line or the function that gave None is looked for, as the failing line is rarely at fault.
    """
    known = expression_parts(context)
    target = known.get("target", "")
    if "unpack" in context.message and context.line_tree is not None:
        target = next(
            (ast.unparse(each.value) for each in context.line_tree.body if isinstance(each, ast.Assign)), target
        )
    if "argument of type" in context.message and known.get("right"):
        target = known["right"]
    called = failing_node(context)
    if "has no len" in context.message and isinstance(called, ast.Call) and called.args:
        target = ast.unparse(called.args[0])
    if isinstance(called, ast.Call) and ast.unparse(called.func) == target and "callable" not in context.message:
        target = ast.unparse(called)  # what it returned, and not the function
    target = single_line(target, 60)
    node, line = parsed_expression(target), context.line
    if isinstance(node, ast.Name) and (origin := origin_of(context, node.id)) is not None:
        node, line = origin.value, origin.line
    why = reason_for_none(context, node)
    what = _purpose(context.message)
    tips = [
        f"Test it first: `if {target} is not None:`."
        if target
        else "Print the values of the line before it: one is None."
    ]
    if why:
        tips.insert(0, f"Look at line {line}: {why}.")
    elif target.isidentifier() and line != context.line:
        tips.insert(0, f"Look at line {line}, where {target} got its value, and give it another one than None.")
    return Diagnosis(
        immediate_cause=f"{target or 'the value'} is None, which cannot be {what}",
        contributing_factors=(*variable_factors(context, names_in_text(target)), *filter(None, [why])),
        suggestions=tuple(tips),
        specifics=known_facts(none_expression=target),
    )


def _purpose(message: str) -> str:
    """Return what was to be done with the value, by the words of the message."""
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
