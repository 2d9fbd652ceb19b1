"""Request: the code to execute and its limits."""

from __future__ import annotations

import datetime
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from resilience.execution._memory_size import parse_size
from resilience.execution._options import FileContent, check_files, check_variables, parse_dotted_names
from resilience.execution._terms import terms_of
from resilience.execution.security import SecurityLevel, SecurityPolicy

__all__ = ["ExecutionRequest"]

_MAX_CODE = 10_000_000
_LEVELS = (SecurityPolicy, SecurityLevel)
_NUMBERS = (int, float)


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """Python *code* to execute, and its limits.

    *timeout* in seconds, or a `timedelta`. *memory_limit* in bytes, or as ``"100MB"``, where a MB is 2**20 bytes: the
    address space that the code may take on top of the interpreter. ``"auto"`` is 100MB where only modules of the
    standard library may be imported, else 1GB: ``import pandas`` alone takes 150MB. *allowed_imports* may be imported
    besides what *security_level* allows, a level or a policy of one's own. *return_variables* names the variables to
    report; None: all of the top level. In *working_directory* it runs; None: an empty one of its own, removed
    afterwards. *trace* reports each line when it is first reached.

    *variables* are there for the code from the beginning: plain values, and whatever can be pickled here and imported
    by the interpreter of the executor, such as dataframes. They take nothing of the memory limit. *files* are written
    into the working directory before, by their paths in it: bytes, a text, or the `Path` of a file to copy. A directory
    of its own may be read then, at level strict, too.

    >>> ExecutionRequest("1 + 1").memory_bytes, ExecutionRequest("1 + 1", security_level="moderate").memory_bytes
    (104857600, 1073741824)
    >>> ExecutionRequest("1 + 1", memory_limit="1.5GB").memory_bytes
    1610612736
    >>> ExecutionRequest("1 + 1", timeout=0)
    Traceback (most recent call last):
    ...
    ValueError: timeout=0: give seconds, more than 0 and finite
    """

    code: str
    timeout: float | datetime.timedelta = 30.0
    memory_limit: str | int = "auto"
    security_level: SecurityPolicy | SecurityLevel | str = SecurityLevel.STRICT
    allowed_imports: Sequence[str] = ()
    return_variables: Sequence[str] | None = None
    working_directory: str | os.PathLike[str] | None = None
    trace: bool = False
    assigned_by: str | None = None
    """Who has given this work: the agent, person or service that the report returns to. None: the executor's own."""
    variables: Mapping[str, object] = field(default_factory=dict[str, object], repr=False, compare=False)
    files: Mapping[str, FileContent] = field(default_factory=dict[str, FileContent], repr=False, compare=False)

    @property
    def seconds(self) -> float:
        """*timeout* in seconds."""
        return float(self.timeout.total_seconds() if isinstance(self.timeout, datetime.timedelta) else self.timeout)

    @property
    def memory_bytes(self) -> int:
        """*memory_limit* in bytes."""
        if self.memory_limit == "auto":
            return terms_of(self).memory_bytes
        return parse_size("memory_limit", self.memory_limit)

    @property
    def policy(self) -> SecurityPolicy:
        """The policy that the code is held to: that of the level, with the imports and files of this request."""
        return terms_of(self).policy

    def __post_init__(self) -> None:
        if not isinstance(self.code, str):
            raise TypeError(f"code={type(self.code).__name__}: give the source as str")
        if len(self.code) > _MAX_CODE:
            raise ValueError(f"code: {len(self.code)} characters; give at most {_MAX_CODE}")
        timeout = self.timeout
        seconds = timeout.total_seconds() if isinstance(timeout, datetime.timedelta) else timeout
        right = "give seconds, more than 0 and finite"
        if isinstance(seconds, bool) or not isinstance(seconds, _NUMBERS):
            raise TypeError(f"timeout={timeout!r}: {right}")
        if not 0 < seconds < math.inf:
            raise ValueError(f"timeout={timeout!r}: {right}")
        put = object.__setattr__  # the class is frozen
        if self.memory_limit != "auto":
            parse_size("memory_limit", self.memory_limit)
        if not isinstance(self.security_level, _LEVELS):
            put(self, "security_level", SecurityLevel.of(self.security_level))
        if self.allowed_imports != ():
            put(self, "allowed_imports", parse_dotted_names("allowed_imports", self.allowed_imports))
        if self.return_variables is not None:
            put(self, "return_variables", parse_dotted_names("return_variables", self.return_variables))
        if self.variables:
            check_variables(self.variables)
        if self.files:
            check_files(self.files)
        if self.working_directory is not None and not Path(self.working_directory).is_dir():
            raise ValueError(f"working_directory={os.fspath(self.working_directory)!r}: give a directory that exists")

    @classmethod
    def of(cls, request: ExecutionRequest | str, variables: Mapping[str, object] | None = None) -> ExecutionRequest:
        """Return *request*; a str is the code of a request with all defaults. *variables* are added to its own."""
        found = request if isinstance(request, ExecutionRequest) else cls(request)
        return found if variables is None else replace(found, variables={**found.variables, **variables})
