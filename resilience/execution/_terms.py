"""Terms of a request: all that follows from its security level and its imports.

Made once for each combination. Most programs of a caller come under the same terms, and to make a policy takes longer
than to send a program.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from resilience.errors._json_safe import Json
from resilience.execution._library_memory import default_limit
from resilience.execution._memory_size import parse_size
from resilience.execution.security import SecurityLevel, SecurityPolicy

__all__ = ["Terms", "terms_of"]


@dataclass(frozen=True, slots=True)
class Terms:
    """The policy that code is held to, the same as a message to a worker, and the usual memory limit in bytes."""

    policy: SecurityPolicy
    message: dict[str, Json]
    """One object for all programs under these terms; must not be changed."""
    memory_bytes: int


@functools.lru_cache(maxsize=64)
def terms_of(
    level: SecurityPolicy | SecurityLevel | str, imports: tuple[str, ...], *, reads_files: bool = False
) -> Terms:
    """Return the terms of *level* and *imports*. *reads_files*: the working directory holds files of the request only.

    >>> terms_of("strict", ()).memory_bytes >> 20, terms_of("strict", (), reads_files=True).policy.files
    (100, 'read')
    """
    policy = SecurityPolicy.of(level, imports)
    memory_bytes = parse_size("memory_limit", default_limit(policy))
    if reads_files and policy.files == "none":
        policy = replace(policy, files="read")
    return Terms(policy, policy.to_dict(), memory_bytes)
