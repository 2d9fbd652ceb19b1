"""Targets of chaos: a guarded function, a class, a circuit, by its name or for one key; and the functions of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TypeAlias, cast

from resilience import circuits
from resilience._runtime.callables import under_descriptor
from resilience._runtime.decorate import Guarded, guarded
from resilience._runtime.guard import public_methods
from resilience._runtime.protocol import Call, Policy
from resilience._safe_access import safe_getattr
from resilience.circuits import CircuitBreaker
from resilience.circuits._per_key import PerKeyPolicy

__all__ = ["Coverage", "Target", "coverage_of", "guarded_function"]

Target: TypeAlias = Callable[..., object] | CircuitBreaker | str
"""A guarded function, method or class; a circuit, as the object or by its name."""

_MAX_DEPTH = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Coverage:
    """The functions that a target stands for: *records*, or all that are guarded by a *circuit*."""

    records: list[Guarded] | None = None
    circuit: CircuitBreaker | None = None

    def covers(self, record: Guarded) -> bool:
        """Whether it is for a guarded function, also where a further decorator has made another wrapper."""
        if self.records is not None:
            return any(record is each for each in self.records)
        return any(self._is_circuit(policy) for policy in record.policies)

    def _is_circuit(self, policy: Policy) -> bool:
        owner = safe_getattr(policy, "owner")
        if owner is None or self.circuit is None:
            return False
        if owner is self.circuit or isinstance(policy, PerKeyPolicy):
            return owner is self.circuit or _is_child(self.circuit, owner)
        return _is_child(owner, self.circuit)

    def is_for(self, record: Guarded, call: Call) -> bool:
        """Whether it is for a call: of a circuit per key, those of one key only, where that one was given."""
        for policy in record.policies:
            keyed = isinstance(policy, PerKeyPolicy) and policy.owner is not self.circuit
            if self.circuit is not None and keyed and self._is_circuit(policy):
                return cast("PerKeyPolicy", policy).circuit_for(call) is self.circuit
        return True


def _is_child(circuit: object, owner: object) -> bool:
    """Whether *circuit* is one that *owner* has made for a key or an object."""
    return isinstance(owner, CircuitBreaker) and any(child is circuit for _, child in owner.children())


def coverage_of(target: object) -> Coverage:
    """Return the functions that *target* stands for.

    Raises LookupError for the name of no circuit, and TypeError for a function or a class that no policy guards.
    """
    if isinstance(target, str):
        return Coverage(circuit=circuits.get(target))
    if isinstance(target, CircuitBreaker):
        return Coverage(circuit=target)
    if isinstance(target, type):
        return Coverage(records=_methods_of(target))
    return Coverage(records=[guarded_function(target)])


def _methods_of(cls: type[object]) -> list[Guarded]:
    methods = [guarded(under_descriptor(method)) for _, method in public_methods(cls)]
    found = [record for record in methods if record is not None]
    if not found:
        raise TypeError(f"target={cls!r}: no policy guards a method of it; decorate it, or give a guarded function")
    return found


def guarded_function(target: object, parameter: str = "target") -> Guarded:
    """Return the record of a guarded function; of a function around one, such as a cache, that of the one it wraps.

    Raises TypeError for a function that no policy guards.
    """
    for each in _wrapped_functions(target):
        record = guarded(each)
        if record is not None:
            return record
    raise TypeError(f"{parameter}={target!r}: give a function that a policy guards; monkeypatch replaces any other")


def _wrapped_functions(function: object) -> Iterator[object]:
    """Yield *function*, and what it wraps."""
    inner = under_descriptor(function)
    for _ in range(_MAX_DEPTH):
        if inner is None:
            return
        yield inner
        inner = safe_getattr(inner, "__wrapped__")
