"""Sphinx extension for the API reference: the directive ``public-module``, and docstrings as this project writes them.

``public-module`` documents the names that a module lists in ``__all__``. A name that has a shorter path is documented
there, and here it is a link. At the end of the build each public module (`tests.public_api`) must have been documented
once, so that a module cannot be forgotten.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

import resilience
from resilience.policies._retry_config import RetryConfig
from tests.public_api import canonical_names, identity, public_modules

_LOGGER = logging.getLogger(__name__)
#: Where each public class and function is documented, by its `id`.
_CANONICAL = canonical_names()
#: The same by the last part of the path, for docstrings that name a thing without its module.
_BY_NAME = {path.rpartition(".")[2]: path for path in reversed(_CANONICAL.values())}
#: What an annotation of ``**options`` stands for: the parameters of this class.
_OPTIONS = {"Unpack[RetryOptions]": RetryConfig}
_PARAGRAPH = re.compile(r"(?![ *>.-]|\d+\.)")
_INDENTED = re.compile(r" {4,}\S")


class PublicModule(SphinxDirective):
    """``.. public-module:: resilience.events``: the docstring of the module, then its names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the directives of autodoc, and have them parsed in place of this one."""
        (name,) = self.arguments
        _documented(self.env).add(name)
        return self.parse_text_to_nodes("\n".join(_directives(name)), allow_section_headings=True)


def _documented(env: BuildEnvironment) -> set[str]:
    """The modules that pages have documented so far; kept between builds like the pages themselves."""
    found: set[str] = env.__dict__.setdefault("public_modules_documented", set())
    return found


def _directives(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    paths = {public: _path(module, public) for public in getattr(module, "__all__", ()) if public != "__version__"}
    elsewhere = [f":py:obj:`{public} <{path}>`" for public, path in paths.items() if path != f"{name}.{public}"]
    yield from (name, "-" * len(name), "", f".. automodule:: {name}", "")
    if elsewhere:
        yield from (f"Also here: {', '.join(elsewhere)}.", "")
    for public, path in paths.items():
        if path == f"{name}.{public}":
            yield from (*_directive(path, getattr(module, public)), "")


def _path(module: ModuleType, name: str) -> str:
    own = f"{module.__name__}.{name}"
    value = getattr(module, name)
    return own if inspect.ismodule(value) else _CANONICAL.get(identity(value), own)


def _directive(path: str, value: object) -> Iterator[str]:
    if inspect.ismodule(value):
        yield f"* :py:mod:`{value.__name__}`"
    elif inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        yield from (f".. {kind}:: {path}", "   :members:")
        if value.__bases__ != (object,):
            yield "   :show-inheritance:"
    elif inspect.isroutine(value):
        yield f".. autofunction:: {path}"
    else:
        yield from (f".. autodata:: {path}", "   :no-value:")
    if path.rpartition(".")[2] in resilience.__all__ and path.count(".") > 1:
        yield "   :no-index:"  # links by the bare name lead to the one that `import resilience` offers


def mark_code(  # the arguments of Sphinx's event
    _app: Sphinx, what: str, _name: str, value: object, _options: object, lines: list[str]
) -> None:
    """Make a code block of indented lines below a paragraph, and drop docstrings that Python has written."""
    text = "\n".join(lines).strip()
    if text.startswith("Alias for field number") or (what == "data" and text == inspect.getdoc(type(value))):
        lines.clear()
    for at in reversed(range(len(lines) - 2)):
        paragraph, blank, below = lines[at : at + 3]
        if _PARAGRAPH.match(paragraph) and not blank and _INDENTED.match(below) and not paragraph.endswith("::"):
            lines[at + 1 : at + 1] = ["", "::"]


def show_options(  # the arguments of Sphinx's event
    _app: Sphinx, _what: str, _name: str, value: object, _options: object, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Show what ``**options`` takes, with types and defaults, in place of the name of its type."""
    config = next((kind for text, kind in _OPTIONS.items() if signature and text in signature), None)
    if config is None or not callable(value):
        return None
    given = inspect.signature(value).parameters.values()
    options = [p for p in inspect.signature(config).parameters.values() if p.kind is p.KEYWORD_ONLY]
    shown = [p for p in given if p.kind is not p.VAR_KEYWORD] + options
    return stringify_signature(inspect.Signature(shown)), returns


def find_by_last_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Node) -> nodes.Node | None:
    """Resolve a name written without its module, such as `Backoff` or `Backoff.delay`, wherever it is defined."""
    first, dot, rest = str(node["reftarget"]).removesuffix("()").partition(".")
    found = env.domains.python_domain.objects.get(f"{_BY_NAME.get(first, '')}{dot}{rest}")
    if node.get("refdomain") != "py" or found is None:
        return None
    page = app.builder.get_relative_uri(node["refdoc"], found.docname)
    return nodes.reference("", "", text, refuri=f"{page}#{found.node_id}", internal=True)


def check_completeness(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Warn of each public module that no page of the reference documents."""
    for missing in sorted({module.__name__ for module in public_modules()} - _documented(env)):
        _LOGGER.warning("public module %s is on no page of the reference", missing, type="reference", subtype="missing")
    return []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive and the hooks."""
    app.add_directive("public-module", PublicModule)
    app.connect("autodoc-process-docstring", mark_code, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", show_options)
    app.connect("missing-reference", find_by_last_name)
    app.connect("env-updated", check_completeness)
    return {"version": "1", "parallel_read_safe": False}
