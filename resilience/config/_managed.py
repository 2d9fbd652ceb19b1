"""The policies of one name as a decorator: what `Policies` hands out, and what it gives the next plan.

`ConfiguredPolicies` looks like a `Pipeline`, but its policies change. It knows the functions it guards, so a reload
goes to each of them, once, and exchanges what its wrapper does. The other way, a lookup of the plan in force at each
call, would cost every call for what happens once a day.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from resilience._forks import fork_safe
from resilience._runtime import protocol as base
from resilience._runtime.decorate import Guarded, Keeper
from resilience._runtime.pipeline import Pipeline
from resilience.circuits import CircuitBreaker
from resilience.config._plan import Plan

__all__ = ["ConfiguredPolicies"]

_EARLIER_PLANS: Final = 64  # a function takes a tenth of a millisecond to decorate, a plan longer to apply


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
    __slots__ = ("_earlier", "_generation", "_handed_out", "_lock", "_pending", "_plan", "_records", "name")

    def __init__(self, name: str, plan: Plan) -> None:
        super().__init__(*plan.parts.values())
        self.name: str = name
        self._plan = plan
        #: The functions guarded, as long as they live.
        self._records: weakref.WeakSet[Guarded] = weakref.WeakSet()
        #: All policies of the present plan that guard something, by identity.
        self._handed_out: dict[int, base.Policy] = {}
        #: The same of the plans before, by the number of the plan: a function may still be in the making by one.
        self._earlier: dict[int, dict[int, base.Policy]] = {}
        self._generation = 0
        #: For each thread the number of the plan whose policies it was handed last.
        self._pending = threading.local()
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
            self._pending.generation = self._generation
            return policies

    def keepers(self) -> tuple[Keeper, ...]:
        """Return this object: it knows the functions that it guards."""
        return (self,)

    def keep(self, record: Guarded, /) -> None:
        """Remember a function that is guarded by these policies, and perhaps by others.

        Another thread may have applied a plan since the function was handed its policies: then it gets the new ones.
        """
        with self._lock:
            self._records.add(record)
            made_by = getattr(self._pending, "generation", self._generation)
            if made_by != self._generation:
                self._catch_up(record, self._earlier.get(made_by, {}))

    def _catch_up(self, record: Guarded, before: dict[int, base.Policy]) -> None:
        """Give *record*, which has policies of the plan *before*, those of the plan in force."""
        stack = self._with(record, self._plan.policies(record.function), before, self._handed_out)
        record.replacing(stack)()

    def applying(self, plan: Plan) -> Callable[[], None]:
        """Return what puts *plan* in force. It fails here or not at all.

        The wrappers of all functions are made here, and only exchanged when the result is called. So `Policies` can
        prepare many names, and give up at the first that fails, before anything has changed.

        Raises:
            TypeError: where a policy of the plan cannot guard one of the functions.
        """
        with self._lock:
            handed_out: dict[int, base.Policy] = {}
            prepared = list(self._records)
            replacing: list[Callable[[], None]] = []
            for record in prepared:
                stack = self._with(record, plan.policies(record.function), self._handed_out, handed_out)
                replacing.append(record.replacing(stack))

        def apply() -> None:
            with self._lock:
                before, self._handed_out = self._handed_out, handed_out
                self._earlier[self._generation] = before
                self._earlier.pop(self._generation - _EARLIER_PLANS, None)
                self._generation += 1
                self._plan, self._parts = plan, tuple(plan.parts.values())
                for replace in replacing:
                    replace()
                for record in set(self._records).difference(prepared):  # decorated meanwhile, in another thread
                    self._catch_up(record, before)

        return apply

    def _with(
        self,
        record: Guarded,
        policies: Sequence[base.Policy],
        before: Mapping[int, base.Policy],
        handed_out: dict[int, base.Policy],
    ) -> tuple[base.Policy, ...]:
        """Return the stack of *record* with *policies* in the place of those of the plan *before*.

        A function may have other decorators, in code, around these policies and below them: they keep their places.
        """
        old = [policy for policy in record.policies if id(policy) in before]
        if not old:  # of a plan that is long gone
            return tuple(record.policies)
        here = record.policies.index(old[0])
        others = [policy for policy in record.policies if id(policy) not in before]
        if _is_local(old, before):  # a method such as `close`, of a class
            policies = [policy for policy in policies if policy.guards_local_methods]
        handed_out.update((id(policy), policy) for policy in policies)
        return (*others[:here], *policies, *others[here:])

    def __str__(self) -> str:
        return f"policies[{self.name!r}]: {super().__str__()}"

    def __repr__(self) -> str:
        return f"<ConfiguredPolicies {self.name!r}: {Pipeline.__str__(self)}>"


def _is_local(policies: Sequence[base.Policy], handed_out: Mapping[int, base.Policy]) -> bool:
    """Whether *policies* are those of a method that makes no request: those for requests do not guard it."""
    if any(not policy.guards_local_methods for policy in policies):
        return False
    return any(not policy.guards_local_methods for policy in handed_out.values())
