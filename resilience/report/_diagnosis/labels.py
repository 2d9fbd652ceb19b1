"""Diagnosis of columns, index labels and dimensions that a table or an array does not have.

The facts of the tables on the failing line come from the hints. A name is proposed only where one label is clearly
meant. Libraries have many sentences for a missing label, `_SENTENCES`; what was asked for is read from them, and looked
up in the facts, so that one diagnosis serves pandas, polars, xarray, seaborn and the like. Tables are never looked at:
the facts were captured with the exception, with a bounded number of labels.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from resilience.report._diagnosis.context import FailureContext, as_list, as_mapping, as_text, known_facts
from resilience.report._diagnosis.line_edits import rename_in_line, rename_text, replace_in_line, segment_of
from resilience.report._diagnosis.text import clear_match, join_words, near_matches, single_line
from resilience.report.diagnosis import Diagnosis

__all__ = ["missing_label", "shown_objects"]

_SENTENCES = (
    re.compile(r"^\"?\[(?P<names>'[^\]]+')\]\"?$"),
    re.compile(r"^\"?\[(?P<names>.+)\] not (?:in index|found in axis)\"?$"),
    re.compile(r"^\"?None of (?:Index\()?\[(?P<names>[^\]]+)\].* (?:are|is) (?:in|not in) the \[?(?:columns|index)"),
    re.compile(r"^'?Column not found: (?P<name>.+?)'?$"),
    re.compile(r"Columns? not found: (?P<names>.+?)\"?$"),
    re.compile(r"No variable named '(?P<name>[^']+)'"),
    re.compile(r"unable to find column \"(?P<name>[^\"]+)\""),
    re.compile(r"^\"(?P<name>[^\"]+)\" not found$"),
    re.compile(r"Could not interpret (?:value|input) [`'](?P<name>[^`']+)[`']"),
    re.compile(r"'(?P<name>[^']+)' not found in array dimensions"),
    re.compile(r"NameError: name '(?P<name>\w+)' is not defined"),
    re.compile(r"Usecols do not match columns, columns expected but not found: \[(?P<names>.+)\]"),
    re.compile(r"are not present in the DataFrame: \[(?P<names>.+)\]"),
    re.compile(r"Label\(s\) \[(?P<names>.+)\] do not exist"),
    re.compile(r"'(?P<name>[^']+)' is not a valid dimension or coordinate"),
    re.compile(r"column names are not columns of the dataframe: \{(?P<names>.+)\}"),
    re.compile(r"Missing column provided to 'parse_dates': '(?P<name>[^']+)'"),
)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_MAX_SHOWN = 12
_FEWEST_OF_SENTENCE = 4
_MAX_LABEL = 60


def missing_label(context: FailureContext) -> Diagnosis | None:
    """Diagnose a table that lacks a column or a row, where the tables of the failing line are known; else None.

    Usages that ask in the wrong way are tried before a misspelt name: columns as a tuple, a column among the rows, a
    position in `loc`, a merge of tables that call their key differently.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> table = {"of": "sales", "columns": ["day", "price"]}
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="KeyError",
    ...     message="'prcie'",
    ...     exception={"type": "KeyError", "hints": {"objects": [table]}},
    ...     source='total = sales["prcie"].sum()',
    ...     line=1,
    ... )
    >>> missing_label(FailureContext(failure)).suggested_fix
    'total = sales["price"].sum()'
    """
    objects = _objects(context)
    wanted = _wanted(context)
    if not objects or not wanted:
        return None
    tables = [each for each in objects if each.get("columns") or each.get("dims") or each.get("labels")]
    if not tables:
        return None
    lacking = [each for each in tables if wanted[0] not in _names_of(each)]
    return (
        _as_list(context, tables, wanted)
        or _as_column(context, tables, wanted)
        or _by_position(context, tables)
        or _missing_row(context, tables, wanted)
        or _other_key(context, lacking, tables, wanted[0])
        or _named(context, lacking or tables, wanted)
    )


def shown_objects(context: FailureContext) -> list[str]:
    """Return a sentence for each table or array on the failing line: its columns, its shape.

    ``prices has shape (3, 2), the columns 'day' and 'price'.``
    """
    found: list[str] = []
    for each in _objects(context):
        name = as_text(each.get("of"))
        if not name:
            continue
        columns, dims, shape = as_list(each.get("columns")), as_list(each.get("dims")), as_list(each.get("shape"))
        parts = [f"shape ({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"] if shape else []
        parts += [f"dtype {as_text(each.get('dtype'))}"] if each.get("dtype") else []
        parts += [f"the columns {_listed(columns)}"] if columns else []
        parts += [f"the dimensions {_listed(dims)}"] if dims else []
        if parts:
            found.append(f"{single_line(name, 40)} has {', '.join(parts)}.")
    return found


def _objects(context: FailureContext) -> list[Mapping[str, object]]:
    return [found for each in as_list(context.hints.get("objects")) if (found := as_mapping(each))]


def _names_of(facts: Mapping[str, object]) -> list[object]:
    """Return what a table can be asked for: its columns and dimensions; of a Series, its labels."""
    if facts.get("columns") or facts.get("dims"):
        return [*as_list(facts.get("columns")), *as_list(facts.get("dims"))]
    return as_list(facts.get("labels"))


def _wanted(context: FailureContext) -> list[object]:
    """Return the labels that were asked for and are missing, from the message; empty where it names none.

    The message of a KeyError is the repr of the key, which may be a number or a tuple. One of many words is a sentence.
    """
    for sentence in _SENTENCES:
        found = sentence.search(context.message)
        if found is None:
            continue
        groups = found.groupdict()
        if groups.get("name"):
            return [groups["name"]]
        return [one or other for one, other in _QUOTED.findall(groups["names"])]
    if context.type != "KeyError":
        return []
    try:
        key = ast.literal_eval(context.message.strip()[:500])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    if isinstance(key, str) and key.count(" ") >= _FEWEST_OF_SENTENCE:
        return []  # a sentence of the library, and no label
    return [key] if isinstance(key, (str, int, float, tuple)) else []


def _as_list(
    context: FailureContext, tables: Sequence[Mapping[str, object]], wanted: Sequence[object]
) -> Diagnosis | None:
    """Recognise columns written as a tuple: ``df["price", "quantity"]``. All of them must be columns of one table."""
    node = context.expression
    if not isinstance(wanted[0], tuple) or not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Tuple):
        return None
    names = [*cast("tuple[object, ...]", wanted[0])]
    table = next((each for each in tables if all(name in _names_of(each) for name in names)), None)
    if table is None:
        return None
    written = segment_of(context, node.slice).strip("()")
    fix = replace_in_line(context, f"[{written}]", f"[[{written}]]")
    return Diagnosis(
        immediate_cause=f"{_name(table)} is asked for one column with the name {wanted[0]!r}: several are a list",
        suggestions=(f"Ask for several columns with a list of names: {_name(table)}[[{written}]].",),
        suggested_fix=fix,
    )


def _as_column(
    context: FailureContext, tables: Sequence[Mapping[str, object]], wanted: Sequence[object]
) -> Diagnosis | None:
    """Recognise a column that is looked for among the rows: ``df.drop("price")``."""
    node = context.expression
    if "not found in axis" not in context.message or not isinstance(node, ast.Call) or not node.args:
        return None
    table = next((each for each in tables if all(name in as_list(each.get("columns")) for name in wanted)), None)
    if table is None:
        return None
    argument = segment_of(context, node.args[0])
    fix = replace_in_line(context, f"({argument}", f"(columns={argument}") if argument else None
    return Diagnosis(
        immediate_cause=f"{_listed(wanted)} is looked for among the rows, and is a column of {_name(table)}",
        suggestions=(f"Say that it is a column: {_method(node)}(columns={argument or '...'}).",),
        suggested_fix=fix,
    )


def _by_position(context: FailureContext, tables: Sequence[Mapping[str, object]]) -> Diagnosis | None:
    """Recognise a position given to ``loc``, which takes labels: ``df.loc[0]`` where the rows have names."""
    node = context.expression
    if not isinstance(node, ast.Subscript) or not re.fullmatch(r"-?\d+", context.message.strip()):
        return None
    if not isinstance(node.value, ast.Attribute) or node.value.attr != "loc":
        return None
    labels = next((as_list(each.get("labels")) for each in tables if each.get("labels")), list[object]())
    if not labels or any(isinstance(each, int) for each in labels):
        return None
    return Diagnosis(
        immediate_cause=f"loc takes labels, and no row has the label {context.message}: they are {_listed(labels)}",
        suggestions=("Write iloc instead of loc to take a row by its position.",),
        suggested_fix=replace_in_line(context, ".loc[", ".iloc["),
    )


def _missing_row(
    context: FailureContext, tables: Sequence[Mapping[str, object]], wanted: Sequence[object]
) -> Diagnosis | None:
    """Recognise the label of a row that is not there: ``df.loc["z", "price"]``."""
    match context.expression:
        case ast.Subscript(value=ast.Attribute(value=table, attr="loc" | "at"), slice=ast.Tuple(elts=[row, *_])):
            pass
        case ast.Subscript(value=ast.Attribute(value=table, attr="loc" | "at"), slice=row):
            pass
        case _:
            return None
    name = segment_of(context, table)
    facts = next((each for each in tables if each.get("of") == name and each.get("labels")), None)
    if facts is None or segment_of(context, row).strip("'\"") != str(wanted[0]):
        return None
    labels = as_list(facts.get("labels"))
    meant = clear_match(str(wanted[0]), [each for each in labels if isinstance(each, str)])
    written = [f"Write {meant!r} instead of {wanted[0]!r}."] if meant is not None else []
    return Diagnosis(
        immediate_cause=f"{name} has no row {wanted[0]!r}",
        suggestions=(*written, f"The rows of {name} have the labels {_listed(labels)}."),
        suggested_fix=rename_text(context, str(wanted[0]), meant) if meant is not None else None,
        specifics={"missing_key": str(wanted[0])[:_MAX_LABEL]},
    )


def _other_key(
    context: FailureContext,
    lacking: Sequence[Mapping[str, object]],
    tables: Sequence[Mapping[str, object]],
    wanted: object,
) -> Diagnosis | None:
    """Recognise a merge of two tables that call their key differently: ``a.merge(b, on="id")``.

    *lacking* are the tables without that column, *tables* all of them. ``on=`` becomes ``left_on=`` and ``right_on=``.
    """
    node = context.expression
    named = [each for each in lacking if each.get("of")]
    having = [each for each in tables if wanted in _names_of(each)]
    if not isinstance(node, ast.Call) or _method(node) not in ("merge", "join") or not named or not having:
        return None
    meant = _meant(str(wanted), _names_of(named[0]))
    keyword = next((each for each in node.keywords if each.arg == "on"), None)
    tips: list[str] = []
    fix: str | None = None
    if meant is not None and keyword is not None:
        written = segment_of(context, keyword.value)
        left_lacks = _is_left(node, _name(named[0]))
        pair = (repr(meant), repr(wanted)) if left_lacks else (repr(wanted), repr(meant))
        quote = written[:1] if written[:1] in "'\"" else "'"
        one, two = (each.replace("'", quote) for each in pair)
        keys = f"left_on={one}, right_on={two}"
        tips.append(f"Name the key of each table: {keys}.")
        fix = replace_in_line(context, f"on={written}", keys)
    tips.append(f"{_name(named[0])} has the columns {_listed(_names_of(named[0]))}.")
    return Diagnosis(
        immediate_cause=f"{_name(named[0])} has no column {wanted!r}, only {_name(having[0])} has",
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics={"missing_key": str(wanted)},
    )


def _named(context: FailureContext, tables: Sequence[Mapping[str, object]], wanted: Sequence[object]) -> Diagnosis:
    """Diagnose labels that no table has: name the near ones, and list those that the table has."""
    shown = _listed(wanted)
    tips: list[str] = []
    fix: str | None = None
    for label in wanted:
        for table in tables:
            meant = _meant(str(label), _names_of(table))
            if meant is not None:
                tips.append(f"Write {meant!r} instead of {label!r}.")
                fix = fix or rename_text(context, str(label), meant) or _renamed_keyword(context, str(label), meant)
                break
        else:
            names = [str(each) for table in tables for each in _names_of(table)]
            near = near_matches(str(label), names)
            if near:
                tips.append(f"Did you mean {join_words([repr(each) for each in near], last='or')}?")
    table = next((each for each in tables if each.get("of")), tables[0])
    kind = _kind(table)
    tips.append(f"{_name(table) or 'It'} has the {kind}s {_listed(_names_of(table))}.")
    return Diagnosis(
        immediate_cause=f"{_name(table) or 'the table'} has no {kind} {shown}",
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics={
            "missing_key": str(wanted[0])[:_MAX_LABEL],
            **known_facts(available_keys=[*(str(each) for each in _names_of(table)[:20])]),
        },
    )


def _renamed_keyword(context: FailureContext, label: str, meant: str) -> str | None:
    """Return the failing line with another keyword, where columns are given as such: polars' ``df.filter(prcie=3)``."""
    node = context.expression
    named = node is not None and any(isinstance(x, ast.keyword) and x.arg == label for x in ast.walk(node))
    return rename_in_line(context, label, meant) if named and meant.isidentifier() else None


def _meant(word: str, names: Iterable[object]) -> str | None:
    """Return the name that a word clearly stands for: misspelt, with blanks, shortened, or the longer form of one.

    ``"bill"`` for ``total_bill`` and ``"qty"`` for ``quantity`` count, where a single column answers to it.
    """
    texts = [each for each in names if isinstance(each, str)]
    blank = [each for each in texts if each.strip() == word.strip()]
    if len(blank) == 1:
        return blank[0]
    meant = clear_match(word, texts)
    if meant is not None:
        return meant
    parts = [
        each for each in texts if {*each.lower().split("_")} & {*word.lower().split("_")} and _contains(each, word)
    ]
    if len(parts) == 1:
        return parts[0]
    longer = [each for each in texts if len(each) > 2 and _is_short_for(*sorted((word.lower(), each.lower()), key=len))]
    return longer[0] if len(longer) == 1 and len(word) > 2 else None


def _contains(one: str, other: str) -> bool:
    """Whether one of two names is a part of the other between underscores: ``bill`` of ``total_bill``."""
    short, long = sorted((one.lower(), other.lower()), key=len)
    return f"_{short}_" in f"_{long}_"


def _is_short_for(short: str, long: str) -> bool:
    """Whether a name is made of letters of another one in their order: ``qty`` of ``quantity``."""
    if not short or short[0] != long[0]:
        return False
    letters = iter(long)
    return all(letter in letters for letter in short)


def _is_left(node: ast.Call, name: str) -> bool:
    if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == name:
        return True
    return bool(node.args) and ast.unparse(node.args[0]) == name and len(node.args) > 1


def _method(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)


def _name(facts: Mapping[str, object]) -> str:
    return single_line(as_text(facts.get("of")), 40)


def _kind(facts: Mapping[str, object]) -> str:
    """Return what a table calls its parts: columns, variables of xarray, dimensions, or labels."""
    if facts.get("columns"):
        return "variable" if facts.get("library") == "xarray" else "column"
    return "dimension" if facts.get("dims") else "label"


def _listed(names: Sequence[object]) -> str:
    return join_words([repr(each)[:_MAX_LABEL] for each in names], _MAX_SHOWN)
