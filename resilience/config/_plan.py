"""The policies of one name, made of its options: what guards a function until the configuration says something else.

A plan is made whole or not at all, and never changes. Making it changes nothing that is in use: what has to happen to
an object that goes on, such as a circuit that gets other options, is in `Plan.changes` until the plan is applied.

What becomes of a policy when its options change:

* the same options: the same object goes on;
* a circuit: the same object gets the new options, since the program may hold it, and its state is worth keeping;
* a limit, such as a bulkhead or a rate limit: a new object takes over what the old one has in use;
* a retry: a new object, with the retry budget of the same name;
* all others, which know nothing of earlier calls: a new object.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, cast

from resilience._runtime import protocol as base
from resilience._runtime.callables import is_generator
from resilience._runtime.pipeline import Decorator
from resilience.circuits import CircuitBreaker
from resilience.config._sections import SECTIONS, Section, section_named
from resilience.config._sources import ConfigurationError, Setting
from resilience.policies._circuit_breaker_config import CircuitBreakerConfig
from resilience.policies.base import decorated_function
from resilience.policies.deadline import Deadline
from resilience.policies.retry_budget import RetryBudget
from resilience.policies.timeout import Timeout, timeout_of

__all__ = ["Kept", "Plan", "check_plan", "make_plan"]


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """A policy that is in use, with the options that it was made of."""

    options: Mapping[str, Any]
    part: Decorator


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The *parts* of a stack, outermost first, by section, and the *changes* to make when they come into use.

    *kept* has the options that each part was made of: the next plan compares its own with them. The *changes* belong to
    the one time when the plan is applied, and may not be made for a plan that is only checked.
    """

    parts: Mapping[str, Decorator]
    kept: Mapping[str, Kept]
    changes: Sequence[Callable[[], object]]

    def policies(self, target: object = None) -> tuple[base.Policy, ...]:
        """Return the policies for *target*.

        Of a generator function the time limit is for its first item, and there is no deadline: its consumer's time
        would count.
        """
        function = decorated_function(target)
        parts = list(self.parts.values())
        if function is not None and is_generator(function):
            parts = [_for_items(part) for part in parts if not isinstance(part, Deadline)]
        return tuple(policy for part in parts for policy in part.policies(target))


def _for_items(part: Decorator) -> Decorator:
    if isinstance(part, Timeout) and not part.uses_signal:
        return timeout_of(..., part.time_limit, None, "thread")
    return part


def make_plan(
    name: str,
    sections: Mapping[str, Mapping[str, Setting]],
    kept: Mapping[str, Kept],
    budgets: MutableMapping[str, RetryBudget],
) -> Plan:
    """Return the plan of *name*. What *kept* has of the plan before it goes on where its options are the same.

    Args:
        name: the name of the policies, which circuits and limits are called by as well.
        sections: the options by section, those of a base included.
        kept: the policies of the plan in force; empty for the first one.
        budgets: the retry budgets by name, which outlive plans; one that is made is added.

    Raises:
        ConfigurationError: where a policy refuses its options, or where there is no policy at all.
    """
    if "circuit" in sections and "circuit" not in kept:
        check_plan(name, sections)  # before there is another circuit of that name
    parts: dict[str, Decorator] = {}
    keeping: dict[str, Kept] = {}
    changes: list[Callable[[], object]] = []
    for section in SECTIONS:
        if section.name not in sections:
            continue
        settings = sections[section.name]
        options = {option: setting.value for option, setting in settings.items()}
        before = kept.get(section.name)
        try:
            part = _part(section, name, options, before, budgets, changes)
        except (TypeError, ValueError) as error:
            raise _refused(name, section, settings, error) from error
        parts[section.name] = part
        keeping[section.name] = Kept(options, part)
    if not parts:
        raise ConfigurationError(f"policies.{name}: no policy is left; give one, such as retry = 3 or timeout = 2.0")
    return Plan(parts, keeping, changes)


def check_plan(name: str, sections: Mapping[str, Mapping[str, Setting]]) -> None:
    """Raise ConfigurationError where `make_plan` would. It makes no circuit: circuits are known by their names."""
    others = {section: settings for section, settings in sections.items() if section != "circuit"}
    if others or "circuit" not in sections:
        make_plan(name, others, {}, {})
    if "circuit" in sections:
        settings = sections["circuit"]
        options: dict[str, Any] = {option: setting.value for option, setting in settings.items()}
        try:
            CircuitBreakerConfig(name, **options)
        except (TypeError, ValueError) as error:
            raise _refused(name, section_named("circuit"), settings, error) from error


def _part(
    section: Section,
    name: str,
    options: Mapping[str, Any],
    before: Kept | None,
    budgets: MutableMapping[str, RetryBudget],
    changes: list[Callable[[], object]],
) -> Decorator:
    """Return the policy of a *section*: the one *before*, or a new one; add what is to be done later to *changes*."""
    if before is not None and before.options == options:
        return before.part
    if before is not None and isinstance(before.part, CircuitBreaker):
        config = CircuitBreakerConfig(name, **options)
        changes.append(before.part.reconfiguring(config))
        return before.part
    if section.name == "retry":
        given = dict(options)
        if given.pop("budget", True):
            given["budget"] = budgets.setdefault(name, RetryBudget(name))
        options = given
    part: Any = section.make(name, options)
    if before is not None and section.continues:
        changes.append(part.continuing(before.part))
    return cast("Decorator", part)


def _refused(name: str, section: Section, settings: Mapping[str, Setting], error: Exception) -> ConfigurationError:
    """Return the error of a section whose policy has refused its options: most say which one, by its name."""
    option = str(error).partition("=")[0]
    where, origins = f"policies.{name}.{section.name}", {setting.origin for setting in settings.values()}
    if option in settings:
        where, origins = f"{where}.{option}", {settings[option].origin}
    return ConfigurationError(f"{', '.join(sorted(origins)) or 'policies'}: {where}: {error}")
