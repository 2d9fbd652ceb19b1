"""Messages from the parent to the worker. Imported by type checkers only: `typing` is slow to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NotRequired, TypeAlias, TypedDict

__all__ = ["Policy", "Prepare", "Request", "Start"]

Policy: TypeAlias = Mapping[str, object]
"""A `SecurityPolicy.to_dict()`."""


class Prepare(TypedDict):
    """To a warm worker: the policy and the modules to set up in advance."""

    kind: Literal["prepare"]
    policy: Policy
    preload: NotRequired[list[str]]
    """Modules to import in advance."""


class Request(TypedDict):
    """The program to execute. Fields with their usual value are left out."""

    kind: Literal["run"]
    code: str
    timeout: float
    """Seconds."""
    memory: int
    """Bytes."""
    checked: bool
    """Whether the source is known not to violate the policy. Otherwise the worker waits for a start message."""
    policy: NotRequired[Policy]
    """Left out: the one of the prepare message."""
    given: NotRequired[Mapping[str, object]]
    """Variables that JSON has."""
    pickled: NotRequired[int]
    """Bytes of the other variables, which follow the frame."""
    directory: NotRequired[str]
    variables: NotRequired[list[str]]
    trace: NotRequired[bool]
    session: NotRequired[int]
    """Number of the execution in its session, from 1 on. The worker then keeps the state and waits for the next."""


class Start(TypedDict):
    """After an unchecked request: the source has been analysed, and the program may run."""

    kind: Literal["start"]
