"""The protection of a client: the policies that guard it, what was changed to make it so, and what was left out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from resilience._runtime.description import Description
from resilience._runtime.protocol import Policy
from resilience._runtime.worst_case import worst_case

__all__ = ["Protection", "protection_of"]

_ATTRIBUTE: Final = "_resilience_protection"


class Protection:
    """The changes that `protect` made to a client.

    The client carries it, and copies of the client do too; it holds no reference to the client. The guard reads nothing
    of it: to change it has no effect on the calls.

    Its text is for people: the policies, the worst case, and a line for each change.

    >>> import httpx
    >>> from resilience import deadline
    >>> from resilience.clients import protect, protection_of
    >>> print(protection_of(protect(httpx.Client(), deadline(5))))
    deadline(5)
      httpx.Client
    worst case: 1 call, 5 s
    """

    def __init__(self, target: str, policies: Sequence[Policy]) -> None:
        #: The name of what is called.
        self.target: str = target
        #: The policies, outermost first.
        self.policies: Sequence[Policy] = policies
        #: Whether they are the standard stack, since none were given.
        self.is_standard: bool = False
        #: What was changed: of the client, such as its own retries, or of a policy.
        self.changes: list[str] = []
        #: The policies that could not be applied, with the reason.
        self.left_out: list[str] = []

    def note(self, change: str) -> None:
        """Note a *change*, in one sentence without a full stop."""
        self.changes.append(change)

    @property
    def description(self) -> Description:
        """The policies around the client, and the worst case of a call, as `describe` has them."""
        return Description(self.target, tuple(str(policy) for policy in self.policies), worst_case(self.policies))

    def __str__(self) -> str:
        changes = [textwrap.indent(change, "* ") for change in self.changes]
        left_out = [f"* not applied: {policy}" for policy in self.left_out]
        return "\n".join([str(self.description), *changes, *left_out])

    def __repr__(self) -> str:
        return f"<protection of {self.target}: {' > '.join(map(str, self.policies))}>"


def protection_of(client: object) -> Protection | None:
    """Return the protection of a client that `protect` has returned; None of any other."""
    try:
        found: object = client.__dict__.get(_ATTRIBUTE)
    except Exception:  # a client without a __dict__
        return None
    return found if isinstance(found, Protection) else None


def attach_protection(client: object, protection: Protection) -> None:
    """Keep *protection* with the client that it belongs to."""
    client.__dict__[_ATTRIBUTE] = protection
