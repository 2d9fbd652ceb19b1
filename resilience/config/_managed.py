"""The policies of one name as a decorator: what `Policies` hands out, and what it gives the next plan.

`ConfiguredPolicies` looks like a `Pipeline`, but its policies change. It knows the functions it guards, so a reload
goes to each of them, once, and exchanges what its wrapper does. The other way, a lookup of the plan in force at each
call, would cost every call for what happens once a day.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence

from resilience._forks import fork_safe
from resilience._runtime import protocol as base
from resilience._runtime.decorate import Guarded, Keeper
from resilience._runtime.pipeline import Pipeline
from resilience.circuits import CircuitBreaker
from resilience.config._plan import Plan

__all__ = ["ConfiguredPolicies"]


class ConfiguredPolicies(Pipeline):
    """The policies that a configuration has under one name. It decorates and calls as any `Pipeline`.

    Functions that it guards get other policies when the configuration changes: each call goes through all policies of
    one configuration, and a call that runs ends as it began. Nothing is added to the path of a call.

    It owns the plan in force, and refers weakly to the functions it guards: a function that the program drops is freed.
    Decorators run in any thread, and reloads in another; both hold the lock, which a call of a guarded function never
    takes.

    `Policies` makes it: one object for each name, for as long as the `Policies` live.

    >>> from resilience.config import Policies
    >>> policies = Policies.load({"policies": {"catalogue": {"timeout": 2.0}}}, environment={})
    >>> policies["catalogue"] is policies["catalogue"], policies["catalogue"].circuit
    (True, None)
    """

    replaces = True
    __slots__ = ("_handed_out", "_lock", "_plan", "_records", "name")

    def __init__(self, name: str, plan: Plan) -> None:
        super().__init__(*plan.parts.values())
        self.name: str = name
        self._plan = plan
        #: The functions guarded, as long as they live.
        self._records: weakref.WeakSet[Guarded] = weakref.WeakSet()
        #: All policies of the present plan that guard something, by identity.
        self._handed_out: dict[int, base.Policy] = {}
        self._lock = fork_safe(threading.RLock())

    @property
    def plan(self) -> Plan:
        """The plan in force."""
        return self._plan

    @property
    def circuit(self) -> CircuitBreaker | None:
        """The circuit, if the configuration has one: the same object for as long as it has."""
        found = self._plan.parts.get("circuit")
        assert found is None or isinstance(found, CircuitBreaker)
        return found

    def policies(self, target: object = None) -> tuple[base.Policy, ...]:
        """Return the policies for *target*, outermost first.

        They are remembered: a later plan replaces these in a stack, and no others.
        """
        with self._lock:
            policies = self._plan.policies(target)
            self._handed_out.update((id(policy), policy) for policy in policies)
            return policies

    def keepers(self) -> tuple[Keeper, ...]:
        """Return this object: it knows the functions that it guards."""
        return (self,)

    def keep(self, record: Guarded, /) -> None:
        """Remember a function that is guarded by these policies, and perhaps by others."""
        with self._lock:
            self._records.add(record)

    def applying(self, plan: Plan) -> Callable[[], None]:
        """Return what puts *plan* in force. It fails here or not at all.

        The wrappers of all functions are made here, and only exchanged when the result is called. So `Policies` can
        prepare many names, and give up at the first that fails, before anything has changed.

        Raises:
            TypeError: where a policy of the plan cannot guard one of the functions.
        """
        with self._lock:
            handed_out: dict[int, base.Policy] = {}
            replacing: list[Callable[[], None]] = []
            for record in self._records:
                stack = self._with(record, plan.policies(record.function), handed_out)
                replacing.append(record.replacing(stack))

        def apply() -> None:
            with self._lock:
                self._plan, self._parts, self._handed_out = plan, tuple(plan.parts.values()), handed_out
                for replace in replacing:
                    replace()

        return apply

    def _with(
        self, record: Guarded, policies: Sequence[base.Policy], handed_out: dict[int, base.Policy]
    ) -> tuple[base.Policy, ...]:
        """Return the stack of *record* with *policies* in the place of those of the present plan.

        A function may have other decorators, in code, around these policies and below them: they keep their places.
        """
        old = [policy for policy in record.policies if id(policy) in self._handed_out]
        here = record.policies.index(old[0])
        others = [policy for policy in record.policies if id(policy) not in self._handed_out]
        if self._is_local(old):  # a method such as `close`, of a class
            policies = [policy for policy in policies if policy.guards_local_methods]
        handed_out.update((id(policy), policy) for policy in policies)
        return (*others[:here], *policies, *others[here:])

    def _is_local(self, policies: Sequence[base.Policy]) -> bool:
        """Whether *policies* are those of a method that makes no request: those for requests do not guard it."""
        if any(not policy.guards_local_methods for policy in policies):
            return False
        return any(not policy.guards_local_methods for policy in self._handed_out.values())

    def __str__(self) -> str:
        return f"policies[{self.name!r}]: {super().__str__()}"

    def __repr__(self) -> str:
        return f"<ConfiguredPolicies {self.name!r}: {Pipeline.__str__(self)}>"
