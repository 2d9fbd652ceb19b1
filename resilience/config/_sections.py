"""The sections of a configured stack: one for each policy, in the order in which the policies stand.

A `Section` knows which options its policy takes, of which kind each is, and what makes the policy. The options are read
from the policy's own class, so that they are written once. `SECTIONS` is in the order of a stack, outermost first.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from resilience._runtime.pipeline import Decorator
from resilience._validation import did_you_mean, signature_of
from resilience.circuits import CircuitBreaker
from resilience.config._kinds import ANYTHING, DURATION, Kind, kind_of_type
from resilience.faults import Chaos
from resilience.policies._circuit_breaker_config import CircuitBreakerConfig
from resilience.policies._retry_config import RetryOptions
from resilience.policies.adaptive_limit import AdaptiveLimit
from resilience.policies.bulkhead import Bulkhead
from resilience.policies.deadline import Deadline
from resilience.policies.fallback import Fallback
from resilience.policies.hedge import Hedge
from resilience.policies.rate_limit import RateLimit
from resilience.policies.retry import Retry
from resilience.policies.throttle import Throttle
from resilience.policies.timeout import Timeout

__all__ = ["SECTIONS", "Section", "section_named"]


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """A policy that can be configured: its *options*, by name, and what makes it of the name of the dependency.

    *short* is the option that a bare value is for: ``timeout = 2`` is ``timeout = {limit = 2}``. Without one, a bare
    ``true`` takes the defaults. *continues* says that a policy of other options takes over what the one before knows,
    by its method ``continuing``: the calls in flight, the tokens that are gone.
    """

    name: str
    options: Mapping[str, Kind]
    make: Callable[[str, Mapping[str, Any]], Decorator]
    short: str | None = None
    continues: bool = False

    def read(self, option: str, value: object) -> object:
        """Return *value* as the policy takes it. Raises ValueError for an option that it does not have."""
        if option not in self.options:
            raise ValueError(f"no such option of {self.name}{did_you_mean(option, list(self.options))}")
        return self.options[option].read(value)


def _configurable(types: Mapping[str, Any], *left_out: str) -> dict[str, Kind]:
    """Return the options that a configuration may set: those of a type with a kind."""
    kinds = {name: kind_of_type(declared) for name, declared in types.items() if name not in left_out}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _types_of(policy: Callable[..., object]) -> dict[str, Any]:
    """Return the declared types of the options of a policy, by name: annotations as they are written, not evaluated."""
    parameters = signature_of(policy).parameters.values()
    return {each.name: each.annotation for each in parameters if each.kind is not inspect.Parameter.VAR_KEYWORD}


def _retry_kinds() -> dict[str, Kind]:
    on = kind_of_type("CategoryLike")
    assert on is not None
    return {"on": on, **_configurable(RetryOptions.__annotations__, "revise_on", "max_revisions", "no_progress")}


def _circuit_kinds() -> dict[str, Kind]:
    types = {option.name: option.type for option in dataclasses.fields(CircuitBreakerConfig) if option.init}
    return _configurable(types, "name", "max_keys", "per_instance")


def _named(policy: Callable[..., Decorator], name: str, options: Mapping[str, Any]) -> Decorator:
    return policy(name, **options)


def _unnamed(policy: Callable[..., Decorator], _: str, options: Mapping[str, Any]) -> Decorator:
    return policy(**options)


def _retry(_: str, options: Mapping[str, Any]) -> Decorator:
    """Make a retry: its categories are positional, as they are in code."""
    given = dict(options)
    on = [given.pop("on")] if "on" in given else []
    return Retry(*on, **given)


def _chaos(_: str, options: Mapping[str, Any]) -> Decorator:
    """Make a policy of faults. It is on the path of calls only where it is enabled: the next plan switches it."""
    made = Chaos(**options)
    made.on_path = made.enabled  # it is switched by the next plan
    return made


_BUDGET, _TEXT = kind_of_type("bool"), kind_of_type("str")
assert _BUDGET is not None
assert _TEXT is not None
_NAME_AND_KEYS = ("name", "key", "max_keys", "only", "exclude")

SECTIONS: Sequence[Section] = (
    Section(
        "fallback",
        {"default": ANYTHING, **_configurable(_types_of(Fallback), "max_age")},
        functools.partial(_unnamed, Fallback),
        "default",
    ),
    Section("deadline", {"limit": DURATION}, functools.partial(_unnamed, Deadline), "limit"),
    Section("retry", {**_retry_kinds(), "budget": _BUDGET}, _retry, "attempts"),
    Section(
        "hedge",
        _configurable(_types_of(Hedge), "to_threads", *_NAME_AND_KEYS),
        functools.partial(_unnamed, Hedge),
        "after",
    ),
    Section("circuit", _circuit_kinds(), functools.partial(_named, CircuitBreaker)),
    Section(
        "throttle",
        _configurable(_types_of(Throttle), *_NAME_AND_KEYS),
        functools.partial(_named, Throttle),
        continues=True,
    ),
    Section(
        "rate_limit",
        _configurable(_types_of(RateLimit), *_NAME_AND_KEYS),
        functools.partial(_named, RateLimit),
        "rate",
        continues=True,
    ),
    Section(
        "adaptive_limit",
        _configurable(_types_of(AdaptiveLimit), *_NAME_AND_KEYS),
        functools.partial(_named, AdaptiveLimit),
        continues=True,
    ),
    Section(
        "bulkhead",
        _configurable(_types_of(Bulkhead), *_NAME_AND_KEYS),
        functools.partial(_named, Bulkhead),
        "limit",
        continues=True,
    ),
    Section(
        "timeout",
        {"limit": DURATION, **_configurable(_types_of(Timeout))},
        functools.partial(_unnamed, Timeout),
        "limit",
    ),
    Section(
        "chaos",
        {"client": _TEXT, **_configurable(_types_of(Chaos), "only", "exclude")},
        _chaos,
        "category",
    ),
)
"""All sections, in the order of a stack, outermost first."""

_BY_NAME = {section.name: section for section in SECTIONS}


def section_named(name: str) -> Section:
    """Return the section of that *name*. Raises ValueError for one that there is not."""
    if name not in _BY_NAME:
        raise ValueError(f"no such policy{did_you_mean(name, list(_BY_NAME))}; there are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]
