"""Corrections of calls of libraries: the argument that makes the call mean what the program wants.

Each function recognises one kind of fault, by the message and the program's syntax tree, and returns the `Correction`,
or None. Parameters, columns and shapes come from the hints of the failure; no library is imported and no signature is
inspected.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable

from resilience.report._diagnosis.ast_utils import parsed_expression
from resilience.report._diagnosis.context import FailureContext, as_list, as_mapping, as_texts
from resilience.report._diagnosis.correction import (
    Correction,
    here,
    indentation_of,
    insert_before,
    nodes,
    of_statement,
    on_line,
    replaced,
    source_of,
)
from resilience.report._diagnosis.line_edits import rename_in_line, replace_in_line, replace_marked, segment_of
from resilience.report._diagnosis.text import clear_match, join_words

__all__ = ["FAULTS"]

# Parameters that stand for several values in one.
_COLLECTIONS = frozenset(
    {
        "objs",
        "arrays",
        "tup",
        "box",
        "size",
        "shape",
        "xy",
        "iterable",
        "items",
        "axes",
        "dims",
        "seq",
        "sequences",
        "tensors",
    }
)


_OF_AXES = r"plot|set_\w+|bar|hist|scatter|legend|grid|imshow"


def _parenthesised(context: FailureContext) -> Correction | None:
    """Recognise conditions joined by & and | without parentheses: ``df["a"] > 1 & df["b"] < 2``.

    Python reads that as the chain ``df["a"] > (1 & df["b"]) < 2``. Each part that compares is put in parentheses.
    """
    marked = context.marked
    node = context.expression
    comparators = node.comparators if isinstance(node, ast.Compare) else []
    inside = any(isinstance(each, ast.BinOp) and isinstance(each.op, (ast.BitAnd, ast.BitOr)) for each in comparators)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)):
        marked = next(
            (
                ast.get_source_segment(context.code, each) or ""
                for each in nodes(context, ast.Compare)
                if marked in (ast.get_source_segment(context.code, each) or "")
            ),
            "",
        )
        inside = bool(marked)
    parts = _split_conditions(marked) if inside and "\n" not in marked else []
    if len(parts) < 3:
        return None
    new = " ".join(
        f"({part})" if re.search(r"[<>]=?|==|!=", part) and not _is_wrapped(part) else part for part in parts
    )
    return here(replace_in_line(context, marked, new), "Put each condition in parentheses: & binds more than >.")


def _split_conditions(text: str) -> list[str]:
    """Return conditions and the operators between them, from the outermost level of a text."""
    parts: list[str] = []
    begin, depth = 0, 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            depth += (token.string in "([{" and bool(token.string)) - (token.string in ")]}" and bool(token.string))
            if token.string in ("&", "|") and depth == 0:
                parts += [text[begin : token.start[1]].strip(), token.string]
                begin = token.end[1]
    except (tokenize.TokenError, SyntaxError):
        return []
    return [*parts, text[begin:].strip()]


def _is_wrapped(part: str) -> bool:
    return part.startswith("(") and part.endswith(")") and parsed_expression(part[1:-1]) is not None


def _one_collection(context: FailureContext) -> Correction | None:
    """Recognise several arguments for one that is a collection: ``image.crop(0, 0, 5, 5)``.

    The name of the first parameter, which the hints list, tells whether it takes a collection: `_COLLECTIONS`.
    """
    node = context.expression
    if not isinstance(node, ast.Call) or len(node.args) < 2 or any(isinstance(x, ast.Starred) for x in node.args):
        return None
    parameters = as_texts(context.hints.get("parameters"))
    if not parameters or parameters[0] not in _COLLECTIONS:
        return None
    function = segment_of(context, node.func)
    arguments = ", ".join(segment_of(context, each) for each in node.args)
    rest = "".join(f", {each.arg}={segment_of(context, each.value)}" for each in node.keywords)
    new = f"{function}(({arguments}){rest})"
    return here(replace_marked(context, new), f"Give the values as one tuple, which is {parameters[0]}: {new}.")


def _size_of_numbers(context: FailureContext) -> Correction | None:
    """Recognise two numbers where a pair belongs: ``Image.new("RGB", 20, 10)``."""
    for call in of_statement(context, ast.Call):
        numbers = [each for each in call.args if isinstance(each, ast.Constant) and type(each.value) in (int, float)]
        if len(numbers) == 2 and call.args.index(numbers[1]) == call.args.index(numbers[0]) + 1:
            first, second = (source_of(context, each) for each in numbers)
            both = ast.Tuple([*numbers], ast.Load(), lineno=numbers[0].lineno, col_offset=numbers[0].col_offset)
            both.end_lineno, both.end_col_offset = numbers[1].end_lineno, numbers[1].end_col_offset
            return replaced(context, both, f"({first}, {second})", f"Give the size as one tuple: ({first}, {second}).")
    return None


def _by_rows(context: FailureContext) -> Correction | None:
    """Recognise a function that reads columns, applied to columns: ``frame.apply(lambda row: row["width"])``.

    The missing key has to be a column of a table on that line.
    """
    key = context.message.strip().strip("'\"")
    having = any(
        key in [str(each) for each in as_list(facts.get("columns"))]
        for facts in map(as_mapping, as_list(context.hints.get("objects")))
    )
    for call in nodes(context, ast.Call):
        assert isinstance(call, ast.Call)
        is_apply = isinstance(call.func, ast.Attribute) and call.func.attr == "apply"
        if not is_apply or len(call.args) != 1 or call.keywords or not having:
            continue
        written = ast.get_source_segment(context.code, call) or ""
        advice = "apply() gives the function one column after the other: pass axis=1 for the rows."
        return here(replace_in_line(context, written, f"{written[:-1]}, axis=1)") if written else None, advice)
    return None


def _variable_in_query(context: FailureContext) -> Correction | None:
    """Recognise a variable of the program in an expression of `query`: ``"price > limit"`` sees columns alone."""
    found = re.search(r"name '(\w+)' is not defined", context.message)
    name = found[1] if found is not None else ""
    if not name or not (context.knows(name) or name in context.globals):
        return None
    for text in nodes(context, ast.Constant):
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and re.search(rf"\b{name}\b", text.value):
            new = re.sub(rf"(?<![@\w]){name}\b", f"@{name}", text.value)
            advice = f"Write @{name}: the expression sees columns, and variables of the program with an @ alone."
            return here(replace_in_line(context, text.value, new), advice)
    return None


def _fill_method(context: FailureContext) -> Correction | None:
    """Recognise ``fillna(method="ffill")``, which is `ffill` now.

    ``pad`` and ``backfill`` were other words for ``ffill`` and ``bfill``.
    """
    for call in nodes(context, ast.Call):
        match call:
            case ast.Call(
                func=ast.Attribute(value=target, attr="fillna"),
                keywords=[ast.keyword(arg="method", value=ast.Constant(value=str(method)))],
            ):
                way = {"pad": "ffill", "backfill": "bfill"}.get(method, method)
                written = ast.get_source_segment(context.code, call) or ""
                new = f"{ast.get_source_segment(context.code, target)}.{way}()"
                return here(replace_in_line(context, written, new), f"Write {new} instead.")
            case _:
                continue
    return None


def _symbol(context: FailureContext) -> Correction | None:
    """Recognise a symbol of sympy that is used and was never made: ``y``, beside ``x = symbols("x")``.

    Names of more than two letters are no symbols, but most likely misspelt.
    """
    name = str(context.hints.get("name", ""))
    found = re.search(r"^\s*\w+(?:, *\w+)* = ((?:\w+\.)?symbols)\(", context.source, re.MULTILINE)
    if found is None or len(name) > 2 or "sympy" not in context.source or context.line is None:
        return None
    made = f'{name} = {found[1]}("{name}")'
    indentation = indentation_of(context.raw_line)
    return insert_before(context, context.line, f"{indentation}{made}", f"Make it a symbol first: {made}.")


def _unknown_field(context: FailureContext) -> Correction | None:
    """Recognise a validator of a field that the model does not have: ``@field_validator("nmae")``."""
    for node in ast.walk(context.tree) if context.tree is not None else ():
        fields = [
            each.target.id
            for each in (node.body if isinstance(node, ast.ClassDef) else [])
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        ]
        for decorator in _decorators(node) if fields else ():
            for text in decorator.args:
                given = text.value if isinstance(text, ast.Constant) else None
                if not isinstance(given, str) or given in (*fields, "*"):
                    continue
                meant = clear_match(given, fields) or (fields[0] if len(fields) == 1 else None)
                advice = f"The model has no field {given!r}: it has {join_words(map(repr, fields))}."
                old = next((f"{q}{given}{q}" for q in "'\"" if f"{q}{given}{q}" in context.line_at(text.lineno)), "")
                if meant is None or not old:
                    return here(None, advice)
                return on_line(context, text.lineno, old, f"{old[0]}{meant}{old[0]}", advice)
    return None


def _decorators(node: ast.AST) -> list[ast.Call]:
    body = node.body if isinstance(node, ast.ClassDef) else []
    functions = [each for each in body if isinstance(each, ast.FunctionDef)]
    return [each for function in functions for each in function.decorator_list if isinstance(each, ast.Call)]


def _one_row(context: FailureContext) -> Correction | None:
    """Recognise a single sample given to a model, which takes rows: ``model.predict([4, 4])``.

    To `fit` the same list is one feature of several samples, so each element becomes a row.
    """
    node = context.expression
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.List):
        return None
    written = segment_of(context, node.args[0])
    is_fit = "fit" in ast.unparse(node.func)
    new = f"[[each] for each in {written}]" if is_fit else f"[{written}]"
    return here(replace_in_line(context, written, new), f"Give a list of rows: {new}.")


def _without_alpha(context: FailureContext) -> Correction | None:
    """Recognise a picture with transparency that is saved as JPEG: ``image.save("photo.jpg")`` gets a
    ``convert("RGB")``.
    """
    match context.expression:
        case ast.Call(func=ast.Attribute(value=target, attr="save")):
            written = segment_of(context, target)
            new = f'{written}.convert("RGB")'
            return here(
                replace_in_line(context, f"{written}.save(", f"{new}.save("), f"Convert the picture first: {new}."
            )
        case _:
            return None


def _all_axes(context: FailureContext) -> Correction | None:
    """Recognise an array of axes that is used as one of them, or as a row where it is a grid: ``axes[0].plot(x)``."""
    match context.expression:
        case ast.Attribute(value=ast.Subscript(value=target, slice=index)) if not isinstance(index, ast.Tuple):
            written = segment_of(context, target)
            old, new = f"{written}[", f"{written}.flat["
            return here(replace_in_line(context, old, new), f"Write {written}.flat[...], which has all axes in a row.")
        case ast.Attribute(value=ast.Name(id=name), attr=method) if re.fullmatch(_OF_AXES, method):
            return here(replace_marked(context, f"{name}.flat[0].{method}"))
        case _:
            return None


def _as_text_of_header(context: FailureContext) -> Correction | None:
    """Recognise a number as the value of a header: ``headers={"X-Count": 3}``."""
    found = re.search(r"Header part \((.+?)\) from .* must be of type str or bytes", context.message)
    if found is None:
        return None
    for number, line in enumerate(context.lines, 1):
        if re.search(rf"(?<![\w\"'.]){re.escape(found[1])}(?![\w\"'.])", line):
            return on_line(
                context, number, found[1], f'"{found[1]}"', "The value of a header is a text: write str(...)."
            )
    return None


def _times_as_index(context: FailureContext) -> Correction | None:
    """Recognise a table that is resampled by a column of times: ``frame.resample("ME")``.

    The facts of the table must show exactly one column of times.
    """
    node = context.expression
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "resample":
        return None
    for facts in map(as_mapping, as_list(context.hints.get("objects"))):
        kinds = [str(each) for each in as_list(facts.get("dtypes"))]
        times = [
            str(name) for name, kind in zip(as_list(facts.get("columns")), kinds, strict=False) if "datetime" in kind
        ]
        if len(times) == 1:
            new = f'{context.marked[:-1]}, on="{times[0]}")'
            return here(replace_marked(context, new), f'Name the column with the times: on="{times[0]}".')
    return None


def _whole_count(context: FailureContext) -> Correction | None:
    """Recognise a count that is a quotient: ``np.linspace(0, 5, 5 / step)``."""
    node = context.expression
    for each in node.args if isinstance(node, ast.Call) else ():
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Div):
            written = segment_of(context, each)
            return here(replace_in_line(context, written, f"int({written})"), f"Make it whole: int({written}).")
    return None


def _numbers_of_texts(context: FailureContext) -> Correction | None:
    """Recognise an array of texts that is computed with."""
    match context.expression:
        case ast.Call(func=ast.Attribute(value=target)):
            written = segment_of(context, target)
            old = f"{written}.{_method(context)}("
            new = f"{written}.astype(float).{_method(context)}("
            return here(replace_in_line(context, old, new), f"Make numbers of the texts: {written}.astype(float).")
        case _:
            return None


def _method(context: FailureContext) -> str:
    node = context.expression
    return node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


def _dates_of_texts(context: FailureContext) -> Correction | None:
    """Recognise dates that are texts still: ``log["end"] - log["start"]``.

    The program must have a date in ISO form among its texts.
    """
    node = context.expression
    if not isinstance(node, ast.BinOp) or not re.search(r"import pandas as pd", context.source):
        return None
    left, right = segment_of(context, node.left), segment_of(context, node.right)
    quoted = re.findall(r"['\"](\d{4}-\d\d-\d\d)", context.source)
    if not quoted:
        return None
    new = f"pd.to_datetime({left}) - pd.to_datetime({right})"
    return here(replace_marked(context, new), f"Make dates of the texts first: {new}.")


def _listed_value(context: FailureContext) -> Correction | None:
    """Recognise a word of the program that a message refuses, where the message lists those that it may be.

    ``valid options are: 'linear', 'cubic'; received 'linaer'``. The word must stand on exactly one line of the program,
    and be near to one of the list alone. At most `_MAX_WORDS` words of the message are tried.
    """
    found = _LIST_OF_VALUES.search(context.message)
    if found is None or "Did you mean" in context.message:
        return None
    shown, _, received = context.message[found.start() :].partition("received")
    listed = set(re.findall(r"[A-Za-z][\w.+-]+", shown))
    words = re.findall(r"['\"`]([A-Za-z][\w.+-]{2,40})['\"`]", context.message[: found.start()])
    words += re.findall(r"^:? ['\"]?([A-Za-z][\w.+-]{2,40})", received)
    for word in words[:_MAX_WORDS]:
        meant = clear_match(word, listed)
        lines = [n for n, line in enumerate(context.lines, 1) if re.search(rf"['\".]{re.escape(word)}['\"]", line)]
        if meant is None or word in listed or len(lines) != 1:
            continue
        return on_line(context, lines[0], word, meant, f"Write {meant!r} instead of {word!r}, on line {lines[0]}.")
    return None


_LIST_OF_VALUES = re.compile(
    r"\b(?:[Vv]alid|[Ss]upported|[Aa]llowed|[Aa]vailable|[Pp]ossible|[Aa]ccepted|one of|among|choose from|choices|"
    r"[Oo]ptions|expected)\b[^\n]{0,40}?[:\[({]"
)
_MAX_WORDS = 5


def _extra_field(context: FailureContext) -> Correction | None:
    """Recognise a misspelt field of a model that takes no others: ``Extra inputs are not permitted``."""
    found = re.search(r"for (\w+)\n(\w+)\n +Extra inputs are not permitted", context.message)
    for node in ast.walk(context.tree) if context.tree is not None and found is not None else ():
        if isinstance(node, ast.ClassDef) and found is not None and node.name == found[1]:
            fields = [
                each.target.id
                for each in node.body
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
            ]
            meant = clear_match(found[2], fields)
            if meant is None:
                return here(None, f"{found[1]} has no field {found[2]}: it has {join_words(fields)}.")
            return here(rename_in_line(context, found[2], meant), f"Write {meant} instead of {found[2]}.")
    return None


def _select_of_list(context: FailureContext) -> Correction | None:
    """Recognise ``select([...])``, which SQLAlchemy took until 1.4."""
    for call in nodes(context, ast.Call):
        match call:
            case ast.Call(func=function, args=[ast.List(elts=elements)]) if ast.unparse(function).endswith("select"):
                written = ast.get_source_segment(context.code, call) or ""
                new = f"{ast.unparse(function)}({', '.join(ast.unparse(each) for each in elements)})"
                return here(replace_in_line(context, written, new), f"Leave out the brackets: {new}.")
            case _:
                continue
    return None


def _fields_by_name(context: FailureContext) -> Correction | None:
    """Recognise values given to a model of pydantic by their places: ``Point(1, 2)``.

    The fields get them in the order in which the class of the program defines them.
    """
    node = context.expression
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.keywords:
        return None
    for each in ast.walk(context.tree) if context.tree is not None else ():
        if isinstance(each, ast.ClassDef) and each.name == node.func.id:
            fields = [x.target.id for x in each.body if isinstance(x, ast.AnnAssign) and isinstance(x.target, ast.Name)]
            if len(fields) < len(node.args):
                return None
            given = ", ".join(f"{name}={segment_of(context, x)}" for name, x in zip(fields, node.args, strict=False))
            new = f"{node.func.id}({given})"
            return here(replace_marked(context, new), f"Give the fields by name: {new}.")
    return None


FAULTS: tuple[tuple[str, Callable[[FailureContext], Correction | None]], ...] = (
    (r"truth value of an? |for [&|]: |'r?(?:and|or)_'|bitwise_(?:and|or)", _parenthesised),
    (r"takes .*positional arguments? but \d+ (?:was|were) given|cannot be interpreted as", _one_collection),
    (r"[Ss]ize must be a (?:list or )?tuple", _size_of_numbers),
    (r"^KeyError", _by_rows),
    (r"name '\w+' is not defined", _variable_in_query),
    (r"unexpected keyword argument 'method'", _fill_method),
    (r"^NameError", _symbol),
    (r"Decorators defined with incorrect fields", _unknown_field),
    (r"Expected 2D array, got 1D", _one_row),
    (r"cannot write mode \w*A as JPEG", _without_alpha),
    (r"'numpy\.ndarray' object has no attribute", _all_axes),
    (r"Header part ", _as_text_of_header),
    (r"BaseModel\.__init__\(\) takes 1 positional argument", _fields_by_name),
    (r"Extra inputs are not permitted", _extra_field),
    (r"Did you mean to say select\(", _select_of_list),
    (r"alid |alid:|upported|llowed|vailable|ccepted|one of|among|choose|choices|ptions|expected", _listed_value),
    (r"Only valid with DatetimeIndex", _times_as_index),
    (r"'float' object cannot be interpreted as an integer", _whole_count),
    (r"add\.reduce|multiply\.reduce", _numbers_of_texts),
    (r"for -: 'str' and 'str'|operation 'sub' not supported", _dates_of_texts),
)
"""Which messages mean which fault, by the type and the message, the first that finds a correction."""
