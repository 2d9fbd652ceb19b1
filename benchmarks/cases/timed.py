"""Cases that time one call: success, retries, rejection, a limit that does not fire."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from unittest import mock

from benchmarks import references, subjects
from benchmarks.cases.base import prepare
from benchmarks.check import bound, opened
from benchmarks.measure import Progress, Sample, Settings, async_loop, calibrated, interleaved, sync_loop
from benchmarks.outcome import CaseResult, rows
from benchmarks.terms import Function, Wrap

__all__ = ["TIMED", "Timed"]

_MICROSECONDS = 1e6


def _awake(seconds: float) -> None:
    """Stand in for `time.sleep`."""


@dataclass(frozen=True)
class Timed:
    """The time of one call of a guarded function, again and again."""

    name: str
    title: str
    capability: str
    shape: str
    reference: str
    against: Wrap
    subject: str = "answer"
    #: Whether the circuit is opened first, and whether what the call raises is swallowed by the loop.
    rejected: bool = False
    raises: bool = False
    #: Whether `time.sleep` does nothing: sleeping for zero seconds costs far more than deciding to.
    sleepless: bool = False

    def run(self, settings: Settings, progress: Progress) -> CaseResult:
        """Measure it."""
        with asyncio.Runner() as runner, contextlib.ExitStack() as around:
            if self.sleepless:
                around.enter_context(mock.patch("time.sleep", _awake))

            def sampler(guard: Wrap) -> Sample:
                return self._sampler(self._guarded(guard), settings, runner)

            samplers, left_out, failed = prepare(self.capability, self.shape, sampler, progress)
            inside = self._subject()
            base = self.against(inside)
            samplers[self.reference] = self._sampler(self._as_called(base), settings, runner)
            taken, lost = interleaved(samplers, self.reference, settings.rounds, progress)
        found = rows(self.name, taken, failed | lost, _MICROSECONDS)
        return CaseResult(self.name, self.title, "us per call", self.reference, found, left_out)

    def _guarded(self, guard: Wrap) -> Function:
        return opened(self.shape, guard)[0] if self.rejected else self._as_called(guard(self._subject()))

    def _as_called(self, guarded: Function) -> Function:
        return bound(guarded) if self.shape == "method" else guarded

    def _subject(self) -> Function:
        prefix = "" if self.shape == "sync" else f"{self.shape}_"
        made: Function = getattr(subjects, prefix + self.subject)()
        return made

    def _sampler(self, function: Function, settings: Settings, runner: asyncio.Runner) -> Sample:
        if self.shape == "async":
            loop = async_loop(runner, function, 7, swallow=self.raises)
        else:
            loop = sync_loop(function, 7, swallow=self.raises)
        return calibrated(loop, settings.loop)[0]


_POLICIES = {
    "retry": "retry",
    "breaker": "breaker",
    "fallback": "fallback",
    "stack": "fallback + retry + breaker",
}
_SHAPES = ("sync", "method", "async")


def _success() -> list[Timed]:
    return [
        Timed(f"{shape}-{policy}", f"success, {shape}: {title}", policy, shape, "empty decorator", references.empty)
        for shape in _SHAPES
        for policy, title in _POLICIES.items()
    ]


def _failures() -> list[Timed]:
    rows = (
        ("failures-retry", "retry", "sync", "retry, time.sleep(0) left out", True),
        ("failures-stack", "stack", "sync", "fallback + retry + breaker, time.sleep(0) left out", True),
        ("failures-slept", "retry", "sync", "retry", False),
        ("async-failures-retry", "retry", "async", "retry", False),
        ("async-failures-stack", "stack", "async", "fallback + retry + breaker", False),
    )
    return [
        Timed(
            name,
            f"two failures, then success, {shape}: {title}",
            policy,
            shape,
            "loop with try/except",
            references.naive_retry,
            subject="flaky",
            sleepless=sleepless,
        )
        for name, policy, shape, title, sleepless in rows
    ]


def _rejections() -> list[Timed]:
    cases = []
    for shape, prefix in (("sync", ""), ("async", "async-")):
        cases += [
            Timed(
                f"{prefix}rejection-raised",
                f"rejected by an open circuit, {shape}: raised",
                "breaker",
                shape,
                "raising a plain exception",
                references.raising,
                rejected=True,
                raises=True,
            ),
            Timed(
                f"{prefix}rejection-fallback",
                f"rejected by an open circuit, {shape}: behind a fallback",
                "fallback_breaker",
                shape,
                "raising and catching a plain exception",
                _caught,
                rejected=True,
            ),
        ]
    return cases


def _caught(function: Function) -> Function:
    return references.by_hand(references.raising(function))


def _limits() -> list[Timed]:
    return [
        Timed(
            f"limit-{shape}", f"time limit that does not fire, {shape}", "limit", shape, against, references.plain_limit
        )
        for shape, against in (("sync", "thread pool"), ("async", "asyncio.timeout"))
    ]


TIMED = (*_success(), *_failures(), *_rejections(), *_limits())
