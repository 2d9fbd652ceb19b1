"""Metrics as values: counters, gauges and histograms, each with a name, a help text and labels.

A metric here is a declaration. It holds no number and knows no monitoring library. `resilience.events` declares the
counter of each kind of event, `resilience.metrics.definitions` declares all other metrics, and the exporters in
`resilience.metrics` read both. The classes stand in a module of their own, below the events, so that an event can
declare its counter without importing what counts it.

A metric's `name` is the one OpenTelemetry gets: lowercase words joined by dots. Prometheus has underscores, the unit
and ``_total``: `Metric.prometheus_name`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar, Literal, TypeAlias

__all__ = ["Counter", "Gauge", "Histogram", "Metric"]

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

_DOTTED = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_LABEL = re.compile(r"[a-z][a-z0-9_]*")


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Metric:
    """Base of the three kinds of metrics. A metric is equal to itself only, and so can be a dictionary key.

    *labels* are the dimensions of a metric: each set of their values has a number of its own. The values of a label
    must be few and come from the program: a function's name, a category. An argument or a message of a call is neither.

    Raises ValueError for a name that is not made of lowercase words joined by dots, for an empty help text and for a
    label that is not a lowercase word.
    """

    kind: ClassVar[Kind]
    #: What Prometheus appends to the family's name in the name of a sample.
    suffix: ClassVar[str] = ""

    name: str
    help: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _DOTTED.fullmatch(self.name):
            raise ValueError(f"name={self.name!r}: give lowercase words joined by dots, such as 'shop.orders'")
        if not self.help:
            raise ValueError(f"help={self.help!r}: say in a sentence what {self.name} counts or measures")
        for label in self.labels:
            if not _LABEL.fullmatch(label):
                raise ValueError(f"labels={self.labels!r}: give lowercase words, such as ('target',)")

    @property
    def family(self) -> str:
        """The name of the Prometheus metric family: what its samples' names begin with."""
        return self.name.replace(".", "_")

    @property
    def prometheus_name(self) -> str:
        """The name of the samples in Prometheus. Those of a histogram have further suffixes, such as ``_bucket``."""
        return self.family + self.suffix


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Counter(Metric):
    """A number that only grows: of calls, of errors, of events of one kind.

    >>> Counter("shop.orders", "Orders that were placed.", ("target",)).prometheus_name
    'shop_orders_total'
    """

    kind: ClassVar[Kind] = "counter"
    suffix: ClassVar[str] = "_total"


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Gauge(Metric):
    """A number as it is now, which may fall: of open circuits, of tokens left.

    *multiprocess_mode* says how prometheus_client merges the gauges of several processes: their sum or their maximum,
    in both cases of processes that are alive.
    """

    kind: ClassVar[Kind] = "gauge"

    multiprocess_mode: Literal["livesum", "livemax"] = "livesum"


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Histogram(Metric):
    """Durations in seconds, counted by the buckets of *bounds*, the upper bounds in ascending order.

    >>> Histogram("shop.order.duration", "How long orders took.", ("target",), (0.1, 1.0)).prometheus_name
    'shop_order_duration_seconds'
    """

    kind: ClassVar[Kind] = "histogram"
    unit: ClassVar[str] = "s"

    bounds: tuple[float, ...]

    @property
    def family(self) -> str:
        return self.name.replace(".", "_") + "_seconds"
