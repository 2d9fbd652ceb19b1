"""Corrections of lines that follow from the program itself: of the failing line, or of the one where the fault is.

A correction is written only where the source and the captured values leave no doubt what it is, and only if the program
compiles with it. A fault and its correction are found together: a function for each kind of fault returns the
`Correction`, or None. It never runs any part of the program; an error in it costs the correction and not the diagnosis.

`with_correction` finds the functions by tables of patterns, of this module and of six others, that are searched for in
the type and the message of the exception. A message can mean several faults, so each function looks at the program
before it answers. A correction may be an advice alone, without a line: where the fault is sure and its place is not.

This module has the faults of names, attributes, calls, keys, files and arrays that are met most often.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeGuard

from resilience.report._diagnosis import (
    async_corrections,
    library_corrections,
    program_corrections,
    service_corrections,
    table_corrections,
    value_corrections,
)
from resilience.report._diagnosis.ast_utils import parsed_expression
from resilience.report._diagnosis.context import FailureContext, as_list, as_mapping, as_text, as_texts
from resilience.report._diagnosis.correction import (
    Correction,
    here,
    insert_before,
    kind_of,
    nodes,
    of_program,
    of_statement,
    on_line,
    replaced,
    source_of,
)
from resilience.report._diagnosis.line_edits import (
    rename_in_line,
    rename_text,
    replace_in_line,
    replace_line,
    replace_marked,
    segment_of,
)
from resilience.report._diagnosis.regex_cache import search_pattern
from resilience.report._diagnosis.text import clear_match
from resilience.report._diagnosis.variable_origins import functions_named, origin_of
from resilience.report.diagnosis import Diagnosis

__all__ = ["with_correction"]

_MAX_SOURCE = 100_000
_WRITES = re.compile(r"['\"][wax]b?\+?['\"]|to_csv|savefig|write_text|to_json")
_WRITE_TEXT = re.compile(r"Write '(?P<new>[^']+)' instead of '(?P<old>[^']+)'\.")
_COMPARED = (ast.Compare, ast.BoolOp)


def with_correction(context: FailureContext, found: Diagnosis) -> Diagnosis:
    r"""Return a diagnosis with the corrected line that follows from the program, where it has none yet.

    The faults of `_SURER` come first, and replace the advice to write a near name. Of the others the first that finds a
    line counts; where none does, the first advice is added in front of the suggestions. Programs of more than
    `_MAX_SOURCE` characters, and those that do not compile, stay as they are diagnosed.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="TypeError",
    ...     message="'NoneType' object is not subscriptable",
    ...     exception={"hints": {"marked": "found[0]"}},
    ...     source="found = values.sort()\nfirst = found[0]",
    ...     line=2,
    ... )
    >>> found = with_correction(FailureContext(failure), Diagnosis(immediate_cause="found is None", suggestions=()))
    >>> found.suggested_fix, found.specifics
    ('found = sorted(values)', {'fix_applies_to': 'line 1'})
    """
    if context.is_syntax_error or len(context.source) > _MAX_SOURCE:
        return found
    message = f"{context.type}: {context.message}"
    for pattern, correct in _SURER:
        correction = correct(context) if search_pattern(pattern, message) else None
        if correction is not None and correction.line is not None:
            kept = [each for each in found.suggestions if not each.startswith(("Write ", "Did you mean"))]
            return _corrected(replace(found, suggestions=tuple(kept)), correction)
    if found.suggested_fix is not None:
        return found
    advice = None
    for pattern, correct in _ALL_FAULTS:
        if search_pattern(pattern, message):
            correction = correct(context)
            if correction is not None and correction.line is not None:
                return _corrected(found, correction)
            advice = advice or correction
    advice = _renamed_in_statement(context, found) or advice
    return found if advice is None else _corrected(found, advice)


def _renamed_in_statement(context: FailureContext, found: Diagnosis) -> Correction | None:
    """Carry out the advice to write one text for another in a statement of several lines, or where it stands alone."""
    advised = _WRITE_TEXT.match(found.suggestions[0]) if found.suggestions else None
    if advised is None:
        return None
    for scope in (of_statement, of_program):
        texts = [each for each in scope(context, ast.Constant) if each.value == advised["old"]]
        if len(texts) == 1:
            new = source_of(context, texts[0]).replace(advised["old"], advised["new"])
            return replaced(context, texts[0], new)
    return None


def _corrected(found: Diagnosis, correction: Correction) -> Diagnosis:
    """Return the diagnosis with the line of a correction, its place, and its advice as the first suggestion."""
    suggestions = (correction.advice, *found.suggestions) if correction.advice else found.suggestions
    specifics = {**found.specifics, "fix_applies_to": correction.place} if correction.place else found.specifics
    return replace(found, suggested_fix=correction.line, suggestions=suggestions, specifics=specifics)


# Names


def _global_statement(context: FailureContext) -> Correction | None:
    """Recognise a function that changes a variable of the module without ``global``: ``count += 1``."""
    name, function = as_text(context.hints.get("name")), context.function
    if function is None or not name or name not in context.globals or not function.body:
        return None
    first = function.body[0].lineno
    before = context.line_at(first)
    indentation = before[: len(before) - len(before.lstrip())]
    return insert_before(context, first, f"{indentation}global {name}")


def _forgotten_quotes(context: FailureContext) -> Correction | None:
    """Recognise a key without quotes, ``user[name]``, where the captured value of the dict has that key."""
    name = as_text(context.hints.get("name"))
    for node in nodes(context, ast.Subscript):
        assert isinstance(node, ast.Subscript)
        if isinstance(node.slice, ast.Name) and node.slice.id == name and isinstance(node.value, ast.Name):
            value = parsed_expression(str(context.value_of(node.value.id)))
            keys = value.keys if isinstance(value, ast.Dict) else []
            if any(isinstance(key, ast.Constant) and key.value == name for key in keys):
                holder = node.value.id
                return here(replace_in_line(context, f"{holder}[{name}]", f'{holder}["{name}"]'))
    return None


# Attributes


def _in_place(context: FailureContext) -> Correction | None:
    """Recognise the result of a method that works in place: ``ordered = values.sort()``.

    The line that assigns it is corrected, to ``sorted(values)``, or to the bare call where it is assigned to its own
    object.
    """
    target = _none_target(context)
    origin = origin_of(context, target.id) if isinstance(target, ast.Name) else None
    if origin is None or not isinstance(origin.value, ast.Call) or not isinstance(origin.value.func, ast.Attribute):
        return None
    method, holder = origin.value.func.attr, ast.unparse(origin.value.func.value)
    call = ast.get_source_segment(origin.code, _reparsed(origin.code)) if _reparsed(origin.code) else None
    if call is None:
        return None
    assert isinstance(target, ast.Name)
    if holder == target.id and method in ("append", "extend", "insert", "remove", "sort", "reverse", "update", "add"):
        return on_line(context, origin.line, origin.code, call)
    arguments = call[call.rindex("(") + 1 : -1] if call.count("(") == 1 else ""
    if method == "sort":
        return on_line(context, origin.line, call, f"sorted({', '.join(filter(None, [holder, arguments]))})")
    if method == "reverse":
        return on_line(context, origin.line, call, f"list(reversed({holder}))")
    return None


def _reparsed(code: str) -> ast.expr:
    """Return the value of an assignment with its positions in that line alone; a constant for any other statement."""
    tree = ast.parse(code)
    match tree.body:
        case [ast.Assign(value=value)]:
            return value
        case _:
            return ast.Constant(None)


def _none_target(context: FailureContext) -> ast.expr | None:
    """Return the part of the failing expression that is None: what was indexed, or asked for an attribute."""
    match context.expression:
        case ast.Attribute(value=target) | ast.Subscript(value=target) | ast.Call(func=ast.Attribute(value=target)):
            return target
        case node:
            return node


def _missing_return(context: FailureContext) -> Correction | None:
    """Recognise a function of the program that computes a result and returns nothing.

    Its last statement is an assignment, ``total = ...``, which becomes ``return ...``.
    """
    names = [each.func.id for each in nodes(context, ast.Call) if isinstance(each, ast.Call) and _is_name(each.func)]
    variables = [each.id for each in nodes(context, ast.Name) if isinstance(each, ast.Name)]
    for variable in variables:
        origin = origin_of(context, variable)
        if origin is not None and isinstance(origin.value, ast.Call) and _is_name(origin.value.func):
            names.append(origin.value.func.id)
    for name in names:
        for function in functions_named(context, name):
            last = function.body[-1]
            returns = any(isinstance(each, ast.Return) for each in ast.walk(function))
            if returns or not isinstance(last, ast.Assign) or not isinstance(last.targets[0], ast.Name):
                continue
            written = f"{last.targets[0].id} = "
            advice = f"{name}() returns nothing: let it return its result on line {last.lineno}."
            return on_line(context, last.lineno, written, "return ", advice)
    return None


def _is_name(node: ast.expr) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name)


def _len_for_length(context: FailureContext) -> Correction | None:
    """Recognise the length as an attribute or method, ``values.length``: it is ``len(values)``."""
    node = context.expression
    if not isinstance(node, ast.Attribute):
        return None
    target = segment_of(context, node.value)
    written = f"{context.marked}()" if f"{context.marked}()" in context.raw_line else context.marked
    return here(replace_in_line(context, written, f"len({target})"))


def _in_for_contains(context: FailureContext) -> Correction | None:
    """Recognise ``text.contains("a")`` and ``data.has_key("a")``, which are ``"a" in text`` in Python."""
    name = as_text(context.hints.get("name"))
    for call in nodes(context, ast.Call):
        assert isinstance(call, ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr == name and len(call.args) == 1:
            written = ast.get_source_segment(context.code, call) or ""
            target = ast.get_source_segment(context.code, call.func.value) or ""
            argument = ast.get_source_segment(context.code, call.args[0]) or ""
            if written and target and argument:
                bare = f"{argument} in {target}"
                whole = f"({written})" in context.raw_line or re.search(
                    rf"(?:if|while|=) {re.escape(written)}", context.code
                )
                return here(replace_in_line(context, written, bare if whole else f"({bare})"))
    return None


def _call_of_method(context: FailureContext) -> Correction | None:
    """Recognise a function that is used as its result: ``load.items()``, or ``data = load`` on an earlier line."""
    node = context.expression
    if not isinstance(node, ast.Attribute):
        return None
    target = segment_of(context, node.value)
    origin = origin_of(context, target) if isinstance(node.value, ast.Name) else None
    if origin is not None and isinstance(origin.value, (ast.Name, ast.Attribute)):
        made = ast.unparse(origin.value)
        advice = f"Call the function on line {origin.line}: {made}()."
        return on_line(context, origin.line, f"= {made}", f"= {made}()", advice)
    return here(replace_marked(context, f"{target}().{node.attr}"))


def _column_as_attribute(context: FailureContext) -> Correction | None:
    """Recognise a misspelt column that is read as an attribute: ``df.prcie``."""
    name = as_text(context.hints.get("name"))
    for table in map(as_mapping, as_list(context.hints.get("objects"))):
        meant = clear_match(name, [str(each) for each in as_list(table.get("columns"))])
        if meant is not None and meant.isidentifier():
            return here(rename_in_line(context, name, meant), f"Write {meant} instead of {name}.")
    return None


def _class_for_object(context: FailureContext) -> Correction | None:
    """Recognise a variable that holds a class where an object of it is used: ``model = LinearRegression``."""
    node = context.expression
    target = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    if not isinstance(target, ast.Name):
        return None
    origin = origin_of(context, target.id)
    if origin is None or not isinstance(origin.value, (ast.Name, ast.Attribute)):
        return None
    made = ast.unparse(origin.value)
    advice = f"Make an object of the class, with parentheses: {made}()."
    return on_line(context, origin.line, f"= {made}", f"= {made}()", advice)


def _shortened_name(context: FailureContext) -> Correction | None:
    """Recognise the long form of a short name: ``math.squareroot``.

    The short one has letters of the long one in their order, its first two and its last: ``sqrt``.
    """
    name = as_text(context.hints.get("name"))
    short = [each for each in context.names if len(each) > 2 and len(each) < len(name) and _is_short(each, name)]
    best = [each for each in short if each[-1] == name[-1] and name.startswith(each[:2])]
    if len(name) < 5 or len(best) != 1:
        return None
    return here(rename_in_line(context, name, best[0]), f"Write {best[0]} instead of {name}.")


def _is_short(short: str, long: str) -> bool:
    letters = iter(long)
    return not short.startswith("_") and all(letter in letters for letter in short)


# Calls and operators


def _self_parameter(context: FailureContext) -> Correction | None:
    """Recognise a method that is defined without ``self``: it is given one argument more than it takes, its object."""
    found = re.search(
        r"(\w+)\.(\w+)\(\) takes (\d+) positional arguments? but (\d+) (?:was|were) given", context.message
    )
    if found is None or int(found[4]) != int(found[3]) + 1:
        return None
    methods = functions_named(context, found[2])
    if len(methods) != 1 or (methods[0].args.args and methods[0].args.args[0].arg in ("self", "cls")):
        return None
    written = f"def {found[2]}("
    return on_line(context, methods[0].lineno, written, f"{written}self{', ' if methods[0].args.args else ''}")


def _range_of_number(context: FailureContext) -> Correction | None:
    """Recognise a loop over a number: ``for i in 10:`` or ``for i in len(values):``."""
    statement = context.statement
    if not isinstance(statement, ast.For):
        return None
    written = ast.unparse(statement.iter)
    return here(replace_in_line(context, f"in {written}:", f"in range({written}):"))


def _items_of_dict(context: FailureContext) -> Correction | None:
    """Recognise a loop with two names over a dict: ``for name, price in prices:``."""
    statement = context.statement
    if not isinstance(statement, ast.For) or not isinstance(statement.iter, ast.Name):
        return None
    name = statement.iter.id
    if kind_of(context, statement.iter) != "dict":
        return None
    return here(replace_in_line(context, f"in {name}:", f"in {name}.items():"))


def _copy_of_iterated(context: FailureContext) -> Correction | None:
    """Recognise a loop over a collection that it changes: it is to go through a copy."""
    statement = context.statement
    if not isinstance(statement, ast.For):
        return None
    written = ast.unparse(statement.iter)
    return here(replace_in_line(context, f"in {written}:", f"in list({written}):"))


def _awaited_at_origin(context: FailureContext) -> Correction | None:
    """Recognise a coroutine that an earlier line made and did not await: ``data = load()``."""
    node = context.expression
    target = node.value if isinstance(node, (ast.Subscript, ast.Attribute)) else node
    origin = origin_of(context, target.id) if isinstance(target, ast.Name) else None
    if (
        origin is None
        or not isinstance(origin.value, ast.Call)
        or not isinstance(context.function, ast.AsyncFunctionDef)
    ):
        return None
    written = ast.unparse(origin.value)
    return on_line(context, origin.line, f"= {written}", f"= await {written}")


def _number_of_text(context: FailureContext) -> Correction | None:
    """Recognise a number held as text beside a number: ``text + 3`` where text is '5'."""
    node = context.expression
    sides: list[ast.expr] = []
    match node:
        case ast.BinOp(left=left, right=right) | ast.Compare(left=left, comparators=[right]):
            sides = [left, right]
        case _:
            return None
    for side, other in (sides, sides[::-1]):
        value = context.value_of(side.id) if isinstance(side, ast.Name) else None
        if not isinstance(value, str) or kind_of(context, other) not in ("int", "float"):
            continue
        function = (
            "int"
            if re.fullmatch(r"\s*-?\d+\s*", value)
            else "float"
            if re.fullmatch(r"\s*-?\d*\.\d+\s*", value)
            else ""
        )
        if function:
            name = ast.unparse(side)
            advice = f"{name} is text: make a number of it with {function}({name})."
            return here(rename_in_line(context, name, f"{function}({name})"), advice)
    return None


def _decimal_of_float(context: FailureContext) -> Correction | None:
    """Recognise a float beside a `Decimal`: ``price * 1.2``.

    A Decimal is made of its text, ``Decimal("1.2")``: made of the float it would have the error of that.
    """
    node = context.expression
    if not isinstance(node, ast.BinOp) or "Decimal" not in context.source:
        return None
    for side in (node.left, node.right):
        if isinstance(side, ast.Constant) and isinstance(side.value, float):
            written = segment_of(context, side)
            advice = f'Make a Decimal of the number, written as text: Decimal("{written}").'
            return here(replace_in_line(context, written, f'Decimal("{written}")'), advice)
    return None


def _date_of_text(context: FailureContext) -> Correction | None:
    """Recognise a date held as ISO text beside a date."""
    node = context.expression
    for side in (node.left, node.right) if isinstance(node, (ast.BinOp)) else ():
        value = context.value_of(side.id) if isinstance(side, ast.Name) else None
        found = re.search(r"'datetime\.(date|datetime)'", context.message)
        if isinstance(value, str) and found is not None and re.fullmatch(r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+)?", value):
            name = ast.unparse(side)
            prefix = "datetime." if re.search(r"^import datetime", context.source, re.MULTILINE) else ""
            made = f"{prefix}{found[1]}.fromisoformat({name})"
            advice = f"{name} is text: make a date of it with {made}."
            return here(rename_in_line(context, name, made), advice)
    return None


def _brackets_for_call(context: FailureContext) -> Correction | None:
    """Recognise parentheses for brackets: ``values(0)``. A list that hides a function of Python's own is renamed."""
    node = context.expression
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or len(node.args) != 1:
        return None
    import builtins

    if hasattr(builtins, node.func.id):
        return _renamed_builtin(context, node.func.id)
    argument = node.args[0]
    kind = kind_of(context, node.func)
    if kind == "dict" or (kind in ("list", "tuple", "str") and kind_of(context, argument) == "int"):
        written = segment_of(context, argument)
        advice = f"Take an element with brackets: {node.func.id}[{written}]."
        return here(replace_marked(context, f"{node.func.id}[{written}]"), advice)
    return None


def _renamed_builtin(context: FailureContext, name: str) -> Correction | None:
    """Rename a variable that hides a function of Python's own, where it is made, if only that call uses the name."""
    origin = origin_of(context, name)
    if origin is None:
        return None
    uses = len(re.findall(rf"(?<![\w.]){name}(?!\w)", context.source))
    advice = f"{name} hides Python's own {name}: rename the variable on line {origin.line}."
    own_uses = len(re.findall(rf"(?<![\w.]){name}\(", context.source))
    if uses != own_uses + 1:
        return None
    return on_line(context, origin.line, f"{name} =", f"{name}_ =", advice)


def _json_of_text(context: FailureContext) -> Correction | None:
    """Recognise JSON that is indexed before it is parsed: ``response["items"]`` where that is a text with a brace."""
    node = context.expression
    if not isinstance(node, ast.Subscript) or "import json" not in context.source:
        return None
    value = context.value_of(node.value.id) if isinstance(node.value, ast.Name) else None
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return None
    target, index = segment_of(context, node.value), segment_of(context, node.slice)
    return here(replace_marked(context, f"json.loads({target})[{index}]"))


def _list_for_tuple(context: FailureContext) -> Correction | None:
    """Recognise an assignment to an element of a tuple: where the tuple is made, a list is."""
    node = context.expression
    target = node.value if isinstance(node, ast.Subscript) else None
    origin = origin_of(context, target.id) if isinstance(target, ast.Name) else None
    if origin is None or not isinstance(origin.value, ast.Tuple) or not origin.value.elts:
        return None
    elements = ", ".join(ast.unparse(each) for each in origin.value.elts)
    assert isinstance(target, ast.Name)
    return on_line(
        context, origin.line, origin.code, f"{target.id} = [{elements}]", f"Make it a list on line {origin.line}."
    )


def _near_keyword(context: FailureContext) -> Correction | None:
    """Recognise a misspelt keyword of a call by the name that is missing."""
    found = re.search(r"^(\w+)\n +Field required|'(\w+)' is undefined", context.message, re.MULTILINE)
    if found is None:
        return None
    wanted = found[1] or found[2]
    for call in nodes(context, ast.Call):
        assert isinstance(call, ast.Call)
        meant = clear_match(wanted, [each.arg for each in call.keywords if each.arg])
        if meant is not None:
            return here(rename_in_line(context, meant, wanted), f"Write {wanted} instead of {meant}.")
    return None


def _known_word(context: FailureContext) -> Correction | None:
    """Recognise a table, column or option that the program itself defines under a near name."""
    found = re.search(
        r"no such (?:table|column|option)[: ]+'?(--)?([\w.-]+?)'?(?:\s|$|\.)", context.message, re.IGNORECASE
    )
    if found is None or context.tree is None:
        return None
    word = found[2].rpartition(".")[2]
    texts = [
        each.value for each in ast.walk(context.tree) if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    if found[1]:
        names = [each.removeprefix("--") for each in texts if each.startswith("--") and each != f"--{word}"]
    else:
        names = [name for each in texts if "CREATE TABLE" in each.upper() for name in re.findall(r"[a-z]\w*", each)]
    meant = clear_match(word, names)
    if meant is None:
        return None
    return here(rename_in_line(context, word, meant), f"Write {meant} instead of {word}.")


def _one_tuple(context: FailureContext) -> Correction | None:
    """Recognise a parameter of SQL that is no tuple: ``execute(sql, (name))``.

    A text in its place counts as a sequence, with a parameter for each letter.
    """
    node = context.expression
    if (
        not isinstance(node, ast.Call)
        or len(node.args) != 2
        or isinstance(node.args[1], (ast.Tuple, ast.List, ast.Dict))
    ):
        return None
    function, first, second = (segment_of(context, each) for each in (node.func, *node.args))
    advice = f"A tuple of one value has a comma: ({second},)."
    return here(replace_marked(context, f"{function}({first}, ({second},))"), advice)


def _enum_value(context: FailureContext) -> Correction | None:
    """Recognise a misspelt value of an enum that the program defines: ``Color("rde")``."""
    found = re.search(r"'(?P<value>[^']+)' is not a valid (?P<kind>\w+)", context.message)
    for node in ast.walk(context.tree) if context.tree is not None and found is not None else ():
        if isinstance(node, ast.ClassDef) and found is not None and node.name == found["kind"]:
            values = [
                each.value.value
                for each in node.body
                if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant)
            ]
            meant = clear_match(found["value"], [each for each in values if isinstance(each, str)])
            if meant is not None:
                return here(
                    rename_text(context, found["value"], meant), f"Write {meant!r} instead of {found['value']!r}."
                )
    return None


# Keys, indexes, values


def _counted(context: FailureContext) -> Correction | None:
    """Recognise counting under a key that is new: ``counts[word] += 1``; `get` begins with 0 or an empty list."""
    statement = context.statement
    if not isinstance(statement, ast.AugAssign) or not isinstance(statement.target, ast.Subscript):
        return None
    if not isinstance(statement.op, ast.Add) or "keys" not in context.hints:
        return None
    target, key = ast.unparse(statement.target.value), ast.unparse(statement.target.slice)
    empty = "[]" if isinstance(statement.value, ast.List) else "0"
    if not isinstance(statement.value, (ast.List, ast.Constant)):
        return None
    new = f"{target}[{key}] = {target}.get({key}, {empty}) + {ast.unparse(statement.value)}"
    indentation = context.raw_line[: len(context.raw_line) - len(context.raw_line.lstrip())]
    return here(replace_line(context, indentation + new), f"Begin with {empty} for a new key: {new}.")


def _key_of_other_type(context: FailureContext) -> Correction | None:
    """Recognise a number for a key that is text, or a text for one that is a number: ``data["1"]``."""
    node = context.expression
    if not isinstance(node, ast.Subscript):
        return None
    keys = as_list(context.hints.get("keys"))
    bare = context.message.strip().strip("'\"")
    if context.message.startswith(("'", '"')) and bare.lstrip("-").isdigit() and int(bare) in keys:
        index = segment_of(context, node.slice)
        new = bare if isinstance(node.slice, ast.Constant) else f"int({index})"
        return here(replace_marked(context, f"{segment_of(context, node.value)}[{new}]"))
    if bare == context.message.strip() and bare in keys:
        index = segment_of(context, node.slice)
        new = f'"{bare}"' if isinstance(node.slice, ast.Constant) else f"str({index})"
        return here(replace_marked(context, f"{segment_of(context, node.value)}[{new}]"))
    return None


def _nested_key(context: FailureContext) -> Correction | None:
    """Recognise a key that stands below another one; the path to it was captured with the exception."""
    path = as_texts(context.hints.get("nested"))
    node = context.expression
    if not path or not isinstance(node, ast.Subscript):
        return None
    between = "".join(f'["{each}"]' for each in path)
    target, index = segment_of(context, node.value), segment_of(context, node.slice)
    advice = f"{index} is below {between}: {target}{between}[{index}]."
    return here(replace_marked(context, f"{target}{between}[{index}]"), advice)


def _range_too_long(context: FailureContext) -> Correction | None:
    """Recognise ``range(len(values) + 1)``, whose last index is one too large, in a loop around the failing line."""
    length = context.hints.get("length")
    if length is None or length != context.hints.get("index") or context.tree is None:
        return None
    for node in ast.walk(context.tree):
        if isinstance(node, ast.For) and node.lineno < (context.line or 0) <= (node.end_lineno or 0):
            line = context.line_at(node.lineno)
            if re.search(r"range\(len\(\w+\) \+ 1\)", line):
                return on_line(
                    context, node.lineno, ") + 1)", "))", f"The range is one too long, on line {node.lineno}."
                )
    return None


def _number_of_literal(context: FailureContext) -> Correction | None:
    """Recognise the text of a number that `int` or `float` does not take: ``"1,250"``, or ``"3.7"`` for `int`."""
    found = re.search(
        r"invalid literal for int\(\) with base 10: '(.*)'$|could not convert string to float: '(.*)'$", context.message
    )
    node = context.expression
    if found is None or not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return None
    text = (found[1] or found[2] or "").strip()
    function, argument = segment_of(context, node.func), segment_of(context, node.args[0])
    if function not in ("int", "float"):
        return None
    if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text) and (function == "float" or "." not in text):
        return here(replace_marked(context, f"{function}({argument}.replace(',', ''))"))
    if function == "int" and re.fullmatch(r"[+-]?\d+\.\d+", text):
        return here(replace_marked(context, f"int(float({argument}))"))
    return None


_DATE_FORMATS = (
    (r"\d{4}-\d\d-\d\d", "%Y-%m-%d"),
    (r"\d{4}/\d\d/\d\d", "%Y/%m/%d"),
    (r"(?:1[3-9]|2\d|3[01])/\d\d/\d{4}", "%d/%m/%Y"),
    (r"\d\d/(?:1[3-9]|2\d|3[01])/\d{4}", "%m/%d/%Y"),
    (r"(?:1[3-9]|2\d|3[01])-\d\d-\d{4}", "%d-%m-%Y"),
    (r"\d\d\.\d\d\.\d{4}", "%d.%m.%Y"),
    (r"\d\d:\d\d", "%H:%M"),
    (r"\d\d:\d\d:\d\d", "%H:%M:%S"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "%Y-%m-%d %H:%M:%S"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "%Y-%m-%dT%H:%M:%S"),
)


def _date_format(context: FailureContext) -> Correction | None:
    """Recognise a date in a format other than the one given.

    A text in which the day or the month may be first, ``03/04/2024``, has no correction.
    """
    found = re.search(r"time data ['\"](.+?)['\"] does(?: not|n't) match format ['\"](.+?)['\"]", context.message)
    if found is None:
        return None
    for pattern, written in _DATE_FORMATS:
        if re.fullmatch(pattern, found[1]):
            return here(rename_text(context, found[2], written), f"Write {written!r} instead of {found[2]!r}.")
    return None


# Files and URLs


def _near_file(context: FailureContext) -> Correction | None:
    """Recognise a misspelt file that has a near name in its directory, or a directory that is missing.

    The names in the directory are those of the hints. The directory is made by a new line before the failing one.
    """
    path = as_text(context.hints.get("path"))
    directory, _, name = path.rpartition("/")
    meant = clear_match(name, context.names)
    if meant is not None:
        new = f"{directory}/{meant}" if directory else meant
        return here(rename_text(context, path, new), f"Write {new!r} instead of {path!r}.")
    missing = directory and not directory.startswith("/") and context.hints.get("directory_exists") is False
    if not missing or context.line is None or not _WRITES.search(context.raw_line):
        return None
    indentation = context.raw_line[: len(context.raw_line) - len(context.raw_line.lstrip())]
    made = f"{indentation}import os; os.makedirs({directory!r}, exist_ok=True)"
    return insert_before(context, context.line, made, f"Make the directory {directory!r} first.")


def _with_scheme(context: FailureContext) -> Correction | None:
    """Recognise a URL that begins with its host: ``requests.get("example.com/users")``."""
    found = re.search(r"(?:Invalid URL|unknown url type:?) '([\w-]+(?:\.[\w-]+)+[^'\s:]*)'", context.message)
    return None if found is None else here(rename_text(context, found[1], f"https://{found[1]}"))


def _near_zone(context: FailureContext) -> Correction | None:
    """Recognise a misspelt time zone by those that this Python knows: ``Europe/Berln``."""
    import zoneinfo

    found = re.search(r"'([\w/+-]+)'|key ([\w/+-]+)", context.message)
    if found is None:
        return None
    zone = found[1] or found[2]
    meant = clear_match(zone, sorted(zoneinfo.available_timezones()))
    return None if meant is None else here(rename_text(context, zone, meant), f"Write {meant!r} instead of {zone!r}.")


# Tables and arrays


def _bitwise(context: FailureContext) -> Correction | None:
    """Recognise ``and`` and ``or`` between conditions on columns or arrays: ``(df.a > 1) and (df.b < 2)``."""
    node = context.expression
    if not isinstance(node, ast.BoolOp):
        return None
    operator = " & " if isinstance(node.op, ast.And) else " | "
    parts = [segment_of(context, each) for each in node.values]
    shown = [
        f"({part})" if isinstance(each, _COMPARED) else part for part, each in zip(parts, node.values, strict=True)
    ]
    return here(
        replace_marked(context, operator.join(shown)), f"Combine conditions with{operator}, each in parentheses."
    )


def _whole_index(context: FailureContext) -> Correction | None:
    """Recognise an index that is a quotient, and so a float: ``values[n / 2]``."""
    node = context.expression
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.BinOp) and isinstance(node.slice.op, ast.Div):
        index = segment_of(context, node.slice)
        if index.count("/") == 1:
            return here(replace_in_line(context, index, index.replace("/", "//")), "Write // instead of /.")
    return None


def _not_in_place(context: FailureContext) -> Correction | None:
    """Recognise an integer array that is to hold floats in place: ``counts *= 0.5``; a new array takes its name."""
    found = re.fullmatch(r"(\s*)([\w.\[\]]+) ([-+*/])= (.+)", context.raw_line)
    if found is None:
        return None
    return here(replace_line(context, f"{found[1]}{found[2]} = {found[2]} {found[3]} {found[4]}"))


def _grown_array(context: FailureContext) -> Correction | None:
    """Recognise `append` to an array: ``values.append(3)`` is ``values = np.append(values, 3)``."""
    statement = context.statement
    alias = next(iter(re.findall(r"import numpy as (\w+)", context.source)), "")
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value])) if (
            alias
        ):
            indentation = context.raw_line[: len(context.raw_line) - len(context.raw_line.lstrip())]
            return here(replace_line(context, f"{indentation}{name} = {alias}.append({name}, {ast.unparse(value)})"))
        case _:
            return None


def _shape_of(context: FailureContext, node: ast.expr) -> list[object]:
    """Return the shape of an array that the failing line names, from the hints; empty where it is not known."""
    name = ast.unparse(node)
    for facts in map(as_mapping, as_list(context.hints.get("objects"))):
        if facts.get("of") == name:
            return as_list(facts.get("shape"))
    return []


def _transposed(context: FailureContext) -> Correction | None:
    """Recognise a product of matrices of which the left one lies the other way."""
    node = context.expression
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _shape_of(context, node.left), _shape_of(context, node.right)
    if len(left) == 2 and right and left[0] == right[0] and left[1] != right[0]:
        one, two = segment_of(context, node.left), segment_of(context, node.right)
        return here(replace_marked(context, f"{one}.T @ {two}"), f"Transpose {one}: {one}.T @ {two}.")
    return None


def _as_rows(context: FailureContext) -> Correction | None:
    """Recognise one value for each row of a table, added to its columns."""
    node = context.expression
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _shape_of(context, node.left), _shape_of(context, node.right)
    if len(left) == 2 and len(right) == 1 and left[0] == right[0] and isinstance(node.right, ast.Name):
        written = segment_of(context, node.right)
        column = f"{written}[:, None]"
        start = context.marked.rindex(written)
        return here(
            replace_marked(context, f"{context.marked[:start]}{column}"), f"Write {column} for one value a row."
        )
    return None


def _two_dimensional(context: FailureContext) -> Correction | None:
    """Recognise a single column given to a model, which takes a table: ``model.fit(x, y)``."""
    node = context.expression
    if not isinstance(node, ast.Call) or not node.args or "fit" not in ast.unparse(node.func):
        return None
    first = segment_of(context, node.args[0])
    for facts in map(as_mapping, as_list(context.hints.get("objects"))):
        if facts.get("of") == first and len(as_list(facts.get("shape"))) == 1:
            column = f"{first}.to_frame()" if facts.get("library") == "pandas" else f"{first}.reshape(-1, 1)"
            return here(replace_in_line(context, f"({first}", f"({column}"), f"Make a column of it: {column}.")
    return None


def _annotated(context: FailureContext) -> Correction | None:
    """Recognise a field of a pydantic model without a type: ``price = 0.0``; its type is that of its default."""
    found = re.search(r"non-annotated attribute was detected: `(\w+) = (.+?)`", context.message)
    value = parsed_expression(found[2]) if found is not None else None
    if found is None or not isinstance(value, ast.Constant) or value.value is None:
        return None
    kind = type(value.value).__name__
    for number, line in enumerate(context.lines, 1):
        if re.match(rf"\s+{found[1]} = ", line):
            return on_line(
                context, number, f"{found[1]} =", f"{found[1]}: {kind} =", f"Annotate it: {found[1]}: {kind}."
            )
    return None


def _primary_key(context: FailureContext) -> Correction | None:
    """Recognise a table of SQLAlchemy without a primary key that has a column ``id``."""
    numbers = [
        number for number, line in enumerate(context.lines, 1) if re.search(r"\bid = (?:mapped_column|Column)\(", line)
    ]
    if len(numbers) != 1:
        return None
    line = context.line_at(numbers[0])
    inside = line[line.index("(") + 1 : line.rindex(")")]
    return on_line(context, numbers[0], f"({inside})", f"({', '.join(filter(None, [inside, 'primary_key=True']))})")


_FAULTS: tuple[tuple[str, Callable[[FailureContext], Correction | None]], ...] = (
    (r"^UnboundLocalError", _global_statement),
    (r"^NameError", _forgotten_quotes),
    (r"'NoneType' object", _in_place),
    (r"NoneType", _missing_return),
    (
        r"^AttributeError: .*(?:list|str|tuple|dict|set).* has no attribute '(?:length|len|size|count_items)'",
        _len_for_length,
    ),
    (
        r"'(?:str|list|tuple|dict|set)' object has no attribute '(?:contains|includes|has_key|hasOwnProperty)'",
        _in_for_contains,
    ),
    (r"^AttributeError: '(?:builtin_)?(?:function|method)(?:_or_method)?' object", _call_of_method),
    (r"^AttributeError: '(?:DataFrame|Series)' object", _column_as_attribute),
    (r"has no attribute '_validate_params'|missing 1 required positional argument: '[yX]'", _class_for_object),
    (r"^AttributeError: module", _shortened_name),
    (r"takes \d+ positional arguments? but", _self_parameter),
    (r"'int' object is not iterable", _range_of_number),
    (r"values to unpack", _items_of_dict),
    (r"changed size during iteration|changed during iteration", _copy_of_iterated),
    (r"'coroutine' object|a coroutine", _awaited_at_origin),
    (r"unsupported operand .*Decimal.*float|unsupported operand .*float.*Decimal", _decimal_of_float),
    (r"unsupported operand .*datetime\.date", _date_of_text),
    (r"can only concatenate str|unsupported operand|not supported between", _number_of_text),
    (r"'(?:list|dict|tuple|str)' object is not callable", _brackets_for_call),
    (r"string indices must be integers", _json_of_text),
    (r"'tuple' object does not support item assignment", _list_for_tuple),
    (r"Field required|is undefined", _near_keyword),
    (r"[Nn]o such (?:table|column|option)", _known_word),
    (r"Incorrect number of bindings", _one_tuple),
    (r"is not a valid \w+$", _enum_value),
    (r"^KeyError", _counted),
    (r"^KeyError", _key_of_other_type),
    (r"^KeyError", _nested_key),
    (r"^IndexError", _range_too_long),
    (r"invalid literal for int|could not convert string to float", _number_of_literal),
    (r"time data", _date_format),
    (r"^FileNotFoundError", _near_file),
    (r"Invalid URL|unknown url type", _with_scheme),
    (r"^(?:UnknownTimeZoneError|ZoneInfoNotFoundError)", _near_zone),
    (r"truth value of an? ", _bitwise),
    (r"only integers, slices", _whole_index),
    (r"Cannot cast ufunc", _not_in_place),
    (r"'numpy.ndarray' object has no attribute 'append'", _grown_array),
    (r"matmul: |not aligned", _transposed),
    (r"could not be broadcast", _as_rows),
    (r"Expected 2D array, got 1D", _two_dimensional),
    (r"non-annotated attribute", _annotated),
    (r"could not assemble any primary key", _primary_key),
)
"""Which messages mean which fault, by the type and the message, the first that finds a correction."""

_SURER: tuple[tuple[str, Callable[[FailureContext], Correction | None]], ...] = (
    (r"^NameError", value_corrections.other_loop_name),
    (
        r"^AttributeError: '(?:Series|DataFrame|numpy\.ndarray)' object has no attribute",
        table_corrections.function_of_library,
    ),
)
"""Faults that the program shows so clearly that they come before the correction of a near name."""

_ALL_FAULTS = (
    *async_corrections.FAULTS,
    *value_corrections.FAULTS,
    *table_corrections.FAULTS,
    *service_corrections.FAULTS,
    *_FAULTS,
    *program_corrections.FAULTS,
    *library_corrections.FAULTS,
)
