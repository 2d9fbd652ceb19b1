"""Metrics of one process among several, written to its files in PROMETHEUS_MULTIPROC_DIR.

A scrape is answered by any one of the processes, which adds up the files of all. Nothing can be read at that moment, so
each process writes ahead: one second after a call has ended, once for all calls that ended meanwhile, and at once when
a circuit changes its state or mode. An idle process writes nothing and has no timer.

`FileSink` owns the timer and the values that prometheus_client maps to files; what there is to write it reads from a
`Collector`.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client import values

from resilience._metric import Gauge, Metric
from resilience.events import CIRCUIT_TRANSITIONS, CircuitModeChanged, CircuitTransition, Event
from resilience.metrics._call_stats import CALL_STATS, CallStats, Durations
from resilience.metrics._collector import Collector
from resilience.metrics.definitions import BOUNDS, CIRCUIT_MODE, CIRCUIT_STATE, DURATION, bound_name

__all__ = ["FileSink"]

_DELAY = 1.0
"""Seconds from the first call that ended to the time its numbers are written."""


class _Sample(NamedTuple):
    """One time series in the files: a metric, the suffix of the sample's name, and the values of the labels."""

    metric: Metric
    suffix: str
    labels: tuple[str, ...]

    def open(self) -> Any:
        """Return prometheus_client's value for it, which is backed by a file of this process."""
        metric = self.metric
        names = metric.labels
        options: dict[str, Any] = {}
        if isinstance(metric, Gauge):
            options["multiprocess_mode"] = metric.multiprocess_mode
        if self.suffix == "_bucket":
            names = (*names, "le")
        return values.ValueClass(
            metric.kind, metric.family, metric.family + self.suffix, names, self.labels, metric.help, **options
        )


class FileSink:
    """Writes the values of a collector to the files of this process.

    It remembers what it has written: of a counter it adds the difference, and a gauge whose circuit is gone it sets to
    0. Two locks keep writers and timers apart. A call that ends takes `_timing` alone and only to start a timer, so it
    never waits for a file. `flush` is idempotent, and safe to call from any thread, at exit and after a fork.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._written: dict[_Sample, float] = {}
        self._values: dict[_Sample, Any] = {}
        self._durations: dict[tuple[str, ...], Durations] = {}
        self._writing = threading.RLock()
        self._timing = threading.RLock()  # another one: a call that ends must not wait for a file
        self._timer: threading.Timer | None = None  # the last one
        self._scheduled = False
        self._closed = False
        self._finalizer_pid: int | None = None
        CALL_STATS.add_observer(self._on_call)
        atexit.register(self.flush)
        with contextlib.suppress(AttributeError):  # there is no fork on Windows
            os.register_at_fork(before=self._before_fork, after_in_child=self._after_fork)
        self.flush()

    # -- when ----------------------------------------------------------------------------------------------------

    def listener(self, event: Event, /) -> None:
        """Count *event*. Write circuits at once: a process that is killed next must not leave them as they were."""
        self._collector.events(event)
        if isinstance(event, CircuitTransition | CircuitModeChanged):
            self._write_circuits()
        self._schedule()

    def _on_call(self, stats: CallStats, outcome: str, took: float) -> bool:
        """Observe the end of a call: schedule a flush, and ask for no further calls until it has run.

        Until then calls are counted on the fast path again; `flush` writes them as well.
        """
        self._schedule()
        return False

    def _schedule(self) -> None:
        """Write after `_DELAY`, or at once where no timer can be started."""
        with self._timing:
            if self._scheduled or self._closed:
                return
            self._scheduled = True
            timer = self._timer = threading.Timer(_DELAY, self.flush)
            timer.daemon = True
            timer.name = "resilience metrics"
            self._flush_at_exit()
        try:
            timer.start()
        except RuntimeError:  # no more threads, or the interpreter is going down
            self.flush()

    def _flush_at_exit(self) -> None:
        """Write when a child of `multiprocessing` ends: it runs no `atexit` handlers, but finalizers of its own."""
        util = sys.modules.get("multiprocessing.util")
        if util is not None and self._finalizer_pid != os.getpid():
            self._finalizer_pid = os.getpid()
            util.Finalize(None, self.flush, exitpriority=10)

    def _before_fork(self) -> None:
        """Write what is scheduled, and wait for the timer's thread to end.

        Python warns where a process forks while it has several threads: a server that loads the application before it
        forks has this one, if the application has made a guarded call.
        """
        timer = self._timer
        if timer is None or self._closed:
            return
        timer.cancel()
        self.flush()
        if timer.is_alive():
            timer.join(_DELAY)

    def _after_fork(self) -> None:
        """Start at zero in a forked child.

        The parent writes what was counted before the fork, so the child takes those numbers for written. Its files are
        new ones: prometheus_client names them after the process. Locks may be held by threads that were not copied.
        """
        if self._closed:
            return
        self._writing, self._timing = threading.RLock(), threading.RLock()
        self._collector.events.reset_lock()
        self._timer, self._scheduled = None, False
        self._values, self._durations = {}, {}
        self._written = {sample: number for sample, number in self._numbers() if not isinstance(sample.metric, Gauge)}
        CALL_STATS.renotify()

    # -- what ----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what has changed since it was written last."""
        with self._writing:
            if self._closed:
                return
            with self._timing:
                self._scheduled = False
            CALL_STATS.renotify()  # first: a call that ends from here on may be read too late for this time
            numbers = dict(self._numbers())
            for sample, number in numbers.items():
                self._write(sample, number)
            for sample in self._written.keys() - numbers.keys():
                if isinstance(sample.metric, Gauge):  # of a circuit that does not exist any more
                    self._write(sample, 0.0)

    def _write_circuits(self) -> None:
        """Write the state and the mode of all circuits now, unless another thread is writing at the moment."""
        if not self._writing.acquire(blocking=False):
            return  # a flush is writing them, or will be, soon
        try:
            if not self._closed:
                for metric in (CIRCUIT_TRANSITIONS, CIRCUIT_STATE, CIRCUIT_MODE):
                    for sample, number in _samples(metric, self._collector.read(metric)):
                        self._write(sample, number)
        finally:
            self._writing.release()

    def _write(self, sample: _Sample, number: float) -> None:
        """Write one number, if it is another one than before. A counter that has fallen adds nothing."""
        before = self._written.get(sample)
        if number == before:
            return
        value = self._values.get(sample)
        if value is None:
            value = self._values[sample] = sample.open()
        if isinstance(sample.metric, Gauge):
            value.set(number)
        else:
            value.inc(max(0.0, number - (before or 0.0)))
        self._written[sample] = number

    def _numbers(self) -> Iterator[tuple[_Sample, float]]:
        """Yield the number of each sample; of histograms those that have changed, as there are many."""
        for metric, found in self._collector.read_all().items():
            yield from _samples(metric, found)
        for labels, durations in self._collector.durations().items():
            if self._durations.get(labels) == durations:
                continue
            self._durations[labels] = durations
            # Not cumulative: MultiProcessCollector adds up the buckets.
            for bound, count in zip((*BOUNDS, math.inf), durations.counts, strict=True):
                yield _Sample(DURATION, "_bucket", (*labels, bound_name(bound))), float(count)
            yield _Sample(DURATION, "_sum", labels), durations.seconds

    def close(self) -> None:
        """Write for the last time, then stop. The files keep what is in them: a counter must not fall."""
        self.flush()
        with self._writing, self._timing:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
        CALL_STATS.remove_observer(self._on_call)
        atexit.unregister(self.flush)


def _samples(metric: Metric, found: Mapping[tuple[str, ...], float]) -> Iterator[tuple[_Sample, float]]:
    """Yield the samples of a counter or gauge with their numbers."""
    for labels, number in found.items():
        yield _Sample(metric, metric.suffix, labels), number
