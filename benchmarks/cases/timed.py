"""Cases that time one call: success, retries, rejection, a limit that does not fire."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from unittest import mock

from benchmarks import references, subjects
from benchmarks.candidate import Candidate
from benchmarks.cases.base import prepare
from benchmarks.check import opened
from benchmarks.measure import (
    Progress,
    Sampler,
    Settings,
    async_loop,
    calibrated,
    method_loop,
    sample_in_turn,
    sync_loop,
)
from benchmarks.outcome import CaseResult, rows
from benchmarks.shapes import OWNED, owner
from benchmarks.terms import ARGUMENT, Function, Wrap

__all__ = ["TIMED", "Timed"]

_MICROSECONDS = 1e6


def _no_sleep(seconds: float) -> None:
    """Stand in for `time.sleep`."""


@dataclass(frozen=True)
class Timed:
    """The time of one call of a guarded function, called in a loop."""

    name: str
    group: str
    label: str
    capability: str
    shape: str
    reference: str
    against: Wrap
    subject: str = "answer"
    #: More rows without a library, such as the undecorated function.
    beside: tuple[tuple[str, Wrap], ...] = ()
    #: Whether the circuit is opened first, and whether the loop catches the error of the call.
    rejected: bool = False
    raises: bool = False
    #: Whether `time.sleep` does nothing: even zero seconds take longer than all the rest.
    without_sleep: bool = False

    def run(self, settings: Settings, progress: Progress) -> list[CaseResult]:
        """Measure it."""
        with asyncio.Runner() as runner, contextlib.ExitStack() as around:
            if self.without_sleep:
                around.enter_context(mock.patch("time.sleep", _no_sleep))

            def sampler(candidate: Candidate) -> Sampler:
                return self._sampler(candidate.guard(self.capability, self.shape), settings, runner)

            samplers, left_out, failed = prepare(self.capability, self.shape, sampler, progress)
            plain = self._reference()
            samplers[self.reference] = plain._sampler(self.against, settings, runner)
            for name, guard in self.beside:
                samplers[name] = plain._sampler(guard, settings, runner)
            measurements, failures = sample_in_turn(samplers, self.reference, settings.rounds, progress)
        found = rows(self.name, measurements, failed | failures, _MICROSECONDS)
        return [CaseResult(self.name, self.group, self.label, "us per call", self.reference, found, left_out)]

    def _reference(self) -> Timed:
        """Return the case for references, which have no circuit to open and decorate no classes."""
        return replace(self, shape="method" if self.shape == "class" else self.shape, rejected=False)

    def _sampler(self, guard: Wrap, settings: Settings, runner: asyncio.Runner) -> Sampler:
        if self.shape in OWNED:
            loop = method_loop(owner(self.shape, guard, subjects.of_shape(self.subject, self.shape)), ARGUMENT)
        elif self.shape == "async":
            loop = async_loop(runner, self._guarded(guard), ARGUMENT, swallow=self.raises)
        else:
            loop = sync_loop(self._guarded(guard), ARGUMENT, swallow=self.raises)
        return calibrated(loop, settings.loop)

    def _guarded(self, guard: Wrap) -> Function:
        return opened(self.shape, guard)[0] if self.rejected else guard(subjects.of_shape(self.subject, self.shape))


_STACK = "fallback + retry + breaker"
_POLICIES = {"retry": "retry", "breaker": "breaker", "fallback": "fallback", "stack": _STACK}
_EMPTY = ("empty decorator", references.empty)
_BARE = (("not decorated", references.nothing),)
_CLASSIFYING = (("errors classified", references.classifying_retry),)
_OTHER_THREAD = (("a thread and two locks", references.in_other_thread),)


def _success() -> list[Timed]:
    cases = [
        Timed(f"{shape}-{policy}", f"success, {shape}", label, policy, shape, *_EMPTY, beside=_BARE)
        for shape in ("sync", "method", "async")
        for policy, label in _POLICIES.items()
    ]
    of_anything = f"{_STACK}, of a function with *args, **kwargs"
    return [
        *cases[:4],
        Timed("sync-stack-open", "success, sync", of_anything, "stack", "sync", *_EMPTY, subject="open", beside=_BARE),
        *cases[4:8],
        Timed("class-stack", "success, method", f"{_STACK}, on the class", "stack", "class", *_EMPTY, beside=_BARE),
        *cases[8:],
        Timed(
            "async-stack-open", "success, async", of_anything, "stack", "async", *_EMPTY, subject="open", beside=_BARE
        ),
    ]


def _failures() -> list[Timed]:
    # On an event loop a pause of zero seconds yields to it. The libraries do that on purpose: it is measured.
    rows = (
        ("failures-retry", "retry", "sync", "retry, time.sleep(0) left out", True),
        ("failures-stack", "stack", "sync", f"{_STACK}, time.sleep(0) left out", True),
        ("failures-slept", "retry", "sync", "retry", False),
        ("async-failures-retry", "retry", "async", "retry", False),
        ("async-failures-stack", "stack", "async", _STACK, False),
    )
    return [
        Timed(
            name,
            "two failures, then success",
            f"{shape}: {label}",
            policy,
            shape,
            "loop with try/except",
            references.naive_retry,
            subject="flaky",
            beside=_CLASSIFYING,
            without_sleep=without_sleep,
        )
        for name, policy, shape, label, without_sleep in rows
    ]


def _rejections() -> list[Timed]:
    cases = []
    for shape, prefix in (("sync", ""), ("async", "async-")):
        cases += [
            Timed(
                f"{prefix}rejection-raised",
                "rejected by an open circuit",
                f"{shape}: raised",
                "breaker",
                shape,
                "raising a plain exception",
                references.raising,
                rejected=True,
                raises=True,
            ),
            Timed(
                f"{prefix}rejection-fallback",
                "rejected by an open circuit",
                f"{shape}: behind a fallback",
                "fallback_breaker",
                shape,
                "raising and catching a plain exception",
                references.caught,
                rejected=True,
            ),
        ]
    return cases


def _limits() -> list[Timed]:
    return [
        Timed(
            f"{shape}-{policy}{suffix}",
            "time limit that does not expire",
            f"{shape}: {label}{remark}",
            policy,
            shape,
            "thread pool" if shape == "sync" else "asyncio.timeout",
            references.plain_limit,
            subject=subject,
            beside=_OTHER_THREAD if shape == "sync" else (),
        )
        for shape, suffix, subject, remark in (
            ("sync", "", "answer", ""),
            ("async", "", "answer", ""),
            # A coroutine that never waits needs no timer; most do wait.
            ("async", "-yielding", "yielding", ", a function that waits once"),
        )
        for policy, label in (("limit", "limit"), ("full", f"{_STACK} + limit"))
    ]


def _slots() -> list[Timed]:
    counter = ("a counter under a lock", references.counter)
    return [
        Timed(f"{shape}-bulkhead", "a free slot", f"{shape}: bulkhead", "bulkhead", shape, *counter, beside=_BARE)
        for shape in ("sync", "method", "async")
    ]


def _tokens() -> list[Timed]:
    gcra = ("GCRA under a lock", references.gcra)
    beside = (("a counter under a lock", references.counter), *_BARE)
    return [
        Timed(f"{shape}-rate-limit", "a free token", f"{shape}: rate limit", "rate_limit", shape, *gcra, beside=beside)
        for shape in ("sync", "async")
    ]


TIMED = (*_success(), *_failures(), *_rejections(), *_slots(), *_tokens(), *_limits())
