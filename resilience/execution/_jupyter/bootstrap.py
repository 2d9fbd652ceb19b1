"""Bring the helper into a kernel: its source, and that of all it imports of this toolkit."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

__all__ = ["call", "installation", "is_missing"]

_HELPER = "resilience.execution._jupyter.helper"
_HOLDER = "resilience.execution._jupyter.remote_loader"
_NAME = "_resilience_shipped"  # among the builtins, where it outlives a `%reset`


@functools.cache
def installation() -> str:
    """Return code that puts the helper into a kernel."""
    sources = _sources()
    _, holder = _module(_HOLDER)
    return "\n".join(
        [
            "def _install():",
            "    import builtins, json",
            "    space = {'__name__': '<resilience>'}",
            f"    exec(compile({holder!r}, '<resilience>', 'exec', dont_inherit=True), space)",
            f"    sources = json.loads({json.dumps(sources)!r})",
            f"    builtins.{_NAME} = space['Shipped']({_HELPER!r}, sources)",
            "_install()",
            "del _install",
        ]
    )


def call(function: str, *arguments: object) -> str:
    """Return an expression that calls a function of the helper with plain values."""
    given = "".join(f", {argument!r}" for argument in arguments)
    return f"__import__('builtins').{_NAME}.call({function!r}{given})"


def is_missing(name: object, message: object) -> bool:
    """Return whether a kernel failed with this error because it does not have the helper: it is new, or restarted."""
    return name == "AttributeError" and _NAME in str(message)


def _sources() -> dict[str, tuple[bool, str]]:
    """Return the helper and what it imports of this toolkit: of each whether it is a package, and its source."""
    found: dict[str, tuple[bool, str]] = {}
    wanted = [_HELPER]
    while wanted:
        name = wanted.pop()
        if name and name not in found:
            found[name] = _module(name)
            wanted += [name.rpartition(".")[0], *_imported(ast.parse(found[name][1]))]
    return found


def _module(name: str) -> tuple[bool, str]:
    """Return whether a module is a package, and its source. That of a package would import the whole toolkit: none."""
    spec = importlib.util.find_spec(name)
    assert spec is not None, "it is one of our own"
    assert spec.origin is not None, "all of which have a file"
    if spec.submodule_search_locations is not None:
        return True, ""
    return False, Path(spec.origin).read_text(encoding="utf-8")


def _imported(tree: ast.AST) -> Iterator[str]:
    """Yield the modules of this toolkit that are imported when it runs, also inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("resilience."):
            yield node.module
        else:
            yield from _imported(node)
