"""Actions on circuits by hand: isolate, disable, shadow and reset, for a time, with an author and a reason."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping

from resilience._forks import fork_safe
from resilience._listeners import emit, has_listeners
from resilience._validation import did_you_mean
from resilience.admin._messages import Refusal
from resilience.circuits import CircuitBreaker, CircuitMode, all_circuits
from resilience.circuits._registry import full_name
from resilience.clock import current_clock
from resilience.events import CircuitSetByHand

__all__ = ["ACTIONS", "Hold", "Holds"]

ACTIONS: Mapping[str, Callable[[CircuitBreaker], None]] = {
    "isolate": CircuitBreaker.isolate,
    "disable": CircuitBreaker.disable,
    "shadow": CircuitBreaker.shadow,
    "reset": CircuitBreaker.reset,
}
_MODES = {"isolate": CircuitMode.ISOLATED, "disable": CircuitMode.DISABLED, "shadow": CircuitMode.SHADOW}
_LONGEST = 7 * 86400.0


@dataclasses.dataclass(frozen=True, slots=True)
class Hold:
    """A mode that was set by hand: until when, in seconds since 1970, by whom, and why."""

    action: str
    until: float | None
    by: str
    why: str


class Holds:
    """The modes that were set by hand through one admin application, and the timers that take them back."""

    def __init__(self) -> None:
        self._holds: dict[str, tuple[Hold, threading.Timer | None]] = {}
        self._lock = fork_safe(threading.Lock())

    def act(self, name: str, key: str | None, action: str, seconds: float | None, by: str, why: str) -> Hold:
        """Do *action* to the circuit called *name*, or to the one of a *key* of it. Emit an event.

        After so many *seconds* the circuit is reset, unless another action has been taken since. Raises `Refusal` where
        there is no such circuit.
        """
        breaker = _circuit(name, key)
        full = name if key is None else f"{name} {key}"
        until = None if seconds is None else current_clock().wall() + seconds
        hold = Hold(action, until, by, why)
        timer: threading.Timer | None = None
        if seconds is not None and action != "reset":
            timer = threading.Timer(min(seconds, _LONGEST), self._expire, (full, breaker, hold))
            timer.daemon = True
        with self._lock:
            _, before = self._holds.pop(full, (None, None))
            if action != "reset":
                self._holds[full] = hold, timer
        if before is not None:
            before.cancel()
        ACTIONS[action](breaker)
        if timer is not None:
            timer.start()
        _announce(breaker, hold, seconds)
        return hold

    def _expire(self, full: str, breaker: CircuitBreaker, hold: Hold) -> None:
        """Take back what has been set for a time, unless something else has been set since."""
        with self._lock:
            if self._holds.get(full, (None,))[0] is not hold:
                return
            del self._holds[full]
        if breaker.mode is _MODES[hold.action]:
            breaker.reset()
            _announce(breaker, Hold("reset", None, hold.by, "its time is over"), None)

    def of(self, name: str, key: str | None) -> Hold | None:
        """Return what was set for a circuit by hand, if that is still in force."""
        full = name if key is None else f"{name} {key}"
        with self._lock:
            return self._holds.get(full, (None,))[0]

    def close(self) -> None:
        """Stop the timers: what was set stays."""
        with self._lock:
            timers = [timer for _, timer in self._holds.values() if timer is not None]
        for timer in timers:
            timer.cancel()


def _circuit(name: str, key: str | None) -> CircuitBreaker:
    found = [each for each in all_circuits() if name in (each.name, full_name(each))]
    if not found:
        names = [each.name for each in all_circuits()]
        raise Refusal(404, f"no circuit is called {name!r}{did_you_mean(name, names)}")
    if len(found) > 1:
        raise Refusal(409, f"{len(found)} circuits are called {name!r}: give {', '.join(map(full_name, found))}")
    if key is None:
        return found[0]
    for each, child in found[0].children():
        if str(each) == key:
            return child
    raise Refusal(404, f"the circuit {name!r} has none for the key {key!r}")


def _announce(breaker: CircuitBreaker, hold: Hold, seconds: float | None) -> None:
    if has_listeners():
        emit(
            CircuitSetByHand(
                target=breaker.name, policy=breaker.name, action=hold.action, by=hold.by, why=hold.why, seconds=seconds
            )
        )
