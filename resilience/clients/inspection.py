"""`inspect_client`: what a client does by itself, and what that makes of the policies around it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from resilience._runtime.worst_case import SINGLE_CALL
from resilience.clients._protection import protection_of
from resilience.clients.adapter import Finding, adapter_for, why_no_adapter

__all__ = ["Inspection", "inspect_client"]


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """The findings of one client: its class, the *calls* that one call of it may amount to, and a line for each.

    Its text is for people, and `resilience doctor` prints it.
    """

    client: str
    calls: float
    findings: Sequence[Finding]

    @property
    def problems(self) -> Sequence[Finding]:
        """The findings that a program should do something about."""
        return [finding for finding in self.findings if finding.problem]

    @property
    def warnings(self) -> Sequence[Finding]:
        """The findings that are problems unless the calls of the client see to it."""
        return [finding for finding in self.findings if finding.warning]

    def __str__(self) -> str:
        return "\n".join([self.client, *(f"* {finding}" for finding in self.findings)])


def inspect_client(client: object, *, attempts: float = 1) -> Inspection:
    """Return what *client* does by itself: its own retries, missing time limits, the size of its pool.

    Its policies count, where it is protected, and the *attempts* that code around it makes of a call. Retries on
    several levels multiply: the finding says so, and is a problem.

    Raises TypeError for a client that has no adapter.

    >>> import openai
    >>> client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1:1")
    >>> for finding in inspect_client(client, attempts=3).problems:
    ...     print(finding)
    retries: 3 attempts here x 3 of the client = 9 calls
    """
    adapter = adapter_for(client)
    if adapter is None:
        raise TypeError(f"inspect_client({client!r}): {why_no_adapter(client)}")
    findings = adapter.inspect(client)
    protection = protection_of(client)
    worst = SINGLE_CALL
    if protection is not None:
        worst = protection.description.worst
        findings = [_within(finding, worst.seconds) for finding in findings]
        findings.append(Finding("protection", " > ".join(map(str, protection.policies)) or "no policy"))
    levels = {
        "attempts here": attempts,
        "of its policies": worst.calls,
        "of the client": math.prod(finding.calls for finding in findings),
    }
    factors = [f"{calls:g} {level}" for level, calls in levels.items() if calls > 1]
    calls = math.prod(levels.values())
    if len(factors) > 1:
        findings.append(Finding("retries", f"{' x '.join(factors)} = {calls:g} calls", problem=True))
    return Inspection(adapter.target(client), calls, tuple(findings))


def _within(finding: Finding, seconds: float) -> Finding:
    """Return *finding*; a missing time limit of the client is no problem where a call has *seconds* in all."""
    if finding.kind == "time_limit" and seconds < math.inf:
        return dataclasses.replace(finding, problem=False, warning=False)
    return finding
