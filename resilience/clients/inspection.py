"""`inspect_client`: what a client does by itself, and what that makes of the policies around it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from resilience._runtime.worst_case import SINGLE_CALL
from resilience.clients._protection import protection_of
from resilience.clients.adapter import Finding, adapter_for

__all__ = ["Inspection", "inspect_client"]


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """The findings about a client, and the most *calls* that one call of it makes, by policies and its own retries."""

    client: str
    calls: float
    findings: Sequence[Finding]

    def __str__(self) -> str:
        return "\n".join([self.client, *(f"* {finding}" for finding in self.findings)])


def inspect_client(client: object) -> Inspection:
    """Return what *client* does by itself: its own retries, missing time limits, the size of its pool.

    Raises TypeError for a client that has no adapter.
    """
    adapter = adapter_for(client)
    if adapter is None:
        raise TypeError(f"inspect_client({client!r}): no adapter for {type(client).__module__}")
    findings = adapter.inspect(client)
    own = math.prod(finding.calls for finding in findings)
    protection = protection_of(client)
    worst = SINGLE_CALL if protection is None else protection.description.worst
    return Inspection(adapter.target(client), worst.calls * own, tuple(findings))
