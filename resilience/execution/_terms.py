"""Terms of a request: all that follows from its security level and its imports.

Made once for each combination. Most programs of a caller come under the same terms, and to make a policy takes longer
than to send a program.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from resilience.errors._json_safe import Json
from resilience.execution._library_memory import default_limit
from resilience.execution._memory_size import parse_size
from resilience.execution.security import SecurityLevel, SecurityPolicy

if TYPE_CHECKING:
    from resilience.execution.request import ExecutionRequest

__all__ = ["Terms", "terms_of"]


@dataclass(frozen=True, slots=True)
class Terms:
    """The policy that code is held to, the same as a message to a worker, and the usual memory limit in bytes."""

    policy: SecurityPolicy
    message: dict[str, Json]
    """One object for all programs under these terms; must not be changed."""
    memory_bytes: int


def terms_of(request: ExecutionRequest) -> Terms:
    """Return the terms that *request* is executed under."""
    reads_files = bool(request.files) and request.working_directory is None
    return _terms(request.security_level, tuple(request.allowed_imports), reads_files=reads_files)


@functools.lru_cache(maxsize=64)
def _terms(level: SecurityPolicy | SecurityLevel | str, imports: tuple[str, ...], *, reads_files: bool) -> Terms:
    policy = SecurityPolicy.of(level, imports)
    memory_bytes = parse_size("memory_limit", default_limit(policy))
    if reads_files and policy.files == "none":  # the directory holds the files of the request, and nothing else
        policy = replace(policy, files="read")
    return Terms(policy, policy.to_dict(), memory_bytes)
