"""`Event`, the base of all events, and `event_type`, which declares a kind of them.

`resilience.events` has the kinds and is the module to import from. The base stands apart so that listeners
(`resilience._listeners`) can be typed without the kinds.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, dataclass_transform

from resilience._injected import is_injected
from resilience._metric import Counter
from resilience.categories import ErrorCategory, Severity

__all__ = ["HIDDEN", "Event", "event_type", "event_types"]

_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)+")
_declared: dict[str, type[Event]] = {}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events: *target* is the qualified name of the function called, *policy* names the policy.

    The class variables are what `event_type` sets on each kind. A subclass without that declaration is an event as
    well: it is logged under its `name` at its `severity`, and neither counted nor shown on spans.
    """

    name: ClassVar[str] = "event"
    severity: ClassVar[Severity] = Severity.INFO
    #: The metric that each event of this kind adds one to.
    counter: ClassVar[Counter | None] = None
    #: Whether OpenTelemetry adds it to the span that is current where it is emitted.
    on_span: ClassVar[bool] = False
    #: Whether it is logged at the severity of its category where that is higher than its own.
    escalates: ClassVar[bool] = True

    target: str
    policy: str

    @property
    def is_detail(self) -> bool:
        """Whether another event says the same of more calls at once: it is logged as DEBUG, whatever its kind says."""
        return False

    @property
    def injected(self) -> bool:
        """Whether chaos has injected the error that it is about."""
        return is_injected(getattr(self, "error", None))

    def fields(self) -> dict[str, object]:
        """Return the fields for a log line or a JSON document: plain values under stable keys.

        A category is its label, an error the name of its type, a number is rounded to four decimals. What is None or
        infinite is left out: JSON has no infinity. `policy` is the kind of the policy; where *policy* is the name of a
        circuit or another policy that has one, the name is under a key of its own.

        >>> from resilience.events import CircuitClosed, TimedOut
        >>> TimedOut(target="shop.search", policy="timeout", limit=2.0).fields()
        {'target': 'shop.search', 'policy': 'timeout', 'limit': 2.0}
        >>> CircuitClosed(target="shop.search", policy="catalogue").fields()
        {'target': 'shop.search', 'policy': 'circuit_breaker', 'circuit': 'catalogue'}
        """
        shown: dict[str, object] = {"target": self.target, **self._policy_fields()}
        for field in dataclasses.fields(self):
            value: object = getattr(self, field.name)
            hidden = field.name in shown or field.metadata.get("hidden")
            if not hidden and value is not None and value != math.inf:
                shown[field.name] = _PLAIN[_type_in(value)](value)
        if self.injected:
            shown["injected"] = True
        return shown

    def _policy_fields(self) -> dict[str, object]:
        """Return the fields that say which policy has emitted the event."""
        return {"policy": self.policy}


HIDDEN: Mapping[str, object] = {"hidden": True}
"""The metadata of a field that `Event.fields` leaves out."""


def _type_in(value: object) -> type[object]:
    """Return the type in `_PLAIN` that *value* belongs to."""
    return next(kind for kind in _PLAIN if isinstance(value, kind))


_PLAIN: dict[type[object], Callable[[Any], object]] = {
    ErrorCategory: operator.attrgetter("label"),
    Exception: lambda error: type(error).__name__,
    float: functools.partial(round, ndigits=4),
    object: lambda value: value,
}


E = TypeVar("E", bound=Event)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,))
def event_type(
    name: str,
    severity: Severity,
    *,
    counter: Counter | None = None,
    on_span: bool = True,
    escalates: bool = True,
) -> Callable[[type[E]], type[E]]:
    """Make a class a kind of event: a frozen dataclass with a *name* of its own and everything others need to know.

    *severity* is the level of its log line, or with *escalates* that of its category where that is higher. *counter* is
    the metric it adds one to; each label is an attribute of the event, a field or a class variable, and one with few
    values. *on_span* adds it to the current OpenTelemetry span. Declare events before OpenTelemetry's ``install``.

    Raises TypeError where the class is made for a class that is not an `Event` and for a label that the event lacks,
    ValueError for a name that is not made of words joined by dots, or that another kind of event or metric has.

    >>> lost = Counter("shop.orders.lost", "Orders that were lost.", ("target", "shelf"))
    >>> @event_type("order.lost", Severity.ERROR, counter=lost)
    ... class OrderLost(Event):
    ...     '''An order was accepted and its item is not on *shelf*.'''
    ...     shelf: str
    >>> OrderLost(target="shop.search", policy="stock", shelf="A").fields()
    {'target': 'shop.search', 'policy': 'stock', 'shelf': 'A'}
    """

    def declare(cls: type[E]) -> type[E]:
        kind = dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)
        _check_name(name, kind)
        if counter is not None:
            _check_counter(name, kind, counter)
        kind.name, kind.severity, kind.counter = name, severity, counter
        kind.on_span, kind.escalates = on_span, escalates
        _declared[name] = kind
        return kind

    return declare


def event_types() -> tuple[type[Event], ...]:
    """Return the kinds of events that have been declared, ours and the application's, in that order."""
    return tuple(_declared.values())


def _check_name(name: str, kind: type[Event]) -> None:
    """Raise TypeError or ValueError unless *kind* is an event class that may be called *name*."""
    if not issubclass(kind, Event):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be unchecked
        raise TypeError(f"@event_type({name!r}): give a subclass of Event, not {kind!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"@event_type({name!r}): give lowercase words joined by dots, such as 'retry.scheduled'")
    if name in _declared and not _is_same(_declared[name], kind):
        raise ValueError(f"@event_type({name!r}): {_declared[name].__qualname__} has that name already")


def _check_counter(name: str, kind: type[Event], counter: Counter) -> None:
    """Raise TypeError or ValueError unless *kind* has the labels of *counter*, whose name is no other counter's."""
    for label in counter.labels:
        if not hasattr(kind, label):
            raise TypeError(f"@event_type({name!r}): {kind.__qualname__} has no {label!r}, a label of {counter.name}")
    others = [other.counter for other in _declared.values() if not _is_same(other, kind)]
    if any(other is not None and other is not counter and other.name == counter.name for other in others):
        raise ValueError(f"@event_type({name!r}): another Counter is named {counter.name!r}; let both events share one")


def _is_same(one: type[Event], other: type[Event]) -> bool:
    # A notebook's cell that is run again defines its class again.
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)
