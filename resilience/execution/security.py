"""Security levels and policies: which modules, files, network and processes a program may use.

A policy is a guard rail for cooperative code, not a security boundary. It is a plain value that the analysis of the
source, the guard in the worker and the messages of violations read alike.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from resilience._validation import require_bool, require_choice
from resilience.errors._json_safe import Json
from resilience.execution._worker.policy_messages import covers

__all__ = ["SecurityLevel", "SecurityPolicy"]


class SecurityLevel(enum.Enum):
    """Levels of trust in the code."""

    STRICT = "strict"
    MODERATE = "moderate"
    PERMISSIVE = "permissive"
    CUSTOM = "custom"

    @classmethod
    def of(cls, level: SecurityLevel | str) -> SecurityLevel:
        """Return *level*, also by its name.

        >>> SecurityLevel.of("strict")
        <SecurityLevel.STRICT: 'strict'>
        >>> SecurityLevel.of("strikt")
        Traceback (most recent call last):
        ...
        ValueError: security_level='strikt': give one of 'strict', 'moderate', 'permissive', 'custom'; did you mean \
'strict'?
        """
        if isinstance(level, cls):
            return level
        return cls(require_choice("security_level", level, [each.value for each in cls]))


_STRICT = ("math", "json", "datetime", "random")
# Modules that compute, and touch nothing outside the process.
_COMPUTING = (
    *("__future__", "abc", "array", "ast", "base64", "binascii", "bisect", "calendar", "cmath", "codecs"),
    *("collections", "colorsys", "contextlib", "copy", "csv", "dataclasses", "decimal", "difflib", "enum", "fnmatch"),
    *("fractions", "functools", "graphlib", "hashlib", "heapq", "hmac", "html", "io", "itertools", "keyword"),
    *("logging", "numbers", "operator", "pprint", "queue", "re", "secrets", "statistics", "string", "struct"),
    *("textwrap", "time", "timeit", "traceback", "types", "typing", "unicodedata", "uuid", "warnings", "weakref"),
    *("zlib", "zoneinfo"),
)
# Modules whose only effect at this level is to read files.
_READING = ("glob", "pathlib")
_LIBRARIES = (
    *("attr", "attrs", "dateutil", "matplotlib", "networkx", "numpy", "pandas", "polars", "pydantic", "pytz"),
    *("scipy", "seaborn", "sklearn", "statsmodels", "sympy", "typing_extensions"),
)
_FILES = ("none", "read", "write", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityPolicy:
    """The operations that code may perform. A guard rail for cooperative code, not a security boundary.

    Use `of` for a level, `custom` for one of your own.

    >>> SecurityPolicy.of("strict").available_modules
    ('math', 'json', 'datetime', 'random')
    >>> SecurityPolicy.of("strict", allowed_imports=["numpy"]).allows("numpy.linalg")
    True
    """

    level: SecurityLevel
    modules: tuple[str, ...] | None
    """What may be imported, each with its submodules; None: everything."""
    files: str = "none"
    """``none``; ``read`` and ``write``: below the working directory and *paths*; ``all``: everywhere."""
    paths: tuple[str, ...] = ()
    """Where files may be read (and at ``write`` written) besides the working directory."""
    network: bool = False
    """Whether it may open connections, listen and look up names."""
    processes: bool = False
    """Whether it may start processes, send signals, and call into shared libraries."""
    dynamic: bool = False
    """Whether it may use eval, exec, compile and breakpoint, and the interpreter's inner attributes."""

    @classmethod
    def of(cls, level: SecurityPolicy | SecurityLevel | str, allowed_imports: Iterable[str] = ()) -> SecurityPolicy:
        """Return the policy of *level*, under which *allowed_imports* may be imported, too.

        A policy in the place of a level is that policy. Level ``custom`` by its name allows *allowed_imports*, and
        nothing else.

        >>> SecurityPolicy.of("moderate").files
        'read'
        """
        found = level if isinstance(level, SecurityPolicy) else _POLICIES[SecurityLevel.of(level)]
        more = _names("allowed_imports", allowed_imports)
        if found.modules is None or not more:
            return found
        return replace(found, modules=tuple(dict.fromkeys((*found.modules, *more))))

    @classmethod
    def custom(
        cls,
        *,
        modules: Iterable[str] | None = (),
        files: str = "none",
        paths: Iterable[str | os.PathLike[str]] = (),
        network: bool = False,
        processes: bool = False,
        dynamic: bool = False,
    ) -> SecurityPolicy:
        """Return a policy of level ``custom`` that allows what is given, and nothing else.

        *modules* may be imported, with their submodules; None: all of them. *files* is ``none``, ``read`` or ``write``
        (below the working directory and *paths*) or ``all``.

        >>> policy = SecurityPolicy.custom(modules=["math", "csv"], files="write")
        >>> policy.allows("csv"), policy.allows("os"), policy.network
        (True, False, False)
        >>> SecurityPolicy.custom(files="reed")
        Traceback (most recent call last):
        ...
        ValueError: files='reed': give one of 'none', 'read', 'write', 'all'; did you mean 'read'?
        """
        return cls(
            level=SecurityLevel.CUSTOM,
            modules=None if modules is None else _names("modules", modules),
            files=require_choice("files", files, _FILES),
            paths=_paths(paths),
            network=require_bool("network", network),
            processes=require_bool("processes", processes),
            dynamic=require_bool("dynamic", dynamic),
        )

    @property
    def available_modules(self) -> tuple[str, ...]:
        """Modules that may be imported, for reports; empty if all may be."""
        return self.modules or ()

    def allows(self, module: str) -> bool:
        """Return whether *module*, a dotted name, may be imported."""
        return covers(self.modules, module)

    def to_dict(self) -> dict[str, Json]:
        """Return it as JSON-compatible data, as it is sent to the worker.

        >>> SecurityPolicy.custom(modules=["math"]).to_dict()["modules"]
        ['math']
        """
        return {
            "level": self.level.value,
            "modules": None if self.modules is None else list(self.modules),
            "files": self.files,
            "paths": list(self.paths),
            "network": self.network,
            "processes": self.processes,
            "dynamic": self.dynamic,
        }


_POLICIES = {
    SecurityLevel.STRICT: SecurityPolicy(level=SecurityLevel.STRICT, modules=_STRICT),
    SecurityLevel.MODERATE: SecurityPolicy(
        level=SecurityLevel.MODERATE,
        modules=(*_STRICT, *_COMPUTING, *_READING, *_LIBRARIES),
        files="read",
    ),
    SecurityLevel.PERMISSIVE: SecurityPolicy(
        level=SecurityLevel.PERMISSIVE, modules=None, files="all", network=True, processes=True, dynamic=True
    ),
    SecurityLevel.CUSTOM: SecurityPolicy(level=SecurityLevel.CUSTOM, modules=()),
}


def _names(parameter: str, given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"{parameter}={given!r}: give several names of modules, such as ['numpy']")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{parameter}: {name!r}: give names of modules, such as 'numpy'")
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"{parameter}: {name!r} is no name of a module, such as 'numpy' or 'xml.etree'")
    return names


def _paths(given: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    if isinstance(given, str | os.PathLike) or not isinstance(given, Iterable):
        raise TypeError(f"paths={given!r}: give several directories, such as ['/srv/data']")
    found: list[str] = []
    for path in given:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"paths: {path!r}: give directories, such as '/srv/data'")
        text = os.fspath(path)
        if not Path(text).is_absolute():
            raise ValueError(f"paths: {text!r}: give absolute paths, such as {str(Path(text).absolute())!r}")
        found.append(text)
    return tuple(found)
