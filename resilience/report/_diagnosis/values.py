"""Diagnosis of ValueError, ArithmeticError, RecursionError and JSONDecodeError.

Diagnosers here look at the program: at the text that was parsed, the divisor, the recursive calls. Messages that need
no such look are rules of `value_rules`. The text that could not be converted is taken from the message, the values of
variables from those that were captured; nothing is converted or computed again.
"""

from __future__ import annotations

import ast
import re

from resilience.report._diagnosis.ast_utils import parsed_expression
from resilience.report._diagnosis.context import FailureContext, as_int, as_list, known_facts
from resilience.report._diagnosis.rules import diagnose_by_rules, expression_parts
from resilience.report._diagnosis.text import format_value, join_words, phrase, single_line
from resilience.report._diagnosis.value_rules import RULES
from resilience.report._diagnosis.variable_origins import names_in, variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["json_error", "overflow", "recursion", "value_error", "zero_division"]

_LITERAL = re.compile(
    r"invalid literal for int\(\) with base (?P<base>\d+): (?P<value>.+)"
    r"|could not convert string to float: (?P<float>.+)",
    re.DOTALL,
)
_UNPACK = re.compile(
    r"(?P<how>not enough|too many) values to unpack \(expected (?:at least )?(?P<expected>\d+)(?:, got (?P<got>\d+))?"
)
_JSON = re.compile(r"^(?P<what>.+?): line (?P<line>\d+) column (?P<column>\d+) \(char (?P<char>\d+)\)$", re.DOTALL)


def value_error(context: FailureContext) -> Diagnosis | None:
    """Diagnose a value of the right type that makes no sense.

    A text that is no number and a wrong number of values are looked at here; else the rules of `value_rules` count.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> message = "invalid literal for int() with base 10: '1,250'"
    >>> failure = Failure(category=ErrorCategory.RUNTIME, error_type="ValueError", message=message)
    >>> value_error(FailureContext(failure)).suggestions[0]
    "Remove the commas first: int('1,250'.replace(',', ''))."
    """
    found = _LITERAL.search(context.message)
    if found is not None:
        return _of_literal(context, found)
    found = _UNPACK.search(context.message)
    if found is not None:
        return _of_unpacking(context, found)
    return diagnose_by_rules(context, RULES)


def _of_literal(context: FailureContext, found: re.Match[str]) -> Diagnosis:
    """Diagnose ``invalid literal for int() with base 10: '1,250'`` by the look of the text.

    An empty text, a fraction, thousands separators, a decimal comma, a unit, hexadecimal digits and words for a missing
    value get an advice each; the general one follows in any case.
    """
    value = found["value"] or found["float"]
    function, number = "float", "number"
    if found["value"]:
        function, number = "int", "whole number"
    text = value.strip("'\"") if len(value) > 1 and value[0] in "'\"" else value
    call = expression_parts(context).get("marked") or f"{function}(...)"
    tips: list[str] = []
    bare = text.strip()
    if not bare:
        tips.append("The text is empty: test for that first, or give a default.")
    elif re.fullmatch(r"[+-]?\d+[.,]\d+", bare) and function == "int" and "," not in bare:
        tips.append(f"{value} is a number with a fraction: write int(float({value})), or keep it a float.")
    elif re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", bare):
        tips.append(f"Remove the commas first: {function}({value}.replace(',', '')).")
    elif re.fullmatch(r"[+-]?\d+,\d+", bare):
        tips.append(f"The comma is a decimal comma: float({value}.replace(',', '.')).")
    elif re.fullmatch(r"\W*\d[\d.,]*\s*\D*", bare):
        tips.append(
            f"{value} has more than digits in it: take out what is no number first, as with re.search(r'\\d+', text)."
        )
    elif re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9a-fA-F]+", bare) and function == "int":
        tips.append(f"{value} looks hexadecimal: int({value}, 16).")
    elif bare.lower() in ("nan", "none", "null", "n/a", "na", "-"):
        tips.append(f"{value} stands for a missing value: skip it, or put a default in its place.")
    tips.append("Test the text before: text.strip().isdigit(), or catch ValueError and say which value is wrong.")
    return Diagnosis(
        immediate_cause=f"{single_line(call, 60)} got {single_line(value, 60)}, which is no {number}",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=tuple(tips),
        specifics={"value": single_line(text, 200)},
    )


def _of_unpacking(context: FailureContext, found: re.Match[str]) -> Diagnosis:
    """Diagnose ``too many values to unpack (expected 2)`` by the names on the left and the value that is unpacked.

    ``not enough values`` always says how many there were; ``too many`` from Python 3.14 on, and of a few types only.
    """
    expected, got = found["expected"], found["got"]
    statement = context.statement
    targets, source = "", ""
    comprehension = _comprehension(context)
    if comprehension is not None:
        targets, source = ast.unparse(comprehension.target), f"an element of {ast.unparse(comprehension.iter)}"
    elif isinstance(statement, ast.Assign):
        targets, source = ast.unparse(statement.targets[0]), ast.unparse(statement.value)
    elif isinstance(statement, ast.For):
        targets, source = ast.unparse(statement.target), f"an element of {ast.unparse(statement.iter)}"
    many = found["how"] == "too many"
    number = phrase("{} values", got) or {True: "more", False: "fewer"}[many]
    tips: list[str] = []
    is_table = bool(as_list(context.hints.get("objects")))
    if many and isinstance(statement, ast.For) and isinstance(statement.iter, ast.Name) and not is_table:
        tips.append(
            f"To go through a dict write `for {targets.strip('()')} in {statement.iter.id}.items():`; for numbers "
            f"with the elements, enumerate({statement.iter.id})."
        )
    if many:
        tips.append(f"Let the last name take the rest: *{(targets.strip('()').split(', ') or ['rest'])[-1] or 'rest'}.")
    else:
        tips.append(f"Make sure that there are {expected} values: test len(...) first, or give defaults.")
    tips.append(f"Write as many names on the left as there are values{phrase(' ({})', got)}.")
    return Diagnosis(
        immediate_cause=f"{single_line(source, 60) or 'the right side'} has {number} where {expected} are expected"
        + phrase(" by {}", single_line(targets, 60)),
        contributing_factors=tuple(variable_factors(context, names_in(statement))),
        suggestions=tuple(tips),
        specifics={"expected_values": int(expected[:6]), **({"actual_values": int(got[:9])} if got else {})},
    )


def _comprehension(context: FailureContext) -> ast.comprehension | None:
    """Return the loop of a comprehension that unpacks its elements, where the statement has just one."""
    nodes = ast.walk(context.statement) if isinstance(context.statement, ast.Assign) else ()
    found = [each for each in nodes if isinstance(each, ast.comprehension) and isinstance(each.target, ast.Tuple)]
    return found[0] if len(found) == 1 and not isinstance(_first_target(context), ast.Tuple) else None


def _first_target(context: FailureContext) -> ast.expr | None:
    return context.statement.targets[0] if isinstance(context.statement, ast.Assign) else None


def json_error(context: FailureContext) -> Diagnosis | None:
    """Diagnose a text that is no JSON: ``Expecting value: line 1 column 1 (char 0)``; the place is one in that text.

    None of another message under this class: ``requests`` has a JSONDecodeError, too.
    """
    found = _JSON.search(context.message)
    if found is None:
        return None
    what, at = found["what"], f"line {found['line']}, column {found['column']} of the text"
    tips: list[str] = []
    if what == "Expecting value" and found["char"] == "0":
        tips.append(
            "Look at what was parsed: it is empty, or not JSON at all (an error page, a path). Print it before."
        )
        tips.append("To read a file use json.load(file) and not json.loads(path).")
    elif "property name" in what:
        tips.append("JSON wants double quotes around keys, and no comma before }.")
        tips.append("A text that Python printed is no JSON: read it with ast.literal_eval().")
    elif what == "Extra data":
        tips.append("There is more than one document: read one a line, with json.loads(line) for each.")
    elif "delimiter" in what:
        tips.append("A comma or colon is missing there, or a quote inside a text lacks its backslash.")
    elif "Invalid control character" in what:
        tips.append("A text in it has a bare line end: write it as \\n, or pass strict=False.")
    elif "Unterminated string" in what:
        tips.append("The document is cut off, or a quote in it lacks its backslash: make sure that all of it is there.")
    elif "Illegal trailing comma" in what:
        tips.append("Remove the comma before the closing bracket.")
    tips.append(f"Look at the text around position {found['char']}, or catch json.JSONDecodeError.")
    return Diagnosis(
        immediate_cause=f"the text is no valid JSON: {what} at {at}",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=tuple(tips),
        specifics={"json_line": int(found["line"][:9]), "json_column": int(found["column"][:9])},
    )


def zero_division(context: FailureContext) -> Diagnosis | None:
    """Diagnose a division by zero by its divisor: the line that gave it the value 0, or the collection that is empty.

    A divisor that is written out as 0 gets no advice to test it first.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="ZeroDivisionError",
    ...     message="division by zero",
    ...     source="mean = sum(rows) / len(rows)",
    ...     line=1,
    ... )
    >>> zero_division(FailureContext(failure)).contributing_factors
    ('rows is empty',)
    """
    divisor = _divisor(context)
    zero = divisor or "the divisor"
    facts = variable_factors(context, names_in(parsed_expression(divisor)) or None)
    tips = [f"Test it first: `if {divisor or 'divisor'} != 0:`, and say what is right when it is 0."]
    node = parsed_expression(divisor)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and node.args:
        measured = ast.unparse(node.args[0])
        tips.insert(0, f"{measured} is empty: test `if {measured}:` before, or return a default for nothing.")
        facts.insert(0, f"{measured} is empty")
    elif divisor:
        tips.append(f"Find out why {divisor} is 0{_assigned(facts)}.")
    if "negative power" in context.message:
        tips = ["0 has no negative power: test the base first."]
    where = single_line(context.marked or context.code, 80) or "a division"
    cause = f"{zero} is 0 in {where}"
    if isinstance(node, ast.Constant):
        cause, tips = f"{where} divides by {divisor} itself", ["Divide by something else: nothing can be divided by 0."]
    return Diagnosis(
        immediate_cause=cause,
        contributing_factors=tuple(facts),
        suggestions=tuple(tips),
        specifics=known_facts(zero_expression=divisor),
    )


def overflow(context: FailureContext) -> Diagnosis | None:
    """Diagnose a number that is too large for what is to hold it, such as ``math.exp(1000)``."""
    known = diagnose_by_rules(context, RULES)
    computed = single_line(context.marked or context.code, 80) or "a computation"
    return known or Diagnosis(
        immediate_cause=f"the result of {computed} is too large",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=(
            "Compute with whole numbers, which have no largest, or with decimal.Decimal.",
            "Compute with logarithms: add math.log() in place of multiplying.",
        ),
    )


def recursion(context: FailureContext) -> Diagnosis | None:
    """Diagnose functions that call each other without an end, by the names that come again among the last 60 calls.

    The arguments of the last call are shown: they tell in which direction the recursion goes.
    """
    names = [frame.function for frame in context.frames[-60:]]
    cycle = list(dict.fromkeys(reversed([name for name in names if names.count(name) > 2])))[:4]
    function = (
        context.frame.function
        if context.frame.function and not context.frame.is_top_level
        else (cycle or ["the function"])[0]
    )
    called = f"{function}()"
    how = (
        f"{join_words([f'{name}()' for name in cycle])} call each other" if len(cycle) > 1 else f"{called} calls itself"
    )
    arguments = ", ".join(
        f"{name} = {format_value(value, 30)}" for name, value in list(context.frame.locals.items())[:4]
    )
    facts = [*filter(None, [phrase(f"at the end {called} was called with {{}}", arguments)])]
    depth = as_int(context.exception.get("frames_dropped")) or 0
    if depth:
        facts.append(f"{depth + len(context.frames)} calls deep")
    return Diagnosis(
        immediate_cause=f"{how} without an end{phrase(', on line {}', context.line)}",
        contributing_factors=tuple(facts),
        suggestions=(
            f"Give {called} a case that returns without another call, tested first.",
            f"Make sure that each call of {called} comes nearer to that case: pass on a smaller argument.",
            "Write it as a loop if it has to go deep; raising the limit only delays the end.",
        ),
        specifics={"recursive_function": function},
    )


def _divisor(context: FailureContext) -> str:
    """Return the source of the divisor; empty where the line divides more than once and the place is not known."""
    node: ast.AST | None = context.expression
    if node is None and context.line_tree is not None:
        divisions = [each for each in ast.walk(context.line_tree) if _divides(each)]
        node = divisions[0] if len(divisions) == 1 else None
    match node:
        case ast.BinOp(op=ast.Div() | ast.FloorDiv() | ast.Mod(), right=right):
            return single_line(ast.unparse(right), 60)
        case ast.AugAssign(op=ast.Div() | ast.FloorDiv() | ast.Mod(), value=right):
            return single_line(ast.unparse(right), 60)
        case ast.Call(func=ast.Name(id="divmod"), args=[_, right]):
            return single_line(ast.unparse(right), 60)
        case _:
            return ""


def _divides(node: ast.AST) -> bool:
    return isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Mod))


def _assigned(facts: list[str]) -> str:
    """Return where a variable got its value, from the first of the sentences of `variable_factors`."""
    return f": {facts[0]}" if facts and ": line" in facts[0] else ""
