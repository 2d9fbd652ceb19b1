"""Static analysis of a program's source for violations of its policy. Runs nothing.

It reports what the source shows, with its place, before a process has been started for it, and all violations at once.
It need not find everything: names that are made at run time are left to the guard in the worker, which sees the
operation itself. So a rule may miss something, and should not forbid what the policy allows.

Analysis takes some hundred microseconds at least. `is_clear` spares most programs that, by a search for words.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from resilience.execution._analysis.harmless_imports import imports_only_harmless_modules
from resilience.execution._analysis.parsing import MAX_CODE, UNPARSABLE, parse
from resilience.execution._analysis.rules import WATCHED_NAMES, Rules, may_find
from resilience.execution._analysis.tree import nodes_with_scopes
from resilience.execution.security import SecurityLevel, SecurityPolicy
from resilience.report.failure import Violation

__all__ = ["analyse", "is_clear", "would_forbid"]

_MAX_VIOLATIONS = 200


def analyse(code: str, policy: SecurityPolicy) -> list[Violation]:
    """Return the violations of *policy* in *code*, in the order of the source, the first 200.

    Names are resolved as far as the source allows: aliases, imports in every form, constant strings that are
    concatenated. Violations that show only at run time are left to the guard. Code with a syntax error has none:
    compiling it reports the error. Code of more than 300,000 characters is left to the guard. Level permissive forbids
    nothing.

    >>> (violation,) = analyse("import math, os", SecurityPolicy.of("strict"))
    >>> violation.kind, violation.attempted_operation, violation.blocked_code, violation.line, violation.column
    ('blocked_import', 'import os', 'import math, os', 1, 0)
    """
    if is_clear(code, policy):
        return []
    try:
        tree = parse(code)
    except UNPARSABLE:
        return []
    return _collect(code, tree, policy)


def is_clear(code: str, policy: SecurityPolicy) -> bool:
    """Return whether a quick scan proves that *code* has no violation.

    >>> strict = SecurityPolicy.of("strict")
    >>> is_clear("total = 1 + 1", strict), is_clear("import math", strict), is_clear("open('data')", strict)
    (True, True, False)
    """
    if policy.level is SecurityLevel.PERMISSIVE or len(code) > MAX_CODE or not may_find(code):
        return True
    return code.isascii() and imports_only_harmless_modules(code, policy)


def would_forbid(code: str, tree: ast.Module, policy: SecurityPolicy) -> list[Violation]:
    """Return the violations of *policy* in *code*, parsed to *tree*; at level permissive those of strict.

    At level permissive imports are not reported, only what the code does with them.
    """
    if policy.level is SecurityLevel.PERMISSIVE:
        policy = replace(policy, files="none", network=False, processes=False, dynamic=False)
    return _collect(code, tree, policy)


def _collect(code: str, tree: ast.Module, policy: SecurityPolicy) -> list[Violation]:
    rules = Rules(code, policy)
    for node, scope in nodes_with_scopes(tree, WATCHED_NAMES):
        rules.look(node, scope)
        if len(rules.found) >= _MAX_VIOLATIONS:
            break
    return sorted(rules.found, key=lambda each: (each.line or 0, each.column or 0))
