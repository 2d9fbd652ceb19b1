"""Bootstrap of the kernel helper: the code that installs it in a kernel, and the calls of its functions.

The helper travels as source, with every module of this toolkit that it imports: nothing is installed on the kernel's
host.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

__all__ = ["call_expression", "install_code", "is_helper_missing"]

_HELPER = "resilience.execution._jupyter.helper"
_LOADER = "resilience.execution._jupyter.remote_loader"
_BUILTIN_NAME = "_resilience_helper"  # in builtins, where it survives a `%reset`


@functools.cache
def install_code() -> str:
    """Return the code that installs the helper in a kernel."""
    sources = _helper_sources()
    _, holder = _module_source(_LOADER)
    return "\n".join(
        [
            "def _install():",
            "    import builtins, json",
            "    space = {'__name__': '<resilience>'}",
            f"    exec(compile({holder!r}, '<resilience>', 'exec', dont_inherit=True), space)",
            f"    sources = json.loads({json.dumps(sources)!r})",
            f"    builtins.{_BUILTIN_NAME} = space['RemoteLoader']({_HELPER!r}, sources)",
            "_install()",
            "del _install",
        ]
    )


def call_expression(function: str, *arguments: object) -> str:
    """Return an expression that calls *function* of the helper. The arguments must survive `repr`."""
    given = "".join(f", {argument!r}" for argument in arguments)
    return f"__import__('builtins').{_BUILTIN_NAME}.call({function!r}{given})"


def is_helper_missing(name: object, message: object) -> bool:
    """Return whether this error of a kernel means that the helper is not installed: it is new, or has restarted."""
    return name == "AttributeError" and _BUILTIN_NAME in str(message)


def _helper_sources() -> dict[str, tuple[bool, str]]:
    """Return whether it is a package, and its source, for the helper and each module of this toolkit it imports."""
    found: dict[str, tuple[bool, str]] = {}
    wanted = [_HELPER]
    while wanted:
        name = wanted.pop()
        if name and name not in found:
            found[name] = _module_source(name)
            wanted += [name.rpartition(".")[0], *_imported_modules(ast.parse(found[name][1]))]
    return found


def _module_source(name: str) -> tuple[bool, str]:
    """Return whether a module is a package, and its source; "" for a package, whose own would import the toolkit."""
    spec = importlib.util.find_spec(name)
    assert spec is not None, "a module of this toolkit"
    assert spec.origin is not None, "every module of this toolkit has a file"
    if spec.submodule_search_locations is not None:
        return True, ""
    return False, Path(spec.origin).read_text(encoding="utf-8")


def _imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yield the modules of this toolkit that *tree* imports at run time, also inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("resilience."):
            yield node.module
        else:
            yield from _imported_modules(node)
