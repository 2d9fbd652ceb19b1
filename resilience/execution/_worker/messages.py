"""What the parent sends. Imported for types only: the child has no time for `typing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NotRequired, TypeAlias, TypedDict

__all__ = ["Go", "Policy", "Prepare", "Request"]

Policy: TypeAlias = Mapping[str, object]
"""A `SecurityPolicy.to_dict()`."""


class Prepare(TypedDict):
    """To a spare: which policy to expect."""

    kind: Literal["prepare"]
    policy: Policy


class Request(TypedDict):
    """What to execute. What is as it mostly is, is left out."""

    kind: Literal["run"]
    code: str
    timeout: float
    """Seconds."""
    memory: int
    """Bytes."""
    checked: bool
    """Whether it is known already that there is nothing in the source that the policy forbids."""
    policy: NotRequired[Policy]
    """Without: the one that the process was prepared for."""
    directory: NotRequired[str]
    variables: NotRequired[list[str]]
    trace: NotRequired[bool]


class Go(TypedDict):
    """After a request that was not checked: it is now, and may run."""

    kind: Literal["go"]
