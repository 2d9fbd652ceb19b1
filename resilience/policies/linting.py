"""Lint: the mistakes in a stack of policies that are certain, found without a call.

A wrong order of policies, or limits that contradict each other, raise no error: the stack works, but a retry is never
made, or a circuit never opens, until the outage in which that is noticed. `lint` names each such mistake by a rule. The
rules are in `_stack_order`, for the order, and in `_stack_limits`, for the options.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from resilience._runtime.callables import under_descriptor
from resilience._runtime.decorate import guarded
from resilience._runtime.guard import public_methods
from resilience._runtime.pipeline import Decorator
from resilience._runtime.protocol import Policy
from resilience.policies._stack_limits import option_problems
from resilience.policies._stack_order import order_problems

__all__ = ["Finding", "lint"]


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """A mistake in a stack: the *rule* that it breaks, and a *message* with the policies and what to write instead.

    A rule keeps its name: it may be looked for in a test or a report.
    """

    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


def lint(target: object) -> tuple[Finding, ...]:
    """Return the mistakes in the stack of policies around a function or method, or of a pipeline or policy.

    Of a class all public methods are looked at. Nothing is called. An empty tuple says that no rule is broken: what
    numbers are right for a dependency no rule can know.

    Raises TypeError for what is no function, class, pipeline or policy.

    >>> from resilience import circuit_breaker, retry_on_category
    >>> @circuit_breaker("billing")
    ... @retry_on_category(attempts=3)
    ... def charge(card: str) -> None: ...
    >>> [finding.rule for finding in lint(charge)]
    ['retry-inside-breaker']
    """
    found: dict[Finding, None] = {}
    for stack in _stacks_of(target):
        found |= dict.fromkeys(_problems(stack))
    return tuple(found)


def _stacks_of(target: object) -> Iterator[Sequence[Policy]]:
    """Yield the stacks of policies around *target*: one for each method of a class, else one or none."""
    target = under_descriptor(target)
    if isinstance(target, Decorator):
        yield target.policies()
    elif isinstance(target, type):
        for _, method in public_methods(target):
            yield from _stack_around(under_descriptor(method))
    elif callable(target):
        yield from _stack_around(target)
    else:
        raise TypeError(f"lint({target!r}): give a function, a method, a class, a pipeline or a policy")


def _stack_around(function: object) -> Iterator[Sequence[Policy]]:
    found = guarded(function)
    if found is not None:
        yield found.policies


def _problems(stack: Sequence[Policy]) -> Iterator[Finding]:
    for rule, message in (*order_problems(stack), *option_problems(stack)):
        yield Finding(rule, message)
