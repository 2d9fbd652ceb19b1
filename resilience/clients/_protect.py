"""`protect`: the genuine client, guarded by policies."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

from resilience._runtime.pipeline import Decorator
from resilience._runtime.protocol import Policy
from resilience._validation import require_choice
from resilience.circuits import CircuitBreaker, all_circuits
from resilience.clients._protection import Protection, attach_protection, protection_of
from resilience.clients.adapter import Adapter, adapter_for, why_no_adapter
from resilience.clients.deadlines import SendDeadline
from resilience.clients.guards import AsyncGuard, Guard
from resilience.policies.idempotency import idempotency_of, unless_post
from resilience.policies.retry import Retry
from resilience.policies.timeout import Timeout

__all__ = ["OnUnsupported", "fit", "install", "protect", "require_adapter", "standard_protection"]

C = TypeVar("C")

OnUnsupported: TypeAlias = Literal["raise", "warn", "ignore"]
"""What becomes of a policy that cannot guard the client: an error, a RuntimeWarning, or a line in the protection."""


def protect(client: C, *policies: Decorator, on_unsupported: OnUnsupported = "raise") -> C:
    """Return *client*, the same object or a copy of the same class, with its calls guarded by *policies*.

    Args:
        client: a client of httpx, httpx2, or of a library that has an adapter.
        policies: outermost first; without any the standard stack, with a circuit and a bulkhead for each host.
        on_unsupported: of a policy that cannot guard the client, such as a hedge of a sync one: "raise" a TypeError,
            "warn" and leave it out, or "ignore" it. `protection_of` lists what was left out in any case.

    A call is all that the client does for it: redirects, authentication, and reading the body unless it is streamed.
    A response with the status of an error counts as a failure, and is returned to the caller as the client returns it.
    Errors of policies are within the client's own exception tree: ``except httpx.HTTPError`` catches an open circuit,
    and so does ``except CircuitOpenError``.

    A retry that does not say which calls may happen twice repeats no POST or PATCH without an idempotency key
    (`unless_post`). Where calls are sync, a `timeout` limits them by the client's own time limits, without a thread.

    Raises TypeError for a client that has no adapter, or is protected already, and for what is not a policy.

    >>> import httpx
    >>> from resilience import timeout
    >>> from resilience.clients import protect
    >>> client = protect(httpx.AsyncClient(), timeout(2.0))
    >>> type(client).__name__
    'AsyncClient'
    """
    require_choice("on_unsupported", on_unsupported, get_args(OnUnsupported))
    adapter = require_adapter(client)
    protection, guard = fit(adapter, client, policies, on_unsupported)
    return install(adapter, client, guard, protection)


def require_adapter(client: object) -> Adapter[Any]:
    """Return the adapter of *client*. Raises TypeError if there is none, and for a client that is protected."""
    adapter = adapter_for(client)
    if adapter is None:
        raise TypeError(f"protect({client!r}): {why_no_adapter(client)}")
    if protection_of(client) is not None:
        raise TypeError(f"protect({client!r}): it is protected already; give all policies at once")
    return adapter


def fit(
    adapter: Adapter[Any], client: object, policies: Sequence[Decorator], on_unsupported: OnUnsupported
) -> tuple[Protection, Guard | AsyncGuard]:
    """Return *policies* as they guard *client*, and the guard that takes its exchanges through them."""
    protection = _Fitting(adapter, client, on_unsupported).fit(policies)
    kind = AsyncGuard if adapter.is_async(client) else Guard
    return protection, kind(protection.target, protection.policies, adapter.errors(client))


def install(adapter: Adapter[Any], client: C, guard: Guard | AsyncGuard, protection: Protection) -> C:
    """Return *client*, or a copy of it, whose exchanges go through *guard*."""
    protected = cast("C", adapter.install(client, guard, protection))
    attach_protection(protected, protection)
    return protected


def standard_protection(adapter: Adapter[Any], client: object) -> Protection:
    """Return the protection by a standard stack of the *client*'s own, as `protect` makes it where it gets no policies.

    For a client that was pickled: a circuit belongs to one process.
    """
    return _Fitting(adapter, client, "raise").fit(())


class _Fitting:
    """Fits policies to a client: each as it can guard it, or left out as *on_unsupported* says."""

    def __init__(self, adapter: Adapter[Any], client: Any, on_unsupported: OnUnsupported) -> None:
        self._on_unsupported = on_unsupported
        self._is_async: bool = adapter.is_async(client)
        self._adapter = adapter
        self._client = client
        self._protection = Protection(adapter.target(client), ())

    def fit(self, given: Sequence[Decorator]) -> Protection:
        """Return the protection by the policies that were *given*, or by the standard stack."""
        parts = given or (self._adapter.standard(self._client, _unused_name(self._adapter.dependency(self._client))),)
        # What is left is sent where it is known for the attempt: below all others.
        self._protection.policies = tuple(sorted(self._fitted(parts), key=_sends_deadline))
        self._protection.is_standard = not given
        return self._protection

    def _fitted(self, parts: Sequence[object]) -> Iterator[Policy]:
        """Yield the policies that can guard the client, in their order; leave the others out."""
        for part in parts:
            if not isinstance(part, Decorator):
                raise TypeError(f"protect(client, {part!r}): give policies, such as timeout(2.0), outermost first")
            for policy in part.policies(self._target_of(part)):
                reason = self._objection(policy)
                if reason is None:
                    yield self._adapted(policy)
                else:
                    self._leave_out(policy, reason)

    def _target_of(self, part: Decorator) -> object:
        """Return the target of *part*: a circuit without a name is called after it; no other policy needs one."""
        if not isinstance(part, CircuitBreaker):
            return None

        def target() -> None: ...

        target.__module__, _, target.__qualname__ = self._protection.target.partition(".")
        return target

    def _objection(self, policy: Policy) -> str | None:
        """Return why *policy* cannot guard the client; None where it can."""
        if not policy.supports_calls:
            return "it is for the items of generator functions"
        if not self._is_async and not policy.supports_sync:
            return f"calls of {self._protection.target} are sync, and {policy.needs_async}"
        if isinstance(policy, SendDeadline) and not self._adapter.sends_headers(self._client):
            return f"{self._protection.target} has no header for it; gRPC sends its deadline by itself"
        if policy.methods is not None and policy.methods.names_methods:
            return f"{policy.methods} is for a decorated class"
        return None

    def _leave_out(self, policy: Policy, reason: str) -> None:
        """Refuse the *policy*, or go without it, as the caller of `protect` wants."""
        text = f"{policy}: {reason}"
        if self._on_unsupported == "raise":
            raise TypeError(f"protect(client, {text}; leave it out, or give on_unsupported='warn'")
        self._protection.left_out.append(text)
        if self._on_unsupported == "warn":
            warnings.warn(f"{self._protection.target} is not guarded by {text}", RuntimeWarning, stacklevel=5)

    def _adapted(self, policy: Policy) -> Policy:
        """Return *policy* as it is right for a client that knows its requests and has time limits of its own."""
        if isinstance(policy, Retry) and self._follows_client(policy):
            adapted = copy.copy(policy)
            adapted.leaves_posts_to_settings = False
            adapted.idempotency = None
            if not self._adapter.repeats_posts(self._client):
                adapted.idempotency = idempotency_of(unless_post)
            return adapted
        if isinstance(policy, Timeout) and not self._is_async:
            self._protection.note(f"{policy} is kept by the client's own time limits: no thread is used")
        return policy

    def _follows_client(self, retry: Retry) -> bool:
        """Whether *retry* leaves open which calls may happen twice: by nothing, or by the default of `standard`."""
        return retry.leaves_posts_to_settings or str(retry.idempotency) == unless_post.__name__


def _sends_deadline(policy: Policy) -> bool:
    """Return whether *policy* has to be the innermost: what is left is known there."""
    return isinstance(policy, SendDeadline)


def _unused_name(name: str) -> str:
    """Return *name*, or with a number where a circuit of this process is called so: names are for tables."""
    taken = {circuit.name for circuit in all_circuits()}
    number = 1
    found = name
    while found in taken:
        number += 1
        found = f"{name} ({number})"
    return found
