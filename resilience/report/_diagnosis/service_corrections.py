"""Corrections of calls of SQLAlchemy, pydantic, sympy, httpx, and of templates and configuration in texts.

Each function recognises one kind of fault by the message and the program's syntax tree, as those of `corrections` do,
and returns the `Correction`, or None. A message such as ``filter() got an unexpected keyword argument`` is that of many
libraries: a function makes sure by the source that it is the one that it knows. No library is imported, and no
database, server or file is asked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.correction import (
    Correction,
    here,
    of_program,
    of_statement,
    on_line,
    replaced,
    source_of,
    texts_of,
)

__all__ = ["FAULTS"]

_OF_ROWS = frozenset({"all", "first", "one", "one_or_none", "unique", "partitions", "fetchall"})
_REFUSED = re.compile(r"['\"`](\w[\w .%/-]{0,40})['\"`]|[Ii]nvalid \w+:? (\w+)|(?:received|[Gg]ot):? '?(\w[\w-]*)")
_MEANT = re.compile(r"[Dd]id you mean:? ?['\"`]?(?P<meant>\w[\w.-]*)['\"`]?\?")


def _filtered_by(context: FailureContext) -> Correction | None:
    """Recognise keywords given to `filter`, which takes conditions: ``query.filter(name="Ada")``."""
    for call in of_statement(context, ast.Call) if "sqlalchemy" in context.source else ():
        match call:
            case ast.Call(func=ast.Attribute(attr="filter" | "where" as name), args=[], keywords=[_, *_]):
                written = source_of(context, call.func)
                advice = f"{name}() takes conditions, such as User.name == value; filter_by() takes keywords."
                return replaced(context, call.func, f"{written.removesuffix(name)}filter_by", advice)
            case _:
                continue
    return None


def _bound_parameters(context: FailureContext) -> Correction | None:
    """Recognise parameters of a statement that are given by keyword: ``execute(text("... :name"), name="Ada")``."""
    name = context.message.rpartition("argument ")[2].strip("'")
    for call in of_statement(context, ast.Call) if "sqlalchemy" in context.source else ():
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        given = [each for each in call.keywords if each.arg is not None]
        if method not in ("execute", "scalar", "scalars") or name not in [each.arg for each in given] or not call.args:
            continue
        values = ", ".join(f'"{each.arg}": {source_of(context, each.value)}' for each in given)
        arguments = ", ".join(source_of(context, each) for each in call.args)
        new = f"{source_of(context, call.func)}({arguments}, {{{values}}})"
        return replaced(context, call, new, f"{method}() takes the parameters as one dict: {{{values}}}.")
    return None


def _rows_of_result(context: FailureContext) -> Correction | None:
    """Recognise `scalar`, which gives one value, where all are meant: ``execute(...).scalar().all()``."""
    if context.hint("name") not in _OF_ROWS or "sqlalchemy" not in context.source:
        return None
    for node in of_statement(context, ast.Attribute):
        match node:
            case ast.Attribute(value=ast.Call(func=ast.Attribute(attr="scalar" | "scalar_one" as name))):
                assert isinstance(node.value, ast.Call)
                new = source_of(context, node.value.func).removesuffix(name) + "scalars"
                return replaced(
                    context, node.value.func, new, f"{name}() gives one value: scalars() gives all of them."
                )
            case _:
                continue
    return None


def _objects_of_rows(context: FailureContext) -> Correction | None:
    """Recognise rows that are taken for the objects in them: ``for note in session.execute(select(Note))``."""
    found: list[ast.Call] = []
    for call in of_program(context, ast.Call) if context.hint("owner") == "Row" else ():
        match call:
            case ast.Call(
                func=ast.Attribute(attr="execute"), args=[ast.Call(func=ast.Name(id="select"), args=[ast.Name()])]
            ):
                found.append(call)
            case _:
                continue
    if len(found) != 1:
        return None
    new = source_of(context, found[0].func).removesuffix("execute") + "scalars"
    return replaced(context, found[0].func, new, f"execute() gives rows; {new}() gives the objects in them.")


def _optional_field(context: FailureContext) -> Correction | None:
    """Recognise a field of pydantic that may be None, and has no default since pydantic 2: ``name: Optional[str]``.

    Of any other required field there is an advice, unless the input is JSON, where the value belongs into the text.
    """
    found = re.search(r"^(\w+)\n +Field required", context.message, re.MULTILINE)
    for field in of_program(context, ast.AnnAssign) if found is not None else ():
        kind = source_of(context, field.annotation)
        is_meant = isinstance(field.target, ast.Name) and found is not None and field.target.id == found[1]
        if is_meant and field.value is None and re.search(r"\bOptional\b|\bNone\b", kind):
            advice = "A field that may be None has no default by that: write = None."
            return replaced(context, field.annotation, f"{kind} = None", advice)
    if found is not None and not _is_from_outside(context):
        return here(None, f"Give {found[1]} a value: it is required.")
    return None


def _is_from_outside(context: FailureContext) -> bool:
    return "model_validate_json" in context.code or "JSON" in context.message


def _dumped_model(context: FailureContext) -> Correction | None:
    """Recognise options of `json` that pydantic 1 handed on to `json.dumps`: ``model.json(indent=2)``."""
    for node in of_statement(context, ast.Attribute):
        if node.attr == "json":
            new = f"{source_of(context, node.value)}.model_dump_json"
            return replaced(context, node, new, f"Write {new}(...): json() is of pydantic 1.")
    return None


def _substitution(context: FailureContext) -> Correction | None:
    """Recognise symbols given by keyword: ``expression.subs(x=1, y=2)``."""
    for call in of_statement(context, ast.Call):
        match call:
            case ast.Call(func=ast.Attribute(attr="subs" | "evalf" as name), args=[], keywords=[_, *_] as given):
                pairs = ", ".join(f"{each.arg}: {source_of(context, each.value)}" for each in given)
                new = f"{source_of(context, call.func)}({{{pairs}}})"
                return replaced(
                    context, call, new, f"{name}() takes the symbols and their values as a dict: {{{pairs}}}."
                )
            case _:
                continue
    return None


def _end_of_block(context: FailureContext) -> Correction | None:
    """Recognise the end of a block of a template by another word: ``{% end %}``."""
    found = re.search(r"unknown tag '(end\w*)'.*needs to be closed is '(\w+)'", context.message, re.DOTALL)
    numbers = [n for n, line in enumerate(context.lines, 1) if found is not None and f"{found[1]} %}}" in line]
    if found is None:
        return None
    old, new = f"{found[1]} %}}", f"end{found[2]} %}}"
    advice = f"Close the block with {{% {new}."
    return on_line(context, numbers[0], old, new, advice) if len(numbers) == 1 else here(None, advice)


def _quoted_value(context: FailureContext) -> Correction | None:
    """Recognise a value of YAML that has a colon in it, and no quotes around it: ``title: Notes: part one``.

    The message quotes the line; it is corrected where the program has that text on exactly one line.
    """
    lines = context.message.splitlines()
    written = next((line.strip() for line in lines[1:] if re.match(r"\s+[\w-]+: .*: ", line)), "")
    key, _, value = written.partition(": ")
    numbers = [n for n, line in enumerate(context.lines, 1) if written and written in line]
    advice = "A value with a colon and a blank in it stands in quotes."
    if len(numbers) != 1 or '"' in value:
        return here(None, advice)
    return on_line(context, numbers[0], written, f'{key}: "{value}"', advice)


def _with_scheme(context: FailureContext) -> Correction | None:
    """Recognise a URL that begins with its host: ``get_adapter("api.example.org/users")``."""
    found = re.search(r"No connection adapters were found for '([\w-]+(?:\.[\w-]+)+[^'\s:]*)'", context.message)
    for text in of_statement(context, ast.Constant) if found is not None else ():
        if found is not None and text.value == found[1]:
            return replaced(context, text, f'"https://{found[1]}"', "Put https:// in front of the URL.")
    return None


def _meant_by_library(context: FailureContext) -> Correction | None:
    """Take the word that a library itself proposes for one of the failing statement: "Did you mean 'h'?".

    The word to replace is one that the message has before that, in quotes or after "got", and that is one text of the
    statement.
    """
    found = _MEANT.search(context.message)
    if found is None:
        return None
    meant = found["meant"]
    for words in _REFUSED.findall(context.message[: found.start()]):
        refused = "".join(words)
        texts = [text for text, value in texts_of(context) if value == refused != meant]
        if len(texts) == 1:
            new = source_of(context, texts[0]).replace(refused, meant)
            return replaced(context, texts[0], new, f"Write {meant!r} instead of {refused!r}.")
    return None


FAULTS: tuple[tuple[str, Callable[[FailureContext], Correction | None]], ...] = (
    (r"(?:filter|where)\(\) got an unexpected keyword argument", _filtered_by),
    (r"(?:execute|scalars?)\(\) got an unexpected keyword argument", _bound_parameters),
    (r"^AttributeError: '\w+' object has no attribute", _rows_of_result),
    (r"^AttributeError", _objects_of_rows),
    (r"Field required", _optional_field),
    (r"`dumps_kwargs` keyword arguments are no longer supported", _dumped_model),
    (r"subs\(\) (?:missing|got an unexpected)", _substitution),
    (r"unknown tag 'end", _end_of_block),
    (r"mapping values are not allowed here", _quoted_value),
    (r"No connection adapters were found", _with_scheme),
    (r"[Dd]id you mean", _meant_by_library),
)
"""Which messages mean which fault, by the type and the message, the first that finds a correction."""
