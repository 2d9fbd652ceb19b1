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
_LEAK = re.compile(rf"\b_*(?:{'|'.join(sorted(LEAKS))})\b")


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
    modules: list[str] = []
    for line in _IMPORT.finditer(code):
        modules += [line[2]] if line[1] is None else [each.split()[0] for each in line[1].split(", ")]
    if not all(policy.allows(module) and module.partition(".")[0] not in WATCHED_MODULES for module in modules):
        return False
    return bool(modules) and _LEAK.search(code) is None and not may_find(_IMPORT.sub("", code))
