"""Corrections of work with tables and arrays: pandas, polars, numpy.

Each function recognises one kind of fault by the message, the program's syntax tree and the facts of the tables, as
those of `corrections` do, and returns the `Correction`, or None. The facts are hints that were captured with the
exception for each table on the failing line: under ``of`` the expression that gives it, its columns with their types,
some labels of its rows, its shape. No table is looked at here, and none of these libraries is imported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping

from resilience.report._diagnosis.context import FailureContext, as_list, as_mapping, as_text
from resilience.report._diagnosis.correction import (
    Correction,
    here,
    indentation_of,
    insert_before,
    of_program,
    of_statement,
    on_line,
    replaced,
    source_of,
)
from resilience.report._diagnosis.text import join_words, near_matches
from resilience.report._diagnosis.value_corrections import with_argument

__all__ = ["FAULTS", "function_of_library"]

# Functions of a library that are looked for among the methods of its tables: `df["when"].to_datetime()`.
_OF_PANDAS = frozenset(
    {"to_datetime", "to_numeric", "to_timedelta", "get_dummies", "cut", "qcut", "crosstab", "concat"}
)
_OF_NUMBERS = frozenset(
    {"sqrt", "exp", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "ceil", "square", "cbrt", "sign"}
)
_OF_ARRAYS = _OF_NUMBERS | {"median", "percentile", "quantile", "average", "unique", "diff", "where", "isnan", "abs"}
# Methods of the values of a column, which stand behind an accessor.
_OF_DATES = frozenset({"year", "month", "day", "hour", "minute", "second", "weekday", "dayofweek", "strftime", "date"})
_OF_POLARS_TEXTS = {
    "lower": "to_lowercase",
    "upper": "to_uppercase",
    "title": "to_titlecase",
    "strip": "strip_chars",
    "startswith": "starts_with",
    "endswith": "ends_with",
    "length": "len_chars",
    "split": "split",
    "replace": "replace",
    "contains": "contains",
    "extract": "extract",
}
_OF_TEXTS = frozenset({"contains", "extract", "match", "fullmatch", "len", "slice", "cat", "findall"})
# What a text does with other texts, or is asked about itself: for a column another thing is meant.
_OF_ONE_TEXT = frozenset({"join", "format", "format_map", "index", "count", "maketrans", "encode"})
_SEPARATORS = (";", "\t", "|", ",")
# Parameters of steps that prepare the data and not of the model at the end of a pipeline.
_OF_PREPARATION = frozenset(
    {"n_components", "with_mean", "with_std", "degree", "ngram_range", "stop_words", "strategy", "feature_range", "k"}
)
_DATES = (
    (r"\d{4}-\d\d-\d\d", "%Y-%m-%d"),
    (r"\d{4}/\d\d/\d\d", "%Y/%m/%d"),
    (r"(?:1[3-9]|2\d|3[01])/\d\d/\d{4}", "%d/%m/%Y"),
    (r"\d\d/(?:1[3-9]|2\d|3[01])/\d{4}", "%m/%d/%Y"),
    (r"\d\d\.\d\d\.\d{4}", "%d.%m.%Y"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "%Y-%m-%d %H:%M:%S"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "%Y-%m-%dT%H:%M:%S"),
)


def _objects(context: FailureContext) -> list[Mapping[str, object]]:
    """Return the facts of the tables and arrays on the failing line, one mapping for each."""
    return [as_mapping(each) for each in as_list(context.hints.get("objects"))]


def _alias(context: FailureContext, library: str) -> str:
    """Return the name under which the program has a library, ``pd``; empty where it does not import it by itself."""
    found = re.search(rf"^\s*import {library}(?: as (\w+))?", context.source, re.MULTILINE)
    return (found[1] or library) if found is not None else ""


def _attributes(context: FailureContext) -> Iterator[tuple[ast.Attribute, str]]:
    """Yield the attributes of the failing statement that are the missing one, and the source of their object.

    The name is that of the hints: an AttributeError from inside of a library has one that the statement does not have.
    """
    name = context.hint("name")
    for node in of_statement(context, ast.Attribute):
        if node.attr == name:
            yield node, source_of(context, node.value)


def function_of_library(context: FailureContext) -> Correction | None:
    """Recognise a function of pandas or numpy that is called as a method: ``df["when"].to_datetime()``.

    The object becomes the first argument; for ``concat``, which takes a list, the first of its elements.
    """
    name, of_arrays = context.hint("name"), "ndarray" in context.message
    for library, functions in (("pandas", _OF_PANDAS), ("numpy", _OF_ARRAYS if of_arrays else _OF_NUMBERS)):
        alias = _alias(context, library)
        for call in of_statement(context, ast.Call) if name in functions and alias else ():
            if not isinstance(call.func, ast.Attribute) or call.func.attr != name:
                continue
            target = source_of(context, call.func.value)
            if name == "concat":
                target = f"[{', '.join([target, *(source_of(context, each) for each in call.args)])}]"
                return replaced(
                    context, call, f"{alias}.concat({target})", f"concat is a function: {alias}.concat({target})."
                )
            rest = source_of(context, call).removeprefix(source_of(context, call.func)).strip()[1:-1]
            new = f"{alias}.{name}({', '.join(filter(None, [target, rest.strip()]))})"
            return replaced(context, call, new, f"{name} is a function of {library}: {new}.")
    return None


def _accessor(context: FailureContext) -> Correction | None:
    """Recognise a method of texts or dates that is called on a whole column: ``df["name"].lower()``.

    Polars has other names for many of them; where it has none for a method of texts, there is no correction.
    """
    name, library = context.hint("name"), context.hint("library")
    of_texts = name in _OF_TEXTS or (hasattr(str, name) and not name.startswith("_") and name not in _OF_ONE_TEXT)
    for node, target in _attributes(context):
        if library == "polars" and of_texts | (name in _OF_POLARS_TEXTS):
            inside = f"str.{_OF_POLARS_TEXTS.get(name, '')}"
        elif of_texts or name in _OF_DATES:
            inside = f"{'str' if of_texts else 'dt'}.{name}"
        else:
            return None
        if inside.endswith("."):
            return None
        end = ast.Name("x", ast.Load(), lineno=node.end_lineno or 0, end_lineno=node.end_lineno)
        end.end_col_offset = node.end_col_offset
        end.col_offset = (node.end_col_offset or 0) - len(name)
        shown = f"{target}.{inside}" if "\n" not in target else f".{inside}"
        return replaced(context, end, inside, f"A column has the methods of its values behind an accessor: {shown}.")
    return None


def _rows_of_apply(context: FailureContext) -> Correction | None:
    """Recognise a function that reads columns by attribute, applied to columns: ``df.apply(lambda row: row.price)``.

    The missing attribute must be a name that the program has as a text or a keyword: a column and no misspelt method.
    """
    name = context.hint("name")
    if not re.search(rf"['\"]{re.escape(name)}['\"]|\b{re.escape(name)}=", context.source) or not name:
        return None  # no column that the program speaks of
    for call in of_statement(context, ast.Call):
        is_apply = isinstance(call.func, ast.Attribute) and call.func.attr == "apply" and len(call.args) == 1
        target = source_of(context, call.func.value) if isinstance(call.func, ast.Attribute) else ""
        of_columns = isinstance(call.args[0], ast.Lambda) if is_apply else False
        if of_columns and not call.keywords and not re.search(r"groupby|rolling|resample", target):
            advice = "apply() gives the function one column after the other: pass axis=1 for the rows."
            return with_argument(context, call, "axis=1", advice)
    return None


def _rows_of_frame(context: FailureContext) -> Correction | None:
    """Recognise a loop over a table, which gives the names of its columns: ``for index, row in users:``.

    The line is corrected where the names on the left are as many as a row gives; else there is the advice alone.
    """
    for loop in [node for node in of_statement(context, ast.For) if isinstance(node.target, ast.Tuple)]:
        written = source_of(context, loop.iter)
        for facts in _objects(context):
            is_frame = facts.get("of") == written and facts.get("type") == "DataFrame"
            if is_frame and isinstance(loop.target, ast.Tuple):
                rows = "iterrows" if facts.get("library") == "pandas" else "iter_rows"
                method = f"{written}.{rows}()"
                advice = f"A table gives the names of its columns: {method} goes through its rows."
                is_pair = len(loop.target.elts) == 2 and rows == "iterrows"
                is_row = len(loop.target.elts) == len(as_list(facts.get("columns"))) and rows == "iter_rows"
                return replaced(context, loop.iter, method, advice) if is_pair or is_row else here(None, advice)
    return None


def _label_in_iloc(context: FailureContext) -> Correction | None:
    """Recognise the name of a column in `iloc`, which takes positions: ``df.iloc[0, "price"]``.

    The column is taken first: ``df["price"].iloc[0]``.
    """
    for node in of_statement(context, ast.Subscript):
        match node:
            case ast.Subscript(
                value=ast.Attribute(value=table, attr="iloc"),
                slice=ast.Tuple(elts=[row, ast.Constant(value=str()) | ast.List() as column]),
            ):
                new = f"{source_of(context, table)}[{source_of(context, column)}].iloc[{source_of(context, row)}]"
                return replaced(context, node, new, f"iloc takes positions alone: take the column first, {new}.")
            case _:
                continue
    return None


def _position_of_labels(context: FailureContext) -> Correction | None:
    """Recognise a position where a Series has labels: ``row[0]``, which pandas took for a position until 3.0."""
    for facts in _objects(context):
        labels = as_list(facts.get("labels"))
        if facts.get("type") != "Series" or not labels or not all(isinstance(each, str) for each in labels):
            continue
        for node in of_statement(context, ast.Subscript):
            if source_of(context, node.value) == facts.get("of") and source_of(context, node.slice) == context.message:
                name = source_of(context, node.value)
                return replaced(
                    context, node.value, f"{name}.iloc", f"Take an element by its position with {name}.iloc."
                )
    return None


def _quoted_in_query(context: FailureContext) -> Correction | None:
    """Recognise a text without quotes in an expression of `query`: ``"category == books"``.

    The column that it is compared with must hold texts, and no column or variable may have that name.
    """
    name = context.hint("name") or context.message.partition("'")[2].partition("'")[0]
    kinds = {
        str(column): str(kind)
        for facts in _objects(context)
        for column, kind in zip(as_list(facts.get("columns")), as_list(facts.get("dtypes")), strict=False)
    }
    columns = list(kinds)
    if not name or context.knows(name) or name in context.globals or near_matches(name, columns):
        return None
    for text in [each for each in of_statement(context, ast.Constant) if isinstance(each.value, str)]:
        source = source_of(context, text)
        quote = "'" if source[:1] == '"' else '"'
        compared = re.search(rf"(\w+) *[=!]= *{re.escape(name)}\b", source)
        if compared is not None and kinds.get(compared[1]) in ("str", "object", "string", "category"):
            new = re.sub(rf"([=!]= *){re.escape(name)}\b", rf"\g<1>{quote}{name}{quote}", source)
            return replaced(
                context, text, new, f"A text in the expression has quotes of its own: {quote}{name}{quote}."
            )
    return None


def _money(context: FailureContext) -> Correction | None:
    """Recognise amounts with currency signs and commas, of which numbers are made: ``df["x"].astype(float)``.

    The message shows the first of them, ``'$1,200'``; the signs in it are taken out of all.
    """
    found = re.search(r"could not convert string to float: '([^']+)'", context.message)
    if found is None or not re.fullmatch(r"-?[$€£]? ?\d{1,3}(?:,\d{3})*(?:\.\d+)?[%€]?", found[1]):
        return None
    signs = "".join(dict.fromkeys(re.findall(r"[$€£,% ]", found[1])))
    for call in of_statement(context, ast.Call):
        match call:
            case ast.Call(func=ast.Attribute(value=target, attr="astype")) if "import pandas" in context.source:
                old = source_of(context, target)
                new = f'{old}.str.replace("[{signs}]", "", regex=True)'
                return replaced(context, target, new, f"Take out what is no digit first: {new}.")
            case _:
                continue
    return None


def _dates_as_index(context: FailureContext) -> Correction | None:
    """Recognise a part of a date looked up among texts, ``df.loc["2024-01"]``: the labels become dates."""
    key = context.message.strip().strip("'\"")
    is_row = any(each.attr == "loc" for each in of_statement(context, ast.Attribute))
    for facts in _objects(context) if is_row and re.fullmatch(r"\d{4}(?:-\d\d)?", key) else ():
        labels = as_list(facts.get("labels"))
        name = as_text(facts.get("of"))
        alias = _alias(context, "pandas")
        are_dates = bool(labels) and all(re.match(r"\d{4}-\d\d-\d\d", str(each)) for each in labels)
        if name.isidentifier() and are_dates and str(labels[0]).startswith(key) and alias:
            new = f"{indentation_of(context.raw_line)}{name}.index = {alias}.to_datetime({name}.index)"
            advice = f"The labels are texts: make dates of them, and {key!r} selects all of that time."
            return insert_before(context, context.line or 1, new, advice)
    return None


def _separator(context: FailureContext) -> Correction | None:
    """Recognise a file that was read with another separator than it has: its header is one name, ``name;age``."""
    key = context.message.strip().strip("'\"")
    readers = [call for call in of_program(context, ast.Call) if ast.unparse(call.func).endswith("read_csv")]
    for facts in _objects(context) if len(readers) == 1 else ():
        columns = as_list(facts.get("columns"))
        for separator in _SEPARATORS if len(columns) == 1 else ():
            if key in [each.strip() for each in str(columns[0]).split(separator)] and columns[0] != key:
                word = "sep" if facts.get("library") == "pandas" else "separator"
                argument = f'{word}="{separator}"'.replace("\t", "\\t")
                return with_argument(context, readers[0], argument, f"The columns are separated otherwise: {argument}.")
    return None


def _renamed_columns(context: FailureContext) -> Correction | None:
    """Recognise `rename` of the rows where the columns are meant: ``df.rename({"index": "day"})``.

    Pandas ignores labels that no row has, so the failure comes later, where the new name is used.
    """
    names = re.findall(r"'([^']+)'", context.message)
    for call in of_program(context, ast.Call):
        match call:
            case ast.Call(func=ast.Attribute(attr="rename"), args=[ast.Dict(values=values) as given], keywords=[]):
                new = [each.value for each in values if isinstance(each, ast.Constant)]
                if any(name in new for name in names):
                    advice = "rename() renames the rows unless columns= is named."
                    return replaced(context, given, f"columns={source_of(context, given)}", advice)
            case _:
                continue
    return None


def _key_of_right_table(context: FailureContext) -> Correction | None:
    """Recognise a key that the other table calls `id`: ``right_on="customer_id"``.

    The one table that lacks the key must have a column that is the last part of it.
    """
    key = context.message.strip().strip("'\"")
    prefix, _, last = key.rpartition("_")
    lacking = [as_list(each.get("columns")) for each in _objects(context) if key not in as_list(each.get("columns"))]
    if not prefix or len(lacking) != 1 or last not in lacking[0]:
        return None
    for call in of_statement(context, ast.Call):
        for keyword in call.keywords:
            if keyword.arg == "right_on" and isinstance(keyword.value, ast.Constant) and keyword.value.value == key:
                return replaced(context, keyword.value, f'"{last}"', f"The right table calls its key {last!r}.")
    return None


def _assigned_column(context: FailureContext) -> Correction | None:
    """Recognise `insert` of a column that is there, ``df.insert(0, "id", ids)``: it is assigned."""
    for call in of_statement(context, ast.Call):
        match call:
            case ast.Call(func=ast.Attribute(value=table, attr="insert"), args=[_, column, values], keywords=[]):
                new = f"{source_of(context, table)}[{source_of(context, column)}]"
                line = f"{indentation_of(context.raw_line)}{new} = {source_of(context, values)}"
                advice = f"The column is there: give it other values with {new} = ..."
                return on_line(context, call.lineno, context.line_at(call.lineno), line, advice)
            case _:
                continue
    return None


def _with_zone(context: FailureContext) -> Correction | None:
    """Recognise a time without a zone that is compared with a column of times that have one.

    The message names the zone of the column.
    """
    found = re.search(r"datetime64\[\w+, ([^\]]+)\] and (Timestamp|datetime)", context.message)
    for comparison in of_statement(context, ast.Compare) if found is not None else ():
        other = comparison.comparators[0]
        if found is not None and isinstance(other, ast.Name) and found[2] == "Timestamp":
            new = f'{other.id}.tz_localize("{found[1]}")'
            return replaced(context, other, new, f"The column has the time zone {found[1]}: give the other one, {new}.")
    return here(None, f"The column has the time zone {found[1]}: give the other one, too.") if found else None


def _format_of_values(context: FailureContext) -> Correction | None:
    """Recognise a date format by the values that it did not fit: polars lists them.

    There is a correction only where one of `_DATES` fits the first of them.
    """
    found = re.search(r"failed in column '\w+'.*?: \[\"([^\"]+)\"", context.message)
    written = [new for pattern, new in _DATES if found is not None and re.fullmatch(pattern, found[1])]
    for text in of_statement(context, ast.Constant) if len(written) == 1 else ():
        if isinstance(text.value, str) and "%" in text.value:
            advice = f"Write the format as the values are: {written[0]!r}."
            return replaced(context, text, f'"{written[0]}"', advice)
    return None


def _unpacked_tuple(context: FailureContext) -> Correction | None:
    """Recognise a tuple where a function takes the numbers one by one: ``randn((3, 4))``.

    A variable that holds the tuple is unpacked: ``randn(*shape)``.
    """
    for call in of_statement(context, ast.Call):
        is_alone = len(call.args) == 1 and not call.keywords and source_of(context, call) == context.marked
        given = call.args[0] if is_alone else None
        if isinstance(given, ast.Tuple) and given.elts:
            new = ", ".join(source_of(context, each) for each in given.elts)
            called = source_of(context, call.func)
            return replaced(context, given, new, f"{called}() takes the numbers one by one: {called}({new}).")
        if isinstance(given, ast.Name) and re.fullmatch(r"\(\d+(?:, \d+)+\)", str(context.value_of(given.id))):
            return replaced(context, given, f"*{given.id}", f"The numbers are taken one by one: *{given.id}.")
    return None


def _iso_date(context: FailureContext) -> Correction | None:
    """Recognise a date that numpy reads with - alone: ``np.datetime64("2024/01/05")``."""
    for text in of_statement(context, ast.Constant):
        if isinstance(text.value, str) and re.fullmatch(r"\d{4}/\d\d/\d\d", text.value):
            new = text.value.replace("/", "-")
            return replaced(context, text, f'"{new}"', f"Write the date as YYYY-MM-DD: {new!r}.")
    return None


def _header_of_numbers(context: FailureContext) -> Correction | None:
    """Recognise a file whose first line names its columns, read as numbers: ``np.loadtxt(path)``."""
    for call in of_statement(context, ast.Call):
        if ast.unparse(call.func).endswith("loadtxt") and not any(each.arg == "skiprows" for each in call.keywords):
            return with_argument(context, call, "skiprows=1", "The first line has names and no numbers: skiprows=1.")
    return None


def _lines_of_json(context: FailureContext) -> Correction | None:
    """Recognise a JSON document on each line, read as one: ``pd.read_json(path)``."""
    for call in of_statement(context, ast.Call):
        if ast.unparse(call.func).endswith("read_json"):
            return with_argument(context, call, "lines=True", "Each line is a document: lines=True.")
    return None


def _larger_of_two(context: FailureContext) -> Correction | None:
    """Recognise two arrays given to `max`, whose second argument is an axis: ``np.max(a, b)``."""
    for call in of_statement(context, ast.Call):
        match call:
            case ast.Call(func=ast.Attribute(attr="max" | "min"), args=[_, _], keywords=[]):
                new = f"{source_of(context, call.func)}imum"
                return replaced(context, call.func, new, f"To compare two arrays element by element write {new}.")
            case _:
                continue
    return None


def _missing_directory(context: FailureContext) -> Correction | None:
    """Recognise a table that is written into a directory that is not there: it is made on a line before."""
    found = re.search(r"non-existent directory: '([^']+)'", context.message)
    if found is None or context.line is None:
        return None
    made = f"import os; os.makedirs({found[1]!r}, exist_ok=True)"
    line = f"{indentation_of(context.raw_line)}{made}"
    return insert_before(context, context.line, line, f"Make the directory {found[1]!r} first.")


def _transposed_right(context: FailureContext) -> Correction | None:
    """Recognise a product of two matrices of which the right one lies the other way: ``X @ W``.

    Both have as many columns, and the left one fits no other way; squares are left alone, as either may be meant.
    """
    shapes = {as_text(each.get("of")): as_list(each.get("shape")) for each in _objects(context)}
    for first, second in _factors(context):
        one, two = source_of(context, first), source_of(context, second)
        left, right = shapes.get(one, []), shapes.get(two, [])
        if len(left) == len(right) == 2 and left[1] == right[1] != right[0] and left[0] != right[0]:
            return replaced(
                context, second, f"{two}.T", f"Transpose {two}, so that the inner sizes are equal: {two}.T."
            )
    return None


def _factors(context: FailureContext) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield both sides of the products of matrices in the failing statement."""
    for node in of_statement(context, ast.expr):
        match node:
            case ast.BinOp(left=first, op=ast.MatMult(), right=second):
                yield first, second
            case ast.Call(func=ast.Attribute(attr="dot" | "matmul"), args=[first, second]):
                yield first, second
            case ast.Call(func=ast.Attribute(value=first, attr="dot"), args=[second]):
                yield first, second
            case _:
                continue


def _shapes_told(context: FailureContext) -> Correction | None:
    """Advise with the shapes of what a call was given, where they do not go together. No line is corrected."""
    shapes = {
        as_text(facts.get("of")): f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
        for facts in _objects(context)
        if (shape := as_list(facts.get("shape"))) and facts.get("of")
    }
    if len(set(shapes.values())) < 2:
        return None
    shown = [f"{name} has the shape {shape}" for name, shape in shapes.items()]
    return here(None, f"{join_words(shown[:3])}: make them go together.")


def _root_of_error(context: FailureContext) -> Correction | None:
    """Recognise ``squared=False``, which scikit-learn had until 1.6 for the root of the mean squared error.

    The line takes the root by itself, ``** 0.5``, as the function for it would have to be imported.
    """
    for call in of_statement(context, ast.Call):
        for keyword in call.keywords:
            if keyword.arg != "squared" or not isinstance(keyword.value, ast.Constant):
                continue
            given = [*(source_of(context, each) for each in call.args)]
            given += [f"{each.arg}={source_of(context, each.value)}" for each in call.keywords if each is not keyword]
            new = f"{source_of(context, call.func)}({', '.join(given)}){'' if keyword.value.value else ' ** 0.5'}"
            return replaced(context, call, new, f"Write root_mean_squared_error(...) of sklearn.metrics, or {new}.")
    return None


def _step_of_pipeline(context: FailureContext) -> Correction | None:
    """Recognise a parameter of a step that is given to the whole pipeline: ``{"C": [0.1, 1.0]}``.

    It is given to the last step, the model, unless its name is that of a step which prepares the data.
    """
    found = re.search(r"Invalid parameter '?(\w+)'? for estimator Pipeline\(steps=\[(.+)\]", context.message, re.DOTALL)
    steps = re.findall(r"\('(\w+)',", found[2]) if found is not None else []
    if found is None or not steps:
        return None
    name, advice = found[1], f"Name the step, too: {steps[-1]}__{found[1]} is {found[1]} of the step {steps[-1]!r}."
    texts = [each for each in of_program(context, ast.Constant) if each.value == name]
    if name in _OF_PREPARATION or len(texts) != 1:
        return here(None, f"Name the step, too, step__{name}: the steps are {join_words(map(repr, steps))}.")
    return replaced(context, texts[0], f'"{steps[-1]}__{name}"', advice)


def _instance_of_class(context: FailureContext) -> Correction | None:
    """Recognise the class of a model where a model belongs: ``("scaler", StandardScaler)``.

    The message names the class; the program must have exactly one place that names and does not call it.
    """
    found = re.search(
        r"got estimator class instead \((\w+)\)|should be a?n? ?estimator instance.*class '[\w.]*?(\w+)'",
        context.message,
    )
    name = (found[1] or found[2]) if found is not None else ""
    called = {id(call.func) for call in of_program(context, ast.Call)}
    bare = [each for each in of_program(context, ast.Name) if each.id == name and id(each) not in called]
    if len(bare) != 1:
        return None
    return replaced(context, bare[0], f"{name}()", f"Make an object of the class: {name}().")


FAULTS: tuple[tuple[str, Callable[[FailureContext], Correction | None]], ...] = (
    (r"^AttributeError: '(?:Series|Expr)' object has no attribute", _accessor),
    (r"^AttributeError: 'Series' object has no attribute", _rows_of_apply),
    (r"values to unpack", _rows_of_frame),
    (r"Location based indexing can only have|Can only index by location|\.iloc requires numeric", _label_in_iloc),
    (r"^KeyError: -?\d+$", _position_of_labels),
    (r"name '\w+' is not defined", _quoted_in_query),
    (r"could not convert string to float: ", _money),
    (r"^KeyError", _dates_as_index),
    (r"^(?:KeyError|ColumnNotFoundError)", _separator),
    (r"^KeyError", _renamed_columns),
    (r"^KeyError", _key_of_right_table),
    (r"cannot insert .*, already exists", _assigned_column),
    (r"Invalid comparison between dtype=datetime64\[\w+, ", _with_zone),
    (r"conversion from `str` to `\w+` failed", _format_of_values),
    (r"'tuple' object cannot be interpreted as an integer", _unpacked_tuple),
    (r"Error parsing datetime string", _iso_date),
    (r"could not convert string .* at row 0", _header_of_numbers),
    (r"^ValueError: Trailing data", _lines_of_json),
    (r"only integer scalar arrays can be converted to a scalar index", _larger_of_two),
    (r"non-existent directory", _missing_directory),
    (r"matmul: |not aligned", _transposed_right),
    (r"mismatch in its core dimension|must be broadcastable|broadcast together|must be the same size", _shapes_told),
    (r"not aligned|dimensions .* must match|same length|different lengths?", _shapes_told),
    (r"unexpected keyword argument 'squared'", _root_of_error),
    (r"Invalid parameter '?\w+'? for estimator Pipeline", _step_of_pipeline),
    (r"got estimator class instead", _instance_of_class),
)
"""Which messages mean which fault, by the type and the message, the first that finds a correction."""
