"""Numbers of a process that is one of several: added to its files in PROMETHEUS_MULTIPROC_DIR, a second late at most.

A scrape may be answered by any of them and reads the files of all, so nothing can be asked for at that moment. A call
that ends has what changed written down a second later, once for all that ended meanwhile; a circuit that changes, at
once. A process where nothing happens does nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import values

from resilience.events import CircuitModeChanged, Event
from resilience.metrics.counting import counted
from resilience.metrics.names import (
    BOUNDS,
    CIRCUIT_MODE,
    CIRCUIT_STATE,
    DURATION,
    TRANSITIONS,
    Metric,
    bound_name,
    prometheus_name,
)
from resilience.metrics.reading import Reader
from resilience.metrics.records import RECORDS, Durations, Record

__all__ = ["Files"]

_DELAY = 1.0  # seconds

Key = tuple[Metric, str, tuple[str, ...]]
"""A metric, the suffix of a sample of it, and the values of its labels."""


class Files:
    """Writes what a reader reads."""

    def __init__(self, reader: Reader) -> None:
        self.listener: Callable[..., object] = self._heard_event
        self._reader = reader
        self._written: dict[Key, float] = {}
        self._values: dict[Key, Any] = {}
        self._durations: dict[tuple[str, ...], Durations] = {}
        self._writing = threading.RLock()
        self._timing = threading.RLock()  # another one: a call that ends must not wait for what is written
        self._timer: threading.Timer | None = None
        self._closed = False
        self._exits_in: int | None = None
        RECORDS.watch(self._heard_call)
        atexit.register(self.flush)
        with contextlib.suppress(AttributeError):  # there is no fork on Windows
            os.register_at_fork(after_in_child=self._forked)
        self.flush()

    # -- when ----------------------------------------------------------------------------------------------------

    def _heard_call(self, record: Record, outcome: str, took: float) -> bool:
        self._soon()
        return False  # of no further one, before this is written

    def _heard_event(self, event: Event) -> None:
        self._reader.counts(event)
        found = counted(event)
        if isinstance(event, CircuitModeChanged) or (found is not None and found[0] is TRANSITIONS):
            self._write_circuits()
        self._soon()

    def _soon(self) -> None:
        with self._timing:
            if self._timer is not None or self._closed:
                return
            timer = self._timer = threading.Timer(_DELAY, self.flush)
            timer.daemon = True
            timer.name = "resilience metrics"
            self._before_exit()
        try:
            timer.start()
        except RuntimeError:  # no more threads, or the interpreter is going down
            self.flush()

    def _before_exit(self) -> None:
        """Have a child of `multiprocessing` write before it goes: it runs no `atexit`, but what it has for that."""
        util = sys.modules.get("multiprocessing.util")
        if util is not None and self._exits_in != os.getpid():
            self._exits_in = os.getpid()
            util.Finalize(None, self.flush, exitpriority=10)

    def _forked(self) -> None:
        """Begin anew in a child: what the parent has counted is the parent's to write."""
        if self._closed:
            return
        self._writing, self._timing = threading.RLock(), threading.RLock()
        self._reader.counts.unlock()
        self._timer = None
        self._values, self._durations = {}, {}
        self._written = {key: number for key, number in self._numbers() if key[0].kind != "gauge"}
        RECORDS.tell_again()

    # -- what ----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write down what has changed."""
        with self._writing:
            if self._closed:
                return
            with self._timing:
                self._timer = None
            RECORDS.tell_again()  # first: a call that ends from here on may be too late for this time
            gone = {key for key, number in self._written.items() if key[0].kind == "gauge" and number}
            for key, number in self._numbers():
                gone.discard(key)
                self._write(key, number)
            for key in gone:  # a circuit nobody has any more
                self._write(key, 0.0)

    def _write_circuits(self) -> None:
        if not self._writing.acquire(blocking=False):
            return  # it is being written, or will be, soon
        try:
            if not self._closed:
                for metric in (TRANSITIONS, CIRCUIT_STATE, CIRCUIT_MODE):
                    for key, number in _keyed(metric, self._reader.read(metric)):
                        self._write(key, number)
        finally:
            self._writing.release()

    def _write(self, key: Key, number: float) -> None:
        before = self._written.get(key)
        if number == before:
            return
        value = self._values.get(key)
        if value is None:
            value = self._values[key] = _value(*key)
        if key[0].kind == "gauge":
            value.set(number)
        elif number > (before or 0.0):
            value.inc(number - (before or 0.0))
        self._written[key] = number

    def _numbers(self) -> Iterator[tuple[Key, float]]:
        for metric, found in self._reader.read_all().items():
            yield from _keyed(metric, found)
        for labels, durations in self._reader.durations().items():
            if self._durations.get(labels) == durations:
                continue
            self._durations[labels] = durations
            # Each bucket by itself: whoever reads the files adds them up.
            for bound, count in zip((*BOUNDS, float("inf")), durations.counts, strict=True):
                yield (DURATION, "_bucket", (*labels, bound_name(bound))), float(count)
            yield (DURATION, "_sum", labels), durations.seconds

    def close(self) -> None:
        """Write for the last time. What is in the files stays there."""
        self.flush()
        with self._writing, self._timing:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
        RECORDS.unwatch(self._heard_call)
        atexit.unregister(self.flush)


def _keyed(metric: Metric, found: Mapping[tuple[str, ...], float]) -> Iterator[tuple[Key, float]]:
    suffix = "_total" if metric.kind == "counter" else ""
    for labels, number in found.items():
        yield (metric, suffix, labels), number


def _value(metric: Metric, suffix: str, labels: Sequence[str]) -> Any:
    name = prometheus_name(metric).removesuffix("_total")
    words = (*metric.labels, "le") if suffix == "_bucket" else tuple(metric.labels)
    options = {"multiprocess_mode": metric.together} if metric.kind == "gauge" else {}
    return values.ValueClass(metric.kind, name, name + suffix, words, tuple(labels), metric.help, **options)
