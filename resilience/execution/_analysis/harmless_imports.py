"""Quick proof that a program whose only watched words are plain imports has no violation.

Most programs begin with a few imports of modules that their policy allows, and do nothing else that a rule watches. To
parse them would take longer than to run them.
"""

from __future__ import annotations

import re

from resilience.execution._analysis.effects import LEAKS, WATCHED_MODULES
from resilience.execution._analysis.rules import may_find
from resilience.execution.security import SecurityPolicy

__all__ = ["imports_only_harmless_modules"]

_MODULE = r"[a-zA-Z_]\w*(?:\.[a-zA-Z_]\w*)*"
_IMPORTED = rf"{_MODULE}(?: as \w+)?"
_IMPORT = re.compile(
    rf"^(?:import ({_IMPORTED}(?:, {_IMPORTED})*)|from ({_MODULE}) import \w+(?: as \w+)?(?:, \w+(?: as \w+)?)*)$",
    re.ASCII | re.MULTILINE,
)
"""A line that is one import. A line of a string may look like it, and loses nothing that a rule would find there."""
_WORD = re.compile(r"\w+", re.ASCII)


def imports_only_harmless_modules(code: str, policy: SecurityPolicy) -> bool:
    r"""Return whether *code*, which is ASCII, has no violation because all that it imports is harmless.

    A module is harmless if *policy* allows it and no rule knows a function of it, so that no name that comes from it
    has an effect. Everything else in *code* must be free of the words that a violation contains.

    >>> strict = SecurityPolicy.of("strict")
    >>> imports_only_harmless_modules("import math\nmath.sqrt(2)", strict)
    True
    >>> imports_only_harmless_modules("import math\nmath._os", strict)
    False
    >>> imports_only_harmless_modules("import os", strict)
    False
    """
    rest = _IMPORT.split(code)  # between the parts that are none, the two groups of each import
    imported, sources = filter(None, rest[1::3]), filter(None, rest[2::3])
    modules = [*sources, *(each.split()[0] for names in imported for each in names.split(", "))]
    if not all(policy.allows(module) and module.partition(".")[0] not in WATCHED_MODULES for module in modules):
        return False
    leaks = any(word.lstrip("_") in LEAKS for word in _WORD.findall(code))
    return bool(modules) and not leaks and not may_find("".join(rest[::3]))
