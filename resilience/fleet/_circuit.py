"""The circuit of a fleet, as a policy: it decides locally, votes, and follows what the fleet decides.

While the fleet's circuit is closed, this is a circuit like any other, with the same fast path: its failures are its
own, and it opens by its own options. That holds for this process at once, and is a *vote*. The fleet opens where the
votes are a quorum; then the circuit is *held*, in every process: open for the same time, and half-open together. A call
is a probe only by a lease of the store, with a token and an end. Its result goes to the store, which decides.

A circuit stands in one of three relations to the fleet:

    local   the state machine decides by the outcomes of this process; opening is a vote, closing takes the vote back
    held    the store decides; this process rejects calls, except for probes that have a lease
    apart   the store was in trouble, and probes of this process have closed a circuit that the fleet has open; it
            rejoins when the store is back

Two rules keep the processes together. A circuit follows a view of the store only where its epoch is greater than the
known one, so late and repeated answers change nothing. A transition that follows the fleet is never a vote: otherwise
each process would confirm what it has been sent, and the circuit would hold itself open.

No call waits for the store, but for two: one that needs a lease, and the first one after a start or a long rest, which
makes sure that what is known is current. Both wait for `WAIT` seconds at most. While the store is in trouble the
circuit decides by itself, as one without a fleet does.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, cast

from resilience._listeners import emit, has_listeners
from resilience._outcome import Outcome
from resilience._runtime.method_selection import RequestMethods
from resilience._runtime.protocol import Admission, Call, Sleep, Steps
from resilience.categories import ErrorCategory
from resilience.clock import Clock, current_clock
from resilience.errors.circuit import CircuitOpenError
from resilience.fleet._lane import Lane, Waiting
from resilience.fleet._protocol import Ask, CircuitView, FleetStore, LeaseReply, Result, Stamp, Vote
from resilience.policies._circuit_breaker_config import IGNORED, SUCCESS, CircuitBreakerConfig
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import (
    CircuitMode,
    CircuitObserver,
    Closed,
    HalfOpen,
    Open,
    ProbePermit,
    State,
    Transition,
)

if TYPE_CHECKING:
    from resilience.events import FleetCommanded

__all__ = ["WAIT", "FleetCircuit", "id_of"]

WAIT = 0.1
"""The longest that a call waits for the store, in seconds."""
_ASK_AGAIN = 1.0
"""The longest time after which a circuit whose probe was refused asks again, in seconds."""
_FOREVER = 1_000_000
_NOTHING = CircuitView("", 0)
_MODES = {mode.value: mode for mode in CircuitMode}


def id_of(name: str, key: Hashable = None) -> str:
    """Return the name of a circuit in the store: that of a key has the key behind it.

    All processes have to come to the same name, so the key's text must not depend on the process. The default text of
    an object holds its address, and would be a circuit of its own in each process.

    Raises:
        TypeError: for a key, or a part of one, whose class has no text of its own.

    >>> id_of("payments"), id_of("payments", "eu"), id_of("payments", ("eu", 3))
    ('payments', 'payments[eu]', 'payments[eu, 3]')
    """
    if key is None:
        return name
    parts: tuple[object, ...] = (key,)
    if isinstance(key, tuple):
        parts = cast("tuple[object, ...]", key)
    for part in parts:
        if type(part).__repr__ is object.__repr__ and type(part).__str__ is object.__str__:
            raise TypeError(
                f"key= of circuit {name!r} gave a {type(part).__name__}: with fleet= give a text, a number or another"
                " value whose text is the same in each process"
            )
    return f"{name}[{', '.join(map(str, parts))}]"


class _Lease(ProbePermit):
    """The permit of a probe that the store has given a lease, by *token*.

    Its times are those of this process's clock, counted from when the lease was asked for. The store counts from when
    it gave the lease, which is later, so this process never uses a lease that the store has ended.
    """

    __slots__ = ("token",)

    def __init__(self, state: HalfOpen, acquired_at: float, until: float, token: str) -> None:
        super().__init__(state, acquired_at, until)
        self.token: str = token


class FleetCircuit(CircuitBreakerPolicy):
    """The policy of a circuit that a `Fleet` shares. The module docstring has the model.

    It owns what this process knows of the fleet's circuit (`_view`), the one request for a lease in flight and a lease
    that no call has taken yet. It overrides the state machine at four points: admission (`acquire`), outcomes
    (`record`), its own transitions (`_transition`), and the modes that operators set (`follow_mode`).

    Calls enter it from any thread and any event loop, the lane from its own thread. Both change it under the circuit's
    lock, and emit events after they have left it. Requests to the lane go into its queue, which takes no lock, so they
    may be sent under the circuit's. Nothing in this class does I/O.
    """

    __slots__ = (
        "_apart",
        "_ask",
        "_ask_at",
        "_lane",
        "_mode_from",
        "_quorum",
        "_spare",
        "_view",
        "_view_at",
        "command",
        "command_ends",
        "held",
        "id",
    )

    def __init__(
        self, name: str, config: CircuitBreakerConfig, methods: RequestMethods, lane: Lane, quorum: float, key: Hashable
    ) -> None:
        self._lane = lane
        self._quorum = quorum
        self.id: str = id_of(name, key)
        #: Whether the fleet has this circuit open or half-open, and not only this process.
        self.held: bool = False
        #: Whether this process has closed it by itself, in trouble of the store, while the fleet's is open.
        self._apart: bool = False
        #: What the fleet's circuit was last, and when that was, by the lane's clock.
        self._view: CircuitView = _NOTHING
        self._view_at: float = 0.0
        #: The name in the store whose mode this circuit has; empty where it has a mode of its own.
        self._mode_from: str = ""
        #: What an operator has set for all processes, as followed here: who, why, and for how long. None: nothing.
        self.command: FleetCommanded | None = None
        #: When that ends, in seconds since 1970; None: when it is released.
        self.command_ends: float | None = None
        #: The request for a lease in flight, when the next one may go, and a lease that no call has taken yet.
        self._ask: _AskLease | None = None
        self._ask_at: float = -math.inf
        self._spare: tuple[str, float, float] | None = None
        super().__init__(name, config, methods)
        lane.enrol(self)
        self.arm()

    # -- admission ---------------------------------------------------------------------------------------------------

    def arm(self) -> None:
        """Send the next call through a closed circuit to `run`, which sees that what is known is current.

        One that is closed apart from the fleet asks about that again: others may have told a store that had lost it.
        """
        with self._lock:
            if isinstance(self.state, Closed):
                self.state.fast_path = self.state.quiet = False
            if self._apart:
                self._lane.send(_Rejoin(self, recovered=isinstance(self.state, Closed)))

    def forked(self) -> None:
        """Begin anew in a forked process: what is asked for, or leased, is the parent's.

        It takes no lock: another thread of the parent may have held it at the fork, and would never release it here.
        """
        self._ask = self._spare = None
        if isinstance(self.state, Closed):  # not under the lock, which another thread of the parent may have held
            self.state.fast_path = self.state.quiet = False

    def reject_if_open(self, clock: Clock) -> CircuitOpenError | None:
        """Return the error of a call that an open circuit rejects, once a mode whose time is over has ended."""
        if self._ends_mode():
            self._lane.pump()
        return super().reject_if_open(clock)

    def _ends_mode(self) -> bool:
        """Whether calls see to it that a mode set by hand ends in time: an inline lane has no thread that does."""
        return self._lane.inline and self.mode is not CircuitMode.NORMAL

    def _acquire(self, call: Call) -> Steps[Closed | ProbePermit | Outcome | None]:
        """Admit a call: see that what is known is current, ask for a lease where one is needed, then decide.

        A call of a closed circuit comes here only where the circuit is armed; see `arm`.
        """
        waiting = self._lane.sync()
        if waiting is not None:
            yield from _wait(waiting, call)
        self._disarm()
        waiting = self._ask_if_due(call.clock)
        if waiting is not None:
            yield from _wait(waiting, call)
        return (yield from super()._acquire(call))

    def _disarm(self) -> None:
        """Let the calls of a closed circuit take the fast path again, unless something else keeps them from it."""
        if self._ends_mode():
            return
        state = self.state
        if isinstance(state, Closed) and not (state.fast_path or state.observed or state.selective):
            with self._lock:
                state.set_observed(bool(self.observers))

    def _alone(self) -> bool:
        """Whether this circuit decides by itself at the moment.

        It does where the fleet does not hold it, where the store is in trouble, and in a mode set by hand, which needs
        no probes.
        """
        return not self.held or self._lane.lost or self.mode is not CircuitMode.NORMAL

    def _ask_if_due(self, clock: Clock) -> Waiting | None:
        """Ask for a lease, where a call may be a probe; return the wait for the answer.

        There is one request in flight at most, however many calls arrive: the others are rejected, as they are by a
        half-open circuit whose probes are all taken.
        """
        if self._alone():
            return None
        with self._lock:
            now, state = clock.now(), self.state
            if isinstance(state, Closed) or (isinstance(state, Open) and not state.half_opens(now)):
                return None
            if self._ask is not None or self._has_spare(now) or self._is_too_early(now):
                return None
            ask = self._ask = _AskLease(self, now)
        self._lane.send(ask)
        self._lane.pump()
        return ask

    def _is_too_early(self, now: float) -> bool:
        """Whether a lease was refused a moment ago, and the store would refuse it again."""
        return now < self._ask_at <= now + 2 * _ASK_AGAIN  # else the clock is another one

    def _has_spare(self, now: float) -> bool:
        """Whether there is a lease that no call has taken: its call had gone when the answer came."""
        spare = self._spare
        return spare is not None and spare[1] <= now < spare[2]

    def acquire(self, clock: Clock) -> tuple[Closed | ProbePermit | None, Transition | None]:
        """Admit a call as the state machine does; while the fleet holds the circuit, only with a lease.

        Returns:
            The closed state, the permit of a probe, or None for a call to reject; and the transition to half-open,
            where this call has made it.
        """
        if isinstance(self.state, Closed) or self._alone():
            return super().acquire(clock)
        with self._lock:
            now, state, transition = clock.now(), self.state, None
            if state.half_opens(now):
                transition = CircuitBreakerPolicy._transition(self, _half_open(state), clock, state)
                state = self.state
            if not isinstance(state, HalfOpen) or not self._has_spare(now):
                return None, transition
            assert self._spare is not None
            (token, asked_at, until), self._spare = self._spare, None
            permit = _Lease(state, asked_at, until, token)
            state.permits.add(permit)
            return permit, transition

    def _rejection(self, state: State, left: float, probing: bool = False, ramping: bool = False) -> CircuitOpenError:
        """Return the error of a rejected call: to a circuit that is held half-open, when it asks again."""
        if probing and not self._alone():
            left = max(self._ask_at - current_clock().now(), 0.0)
        return super()._rejection(state, left, probing, ramping)

    # -- outcomes ----------------------------------------------------------------------------------------------------

    def record(
        self,
        admitted: Admission | ProbePermit | None,
        weight: int,
        clock: Clock,
        category: ErrorCategory | None = None,
        error: Exception | None = None,
        open_for: float | None = None,
    ) -> Transition | None:
        """Record an outcome as the state machine does. That of a lease goes to the store, which decides.

        A lease that has ended, or whose state has been left since, is given back without a result: another process may
        have probed meanwhile, and this outcome is about an earlier time.
        """
        if not isinstance(admitted, _Lease):
            transition = super().record(admitted, weight, clock, category, error, open_for)
            self._lane.pump()
            return transition
        with self._lock:
            in_time = admitted.is_active(clock.now()) and self.mode is not CircuitMode.DISABLED
            counts = self.state.take_back(admitted) and in_time
            if open_for is not None:
                weight = max(weight, 1)
            result = self._result_of(admitted, weight, clock, category, error, open_for, counts=counts)
        self._lane.send(_SendResult(self, result, admitted, (weight, category, error, open_for), clock))
        self._lane.pump()
        return None

    def _result_of(
        self,
        lease: _Lease,
        weight: int,
        clock: Clock,
        category: ErrorCategory | None,
        error: Exception | None,
        open_for: float | None,
        *,
        counts: bool,
    ) -> Result:
        """Return what the store receives about a probe: "ok", "bad", or "none" for an outcome that does not count.

        The numbers are those of this process's options: how many results decide, and how long the circuit opens. The
        store has no options, so that programs with different ones can share it during a rollout.
        """
        config = self.config
        if not counts or weight == IGNORED:
            return Result(self.id, lease.token, "none")
        if weight == SUCCESS:
            return Result(self.id, lease.token, "ok", closes=config.success_threshold)
        self.category = category
        reopens = next(failures for failures in range(1, _FOREVER) if config.reopens_after(failures))
        seconds = config.open_seconds(self._view.opens + 1, clock.random())
        if open_for is not None:
            reopens, seconds = 1, open_for
        return Result(
            self.id,
            lease.token,
            "bad",
            reopens=reopens,
            seconds=seconds,
            failures=self.state.failures + weight,
            category=_label(category),
            error=type(error).__name__ if error is not None else "",
        )

    def release(self, admitted: object) -> None:
        """Take back a probe's permit, and give its lease back to the fleet."""
        super().release(admitted)
        if isinstance(admitted, _Lease):
            self._lane.send(_SendResult(self, Result(self.id, admitted.token, "none"), admitted, None, current_clock()))
            self._lane.pump()

    def decide_alone(
        self,
        lease: _Lease,
        outcome: tuple[int, ErrorCategory | None, Exception | None, float | None] | None,
        clock: Clock,
    ) -> None:
        """Record the outcome of a probe here: the store, which was to decide, is in trouble.

        The result may arrive long after the probe. It changes nothing where the circuit has left the state that the
        lease was taken in.
        """
        if outcome is None:
            return
        weight, category, error, open_for = outcome
        with self._lock:
            if lease.state is not self.state:
                return
            lease.state.permits.add(lease)
            transition = super().record(lease, weight, clock, category, error, open_for)
        self._announce(transition)

    def record_success(self, state: Closed, began: float, clock: Clock) -> Transition | None:
        """Record a success as the state machine does: a slow one may open the circuit, which is a vote."""
        transition = super().record_success(state, began, clock)
        if transition is not None:
            self._lane.pump()
        return transition

    def record_slow(self, state: Closed, clock: Clock) -> Transition | None:
        """Record a slow call that was cut off as the state machine does: it may open the circuit, which is a vote."""
        transition = super().record_slow(state, clock)
        self._lane.pump()
        return transition

    def announce(self, transition: Transition, observers: Sequence[CircuitObserver]) -> None:
        """Notify of a transition that was made by hand, and see that the fleet hears of it."""
        super().announce(transition, observers)
        self._lane.pump()

    # -- votes -------------------------------------------------------------------------------------------------------

    def _transition(
        self, state: State, clock: Clock, seen: State | None = None, mode: CircuitMode | None = None
    ) -> Transition | None:
        """Make a transition of this process's own, which is a vote, or takes it back.

        A transition that sets a mode is none, and in another mode than the normal one the circuit does not vote.
        """
        made = super()._transition(state, clock, seen, mode)
        if made is not None and self.mode is CircuitMode.NORMAL and mode is None:
            self._tell_of(made[1])
        return made

    def _tell_of(self, state: State) -> None:
        """Vote where this process's own circuit has opened; take the vote back where it has closed."""
        if isinstance(state, Open):
            self._vote(state, state.until - state.opened_at)
        elif isinstance(state, Closed):
            self._apart = self.held and self._lane.lost
            self.held = False
            self._lane.send(_SendVote(self, Vote(self.id, self.name, 0.0, self._quorum)))

    def _vote(self, state: Open, seconds: float) -> None:
        """Send a vote that holds for so many *seconds*. A circuit that is open without an end has none to send."""
        if not 0 < seconds < math.inf:
            return
        vote = Vote(
            self.id,
            self.name,
            seconds,
            self._quorum,
            epoch=self._view.epoch,
            opens=state.consecutive_opens,
            failures=state.failures,
            category=_label(state.last_category),
            error=state.last_error_type or "",
        )
        self._lane.send(_SendVote(self, vote))

    def reunite(self, lane: Lane) -> None:
        """Report to a store that is back, or has lost its contents, what this process knows.

        A circuit that the fleet holds is restored there, without a request for a lease. One that is apart rejoins. One
        that is open in this process alone votes again, for the time that it has left.
        """
        with self._lock:
            state, now = self.state, lane.clock().now()
            if self.mode is not CircuitMode.NORMAL:
                return
            if self.held:
                lane.send(_AskLease(self, now, wants=False))
            elif self._apart:
                lane.send(_Rejoin(self, recovered=isinstance(state, Closed)))
            elif isinstance(state, Open):
                self._vote(state, state.until - now)

    # -- what the fleet decides --------------------------------------------------------------------------------------

    def follow(self, view: CircuitView) -> None:
        """Go where the fleet's circuit is, unless that is known already; and take its mode.

        The lane calls it for each change, from a beat or from the news, and so does the answer to each request. An
        older epoch is ignored; an equal one changes no state, but its mode may be over.
        """
        with self._lock:
            known, transition = self._view, None
            if view.epoch < known.epoch:
                return
            if view.epoch > known.epoch:
                clock = self._lane.clock()
                self._view, self._view_at = view, clock.now()
                if (view.state, view.opened) != (known.state, known.opened):
                    self._ask_at, self._spare = -math.inf, None
                    transition = self._go(clock)
        self._announce(transition)
        self.follow_mode(view)

    def rejoin(self, view: CircuitView) -> None:
        """Go where the fleet's circuit is, although it has not changed: it is open, and this process had closed it.

        What a store says that has lost the circuit means nothing.
        """
        self.follow(view)
        with self._lock:
            parted = not self.held and self.mode is CircuitMode.NORMAL
            if not parted or view.state != "open" or view.epoch != self._view.epoch:
                return
            clock = self._lane.clock()
            self._view, self._view_at = view, clock.now()
            transition = self._go(clock)
        self._announce(transition)

    def _go(self, clock: Clock) -> Transition | None:
        """Go to the state that the fleet has, where it has opened or closed; return the transition.

        Under the lock. In the modes that ignore the state the circuit only notes whether it is held, and comes here
        again when the mode ends. It transitions by the method of the base class: by its own, it would vote.
        """
        view, state, self._apart = self._view, self.state, False
        opens, was_held = view.state == "open", self.held
        if self.mode in (CircuitMode.ISOLATED, CircuitMode.DISABLED):
            self.held = opens
            return None
        if opens:
            now = clock.now()
            until = self._view_at + view.left
            new: State = Open(
                view.failures,
                view.error or None,
                _category(view.category),
                min(self._view_at, now, until),
                until,
                view.opens,
                state.permits,
            )
        elif was_held:
            new = self._closed(since=clock.now(), ramp_up=self.config.ramp_up_seconds)
        else:
            return None
        self.held = opens
        # Not by the method of this class: it is no vote.
        return CircuitBreakerPolicy._transition(self, new, clock, state)

    def follow_mode(self, view: CircuitView) -> None:
        """Take the mode that an operator has set for this circuit, or for all of its name.

        A command for the name and one for a key may both exist. The circuit remembers which of them its mode is from
        (`_mode_from`), and ends the mode only by a release of the same one. Where no command of the fleet has set the
        mode, a release of the fleet does not end it.
        """
        with self._lock:
            if view.mode == "normal" and self._mode_from != view.name:
                return  # of its own, or set under another name
            mode = _MODES.get(view.mode, CircuitMode.NORMAL)
            self._mode_from = view.name if view.mode != "normal" else ""
            command, clock = self._command(view), self._lane.clock()
            self.command, self.command_ends = None, None
            if self._mode_from:
                self.command = command
            if view.mode_left is not None:
                self.command_ends = clock.wall() + view.mode_left
            if mode is self.mode:
                return
            transition = self.change_mode(mode, clock)
            if mode is CircuitMode.NORMAL and self.held:
                transition = self._go(clock) or transition
        if has_listeners():
            emit(command)
            emit(self.mode_event(self.name))
        if self._ends_mode():
            self.arm()
        self._announce(transition)

    def _command(self, view: CircuitView) -> FleetCommanded:
        """Return the event of a command of an operator, as this process has followed it."""
        from resilience.events import FleetCommanded

        return FleetCommanded(
            target=self.name, policy=self.name, mode=view.mode, by=view.by, why=view.why, seconds=view.mode_left
        )

    def _announce(self, transition: Transition | None) -> None:
        """Notify of a transition that the fleet has made, where the state is another one."""
        if transition is not None and transition[0].kind is not transition[1].kind:
            super().announce(transition, self.observers)

    # -- answers to requests -----------------------------------------------------------------------------------------

    def known(self) -> CircuitView:
        """Return what is known of the fleet's circuit, as of now; nothing where the fleet does not hold it.

        The time left is counted down by this process's clock since the view arrived: fleet time is never compared with
        it.
        """
        with self._lock:
            if not self.held:
                return _NOTHING
            return self._view._replace(left=self._view.left - (self._lane.clock().now() - self._view_at))

    def leased(self, ask: _AskLease, reply: LeaseReply) -> None:
        """Take the answer to a request for a lease."""
        self.follow(reply.view)
        with self._lock:
            if self._ask is ask:
                self._ask = None
            if reply.token:
                # By this process's clock it ends before the store ends it: the time in between has passed.
                self._spare = (reply.token, ask.asked_at, ask.asked_at + self.config.lease_seconds)
            else:
                self._ask_at = self._lane.clock().now() + min(max(reply.wait, 0.01), _ASK_AGAIN)

    def not_leased(self, ask: _AskLease) -> None:
        """Take note that a request for a lease has failed: the store is in trouble."""
        with self._lock:
            if self._ask is ask:
                self._ask = None


class _AskLease(Waiting):
    """The request for a lease, by a call that waits for it.

    Without *wants* it only reports what this process knows, for a store that may have lost it; no call waits then.
    """

    __slots__ = ("_circuit", "_wants", "asked_at")

    def __init__(self, circuit: FleetCircuit, now: float, *, wants: bool = True) -> None:
        super().__init__()
        self._circuit = circuit
        self._wants = wants
        self.asked_at: float = now

    def perform(self, store: FleetStore, stamp: Stamp) -> None:
        """Ask for the lease, with what is known of the circuit, and hand the answer to it."""
        circuit = self._circuit
        known = circuit.known()
        if not known.epoch:  # the fleet has closed it meanwhile
            circuit.not_leased(self)
        else:
            config = circuit.config
            ask = Ask(circuit.id, secrets.token_hex(8), config.lease_seconds, config.probes, known, wants=self._wants)
            reply = store.lease(stamp, ask)
            if self._wants:
                circuit.leased(self, reply)
            else:
                circuit.follow(reply.view)
        self.ring()

    def failed(self) -> None:
        """Let the call go on: the circuit decides by itself."""
        self._circuit.not_leased(self)
        self.ring()


class _SendVote:
    """A vote, or its withdrawal. Votes need no retry: an open circuit votes again when the store is back."""

    __slots__ = ("_circuit", "_vote")

    def __init__(self, circuit: FleetCircuit, vote: Vote) -> None:
        self._circuit = circuit
        self._vote = vote

    def perform(self, store: FleetStore, stamp: Stamp) -> None:
        """Send the vote, and follow the circuit of the answer: it may be open by the vote, or have been before."""
        view = store.vote(stamp, self._vote).view
        if self._vote.seconds:
            self._circuit.rejoin(view)
        else:
            self._circuit.follow(view)

    def failed(self) -> None:
        """Do nothing: an open circuit votes again when the store is back."""


class _Rejoin:
    """The return of a circuit that has decided alone: the fleet's may still be open, as it was.

    Where this one has *recovered*, its own probes have shown what a probe of the fleet would: so it takes a lease,
    where there is one, and gives it back with a success. Else it is held with the others.
    """

    __slots__ = ("_circuit", "_recovered")

    def __init__(self, circuit: FleetCircuit, *, recovered: bool) -> None:
        self._circuit = circuit
        self._recovered = recovered

    def perform(self, store: FleetStore, stamp: Stamp) -> None:
        """Close the fleet's circuit, or follow it. It says nothing of what it knew, which the store may have lost."""
        circuit, config = self._circuit, self._circuit.config
        nonce = secrets.token_hex(8)
        ask = Ask(circuit.id, nonce, config.lease_seconds, config.probes, _NOTHING, wants=self._recovered)
        reply = store.lease(stamp, ask)
        view = reply.view
        if reply.token:
            view = store.result(stamp, Result(circuit.id, reply.token, "ok"))
        circuit.rejoin(view)

    def failed(self) -> None:
        """Do nothing: the circuit rejoins when the store is back."""


class _SendResult:
    """The result of a probe, with the outcome that it is made of.

    Where the store fails, the circuit decides by that outcome.
    """

    __slots__ = ("_circuit", "_clock", "_lease", "_outcome", "_result")

    def __init__(
        self,
        circuit: FleetCircuit,
        result: Result,
        lease: _Lease,
        outcome: tuple[int, ErrorCategory | None, Exception | None, float | None] | None,
        clock: Clock,
    ) -> None:
        self._circuit = circuit
        self._result = result
        self._lease = lease
        self._outcome = outcome
        self._clock = clock

    def perform(self, store: FleetStore, stamp: Stamp) -> None:
        """Send the result, and follow what the store has decided by it."""
        self._circuit.follow(store.result(stamp, self._result))

    def failed(self) -> None:
        """Have the circuit decide by itself what the result means."""
        outcome = None if self._result.kind == "none" else self._outcome
        self._circuit.decide_alone(self._lease, outcome, self._clock)


def _wait(waiting: Waiting, call: Call) -> Steps[None]:
    """Wait for an answer, for `WAIT` seconds, or up to the call's deadline where that is sooner."""
    left = min(WAIT, call.due - call.clock.now())
    if not waiting.done and left > 0:
        yield Sleep(left, ended_by=waiting.ringing)


def _half_open(state: State) -> HalfOpen:
    """Return the half-open state that follows *state*; probes in flight keep their permits."""
    return HalfOpen(
        state.consecutive_failures, state.last_error_type, state.last_category, state.consecutive_opens, state.permits
    )


def _label(category: ErrorCategory | None) -> str:
    """Return the label of a category, as the store keeps it; empty for none."""
    return category.label if category is not None else ""


def _category(label: str) -> ErrorCategory | None:
    """Return the category of that label; None where a later version of the toolkit knows it."""
    return ErrorCategory[label.upper()] if label.upper() in ErrorCategory.__members__ else None
