"""Imports that will fail because the module is not installed, or has no such name.

They are looked for in this interpreter, and nothing is imported for it: importing a module runs its code. An import
whose failure the code handles by itself is left alone.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator

from resilience.execution._worker.source import Source
from resilience.execution.diagnostic import Diagnostic
from resilience.execution.security import SecurityPolicy

__all__ = ["is_installed", "missing_modules"]

_HANDLED_BY = frozenset({"BaseException", "Exception", "ImportError", "ModuleNotFoundError"})


def is_installed(module: str, directory: str | None = None) -> bool:
    """Return whether the top-level package of *module* is installed for this interpreter, without importing it.

    *directory* is searched, too.

    >>> is_installed("json.decoder"), is_installed("jsn")
    (True, False)
    """
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    if directory is not None and any(each.name == top for each in pkgutil.iter_modules([directory])):
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):  # such as __main__, which has none
        return False


def missing_modules(
    tree: ast.Module, source: Source, policy: SecurityPolicy, directory: str | None = None
) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each import that will fail and whose failure the code does not handle, once per module."""
    seen: set[str] = set()
    for node in _imports(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            if policy.modules is None:  # anywhere else it is refused
                yield Diagnostic.at(node, "a relative import fails: the code is part of no package", source)
            continue
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        for name in names:
            top = name.partition(".")[0]
            if top not in seen and not is_installed(top, directory):
                seen.add(top)
                yield Diagnostic.at(
                    node, f"there is no module {top!r} here{_did_you_mean(top, _importable_names(policy))}", source
                )
        if isinstance(node, ast.ImportFrom):
            said = _missing_names(names[0], node)
            yield from (Diagnostic.at(node, each, source) for each in said)


def _imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Try) and any(map(_handles_import_error, node.handlers)):
            stack += [*node.handlers, *node.orelse, *node.finalbody]
        elif not isinstance(node, ast.expr):
            stack += reversed(list(ast.iter_child_nodes(node)))


def _handles_import_error(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in _HANDLED_BY) for kind in kinds)


def _importable_names(policy: SecurityPolicy) -> list[str]:
    if policy.modules is not None:
        return list(policy.modules)
    return [*sys.stdlib_module_names, *(each.name for each in pkgutil.iter_modules())]


def _missing_names(name: str, node: ast.ImportFrom) -> Iterator[str]:
    """Yield a message for each name that a loaded module of the standard library does not have."""
    module = sys.modules.get(name)
    if module is None or name not in sys.stdlib_module_names or hasattr(module, "__path__"):
        return
    for alias in node.names:
        if alias.name != "*" and not hasattr(module, alias.name):
            yield f"the module {name!r} has no {alias.name!r}{_did_you_mean(alias.name, dir(module))}"


def _did_you_mean(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, [each for each in known if each != word], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
