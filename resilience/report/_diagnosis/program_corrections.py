"""Corrections of faults of the language: a statement, a call or a class that means something else than it says.

Each function recognises one kind of fault in the program's own syntax tree, as those of `corrections` do, and returns
the `Correction`, or None. The fault is often on another line than the failure: in the ``__init__`` of a class, in a
decorator, in the line that opened a file. That line is corrected then, and named. Only classes and functions that the
program itself defines are looked at.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from resilience.report._diagnosis.ast_utils import code_of, parsed_expression
from resilience.report._diagnosis.context import FailureContext, FunctionNode, as_texts
from resilience.report._diagnosis.correction import (
    Correction,
    here,
    indentation_of,
    insert_before,
    on_line,
)
from resilience.report._diagnosis.line_edits import (
    rename_text,
    replace_in_line,
    replace_line,
    replace_marked,
    segment_of,
)
from resilience.report._diagnosis.rules import failing_node
from resilience.report._diagnosis.text import clear_match
from resilience.report._diagnosis.variable_origins import functions_named, origin_of

__all__ = ["FAULTS"]

# Methods without arguments whose result is what is indexed or asked.
_WITHOUT_ARGUMENTS = frozenset(
    {
        "keys",
        "values",
        "items",
        "split",
        "strip",
        "lower",
        "upper",
        "copy",
        "pop",
        "popitem",
        "read",
        "readline",
        "readlines",
        "json",
        "text",
        "fetchone",
        "fetchall",
        "groups",
        "groupdict",
        "splitlines",
        "tolist",
        "to_list",
        "to_dict",
        "model_dump",
        "all",
        "first",
        "one",
        "scalars",
    }
)
_TAKES_KEY = frozenset({"sorted", "min", "max", "sort"})


def _async_for(context: FailureContext) -> Correction | None:
    """Recognise `for` over an async generator, in a function that may await."""
    if not isinstance(context.statement, ast.For) or not isinstance(context.function, ast.AsyncFunctionDef):
        return None
    indentation = indentation_of(context.raw_line)
    return here(replace_line(context, f"{indentation}async {context.raw_line.strip()}"))


def _called_method(context: FailureContext) -> Correction | None:
    """Recognise a method that is indexed in place of its result: ``response.json["items"]``.

    The method must be one that needs no arguments: by its name, or by the parameters that the hints list.
    """
    node = context.expression
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Attribute):
        return None
    name = node.value.attr
    takes_none = "required" in context.hints and not as_texts(context.hints.get("required"))
    if name not in _WITHOUT_ARGUMENTS and not takes_none:
        return None
    target, index = segment_of(context, node.value), segment_of(context, node.slice)
    if name in ("keys", "values", "items"):
        advice = f"Call {name}(), and make a list of it, which has numbers: list({target}())."
        return here(replace_marked(context, f"list({target}())[{index}]"), advice)
    return here(replace_marked(context, f"{target}()[{index}]"), f"Call the method: {target}() is what it returns.")


def _call_for_brackets(context: FailureContext) -> Correction | None:
    """Recognise brackets for the parentheses of a function: ``print["done"]``."""
    node = context.expression
    if not isinstance(node, ast.Subscript) or (
        isinstance(node.value, ast.Attribute) and node.value.attr in _WITHOUT_ARGUMENTS
    ):
        return None
    target, index = segment_of(context, node.value), segment_of(context, node.slice)
    return here(replace_marked(context, f"{target}({index})"))


def _result_of_in_place(context: FailureContext) -> Correction | None:
    """Recognise a method that works in place, whose result is used at once: ``for each in values.sort():``.

    ``sorted`` and ``reversed`` take its place, with the same keywords.
    """
    node = failing_node(context)
    if isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.args:
        return None
    written, target = (code_of(each) for each in (node, node.func.value))
    arguments = ", ".join([target, *(f"{each.arg}={ast.unparse(each.value)}" for each in node.keywords if each.arg)])
    new = {"sort": f"sorted({arguments})", "reverse": f"reversed({target})"}.get(node.func.attr)
    if new is None or not written:
        return None
    return here(replace_in_line(context, written, new), f"{node.func.attr}() returns None: write {new}.")


def _merged_dict(context: FailureContext) -> Correction | None:
    """Recognise the result of `update`, which is None: ``options = defaults.update(more)``.

    The line that assigns it merges both into a new dict, and leaves the old one as it is.
    """
    node = context.expression
    target = node.value if isinstance(node, (ast.Subscript, ast.Attribute)) else None
    origin = origin_of(context, target.id) if isinstance(target, ast.Name) else None
    match origin.value if origin is not None else None:
        case ast.Call(func=ast.Attribute(value=holder, attr="update"), args=[argument], keywords=[]):
            assert origin is not None
            code = context.line_at(origin.line).strip()
            written = code.partition(" = ")[2]
            new = f"{{**{ast.unparse(holder)}, **{ast.unparse(argument)}}}"
            return on_line(context, origin.line, written, new, f"update() returns None: write {new}.")
        case _:
            return None


def _without_none(context: FailureContext) -> Correction | None:
    """Recognise None among values that are sorted or compared: ``sorted(readings)``.

    A call with a key function is left alone: that may handle None.
    """
    node = context.expression
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in _TAKES_KEY:
        return None
    if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], ast.Name):
        return None
    name = node.args[0].id
    new = f"{node.func.id}(each for each in {name} if each is not None)"
    return here(replace_marked(context, new), f"{name} has None among its elements: leave it out, `is not None`.")


def _forgotten_super(context: FailureContext) -> Correction | None:
    """Recognise an ``__init__`` that does not call that of its base, where the missing attribute is set.

    The call gets the parameters that both have by name; where the base needs others, there is no correction.
    """
    name = str(context.hints.get("name", ""))
    owner = str(context.hints.get("owner", ""))
    classes = {node.name: node for node in _classes(context)}
    own = classes.get(owner)
    initial = _initialiser(own)
    if own is None or initial is None or "super()" in ast.unparse(initial):
        return None
    for base in own.bases:
        above = classes.get(base.id) if isinstance(base, ast.Name) else None
        inherited = _initialiser(above)
        if above is None or inherited is None or not _sets(inherited, name):
            continue
        wanted = [each.arg for each in inherited.args.args[1:]]
        needed = wanted[: len(wanted) - len(inherited.args.defaults)]
        given = [each.arg for each in initial.args.args]
        if not all(each in given for each in needed):
            continue
        call = f"super().__init__({', '.join(each for each in wanted if each in given)})"
        line = initial.body[0].lineno
        advice = f"{owner}.__init__ does not call that of {above.name}, which sets {name}: call {call} first."
        return insert_before(context, line, f"{indentation_of(context.line_at(line))}{call}", advice)
    return None


def _classes(context: FailureContext) -> Iterator[ast.ClassDef]:
    if context.tree is not None:
        yield from (node for node in ast.walk(context.tree) if isinstance(node, ast.ClassDef))


def _initialiser(node: ast.ClassDef | None) -> FunctionNode | None:
    body = node.body if node is not None else []
    return next((each for each in body if isinstance(each, FunctionNode) and each.name == "__init__"), None)


def _sets(function: FunctionNode, name: str) -> bool:
    return any(
        isinstance(each, ast.Attribute) and each.attr == name and isinstance(each.ctx, ast.Store)
        for each in ast.walk(function)
    )


def _replaced_field(context: FailureContext) -> Correction | None:
    """Recognise an assignment to a field of a namedtuple, ``point.x = 3``: the hints show that it has ``_replace``."""
    match context.statement:
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=name), attr=field)], value=value):
            written = ast.unparse(value)
        case _:
            return None
    indentation = indentation_of(context.raw_line)
    if "_replace" in context.names:
        new = f"{name}._replace({field}={written})"
        advice = f"A namedtuple cannot be changed: make a new one with {new}."
        return here(replace_line(context, f"{indentation}{name} = {new}"), advice)
    return None


def _added_days(context: FailureContext) -> Correction | None:
    """Recognise a number of days added to a date: ``deadline + 7``.

    Where the program imports other names of `datetime` alone, the line imports `timedelta` by itself, and the advice
    says how it is done properly.
    """
    node = context.expression
    found = re.search(r"for (?P<op>[-+]): 'datetime\.date(?:time)?' and '(?:int|float)'", context.message)
    if found is None or not isinstance(node, ast.BinOp):
        return None
    target, days = segment_of(context, node.left), segment_of(context, node.right)
    in_module = re.search(r"^import datetime$", context.source, re.MULTILINE) is not None
    made = f"{'datetime.' if in_module else ''}timedelta(days={days})"
    advice = f"Days are added to a date as a timedelta: {target} {found['op']} {made}."
    if in_module or re.search(r"import .*\btimedelta\b", context.source):
        return here(replace_marked(context, f"{target} {found['op']} {made}"), advice)
    imported = re.search(r"^from datetime import [\w, ]+$", context.source, re.MULTILINE)
    if imported is None:
        return here(None, advice)
    new = f'{target} {found["op"]} __import__("datetime").{made}'
    return here(replace_marked(context, new), f"{advice} It is imported by: {imported[0]}, timedelta.")


def _nonlocal_statement(context: FailureContext) -> Correction | None:
    """Recognise a variable of the outer function that an inner one changes: ``count += 1``.

    The inner function gets ``nonlocal count`` as its first line.
    """
    name, inner = context.hint("name"), context.function
    for outer in ast.walk(context.tree) if context.tree is not None and inner is not None else ():
        if not isinstance(outer, FunctionNode) or inner is None or inner not in outer.body:
            continue
        own = [each for each in outer.body if isinstance(each, ast.Assign)]
        if name in [ast.unparse(target) for each in own for target in each.targets]:
            line = inner.body[0].lineno
            made = f"{indentation_of(context.line_at(line))}nonlocal {name}"
            return insert_before(context, line, made, f"{name} belongs to {outer.name}(): write nonlocal {name} first.")
    return None


def _joined_path(context: FailureContext) -> Correction | None:
    """Recognise a path joined by +: ``folder + "a.txt"``."""
    node = context.expression
    if not isinstance(node, ast.BinOp) or "PosixPath' and 'str'" not in context.message.replace("Windows", "Posix"):
        return None
    new = f"{segment_of(context, node.left)} / {segment_of(context, node.right)}"
    return here(replace_marked(context, new), f"Paths are joined by /: {new}.")


def _hidden_builtin(context: FailureContext) -> Correction | None:
    """Recognise a variable that hides the function of its name: ``sum = 0`` and then ``sum(values)``.

    To rename the variable would change several lines, so the failing one calls the function of `builtins`.
    """
    import builtins

    node = context.expression
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None
    name = node.func.id
    origin = origin_of(context, name) if hasattr(builtins, name) else None
    if origin is None:
        return None
    advice = f"The variable {name} of line {origin.line} hides the built-in function {name}(): rename the variable."
    if context.raw_line.count(name) == 1:
        return here(None, advice)
    return here(replace_marked(context, f"__import__('builtins').{segment_of(context, node)}"), advice)


def _open_mode(context: FailureContext) -> Correction | None:
    """Recognise a file that is open for writing alone, and is read: let it be opened for both.

    Mode ``w`` becomes ``w+`` on the line that opened the file.
    """
    node = context.expression
    target = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    origin = origin_of(context, target.id) if isinstance(target, ast.Name) else None
    if origin is None or "not readable" not in context.message:
        return None
    for quote in "'\"":
        for mode in ("w", "wb", "a", "ab"):
            old, new = f"{quote}{mode}{quote}", f"{quote}{mode[0]}+{mode[1:]}{quote}"
            if old in origin.code and "open(" in origin.code:
                return on_line(context, origin.line, old, new, f"Open it to be written and read: mode {new}.")
    return None


def _group_count(context: FailureContext) -> Correction | None:
    """Recognise a group that the pattern does not have: ``match.group(3)``.

    The pattern of the program is compiled, and never matched: it may be slow on a text.
    """
    node = context.expression
    target = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    origin = origin_of(context, target.id) if isinstance(target, ast.Name) else None
    call = origin.value if origin is not None else target
    patterns = [
        each.value
        for each in (ast.walk(call) if call is not None else ())
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    if not patterns or not isinstance(node, ast.Call) or not node.args:
        return None
    try:
        compiled = re.compile(patterns[0])
    except re.error:
        return None
    asked = node.args[0]
    meant = clear_match(str(asked.value), compiled.groupindex) if isinstance(asked, ast.Constant) else None
    if isinstance(asked, ast.Constant) and isinstance(asked.value, str) and meant is not None:
        return here(rename_text(context, asked.value, meant), f"Write {meant!r}: the pattern has it.")
    names = f": {', '.join(compiled.groupindex)}" if compiled.groupindex else ""
    advice = f"The pattern has {compiled.groups} groups{names}; group(0) is all that matched."
    if isinstance(asked, ast.Constant) and isinstance(asked.value, int) and asked.value == compiled.groups + 1:
        return here(replace_in_line(context, f"({asked.value})", f"({compiled.groups})"), advice)
    return here(None, advice)


def _known_text(context: FailureContext) -> Correction | None:
    """Recognise a key that the program writes in another way elsewhere: as a keyword, or as a text.

    It is for dicts whose keys were not captured. None where the program has the missing key, too.
    """
    node = context.expression
    key = context.message.strip()
    if not isinstance(node, ast.Subscript) or key[:1] not in "'\"" or context.tree is None or context.hints.get("keys"):
        return None
    word = key.strip("'\"")
    texts = {
        each.value: each.lineno
        for each in ast.walk(context.tree)
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.lineno != context.line
    }
    keywords = {each.arg: each.lineno for each in ast.walk(context.tree) if isinstance(each, ast.keyword) and each.arg}
    written = {**texts, **keywords}
    meant = clear_match(word, [each for each in written if len(each) > 2])
    if meant is None or word in written:
        return None
    for quote in "'\"":
        fix = replace_in_line(context, f"{quote}{word}{quote}", f"{quote}{meant}{quote}")
        if fix is not None:
            return here(fix, f"Write {meant!r} instead of {word!r}: line {written[meant]} has it.")
    return None


def _called_on_class(context: FailureContext) -> Correction | None:
    """Recognise a method that is called on a class of the program, ``Stack.push(3)``.

    An object is made where that needs no values: ``Stack().push(3)``.
    """
    node = context.expression
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=_)):
            pass
        case _:
            return None
    found = next((each for each in _classes(context) if each.name == owner), None)
    initial = _initialiser(found)
    if found is None or (found.bases and initial is None) or found.decorator_list:
        return None
    if initial is not None and len(initial.args.args) - len(initial.args.defaults) > 1:
        return None
    return here(replace_in_line(context, f"{owner}.", f"{owner}()."), f"Call it on an object of the class: {owner}().")


def _factory_of_default(context: FailureContext) -> Correction | None:
    """Recognise a list, dict or set as the default of a dataclass field: ``tags: list = []``.

    Where ``field`` is not imported, the line imports it by itself.
    """
    found = re.search(r"mutable default <class '(list|dict|set)'> for field (\w+)", context.message)
    if found is None:
        return None
    written = f"field(default_factory={found[1]})"
    advice = f"Write {written} as the default of {found[2]}; field is imported from dataclasses."
    for number, line in enumerate(context.lines, 1):
        given = re.match(rf"\s+{found[2]}\s*:[^=]+= *(?P<value>.+?)\s*$", line)
        if given is not None:
            module = "" if re.search(r"import .*\bfield\b", context.source) else '__import__("dataclasses").'
            return on_line(context, number, f"= {given['value']}", f"= {module}{written}", advice)
    return here(None, advice)


def _misspelt_method(context: FailureContext) -> Correction | None:
    """Recognise a method that is to implement an abstract one, and is written in another way: ``def aera(self)``."""
    found = re.search(
        r"abstract class (\w+) with(?:out an implementation for)? abstract methods? '?(\w+)'?$", context.message
    )
    for each in _classes(context) if found is not None else ():
        if found is None or each.name != found[1]:
            continue
        methods = {node.name: node.lineno for node in each.body if isinstance(node, FunctionNode)}
        meant = clear_match(found[2], methods)
        if meant is None:
            return None
        line = methods[meant]
        advice = f"Define {found[2]} in the class: line {line} calls it {meant}."
        return on_line(context, line, f"def {meant}(", f"def {found[2]}(", advice)
    return None


def _dumped_as_text(context: FailureContext) -> Correction | None:
    """Recognise a date or a number that JSON has no form of: ``json.dumps({"day": date.today()})``."""
    node = context.expression
    if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return None
    new = f"{segment_of(context, node.func)}({segment_of(context, node.args[0])}, default=str)"
    return here(replace_marked(context, new), "Let json make texts of what it has no form for: default=str.")


def _called_value(context: FailureContext) -> Correction | None:
    """Recognise parentheses after a value: of a property, ``df.shape()``, or for brackets, ``df["x"](0)``.

    Not where a library raised: there the call itself was fine.
    """
    node = context.expression
    if not isinstance(node, ast.Call) or node.keywords or context.library_function:
        return None
    written = segment_of(context, node.func)
    if isinstance(node.func, ast.Attribute) and not node.args:
        advice = f"Leave out the parentheses: {written} is a value, and no method."
        return here(replace_marked(context, written), advice)
    if isinstance(node.func, ast.Subscript) and len(node.args) == 1:
        new = f"{written}[{segment_of(context, node.args[0])}]"
        return here(replace_marked(context, new), f"Take an element with brackets: {new}.")
    return None


def _class_for_its_object(context: FailureContext) -> Correction | None:
    """Recognise a variable that holds a class of the program where an object of it is used: ``stack = Stack``."""
    match context.expression:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
            origin = origin_of(context, name)
        case _:
            return None
    made = origin.value.id if origin is not None and isinstance(origin.value, ast.Name) else ""
    if origin is None or made not in {each.name for each in _classes(context)}:
        return None
    advice = f"Make an object of the class on line {origin.line}: {made}()."
    return on_line(context, origin.line, f"= {made}", f"= {made}()", advice)


def _silent_decorator(context: FailureContext) -> Correction | None:
    """Recognise a decorator that returns nothing in place of its inner function.

    What it decorates is None then. The inner function must be the last statement of the decorator.
    """
    node = context.expression
    name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    for function in functions_named(context, name) if name else ():
        for decorator in function.decorator_list:
            for outer in functions_named(context, ast.unparse(decorator)):
                inner = outer.body[-1]
                if isinstance(inner, FunctionNode) and inner.end_lineno is not None:
                    line = f"{indentation_of(context.line_at(inner.lineno))}return {inner.name}"
                    advice = f"{outer.name}() is a decorator and returns nothing: let it return {inner.name}."
                    return insert_before(context, inner.end_lineno + 1, line, advice)
    return None


def _misspelt_key(context: FailureContext) -> Correction | None:
    """Recognise a misspelt key that is read as an attribute: ``user.nmae``.

    The captured value of the variable shows the keys of the dict.
    """
    node = context.expression
    target = node.value if isinstance(node, ast.Attribute) else None
    value = parsed_expression(str(context.value_of(target.id))) if isinstance(target, ast.Name) else None
    keys = [
        each.value
        for each in (value.keys if isinstance(value, ast.Dict) else ())
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    if not isinstance(node, ast.Attribute) or not keys:
        return None
    meant = node.attr if node.attr in keys else clear_match(node.attr, keys)
    if meant is None:
        return None
    new = f'{segment_of(context, node.value)}["{meant}"]'
    return here(replace_marked(context, new), f"Read the key: {new}.")


FAULTS: tuple[tuple[str, Callable[[FailureContext], Correction | None]], ...] = (
    (r"'async_generator' object is not iterable", _async_for),
    (r"'(?:builtin_function_or_)?method' object is not subscriptable", _called_method),
    (r"'(?:builtin_function_or_method|function|method|type)' object is not subscriptable", _call_for_brackets),
    (r"^UnboundLocalError", _nonlocal_statement),
    (r"NoneType", _result_of_in_place),
    (r"'NoneType' object", _merged_dict),
    (r"not supported between instances of '(?:NoneType' and '\w+|\w+' and 'NoneType)'", _without_none),
    (r"^AttributeError: '\w+' object has no attribute", _forgotten_super),
    (r"^AttributeError: can't set attribute|object has no setter", _replaced_field),
    (r"unsupported operand type\(s\) for [-+]: 'datetime\.date", _added_days),
    (r"unsupported operand type\(s\) for \+: '(?:Posix|Windows)Path'", _joined_path),
    (r"'(?:int|float|str|list|dict|set|tuple|bool)' object is not callable", _hidden_builtin),
    (r"UnsupportedOperation: not readable", _open_mode),
    (r"no such group", _group_count),
    (r"'dict' object has no attribute", _misspelt_key),
    (r"'NoneType' object is not callable", _silent_decorator),
    (r"missing \d+ required positional argument", _class_for_its_object),
    (r"object is not callable", _called_value),
    (r"Object of type (?:date|datetime|time|timedelta|Decimal|UUID|PosixPath) is not JSON", _dumped_as_text),
    (r"Can't instantiate abstract class", _misspelt_method),
    (r"missing 1 required positional argument: 'self'", _called_on_class),
    (r"mutable default <class", _factory_of_default),
    (r"^KeyError", _known_text),
)
"""Which messages mean which fault, by the type and the message, the first that finds a correction."""
