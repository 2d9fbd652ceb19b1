"""What the source of a program shows of what it must not do: nothing is run."""

from __future__ import annotations

import ast
from dataclasses import replace

from resilience.execution._analysis.parsing import MOST_CODE, UNPARSABLE, parse
from resilience.execution._analysis.rules import WORDS, Rules, may_find
from resilience.execution._analysis.tree import read
from resilience.execution.security import SecurityLevel, SecurityPolicy
from resilience.report.failure import Violation

__all__ = ["analyse", "is_clear", "would_forbid"]

_MOST = 200


def analyse(code: str, policy: SecurityPolicy) -> list[Violation]:
    """Return what *policy* forbids of what *code* says it does, in the order of the source, the first 200.

    Names are followed to what they stand for, as far as the source tells: aliases, imports in every form, constant
    strings that are put together. What only shows at run time is the guard's. Code that is no Python has no violations:
    compiling it says what is wrong. Code of more than 300,000 characters is left to the guard. Level permissive forbids
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
    return _gather(code, tree, policy)


def is_clear(code: str, policy: SecurityPolicy) -> bool:
    """Return whether a glance is enough to know that there is nothing to be found in *code*.

    >>> is_clear("total = 1 + 1", SecurityPolicy.of("strict")), is_clear("import math", SecurityPolicy.of("strict"))
    (True, False)
    """
    return policy.level is SecurityLevel.PERMISSIVE or len(code) > MOST_CODE or not may_find(code)


def would_forbid(code: str, tree: ast.Module, policy: SecurityPolicy) -> list[Violation]:
    """Return what *policy* forbids of *code*, which was parsed to *tree*; at level permissive what strict would.

    Imports are no part of that: what is done with them is.
    """
    if policy.level is SecurityLevel.PERMISSIVE:
        policy = replace(policy, files="none", network=False, processes=False, dynamic=False)
    return _gather(code, tree, policy)


def _gather(code: str, tree: ast.Module, policy: SecurityPolicy) -> list[Violation]:
    rules = Rules(code, policy)
    for node, scope in read(tree, WORDS):
        rules.look(node, scope)
        if len(rules.found) >= _MOST:
            break
    return sorted(rules.found, key=lambda each: (each.line or 0, each.column or 0))
