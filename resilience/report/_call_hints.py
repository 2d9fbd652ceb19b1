"""Hints of the call that failed: the parameters of the function, and the tables and arrays of the program's line.

``f() got an unexpected keyword argument 'colour'`` does not say which arguments there are; the function in reach of the
frame does. Functions are found by the names in the source, without running any code of the program; `inspect.signature`
runs under a limit of steps, as it may meet a property.

It runs in the worker process of an execution as well, and is imported once there is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from resilience.report._frames import Call, line_of, locals_of
from resilience.report._path_redaction import is_library
from resilience.report._static_introspection import (
    class_attribute,
    class_of,
    exception_slot,
    instance_attributes,
    is_instance,
    mro_of,
    name_of,
)
from resilience.report._step_limit import with_step_limit

if TYPE_CHECKING:
    from resilience.report.captured_exception import Json

__all__ = ["object_hints", "own_call", "signature_hints"]

_MAX_OBJECTS = 4
_MAX_PARAMETERS = 80
_MAX_STATEMENT = 40
_KEYWORD = re.compile(r"keyword|argument", re.IGNORECASE)
_NEAR = 0.8
_STEPS = 50_000
# The signature that the documentation of a function of C begins with.
_DOCUMENTED = re.compile(r"(?:^|\n)(?P<name>\w+)\((?P<parameters>[^()]*=[^()]*)\)")


def own_call(calls: Sequence[Call]) -> Call | None:
    """Return the innermost call of the program itself; of those of libraries alone, the innermost.

    Hints about the program's own line are taken from this call, as that is the line to be corrected.
    """
    for call in reversed(calls):
        if not is_library(call.frame.f_code.co_filename):
            return call
    return calls[-1] if calls else None


def signature_hints(exc: BaseException, calls: Sequence[Call]) -> dict[str, Json]:
    """Return the ``parameters`` that a function takes, ``required`` ones apart, where a call of it was refused.

    It applies to a TypeError or AttributeError whose message speaks of an argument or a keyword. The first of these
    that is known counts: the properties of an object's ``set()``, the function that handed the keyword on, the callee.
    """
    if not (is_instance(exc, TypeError) or is_instance(exc, AttributeError)):
        return {}
    args = exception_slot(exc, BaseException, "args")
    message = args[0] if args and type(args[0]) is str else ""
    if not _KEYWORD.search(message):
        return {}
    for name, owner in _owners(message, calls):
        found = _settable(owner) if name == "set" else None
        if found:
            return {"parameters": found, "required": []}
    handed_on = _handed_on(message, own_call(calls))
    if handed_on:
        return {"parameters": handed_on, "required": []}
    callees = (_callee(calls[-1]), _callee(own_call(calls))) if calls else ()
    for callee in callees:
        parameters = _parameters(callee)
        if parameters is not None:
            return parameters
    return {}


def _handed_on(message: str, call: Call | None) -> list[Json]:
    """Return the parameters of the program's own call, where it handed a misspelt one of them on with ``**kwargs``.

    The library's inner function refuses the keyword, though the misspelling is that of the outer call.
    """
    import ast
    import difflib

    from resilience.report._hints import failed_expression

    found = re.search(r"unexpected keyword argument '(\w+)'", message)
    node = failed_expression(call) if call is not None else None
    if found is None or not isinstance(node, ast.Call) or found[1] not in [each.arg for each in node.keywords]:
        return []
    named = _named(_callee(call))
    near = difflib.get_close_matches(found[1], named, n=1, cutoff=_NEAR)
    return [*named] if near and found[1] not in named else []


def _named(callee: object) -> list[str]:
    """Return the names of all parameters of a function that can be given by name."""
    import inspect

    function: Any = callee
    try:
        signature = with_step_limit(lambda: inspect.signature(function), _STEPS)
    except Exception:  # None, and builtin functions of C
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = [each.name for each in signature.parameters.values() if each.kind in kinds]
    return [each for each in named[:_MAX_PARAMETERS] if each not in ("self", "cls")]


def _owners(message: str, calls: Sequence[Call]) -> Iterator[tuple[str, object]]:
    """Yield the method that a message names and the object it was called on: `Line2D.set()`, `self` of the raiser.

    Only the last three calls are searched.
    """
    named = re.match(r"(\w+)\.(\w+)\(\)", message)
    if named is None or not calls:
        return
    for call in reversed(calls[-3:]):
        owner = locals_of(call.frame).get("self")
        if owner is not None and any(name_of(kind) == named[1] for kind in mro_of(class_of(owner))):
            yield named[2], owner


def _settable(owner: object) -> list[Json]:
    """Return the properties that an object has a `set_...` method for, as those of matplotlib have.

    Its constructor's own parameters come first: ``figsize`` of a Figure, which is no property.
    """
    names = {name for kind in mro_of(class_of(owner)) for name in vars(kind)}
    code = getattr(class_attribute(class_of(owner), "__init__"), "__code__", None)
    made = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount] if code is not None else ()
    found = [*made, *(name.removeprefix("set_") for name in sorted(names) if name.startswith("set_"))]
    return list(dict.fromkeys(found))


def _callee(call: Call | None) -> object:
    """Return the function that a call was at; None where it is not known for sure.

    A method is found on the class of its object, also where that object is made on the same line, ``Model().fit(x)``.
    """
    from resilience.report._hints import UNKNOWN, evaluate, failed_expression

    node = failed_expression(call) if call is not None else None
    import ast

    if call is None or not isinstance(node, ast.Call):
        return None
    found = evaluate(node.func, call)
    if found is UNKNOWN and isinstance(node.func, ast.Attribute):
        owner = evaluate(node.func.value, call)
        if owner is UNKNOWN:
            owner = _result(node.func.value, call)
        found = None if owner is UNKNOWN or owner is None else class_attribute(_kind(owner), node.func.attr)
    return None if found is UNKNOWN else found


def _kind(owner: object) -> Any:
    return owner if issubclass(class_of(owner), type) else class_of(owner)


def _result(node: object, call: Call) -> object:
    """Return the class that an expression makes an object of: `Model(...).fit()`."""
    import ast

    from resilience.report._hints import UNKNOWN, evaluate

    if not isinstance(node, ast.Call):
        return UNKNOWN
    made = evaluate(node.func, call)
    return made if made is not UNKNOWN and issubclass(class_of(made), type) else UNKNOWN


def _parameters(callee: object) -> dict[str, Json] | None:
    """Return the parameters that can be given by name, and those without a default.

    None for a function with ``**kwargs``, which takes any keyword, and where the signature cannot be had.
    """
    if callee is None:
        return None
    import inspect

    if type(callee) in (staticmethod, classmethod):
        callee = instance_attributes(callee).get("__func__", callee)
    function: Any = callee
    try:
        signature = with_step_limit(lambda: inspect.signature(function), _STEPS)
    except Exception:  # builtin functions of C have none
        return _documented(function)
    named = [
        each
        for each in list(signature.parameters.values())[:_MAX_PARAMETERS]
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) and each.name not in ("self", "cls")
    ]
    if any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values()):
        return None  # it takes any; who raised it knows better
    return {
        "parameters": [each.name for each in named],
        "required": [each.name for each in named if each.default is each.empty],
    }


def _documented(callee: Any) -> dict[str, Json] | None:
    """Return the parameters that the documentation of a class begins with: ``timedelta(days=0, seconds=0, ...)``.

    Classes in C have no signature that `inspect` can read.
    """
    if not issubclass(class_of(callee), type):
        return None
    text = class_attribute(callee, "__doc__")
    found = _DOCUMENTED.search(text[:500]) if type(text) is str else None
    if found is None or found["name"] != name_of(callee):
        return None
    names = re.findall(r"(\w+)=", found["parameters"])
    return {"parameters": [*names], "required": []}


def object_hints(calls: Sequence[Call]) -> dict[str, Json]:
    """Return the ``objects``: tables and arrays on the program's line, and the one that a library was at.

    Where none of the known libraries is imported, nothing is looked at. At most four objects of the line are described,
    by `facts_of`; the one of the library has the empty name.
    """
    import sys

    if not any(each in sys.modules for each in ("pandas", "polars", "numpy", "xarray")):
        return {}
    from resilience.report._library_objects import facts_of

    call = own_call(calls)
    found: list[Json] = []
    for name, value in _objects(call) if call is not None else ():
        facts = facts_of(value)
        if facts is not None and len(found) < _MAX_OBJECTS:
            found.append({"of": name, **facts})
    for inner in reversed(calls[-8:]):
        facts = facts_of(locals_of(inner.frame).get("self")) if inner is not call else None
        if facts is not None:
            found.append({"of": "", **facts})
            break
    return {"objects": found} if found else {}


def _objects(call: Call) -> Iterator[tuple[str, object]]:
    """Yield the names, attributes and subscripts of the statement that failed, as written, with their values."""
    import ast

    from resilience.report._hints import UNKNOWN, evaluate

    seen: set[str] = set()
    for node in _statement(call):
        for each in ast.walk(node):
            if isinstance(each, (ast.Name, ast.Attribute, ast.Subscript)):
                name = ast.unparse(each)
                value = UNKNOWN if name in seen else evaluate(each, call)
                seen.add(name)
                if value is not UNKNOWN:
                    yield name, value


def _statement(call: Call) -> list[Any]:
    """Return the trees of the line that a call was at, and of those it goes on in, where they can be parsed.

    Lines are added until the text parses, at most 40; the head of a block is parsed with ``pass`` as its body.
    """
    import ast
    import textwrap

    text = ""
    for line in range(call.line, call.line + _MAX_STATEMENT):
        text += line_of(call, line)
        for frame in ("{}", "{} pass"):
            try:
                return list(ast.parse(frame.format(textwrap.dedent(text).rstrip())).body)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
    return []
