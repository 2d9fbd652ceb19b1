"""Diagnosis of operands that do not go together: a text and a number, None and anything, two dicts added.

The two sides are named with their types, their values and where these came from. A table of advisers says what to do:
each recognises one pair of types. The types are those of the message,
``unsupported operand type(s) for +: 'int' and 'str'``; the source of the sides is known only where the traceback marks
the operation. Which side is wrong cannot be seen, so both conversions are advised, and a line is corrected only where a
text that is written out shows that text is meant.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from resilience.report._diagnosis.ast_utils import parsed_expression
from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.line_edits import replace_line
from resilience.report._diagnosis.rules import expression_parts
from resilience.report._diagnosis.text import phrase, with_article
from resilience.report._diagnosis.variable_origins import origin_of, reason_for_none, variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["names_in_text", "refused_operands"]

_OPERANDS = re.compile(
    r"unsupported operand type\(s\) for (?P<op>\S+?)(?: or pow\(\))?: '(?P<one>[^']+)' and '(?P<two>[^']+)'"
    r"|'(?P<cmp>[<>=!]+)' not supported between instances of '(?P<first>[^']+)' and '(?P<second>[^']+)'"
    r"|can only concatenate (?P<left>\w+) \(not \"(?P<right>\w+)\"\) to \w+"
)
_NUMBERS = frozenset({"int", "float", "Decimal", "Fraction", "complex", "bool"})
_AWAITABLE = frozenset({"coroutine", "_GatheringFuture", "Future", "Task"})
_ORDERING = frozenset({"<", ">", "<=", ">="})


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator between two sides: the type of each, and its source where the program is known, else empty.

    Types are names as a message has them, ``NoneType``, ``datetime.date``. `side_of` and `side_beside` find the source
    of a side by its type.
    """

    context: FailureContext
    operator: str
    left_type: str
    right_type: str
    left: str = ""
    right: str = ""

    @property
    def types(self) -> frozenset[str]:
        """The types of both sides."""
        return frozenset({self.left_type, self.right_type})

    def side_of(self, kinds: frozenset[str]) -> str:
        """Return the source of the side that has one of some types; of the left one where both have."""
        return self.left if self.left_type in kinds else self.right

    def side_beside(self, kinds: frozenset[str]) -> str:
        """Return the source of the operand that `side_of` does not return."""
        return self.right if self.left_type in kinds else self.left


class Advice(NamedTuple):
    """Advice about an operation: suggestions, the corrected line, and a fact that explains it.

    An adviser that recognises the types may have no tip: the advice on the operator follows in any case.
    """

    tips: tuple[str, ...]
    fix: str | None = None
    fact: str = ""


def refused_operands(context: FailureContext) -> Diagnosis | None:
    """Explain an operator between types that it does not take; None of another message.

    It recognises ``unsupported operand type(s)``, ``not supported between instances of`` and ``can only concatenate``.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="TypeError",
    ...     message="unsupported operand type(s) for +: 'dict' and 'dict'",
    ...     source="options = defaults + given",
    ...     line=1,
    ... )
    >>> refused_operands(FailureContext(failure)).suggestions[0]
    'Merge dicts with |: defaults | given.'
    """
    found = _OPERANDS.search(context.message)
    if found is None:
        return None
    operation = _operation(context, found)
    advice = next((given for adviser in _ADVISERS if (given := adviser(operation)) is not None), Advice(()))
    left, right = with_article(operation.left_type), with_article(operation.right_type)
    sides = f"{operation.left or 'the left side'} is {left} and {operation.right or 'the right side'} is {right}"
    names = names_in_text(operation.left, operation.right) if context.expression is None else None
    return Diagnosis(
        immediate_cause=f"{operation.operator} does not go with {left} and {right}: {sides}",
        contributing_factors=(*variable_factors(context, names), *filter(None, [advice.fact])),
        suggestions=(*advice.tips, *_of_operator(operation)),
        suggested_fix=advice.fix,
        specifics={
            "operator": operation.operator,
            "left_type": operation.left_type,
            "right_type": operation.right_type,
        },
    )


def names_in_text(*expressions: str) -> list[str]:
    """Return the variables that expressions name, in order.

    >>> names_in_text("price + tax", "order.total")
    ['price', 'tax', 'order']
    """
    return [name for each in expressions for name in re.findall(r"(?<![\w.'\"])[A-Za-z_]\w*", each)]


def _operation(context: FailureContext, found: re.Match[str]) -> Operation:
    """Read the types from the message, and both sides from the failing expression or ``total += price``."""
    known = expression_parts(context)
    left, right = known.get("left", ""), known.get("right", "")
    if not left and isinstance(statement := context.statement, ast.AugAssign):
        left, right = ast.unparse(statement.target), ast.unparse(statement.value)
    return Operation(
        context=context,
        operator=found["op"] or found["cmp"] or "+",
        left_type=found["one"] or found["first"] or found["left"],
        right_type=found["two"] or found["second"] or found["right"],
        left=left,
        right=right,
    )


def _of_operator(operation: Operation) -> list[str]:
    """Return what is to be said of the operator itself, whatever the types are."""
    tips: list[str] = []
    if operation.operator in _ORDERING and "NoneType" not in operation.types:
        tips.append("Compare values of one type, or say by what to compare: sorted(values, key=lambda each: ...).")
    if operation.operator in ("^", "^="):
        tips.append("A power is written ** in Python; ^ works on bits.")
    return [*tips, f"Convert one side so that both are of one type before {operation.operator}."]


def _none(operation: Operation) -> Advice | None:
    """Advise on a side that is None: find the line that gave it, and why that is None where its form shows it."""
    if "NoneType" not in operation.types:
        return None
    context = operation.context
    empty = operation.side_of(frozenset({"NoneType"}))
    before = phrase("line {}", context.line) or "that"
    tips = [f"Find out why {empty or 'a side'} is None, and give it a value before {before}."]
    origin = origin_of(context, empty) if empty.isidentifier() else None
    why = reason_for_none(context, origin.value) if origin is not None else ""
    if why and origin is not None:
        tips.insert(0, f"Look at line {origin.line}: {why}.")
    return Advice(tuple(tips), fact=why)


def _text_and_number(operation: Operation) -> Advice | None:
    """Advise on a text and a number: to make text of the number or a number of the text, whichever is meant.

    A text with words in it, ``"Total: "``, is no number: only the first is advised, and written into the line.
    """
    if "str" not in operation.types or not operation.types & _NUMBERS:
        return None
    number, text = operation.side_of(_NUMBERS), operation.side_beside(_NUMBERS)
    tips: list[str] = []
    fix: str | None = None
    if operation.operator == "+":
        tips.append(f"For text: make the number text with str({number or 'number'}), or use an f-string.")
        fix = _with_str(operation.context) if operation.left_type == "str" else None
    if not _is_wording(parsed_expression(text)):
        tips.append(f"For numbers: convert the text with int({text or 'text'}) or float({text or 'text'}).")
    return Advice(tuple(tips), fix)


def _list_and_element(operation: Operation) -> Advice | None:
    if operation.types not in (frozenset({"list", "int"}), frozenset({"list", "str"})):
        return None
    return Advice(("Add a list to a list: put the single value in brackets, [value], or use append().",))


def _two_dicts(operation: Operation) -> Advice | None:
    if operation.types != frozenset({"dict"}) or operation.operator != "+":
        return None
    return Advice((f"Merge dicts with |: {operation.left or 'a'} | {operation.right or 'b'}.",))


def _list_and_number(operation: Operation) -> Advice | None:
    if "list" not in operation.types or not operation.types & _NUMBERS or operation.operator not in "*/-+":
        return None
    return Advice(("Compute with each element: [each * 2 for each in values].",))


def _function(operation: Operation) -> Advice | None:
    """Advise on a function without parentheses: ``total + price`` where ``price`` is a method."""
    kinds = frozenset(each for each in operation.types if "function" in each or "method" in each)
    if not kinds:
        return None
    called = operation.side_of(kinds) or "name"
    return Advice((f"Call it: {called}() with parentheses gives the result, the bare name is the function.",))


def _awaitable(operation: Operation) -> Advice | None:
    if not operation.types & _AWAITABLE:
        return None
    return Advice((f"Await it: await {operation.side_of(_AWAITABLE) or 'the call'}.",))


_ADVISERS: tuple[Callable[[Operation], Advice | None], ...] = (
    _none,
    _text_and_number,
    _list_and_element,
    _two_dicts,
    _list_and_number,
    _function,
    _awaitable,
)
"""The first of these that recognises the types of an operation says what to do."""


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
    """Whether an expression is a text that is written out, and no number in quotes."""
    if isinstance(node, ast.BinOp):
        return _is_wording(node.left) or _is_wording(node.right)
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.strip().isdigit()
    )
