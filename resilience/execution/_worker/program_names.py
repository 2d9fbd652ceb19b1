"""Names of a session's programs: of their variables, and of their files in captured exceptions.

Runs in the worker and in kernels: standard library only.
"""

from __future__ import annotations

import sys

from resilience.execution._worker.statements import FILENAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resilience.report.captured_exception import Json

__all__ = ["names_of", "renamed"]

_MAX_NAMES = 200


def names_of(namespace: dict[str, object]) -> list[str]:
    """Return the names of the variables, functions and classes of a program, the first 200.

    >>> names_of({"__name__": "__main__", "total": 1})
    ['total']
    """
    names = [name for name, value in list(namespace.items()) if type(value) is not type(sys) and type(name) is str]
    return [name for name in names if not name.startswith("__")][:_MAX_NAMES]


def renamed(captured: Json, filename: str) -> Json:
    """Return a captured exception in which the program *filename* has the name of any program.

    >>> renamed({"filename": "<execution 2>", "line": 1}, "<execution 2>")
    {'filename': '<string>', 'line': 1}
    """
    if isinstance(captured, str):
        return captured.replace(filename, FILENAME)
    if isinstance(captured, list):
        return [renamed(each, filename) for each in captured]
    if isinstance(captured, dict):
        return {key: renamed(each, filename) for key, each in captured.items()}
    return captured
