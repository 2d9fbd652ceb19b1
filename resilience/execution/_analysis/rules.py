"""Rules of a policy, applied to the nodes of a tree.

Rules find violations that the source shows: imports, calls with an effect, attributes that lead to the interpreter's
internals, also where a string names them. Other violations show at run time, and are found by the guard in the worker.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from resilience.execution._analysis.effects import IMPORTERS, LEAKS, OPENERS, Effect, effect_of
from resilience.execution._analysis.names import member, resolve, text_of
from resilience.execution._analysis.tree import Scope
from resilience.execution._installed_modules import is_installed
from resilience.execution._worker.policy_messages import ATTRIBUTES, DYNAMIC, denied
from resilience.execution._worker.source import Source
from resilience.execution.security import SecurityPolicy
from resilience.report.failure import Violation

if TYPE_CHECKING:
    from resilience.execution._worker.policy_messages import Policy

__all__ = ["WATCHED_NAMES", "Rules", "may_find"]

_GETTERS = ("operator.attrgetter", "operator.methodcaller")
# Attributes in the replacement field of a format string: {0.__class__.__globals__}, {f.__globals__[os]}.
_FORMAT = re.compile(r"\.(" + "|".join(sorted(map(re.escape, ATTRIBUTES))) + r")\b")
WATCHED_NAMES = DYNAMIC | {"__builtins__", "__loader__", "__spec__"}
"""Names whose mere use is checked."""
_SUSPICIOUS = re.compile(
    "|".join(sorted({"import", "__", "getattr", "globals", "vars", "open", "format"} | DYNAMIC | ATTRIBUTES))
)
"""Any violation in ASCII code contains one of these words."""


def may_find(code: str) -> bool:
    """Return whether *code* may contain a violation. Quick, and true for much harmless code.

    >>> may_find("sum([1, 2])"), may_find("import math")
    (False, True)
    """
    return not code.isascii() or _SUSPICIOUS.search(code) is not None


class Rules:
    """Checks nodes one by one, parents first, and collects violations in `found`.

    A violation covers its whole expression: of ``os.system("ls")`` the call is reported, and neither ``os.system`` nor
    ``os`` again. A module that is not installed is no violation: importing it fails by itself, with a better message.
    """

    def __init__(self, code: str, policy: SecurityPolicy) -> None:
        self.found: list[Violation] = []
        self._policy = policy
        self._policy_message = cast("Policy", policy.to_dict())
        self._source = Source(code.removeprefix("\ufeff"))
        self._done: set[int] = set()  # nodes that belong to a violation
        self._there: dict[str, bool] = {}

    def look(self, node: ast.AST, scope: Scope) -> None:
        """Check *node*."""
        if id(node) in self._done:
            return
        if isinstance(node, ast.Call):
            self._call(node, scope)
        elif isinstance(node, ast.Attribute):
            self._attribute(node, scope)
        elif isinstance(node, ast.Name):
            self._name(node, scope)
        elif isinstance(node, ast.Subscript):
            self._subscript(node, scope)
        elif isinstance(node, ast.Import):
            self._import(node)
        elif isinstance(node, ast.ImportFrom):
            self._import_from(node)
        elif isinstance(node, ast.MatchClass):
            self._pattern(node)

    # Imports.

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if not self._policy.allows(alias.name) and self._exists(alias.name):
                self._note(node, "blocked_import", alias.name, f"import {alias.name}")

    def _import_from(self, node: ast.ImportFrom) -> None:
        module, names = "." * node.level + (node.module or ""), [alias.name for alias in node.names]
        operation = f"from {module} import {', '.join(names)}"
        if node.level:
            if self._policy.modules is not None:
                self._note(node, "blocked_import", module, operation)
        elif self._policy.allows(module):
            for name in names:
                if self._leaks(module, name):
                    self._note(node, "blocked_import", name.lstrip("_"), operation)
        elif not self._by_part(module, names) and self._exists(module):
            self._note(node, "blocked_import", module, operation)

    def _by_part(self, module: str, names: list[str]) -> bool:
        return all(f"{module}.{name}" in (self._policy.modules or ()) for name in names)

    def _leaks(self, module: str, name: str) -> bool:
        """Return whether *name* in *module* is another module that may not be imported."""
        plain = name.lstrip("_")
        return plain in LEAKS and not self._policy.allows(plain) and not self._by_part(module, [name])

    def _exists(self, name: str) -> bool:
        """Return whether there is such a module. A missing one is an import error, not a violation."""
        top = name.partition(".")[0]
        found = self._there.get(top)
        if found is None:
            found = self._there[top] = is_installed(top)
        return found

    # Calls, and functions that are passed on.

    def _call(self, node: ast.Call, scope: Scope) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and self._inner(function, scope):
            self._note(node, "blocked_attribute", function.attr, f"access {function.attr}")
            return
        name = resolve(function, scope)
        if name is not None and self._effect(node, name, node, scope):
            return
        if name in IMPORTERS:
            self._dynamic_import(node, scope)
        elif not self._policy.dynamic:
            self._names_in_texts(node, name, scope)
        if name == "builtins.getattr":
            got = resolve(node, scope)
            if got is not None:
                self._effect(node, got, None, scope)

    def _effect(self, node: ast.expr, name: str, call: ast.Call | None, scope: Scope) -> bool:
        """Check the effect of *name*, called or passed on; return whether it is forbidden."""
        effect = effect_of(name)
        if effect is Effect.NONE:
            return False
        kind, subject = effect.value, _spoken(name)
        if effect is Effect.OPEN:
            if call is None:
                return False
            kind, subject = self._opened(name, call, scope)
        if self._permits(kind):
            return False
        operation = kind if kind.startswith("file") else f"call {subject}"
        self._note(node, kind, subject, operation)
        return True

    def _opened(self, name: str, call: ast.Call, scope: Scope) -> tuple[str, str]:
        """Return kind and subject of a call that opens a file. A mode that is uncertain counts as reading."""
        place = OPENERS[name]
        mode = call.args[place] if len(call.args) > place else _keyword(call, "mode")
        text = text_of(mode, scope)
        path = text_of(call.args[0], scope) if call.args and place else None
        writing = text is not None and any(letter in text for letter in "wax+")
        return "file_write" if writing else "file_read", path or _spoken(name)

    def _permits(self, kind: str) -> bool:
        """Return whether the policy allows operations of *kind* in general."""
        policy = self._policy
        return {
            "file_read": policy.files != "none",
            "file_write": policy.files in ("write", "all"),
            "network": policy.network,
            "process": policy.processes,
            "blocked_call": policy.dynamic,
        }[kind]

    def _dynamic_import(self, node: ast.Call, scope: Scope) -> None:
        module = text_of(node.args[0] if node.args else _keyword(node, "name"), scope)
        if module and not self._policy.allows(module) and self._exists(module):
            self._note(node, "blocked_import", module, f"import {module}")

    # Attributes.

    def _inner(self, node: ast.Attribute, scope: Scope) -> bool:
        """Return whether an attribute leads to the interpreter's internals, and the policy forbids that."""
        if node.attr not in ATTRIBUTES or self._policy.dynamic:
            return False
        if node.attr == "__subclasses__" and isinstance(node.value, ast.Name):
            # Subclasses of the program's own classes are its own, too.
            bound = scope.lookup(node.value.id)
            return not bound or not all(isinstance(each, ast.ClassDef) for each in bound)
        return True

    def _attribute(self, node: ast.Attribute, scope: Scope) -> None:
        if self._inner(node, scope):
            self._note(node, "blocked_attribute", node.attr, f"access {node.attr}")
            return
        module = resolve(node.value, scope)
        if module is None or self._effect(node, member(module, node.attr), None, scope):
            return
        if self._leaks(module, node.attr) and self._is_module(module):
            self._note(node, "blocked_import", node.attr.lstrip("_"), f"access {module}.{node.attr}")

    def _pattern(self, node: ast.MatchClass) -> None:
        """Check the attributes that a class pattern reads: ``case object(__globals__=found)``."""
        for name in node.kwd_attrs:
            if name in ATTRIBUTES and not self._policy.dynamic:
                self._note(node, "blocked_attribute", name, f"access {name}")

    def _is_module(self, name: str) -> bool:
        return self._policy.modules is not None and self._policy.allows(name) and "()" not in name

    def _name(self, node: ast.Name, scope: Scope) -> None:
        """Check a builtin that runs code, used without a call: ``map(eval, lines)``."""
        if self._policy.dynamic or not isinstance(node.ctx, ast.Load) or scope.lookup(node.id) is not None:
            return
        if node.id in DYNAMIC:
            self._note(node, "blocked_call", node.id, f"call {node.id}")
        else:
            self._note(node, "blocked_attribute", node.id, f"access {node.id}")

    def _subscript(self, node: ast.Subscript, scope: Scope) -> None:
        name = resolve(node, scope)
        base = resolve(node.value, scope)
        if base == "sys.modules" and name is not None:
            if not self._policy.allows(name) and self._exists(name):
                self._note(node, "blocked_import", name, f"import {name}")
            return
        if name is not None and self._effect(node, name, None, scope):
            return
        of_dict = isinstance(node.value, ast.Attribute) and node.value.attr == "__dict__"
        if not self._policy.dynamic and (of_dict or base == "globals()"):
            key = text_of(node.slice, scope)
            if key in ATTRIBUTES:
                self._note(node, "blocked_attribute", key, f"access {key}")

    def _names_in_texts(self, node: ast.Call, name: str | None, scope: Scope) -> None:
        """Check attributes that are named in strings: getattr, attrgetter, str.format."""
        for found in _attributes_in_texts(node, name, scope):
            self._note(node, "blocked_attribute", found, f"access {found}")
            return

    # Violations.

    def _note(self, node: ast.expr | ast.stmt | ast.pattern, kind: str, subject: str, operation: str) -> None:
        self._finish(node)
        column = self._source.column(node.lineno, node.col_offset)
        fields = denied(self._policy_message, kind, subject, operation, self._source.of(node), node.lineno, column)
        self.found.append(Violation(**fields))  # type: ignore[arg-type]

    def _finish(self, node: ast.AST) -> None:
        """Skip the nodes that *node* is a chain of: ``a`` and ``a.b`` in ``a.b()``."""
        here: ast.AST | None = node
        while isinstance(here, ast.Call | ast.Attribute | ast.Subscript | ast.Name):
            self._done.add(id(here))
            here = here.func if isinstance(here, ast.Call) else getattr(here, "value", None)


def _attributes_in_texts(node: ast.Call, name: str | None, scope: Scope) -> Iterator[str]:
    """Yield the inner attributes that a call reads by their names: ``"{0.__globals__}".format(f)``."""
    attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if attribute in ("format", "format_map", "vformat"):
        texts = _texts([cast("ast.Attribute", node.func).value, *node.args[:1]], scope)
        yield from (hit[1] for hit in map(_FORMAT.search, texts) if hit is not None)
    elif name == "builtins.getattr" or attribute in ("__getattribute__", "__getattr__"):
        yield from (text for text in _texts(node.args[:3], scope) if text in ATTRIBUTES)
    elif name in _GETTERS:
        yield from (part for text in _texts(node.args, scope) for part in text.split(".") if part in ATTRIBUTES)


def _texts(nodes: Sequence[ast.expr], scope: Scope) -> list[str]:
    return [text_of(each, scope) or "" for each in nodes]


def _spoken(name: str) -> str:
    return name.removeprefix("builtins.").replace("()", "")


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)
