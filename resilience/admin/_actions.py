"""Actions on circuits by hand: isolate, disable, shadow and reset, for a time, with an author and a reason.

`Hands` acts on the circuits of this process. One that a `Fleet` shares it sets through the fleet, in all processes.

A mode of a circuit is one setting, and an action replaces the one before. So an action with a time has to be taken back
only where it is still the last one: each `Hold` is an object of its own, and its timer compares by identity.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from resilience._forks import fork_safe
from resilience._listeners import emit, has_listeners
from resilience._validation import did_you_mean
from resilience.admin._messages import Refusal
from resilience.circuits import CircuitBreaker, CircuitMode, all_circuits
from resilience.circuits._registry import full_name
from resilience.circuits._snapshot import key_text
from resilience.clock import current_clock
from resilience.events import CircuitSetByHand, FleetCommanded

if TYPE_CHECKING:
    from resilience.fleet import Fleet, FleetSnapshot

__all__ = ["ACTIONS", "Hands", "Hold"]

ACTIONS: Mapping[str, Callable[[CircuitBreaker], None]] = {
    "isolate": CircuitBreaker.isolate,
    "disable": CircuitBreaker.disable,
    "shadow": CircuitBreaker.shadow,
    "reset": CircuitBreaker.reset,
}
_MODES = {"isolate": CircuitMode.ISOLATED, "disable": CircuitMode.DISABLED, "shadow": CircuitMode.SHADOW}
_ACTIONS_OF_MODES = {mode.value: action for action, mode in _MODES.items()}
_LONGEST = 7 * 86400.0

_Place: TypeAlias = tuple[str, str | None]
"""The name and the key of a circuit."""


@dataclasses.dataclass(frozen=True, slots=True)
class Hold:
    """A mode that was set by hand: until when, in seconds since 1970, by whom, and why.

    *fleet* is the name of the fleet in all processes of which it was set; None: in this process alone. *until* is None
    for a mode that holds until it is reset.
    """

    action: str
    until: float | None
    by: str
    why: str
    fleet: str | None = None


class _Found(NamedTuple):
    """A circuit that was asked for: the name it is shown by, and its key where it is one of several."""

    breaker: CircuitBreaker
    key: Hashable


class Hands:
    """Sets circuits by hand, and keeps what was set through one admin application, with the timers that take it back.

    With a *fleet*, the circuits that it shares are set in all its processes, by its store, which also ends it in time.
    All others are those of this process.

    Requests come in any thread of a server, timers in their own. The lock guards the holds alone: circuits are set,
    events are emitted and the store is asked outside of it. A timer is a daemon thread, and ends with the process, as
    the circuits it would reset do.
    """

    def __init__(self, fleet: Fleet | None = None) -> None:
        self.fleet: Fleet | None = fleet
        self._holds: dict[_Place, tuple[Hold, threading.Timer | None]] = {}
        self._lock = fork_safe(threading.Lock())

    def act(self, name: str, key: str | None, action: str, seconds: float | None, by: str, why: str) -> Hold:
        """Do *action* to the circuit called *name*, or to the one of a *key* of it. Emit an event.

        After so many *seconds* the circuit is reset, unless another action has been taken since.

        Args:
            name: the name of the circuit, or its full name where several have that name.
            key: the text of a key; None: the circuit itself.
            action: "isolate", "disable", "shadow" or "reset"; for the circuit of a fleet also "release".
            seconds: for how long; None: until it is reset.
            by: the operator, for the event and the page.
            why: the reason.

        Raises:
            Refusal: 404 where there is no such circuit, 409 where the name or the action does not fit it, 422 for a
                wrong value, and 503 where the store of the fleet cannot be asked.
        """
        found = _find(name, key)
        if self.fleet_of(found.breaker) is not None:
            return self._act_on_fleet(found, action, seconds, by, why)
        if action not in ACTIONS:
            raise Refusal(409, f"no fleet shares {name!r}: {', '.join(ACTIONS)} act on the circuit of this process")
        return self._act_here(found.breaker, (name, key), Hold(action, _until(seconds), by, why), seconds)

    def _act_here(self, breaker: CircuitBreaker, place: _Place, hold: Hold, seconds: float | None) -> Hold:
        """Set the circuit of this process, and start the timer that takes it back.

        The hold is in place before the circuit is set, and the timer of the one before is cancelled. One that fires at
        the same moment finds another hold, and does nothing.
        """
        timer: threading.Timer | None = None
        if seconds is not None and hold.action != "reset":
            timer = self._timer(seconds, place, breaker, hold)
        with self._lock:
            _, before = self._holds.pop(place, (None, None))
            if hold.action != "reset":
                self._holds[place] = hold, timer
        if before is not None:
            before.cancel()
        ACTIONS[hold.action](breaker)
        if timer is not None:
            timer.start()
        _announce(breaker, hold, seconds)
        return hold

    def _act_on_fleet(self, found: _Found, action: str, seconds: float | None, by: str, why: str) -> Hold:
        """Have the fleet set the circuit in all its processes. A reset is a release there."""
        assert self.fleet is not None
        if action == "disable":
            raise Refusal(409, f"a fleet has no {action}: isolate, shadow and release act on all its processes")
        name, commands = found.breaker.name, {"isolate": self.fleet.isolate, "shadow": self.fleet.shadow}
        try:
            if action in commands:
                commands[action](name, by=by, why=why, until=seconds, key=found.key)
            else:
                action = "release"
                self.fleet.release(name, by=by, why=why, key=found.key)
        except (TypeError, ValueError) as error:
            raise Refusal(422, str(error)) from None
        except Exception as error:
            raise _unreachable(error) from None
        hold = Hold(action, _until(seconds), by, why, self.fleet.name)
        _announce(found.breaker, hold, seconds)
        return hold

    def _timer(self, seconds: float, place: _Place, breaker: CircuitBreaker, hold: Hold) -> threading.Timer:
        """Return a timer of *seconds*; a longer one of `_LONGEST`, since the system waits for no longer at once."""
        now = min(seconds, _LONGEST)
        timer = threading.Timer(now, self._expire, (place, breaker, hold, seconds - now))
        timer.daemon = True
        return timer

    def _expire(self, place: _Place, breaker: CircuitBreaker, hold: Hold, left: float = 0.0) -> None:
        """Take back what has been set for a time, unless something else has been set since, or time is *left*."""
        with self._lock:
            if self._holds.get(place, (None,))[0] is not hold:
                return
            if left > 0:
                timer = self._timer(left, place, breaker, hold)
                self._holds[place] = hold, timer
                timer.start()
                return
            del self._holds[place]
        if breaker.mode is _MODES[hold.action]:
            breaker.reset()
            _announce(breaker, Hold("reset", None, hold.by, "its time is over"), None)

    def of(self, breaker: CircuitBreaker, name: str, key: str | None) -> Hold | None:
        """Return what was set for a circuit by hand, here or for the fleet, if that is still in force.

        A command of the fleet may come from another process: the circuit itself knows it. Where the circuit is in
        another mode than the command's, this process has set it since, and the hold is that of this process.
        """
        command: FleetCommanded | None = getattr(breaker.circuit, "command", None)
        if command is not None and command.mode == breaker.mode.value:  # else it was set here since
            action = _ACTIONS_OF_MODES.get(command.mode, command.mode)
            ends: float | None = getattr(breaker.circuit, "command_ends", None)
            return Hold(action, ends, command.by, command.why, self.fleet_of(breaker))
        with self._lock:
            return self._holds.get((name, key), (None,))[0]

    def fleet_of(self, breaker: CircuitBreaker) -> str | None:
        """Return the name of the fleet where the given one shares the circuit; None for a circuit of this process."""
        if self.fleet is None or getattr(breaker.circuit, "_lane", None) is not self.fleet._lane:
            return None
        return self.fleet.name

    def fleet_snapshot(self) -> FleetSnapshot | None:
        """Ask the store of the fleet for its processes, circuits and the last commands. None without a fleet."""
        if self.fleet is None:
            return None
        try:
            return self.fleet.snapshot()
        except Exception as error:
            raise _unreachable(error) from None

    def close(self) -> None:
        """Stop the timers: what was set stays, also what was set for a time."""
        with self._lock:
            timers = [timer for _, timer in self._holds.values() if timer is not None]
        for timer in timers:
            timer.cancel()


def _until(seconds: float | None) -> float | None:
    """Return when so many seconds from now are over, in seconds since 1970; None: never."""
    if seconds is None:
        return None
    return current_clock().wall() + seconds


def _unreachable(error: Exception) -> Refusal:
    # The type alone: the message may hold a URL with its password.
    return Refusal(503, f"the store of the fleet cannot be asked ({type(error).__name__}); nothing was changed")


def _find(name: str, key: str | None) -> _Found:
    """Return the circuit of that name and key. A name that several circuits have is refused, with their full names."""
    found = [each for each in all_circuits() if name in (each.name, full_name(each))]
    if not found:
        names = [each.name for each in all_circuits()]
        raise Refusal(404, f"no circuit is called {name!r}{did_you_mean(name, names)}")
    if len(found) > 1:
        raise Refusal(409, f"{len(found)} circuits are called {name!r}: give {', '.join(map(full_name, found))}")
    if key is None:
        return _Found(found[0], None)
    for each, child in found[0].children():
        if key_text(each) == key:
            return _Found(child, each)
    raise Refusal(404, f"the circuit {name!r} has none for the key {key!r}")


def _announce(breaker: CircuitBreaker, hold: Hold, seconds: float | None) -> None:
    """Emit the event of an action. It has the author and the reason, and so is in the journal of the page."""
    if has_listeners():
        emit(
            CircuitSetByHand(
                target=breaker.name, policy=breaker.name, action=hold.action, by=hold.by, why=hold.why, seconds=seconds
            )
        )
