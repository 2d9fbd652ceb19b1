"""The partial circuit: it sheds a share of its calls while a part of them fails, and opens only when nearly all do.

A classic circuit knows all or nothing. Where a fifth of the calls fails at random, five in a row do every few minutes,
and it makes an outage of that. `PartialClosed` is the closed state of a partial circuit, which admits a share of the
calls; `PartialCircuit` its policy. The law of the share is in `_shedding`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resilience._listeners import emit, has_listeners
from resilience._outcome import Outcome
from resilience._priority_context import current_rank
from resilience._runtime.method_selection import RequestMethods
from resilience._runtime.protocol import Call, Steps
from resilience.clock import Clock
from resilience.errors.circuit import CircuitOpenError
from resilience.policies._announce import announce
from resilience.policies._circuit_breaker_config import CircuitBreakerConfig, TripRates
from resilience.policies._priority_mix import PriorityMix
from resilience.policies._shedding import MIN_CALLS, UsualFailures, failing_share, share_to_shed
from resilience.policies._sliding_window import Window
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import Closed, ClosedWithRates, State

if TYPE_CHECKING:
    from resilience.events import CircuitShedding, CircuitSheddingEnded

__all__ = ["PartialCircuit", "PartialClosed"]

_RETRY_AFTER = 1.0  # a second later a call that was shed has a chance of its own
_REPORTED_CHANGE = 0.1  # of the share, by which subscribers hear of it again


class PartialClosed(ClosedWithRates):
    """CLOSED, of a partial circuit: it sheds *share* of the calls, at random. 0 unless more fail than usual.

    Of calls with a priority (`resilience.priority`) the lowest are shed first.

    While that is 0, calls take the fast path, and a success costs what it does in any circuit with a rate: 1 more in
    `call_count`. Each failure sets the share anew; so does each admission while it is not 0.
    """

    __slots__ = ("calls_learned", "failing_before", "mix", "share", "usual")

    def __init__(
        self,
        rates: TripRates,
        windows: Sequence[Window],
        usual: UsualFailures,
        *,
        observed: bool,
        since: float = 0.0,
        ramp_up: float = 0.0,
    ) -> None:
        super().__init__(rates, windows, observed=observed, since=since, ramp_up=ramp_up)
        self.share: float = 0.0
        #: The priorities of the calls since it sheds.
        self.mix: PriorityMix = PriorityMix()
        #: Of the circuit: what it has learned outlasts this state.
        self.usual: UsualFailures = usual
        #: The `call_count` up to which calls have been learned from, or were not to be.
        self.calls_learned: int = 0
        #: The share that failed of the calls before the first of the last failures in a row.
        self.failing_before: float = usual.share

    def status(self, clock: Clock) -> str:
        """Return this state in words, for the note of a failed call."""
        words = super().status(clock)
        if not self.share:
            return words
        return f"{words}, sheds {self.share:.0%} of the calls"

    def share_at(self, now: float) -> float:
        """Return the share that a call *now* would find."""
        window = self.windows[0].snapshot(self.call_count, now)
        return share_to_shed(window, self.usual.share, shedding=self.share > 0)

    def admit(self, now: float, clock: Clock, config: CircuitBreakerConfig) -> Closed | None:
        """Return this state where it admits a call *now*; None where chance has it shed, or the ramp rejects it."""
        if self._ramps_up(now) and super().admit(now, clock, config) is None:
            return None
        self._set_share(self.share_at(now), now)
        if clock.random() < self.mix.share_for(current_rank(), self.share):
            return None
        return self

    def record_failure(self, weight: int, clock: Clock, config: CircuitBreakerConfig) -> bool:
        """Count a failure, and set the share; return whether the circuit opens: nearly all fail, or too many in a row.

        A streak opens it unless chance explains that, by what had failed before.
        """
        now = clock.now()
        if self.call_count != self.calls_at_last_failure:
            self.failing_before = self._failing(now)
        nearly_all_fail = super().record_failure(weight, clock, config)
        if not self.share:
            failing = failing_share(self.windows[0].snapshot(self.call_count, now))
            self.usual.learn(self.call_count - self.calls_learned, weight, failing)
        self.calls_learned = self.call_count
        self._set_share(self.share_at(now), now)
        return nearly_all_fail or config.streak_opens(self.failures, self.failing_before)

    def _failing(self, now: float) -> float:
        """Return the share of the last calls that failed; the usual one where that is more, or the calls are few."""
        window = self.windows[0].snapshot(self.call_count, now)
        if window.calls < MIN_CALLS:
            return self.usual.share
        return max(failing_share(window), self.usual.share)

    def _ramps_up(self, now: float) -> bool:
        return self.since <= now < self.until

    def _set_share(self, share: float, now: float) -> None:
        if self.share:
            self.calls_learned = self.call_count  # what fails meanwhile is not usual
        else:
            self.mix.clear()
        self.share = share
        self.selective = share > 0 or self._ramps_up(now)
        self.set_observed(self.observed)


class PartialCircuit(CircuitBreakerPolicy):
    """The policy of a partial circuit, which emits how its share changes: at a tenth more or less, and at its end.

    What it has learned of the usual failures outlasts its states: an outage is no reason to learn that anew.
    """

    __slots__ = ("_reported", "_usual")

    def __init__(self, name: str, config: CircuitBreakerConfig, methods: RequestMethods | None = None) -> None:
        self._usual = UsualFailures()
        #: The share that subscribers know.
        self._reported = 0.0
        super().__init__(name, config, methods)

    def _new_closed(self, *, observed: bool, since: float = 0.0, ramp_up: float = 0.0) -> Closed:
        config = self.config
        assert config.rates is not None  # a partial circuit has one: at which it opens
        return PartialClosed(
            config.rates, config.new_windows(), self._usual, observed=observed, since=since, ramp_up=ramp_up
        )

    def run(self, call: Call) -> Steps[Outcome]:
        """Admit *call*, shed or reject it, and record its outcome; then emit how the share has changed."""
        outcome = yield from super().run(call)
        yield from self._report(call.target)
        return outcome

    def _report(self, target: str) -> Steps[None]:
        """Emit that the circuit sheds calls now, another share of them, or none any more."""
        state, known = self.state, self._reported
        if not isinstance(state, PartialClosed):  # the event of the transition says it
            self._reported = 0.0
            return
        share = state.share
        if bool(share) == bool(known) and abs(share - known) < _REPORTED_CHANGE:
            return
        self._reported = share
        if share:
            yield from announce(self._shedding, target, share)
        else:
            yield from announce(self._shedding_ended, target)

    def announce_restart(self) -> None:
        """Notify observers, and emit that the circuit sheds nothing any more, where it did."""
        super().announce_restart()
        shed, self._reported = self._reported, 0.0
        if shed and has_listeners():
            emit(self._shedding_ended(self.name))

    def _shedding(self, target: str, share: float) -> CircuitShedding:
        from resilience.events import CircuitShedding

        return CircuitShedding(target=target, policy=self.name, share=share)

    def _shedding_ended(self, target: str) -> CircuitSheddingEnded:
        from resilience.events import CircuitSheddingEnded

        return CircuitSheddingEnded(target=target, policy=self.name)

    def _rejection(self, state: State, left: float, probing: bool = False, ramping: bool = False) -> CircuitOpenError:
        """Return the error of a rejected call. One that was not rejected by a ramp, while closed, was shed."""
        if not isinstance(state, PartialClosed) or left:
            return super()._rejection(state, left, probing, ramping)
        return CircuitOpenError(self.name, _RETRY_AFTER, state.failures, None, self.category, shed=state.share)

    def shed_share(self, now: float) -> float:
        """Return the share of calls that are rejected *now*: 1 while it is open, or half-open, to all but probes."""
        state = self.state
        if isinstance(state, PartialClosed):
            return state.share_at(now)
        return 1.0
