"""Hints that only live objects can give: names in reach, keys of a mapping, the length of a sequence.

A traceback says ``KeyError: 'lmap'``; a correction needs the keys that the mapping has. They are collected here, as
plain values, before the objects are gone, and `_diagnosis` chooses among them. Numbers of names, keys and files are
bounded.

Runs no code of the program: no property, no ``__getattr__``, no ``__dir__``. A value that is not certain without that
is `UNKNOWN`, never a guess. It runs in the worker process of an execution as well, and is imported once there is a
failure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from resilience.report._frames import Call, line_of, locals_of, span_of
from resilience.report._safe_repr import SafeRepr
from resilience.report._static_introspection import (
    class_of,
    exception_slot,
    instance_attributes,
    is_instance,
    mro_of,
    name_of,
)

if TYPE_CHECKING:
    import ast

    from resilience.report.captured_exception import Json

__all__ = ["UNKNOWN", "evaluate", "failed_expression", "hints_of"]

_MAX_NAMES = 500
_MAX_OWN = 400
_MAX_NEAR = 10
_MAX_KEYS = 50
_MAX_NAME = 100
_MAX_FILES = 2000
_MODULE = class_of(sys)
UNKNOWN = object()


def hints_of(exc: BaseException, calls: Sequence[Call], safe_repr: SafeRepr) -> dict[str, Json]:
    """Return the hints of an exception with *calls*, the innermost last: see `Captured`.

    The class of *exc* decides what is looked for; parameters, tables and alternatives of a refused word come on top. An
    error of it costs the hints alone: `capture` catches it.
    """
    from resilience.report._call_hints import object_hints, own_call, signature_hints

    call = calls[-1] if calls else None
    found: dict[str, Json] = {}
    if is_instance(exc, NameError):
        found = _name_hints(exc, call)
    elif is_instance(exc, AttributeError):
        found = _attribute_hints(exc) or _of_failed_attribute(calls)
    elif is_instance(exc, ImportError):
        found = _import_hints(exc)
    elif is_instance(exc, KeyError) or is_instance(exc, IndexError):
        found = _subscript_hints(exc, call, safe_repr)
    elif is_instance(exc, FileNotFoundError):
        found = _file_hints(exc)
    found = {**found, **signature_hints(exc, calls), **object_hints(calls)}
    own = own_call(calls)
    if own is None or own is calls[-1]:
        return found
    from resilience.report._alternatives import alternative_hints

    return {**found, **alternative_hints(exc, calls, own)}


def _names(names: Iterable[object]) -> list[Json]:
    found = dict.fromkeys(
        name
        for name in names
        if type(name) is str and name.isidentifier() and len(name) <= _MAX_NAME and not name.startswith("__")
    )
    return list(islice(found, _MAX_NAMES))


def _name_hints(exc: NameError, call: Call | None) -> dict[str, Json]:
    """Return the name that is not defined and all names in reach, ``self.price`` first where the object has it."""
    name = exception_slot(exc, NameError, "name")
    if name is None and is_instance(exc, UnboundLocalError) and type(exc.args[0]) is str:  # it has none
        name = exc.args[0].partition("'")[2].partition("'")[0]
    if type(name) is not str or not name or call is None:
        return {}
    frame = call.frame
    variables = locals_of(frame)
    names = [*variables, *frame.f_globals, *frame.f_builtins]
    if "self" in variables and name in _attributes_of(variables["self"]):
        return {"name": name, "names": [f"self.{name}", *_names(names)]}
    return {"name": name, "names": _names(names)}


def _attributes_of(value: Any) -> dict[str, None]:
    """Return the names of the attributes of an object, its own first."""
    is_class = issubclass(class_of(value), type)
    kinds = mro_of(value if is_class else class_of(value))
    own = {} if is_class else instance_attributes(value)
    found: dict[str, None] = dict.fromkeys(name for name in own if type(name) is str)
    for kind in kinds:
        found.update(dict.fromkeys(type.__getattribute__(kind, "__dict__")))
    return found


def _attribute_hints(exc: AttributeError) -> dict[str, Json]:
    """Return the attribute that is missing, the type of its object and the object's attributes: see `Captured`."""
    name, owner = exception_slot(exc, AttributeError, "name"), exception_slot(exc, AttributeError, "obj")
    if type(name) is not str or (owner is None and "NoneType" not in str(exception_slot(exc, BaseException, "args"))):
        return {}  # raised by a library that names an attribute, and no object
    return _hints_of_attribute(name, owner)


def _hints_of_attribute(name: str, owner: Any) -> dict[str, Json]:
    """Return the hints of the attribute *name* that *owner*, an object, a class or a module, does not have.

    ``owner`` is text for a sentence: ``module json``, ``class Order``, ``dict``.
    """
    if type(owner) is _MODULE:
        called = f"module {_module_name(owner)}"
    elif issubclass(class_of(owner), type):
        called = f"class {name_of(owner)}"
    else:
        called = name_of(class_of(owner))
    names = list(_attributes_of(owner))
    if len(names) > _MAX_NAMES:  # the near ones are not to be cut off
        names = [*_similar(name, names), *names]
    return {"name": name, "owner": called, "library": _library_of(owner), "names": _names(names)}


def _library_of(owner: Any) -> str:
    """Return the package that an object belongs to by its class, or by a base of it."""
    if type(owner) is _MODULE:
        return _module_name(owner).partition(".")[0]
    kind = owner if issubclass(class_of(owner), type) else class_of(owner)
    for base in mro_of(kind):
        found = vars(type)["__module__"].__get__(base)
        top = found.partition(".")[0] if type(found) is str else ""
        if top not in ("builtins", "__main__", "") and top not in sys.stdlib_module_names:
            return top
    return ""


def _of_failed_attribute(calls: Sequence[Call]) -> dict[str, Json]:
    """Return the hints of an attribute error that a library has raised without the object: those of the program.

    The expression of the program's line is evaluated statically: of ``frame.colums`` the attributes of ``frame``.
    """
    from resilience.report._call_hints import own_call

    call = own_call(calls)
    node = failed_expression(call) if call is not None else None
    import ast

    if call is None or not isinstance(node, ast.Attribute):
        return {}
    owner = evaluate(node.value, call)
    if owner is UNKNOWN:
        return {}
    return _hints_of_attribute(node.attr, owner)


def _module_name(module: object) -> str:
    name = vars(module).get("__name__")
    return name if type(name) is str else "?"


def _import_hints(exc: ImportError) -> dict[str, Json]:
    """Return the name that a module does not have, or the module that does not exist, and names to compare it with."""
    module = exception_slot(exc, ImportError, "name")
    if type(module) is not str:
        return {}
    if is_instance(exc, ModuleNotFoundError):
        return {"name": module, **_modules_beside(module)}
    wanted = _imported_name(exc)
    if wanted is None:
        return {"name": module}
    found = sys.modules.get(module)
    names = _names([*islice(vars(found), _MAX_OWN), *_modules_in(found)]) if type(found) is _MODULE else []
    return {"name": wanted, "from": module, "names": names}


def _modules_beside(module: str) -> dict[str, Json]:
    """Return the modules that *module* could have been meant for: in its package, or at the top.

    In a package all modules are given, at the top level similar ones alone: an environment may hold thousands.
    """
    package = module.rpartition(".")[0]
    if package:
        return {"package": package, "names": _names(_modules_in(sys.modules.get(package)))}
    near = _similar(module, [name for name in _found_in(None) if name not in sys.stdlib_module_names])
    return {"names": _names(near)} if near else {}


def _similar(word: str, names: list[str]) -> list[str]:
    """Return the *names* that are like *word*: first those that differ in case and underscores alone."""
    import difflib

    same = [name for name in names if name.lower().replace("_", "") == word.lower().replace("_", "")]
    return [*same, *difflib.get_close_matches(word[:_MAX_NAME], names, n=_MAX_NEAR, cutoff=0.7)]


def _modules_in(package: object) -> list[str]:
    path = vars(package).get("__path__") if type(package) is _MODULE else None
    return [] if path is None else _found_in(path)


def _found_in(path: Any) -> list[str]:
    """Return the modules in the directories of *path*; None: of all where modules are looked for. None is imported.

    A finder that the program has installed may raise anything; then there are none.
    """
    import pkgutil

    try:
        return sorted(each.name for each in pkgutil.iter_modules(path))
    except Exception:  # whatever the program has made of it
        return []


def _imported_name(exc: ImportError) -> str | None:
    """Return the name of a ``from module import name`` that failed; before Python 3.12 the message alone has it."""
    if "name_from" in vars(ImportError):  # since CPython 3.12
        wanted = exception_slot(exc, ImportError, "name_from")
    else:
        message = str(exception_slot(exc, ImportError, "msg"))
        wanted = message.removeprefix("cannot import name ").partition(" from ")[0].strip("'")
    return wanted if type(wanted) is str and wanted.isidentifier() else None


def _file_hints(exc: OSError) -> dict[str, Json]:
    """Return the path of the file that is missing, whether its directory exists, and similar names in there.

    At most 2000 entries of the directory are read. A path that is no text, such as a file descriptor, has no hints.
    """
    import os

    path = exception_slot(exc, OSError, "filename")
    if type(path) is not str:
        return {}
    directory, name = os.path.split(path)
    try:
        with os.scandir(directory or ".") as entries:
            beside = [each.name for each in islice(entries, _MAX_FILES)]
    except (OSError, ValueError):
        return {"path": path, "directory_exists": False}
    near = _similar(name, beside)
    return {"path": path, "directory_exists": True, "names": [*dict.fromkeys(near)]}


def _subscript_hints(exc: KeyError | IndexError, call: Call | None, safe_repr: SafeRepr) -> dict[str, Json]:
    """Return the key or the index that failed, and the keys or the length of the object that it was asked of.

    ``nested`` is the path to a mapping further down that has the key: ``["data", "user"]`` for ``reply["name"]``.
    """
    asked = _failed_subscript(call) if call is not None else None
    if asked is None:
        return {"key": safe_repr.render(exc.args[0])} if is_instance(exc, KeyError) and len(exc.args) == 1 else {}
    of, key = asked
    kind = class_of(of)
    if is_instance(exc, KeyError):
        if not issubclass(kind, dict) or len(exc.args) != 1:
            return {}
        mapping: Any = dict
        keys: list[Any] = list(mapping.keys(of))[:_MAX_KEYS]
        found: dict[str, Json] = {"key": safe_repr.render(exc.args[0])}
        nested = _path_to(of, exc.args[0])
        if nested:
            found["nested"] = [*nested]
        return {**found, "keys": [safe_repr.render(each) for each in keys]}
    if kind not in (list, tuple, str):
        return {}
    return {"index": key if type(key) is int else None, "length": len(of)}


def _path_to(mapping: Any, key: object, depth: int = 3) -> list[str]:
    """Return the keys that lead from a dict to the dict below it that has *key*.

    It descends *depth* levels, into plain dicts under text keys alone, at most 50 of them in each.
    """
    plain: Any = dict
    if type(key) is not str or depth == 0:
        return []
    below: list[tuple[str, Any]] = [
        (name, value)
        for name, value in islice(plain.items(mapping), _MAX_KEYS)
        if type(name) is str and type(value) is dict
    ]
    for name, value in below:
        if key in value:
            return [name]
    for name, value in below:
        path = _path_to(value, key, depth - 1)
        if path:
            return [name, *path]
    return []


def _failed_subscript(call: Call) -> tuple[Any, Any] | None:
    """Return the object and the key of the subscript that failed, where both are known without running any code.

    Calls of ``pop`` and ``remove`` count as subscripts, as they fail with the same exceptions.
    """
    node = failed_expression(call)
    import ast

    if isinstance(node, ast.Subscript):
        of, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("pop", "remove"):
        of, key = node.func.value, node.args[0] if node.args else ast.Constant(value=None)
    else:
        return None
    found = evaluate(of, call)
    return None if found is UNKNOWN else (found, evaluate(key, call))


def failed_expression(call: Call) -> ast.expr | None:
    """Return the expression that a call was at, parsed from its source by the positions that the compiler has kept.

    None without positions or source, for more than 20 lines, and for a statement that is no expression.
    """
    import ast

    end_line, column, end_column = span_of(call)
    if end_line is None or column is None or end_column is None or end_line - call.line > 20:
        return None
    lines = [line_of(call, line) for line in range(call.line, end_line + 1)]
    lines[-1] = lines[-1][:end_column]
    lines[0] = lines[0][column:]
    try:
        node = ast.parse(f"({''.join(lines)})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # `del data["x"]` is no expression, but its target is one.
        return None
    return node


def evaluate(node: ast.expr, call: Call) -> Any:
    """Return what an expression stands for, where that is sure without running any code of the program.

    Names, attributes kept by the instance, and items of plain dicts, lists and tuples can be looked up so; a call or an
    operator cannot, and gives `UNKNOWN`. The result is the live object: render it before it leaves the process.
    """
    import ast

    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -node.operand.value if type(node.operand.value) is int else UNKNOWN
    if isinstance(node, ast.Name):
        for names in (locals_of(call.frame), call.frame.f_globals, call.frame.f_builtins):
            if node.id in names:
                return names[node.id]
        return UNKNOWN
    if isinstance(node, ast.Attribute):
        owner = evaluate(node.value, call)
        return UNKNOWN if owner is UNKNOWN else instance_attributes(owner).get(node.attr, UNKNOWN)
    if isinstance(node, ast.Subscript):
        return _item_of(evaluate(node.value, call), evaluate(node.slice, call))
    return UNKNOWN


def _item_of(of: Any, key: Any) -> Any:
    """Return an item of a plain container; `UNKNOWN` for any other type, or where it has no such item.

    Only exact types, and keys whose hash and comparison are Python's own: those of a subclass are code of the program.
    """
    kind = class_of(of)
    if kind is dict and type(key) in (str, int):
        return of.get(key, UNKNOWN)
    if kind in (list, tuple) and type(key) is int:
        try:
            return of[key]
        except IndexError:
            return UNKNOWN
    return UNKNOWN
