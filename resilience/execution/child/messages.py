"""What the parent sends. Imported for types only: the child has no time for `typing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypedDict

__all__ = ["Go", "Policy", "Prepare", "Request"]

Policy: TypeAlias = Mapping[str, object]
"""A `SecurityPolicy.to_dict()`."""


class Prepare(TypedDict):
    """To a spare: which policy to expect."""

    kind: Literal["prepare"]
    policy: Policy


class Request(TypedDict):
    """What to execute."""

    kind: Literal["run"]
    code: str
    timeout: float
    """Seconds."""
    memory: int
    """Bytes."""
    policy: Policy | None
    """None: the one that the process was prepared for."""
    directory: str | None
    variables: list[str] | None
    trace: bool
    checked: bool
    """Whether it is known already that there is nothing in the source that the policy forbids."""


class Go(TypedDict):
    """After a request that was not checked: it is now, and may run."""

    kind: Literal["go"]
