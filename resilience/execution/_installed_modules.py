"""Imports that will fail, because what they ask for is not there."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator

from resilience.execution._worker.source import Source
from resilience.execution.diagnostic import Finding
from resilience.execution.security import SecurityPolicy

__all__ = ["is_there", "missing_modules"]

_FORGIVING = frozenset({"BaseException", "Exception", "ImportError", "ModuleNotFoundError"})


def is_there(module: str, directory: str | None = None) -> bool:
    """Return whether there is such a module for this interpreter: the top of the dotted name. Nothing is imported.

    *directory* is looked into, too.
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
) -> Iterator[Finding]:
    """Find the imports that will fail, but for those whose failure the code provides for. Each module is told once."""
    seen: set[str] = set()
    for node in _imports(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            if policy.modules is None:  # anywhere else it is refused
                yield Finding.at(node, "a relative import fails: the code is part of no package", source)
            continue
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        for name in names:
            top = name.partition(".")[0]
            if top not in seen and not is_there(top, directory):
                seen.add(top)
                yield Finding.at(node, f"there is no module {top!r} here{_near(top, _known(policy))}", source)
        if isinstance(node, ast.ImportFrom):
            said = _missing_names(names[0], node)
            yield from (Finding.at(node, each, source) for each in said)


def _imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Try) and any(map(_forgives, node.handlers)):
            stack += [*node.handlers, *node.orelse, *node.finalbody]
        elif not isinstance(node, ast.expr):
            stack += reversed(list(ast.iter_child_nodes(node)))


def _forgives(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in _FORGIVING) for kind in kinds)


def _known(policy: SecurityPolicy) -> list[str]:
    if policy.modules is not None:
        return list(policy.modules)
    return [*sys.stdlib_module_names, *(each.name for each in pkgutil.iter_modules())]


def _missing_names(name: str, node: ast.ImportFrom) -> Iterator[str]:
    """Find names that a module does not have, where it is loaded already and cannot have more of them."""
    module = sys.modules.get(name)
    if module is None or name not in sys.stdlib_module_names or hasattr(module, "__path__"):
        return
    for alias in node.names:
        if alias.name != "*" and not hasattr(module, alias.name):
            yield f"the module {name!r} has no {alias.name!r}{_near(alias.name, dir(module))}"


def _near(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, [each for each in known if each != word], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
