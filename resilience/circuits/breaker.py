"""The circuit as an object: what it is made of, what it guards, and what it is told by hand."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Literal, TypeVar

import pybreaker

from resilience._runtime.callables import name_of
from resilience._runtime.context_manager import Block, OneBlock
from resilience._runtime.method_selection import MethodSelection
from resilience._runtime.pipeline import Decorator
from resilience._runtime.protocol import Policy
from resilience._validation import count
from resilience.category import CategoryLike, combine
from resilience.circuits.instances import Instances, PerInstance
from resilience.circuits.keys import Keyed, Keys
from resilience.circuits.registry import REGISTRY
from resilience.circuits.vocabulary import Vocabulary
from resilience.circuits.watchers import Listener, SharedState
from resilience.classify.decide import classify
from resilience.clock import current_clock
from resilience.policies.circuit_breaker import Circuit
from resilience.policies.circuit_breaker_config import Rules
from resilience.policies.circuit_states import (
    CircuitMode,
    CircuitObserver,
    CircuitState,
    HalfOpen,
    Open,
    State,
    Transition,
)
from resilience.profile import Profile, changed_profiles
from resilience.subscription import emit, listened
from resilience.trouble import call_hook, report_trouble

__all__ = ["CircuitBreaker"]

R = TypeVar("R")
_UNNAMED = "unnamed"


class CircuitBreaker(Decorator, Block, Vocabulary):  # type: ignore[misc]  # its calls are not pybreaker's
    """A circuit that guards functions, methods, classes and blocks; see `circuit_breaker` for its parameters.

    It is a `pybreaker.CircuitBreaker`: listeners, storages and `current_state` are pybreaker's. The engine is not:
    no lock is held while a call runs, async functions trip it, cancellation and Ctrl-C count for nothing, and
    the tripping call raises its own error.

    >>> breaker = CircuitBreaker("billing", failure_threshold=1)
    >>> with breaker:
    ...     pass
    >>> breaker.open(), breaker.current_state
    (True, 'open')
    """

    # Most circuits have neither.
    _keys: Keys | None = None
    _instances: Instances | None = None

    def __init__(
        self,
        name: str | None = None,
        *,
        failure_threshold: int | None = 5,
        failure_rate: float | None = None,
        slow_call_rate: float | None = None,
        slow_call_seconds: float | datetime.timedelta | None = None,
        window: int | None = None,
        window_seconds: float | datetime.timedelta | None = None,
        minimum_calls: int | None = None,
        trip_on: CategoryLike | None = None,
        open_for: CategoryLike | None = None,
        failure_if: Callable[..., object] | None = None,
        reset_timeout: float | datetime.timedelta = 60.0,
        max_reset_timeout: float | datetime.timedelta | None = None,
        probes: int = 1,
        success_threshold: int = 1,
        probe_timeout: float | datetime.timedelta | None = None,
        ramp_up: float | datetime.timedelta = 0.0,
        key: Callable[..., Hashable] | None = None,
        max_keys: int = 1024,
        per_instance: bool = False,
        only: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        listeners: Sequence[pybreaker.CircuitBreakerListener] = (),
        storage: pybreaker.CircuitBreakerStorage | None = None,
        profiles: Mapping[CategoryLike, Mapping[str, object] | Profile] | None = None,
    ) -> None:
        # Not pybreaker's __init__: every attribute it would set up has its own answer here.
        if storage is not None and not isinstance(storage, pybreaker.CircuitBreakerStorage):
            raise TypeError(f"storage={storage!r}: give a pybreaker.CircuitBreakerStorage")
        if callable(name):
            raise TypeError(f'@circuit_breaker without a name on {name_of(name)}: write @circuit_breaker("...")')
        if key is not None and per_instance:
            raise TypeError(
                "key=, per_instance=True: give one of them; key=lambda self, *_: self is a circuit for each"
            )
        if storage is not None and (key is not None or per_instance):
            many = "per_instance=True" if key is None else "key="
            raise TypeError(f"storage=, {many}: a storage holds the state of one circuit, so all would open together")
        if key is not None and not callable(key):
            raise TypeError(f"key={key!r}: give a function of the call's arguments, such as lambda host, *_: host")
        rules = Rules(
            failure_threshold=failure_threshold,
            failure_rate=failure_rate,
            slow_call_rate=slow_call_rate,
            slow_call_seconds=slow_call_seconds,
            window=window,
            window_seconds=window_seconds,
            minimum_calls=minimum_calls,
            trip_on=None if trip_on is None else combine("trip_on", [trip_on]),
            open_for=None if open_for is None else combine("open_for", [open_for]),
            failure_if=failure_if,
            reset_timeout=reset_timeout,
            max_reset_timeout=max_reset_timeout,
            probes=probes,
            success_threshold=success_threshold,
            probe_timeout=probe_timeout,
            ramp_up=ramp_up,
            profiles=changed_profiles("profiles", profiles or {}),
        )
        self._named = name is not None
        self._key = key
        self._per_instance = per_instance
        count("max_keys", max_keys)
        if key is not None:
            self._keys = Keys(self._fork, max_keys)
        if per_instance:
            self._instances = Instances(self._fork)
        circuit = Circuit(_UNNAMED if name is None else name, rules, MethodSelection(only, exclude))
        self._guard(circuit, listeners, storage)
        REGISTRY.add(self)

    def _guard(
        self,
        circuit: Circuit,
        listeners: Sequence[pybreaker.CircuitBreakerListener],
        storage: pybreaker.CircuitBreakerStorage | None,
    ) -> None:
        self._circuit = circuit
        circuit.owner = self  # the registry finds it for as long as a function is guarded by it
        self._told: list[pybreaker.CircuitBreakerListener] = []
        self._storage = storage
        self.add_listeners(*listeners)
        for shared in self._shared():
            shared.follow()  # others may have opened it

    # -- guarding ------------------------------------------------------------------------------------------------

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        if not self._named and callable(target):
            self._circuit.name, self._named = name_of(target), True
        if self._key is not None:
            return (Keyed(self, self._key),)
        if not self._per_instance:
            return (self._circuit,)
        if not isinstance(target, type):
            raise TypeError("per_instance=True: decorate a class, whose objects then have a circuit each")
        if not target.__weakrefoffset__:
            raise TypeError(f"per_instance=True: add '__weakref__' to the __slots__ of {target.__qualname__}")
        return (PerInstance(self, target),)

    def calling(self) -> OneBlock:  # type: ignore[override]  # a context manager all the same
        """Return one block of this circuit: ``with breaker.calling():``, as ``with breaker:``, sync or async.

        It may be left in another context, task or thread than it was entered in, by hand too. Call this for each block:
        entered twice, it raises RuntimeError.
        """
        return OneBlock(self)

    def call_async(  # pyright: ignore[reportIncompatibleMethodOverride]  # awaitable, where pybreaker's is tornado's
        self, func: Callable[..., Awaitable[R]], *args: object, **kwargs: object
    ) -> Awaitable[R]:
        """Call an async function through the circuit; `acall` under pybreaker's name."""
        return self.acall(func, *args, **kwargs)

    def _policy(self) -> Policy:
        return self._circuit

    # -- one, or one for each ------------------------------------------------------------------------------------

    def of(self, instance: Hashable) -> CircuitBreaker:
        """Return the circuit of one key, or of one object of a class decorated with ``per_instance=True``."""
        if self._keys is not None:
            return self._keys.of(instance)
        instances = self._instances
        if instances is None:
            instances = vars(self).setdefault("_instances", Instances(self._fork))
        return instances.of(instance)

    @property
    def circuit(self) -> Circuit:
        """The state machine."""
        return self._circuit

    @property
    def pattern(self) -> Literal["key", "instance"] | None:
        """Whether calls go through circuits of their key, or of their object, which are made after this one."""
        return "key" if self._key is not None else "instance" if self._per_instance else None

    def others(self) -> list[tuple[object, CircuitBreaker]]:
        """Return the circuits there are by key, or for each object, with the key or the object's class and address."""
        if self._keys is not None:
            return [*self._keys.items()]
        return [*self._instances.items()] if self._instances is not None and self._per_instance else []

    @property
    def probes_on_the_way(self) -> int:
        """How many probes are out whose lease is not over."""
        state, now = self._circuit.state, current_clock().now()
        if not isinstance(state, HalfOpen):
            return 0
        return sum(permit.is_active(now) for permit in state.permits.copy())

    def _fork(self) -> CircuitBreaker:
        # Not through __init__: thousands of them share what was checked once.
        fork = CircuitBreaker.__new__(CircuitBreaker)
        fork._named = True
        fork._key = None
        fork._per_instance = False
        fork._guard(Circuit(self._circuit.name, self._circuit.rules, self._circuit.methods), self._told, self._storage)
        if self.mode is not CircuitMode.NORMAL:  # what was ordered for all is for those to come, too
            fork._circuit.change_mode(self.mode, current_clock())
        return fork

    # -- by hand -------------------------------------------------------------------------------------------------

    def open(self) -> bool:
        """Open the circuit now; a probe is let through after *reset_timeout*. Always True."""
        self._force(CircuitState.OPEN)
        return True

    def half_open(self) -> None:
        """Let the next call through as a probe."""
        self._force(CircuitState.HALF_OPEN)

    def close(self) -> None:
        """Let everybody through."""
        self._force(CircuitState.CLOSED)

    @property
    def mode(self) -> CircuitMode:
        """What the circuit does: ``CircuitMode.NORMAL``, unless it was told otherwise."""
        return self._circuit.mode

    def isolate(self) -> None:
        """Let nobody through until `reset`."""
        self._change_mode(CircuitMode.ISOLATED)

    def disable(self) -> None:
        """Let everybody through and record nothing, until `reset`."""
        self._change_mode(CircuitMode.DISABLED)

    def shadow(self) -> None:
        """Record, open and close, and tell of it, but reject nobody, until `reset`."""
        self._change_mode(CircuitMode.SHADOW)

    def reset(self) -> None:
        """Start again: closed, with nothing recorded, in normal mode."""
        self._change_mode(CircuitMode.NORMAL)
        self.close()
        for each in (self, *(other for _, other in self.others())):
            each._circuit.category = None

    def _force(self, kind: CircuitState) -> None:
        transition = self._circuit.transition_to(kind, current_clock())
        if transition is not None:
            self.announce(transition, self._circuit.observers)
        elif kind is CircuitState.CLOSED and self.mode in (CircuitMode.NORMAL, CircuitMode.SHADOW):
            # It was closed and starts again; so does what it shares with others, who may have opened it meanwhile.
            self._tell(self._shared(), "start_again")
        for _, other in self.others():
            other._force(kind)

    def _change_mode(self, mode: CircuitMode) -> None:
        if mode is not self.mode:
            transition = self._circuit.change_mode(mode, current_clock())
            if listened():
                emit(self._circuit.mode_event(self.name))
            if transition is not None and transition[0].kind is not transition[1].kind:
                self.announce(transition, self._circuit.observers)
        for _, other in self.others():
            other._change_mode(mode)

    # -- telling -------------------------------------------------------------------------------------------------

    def _watched_by(self, listeners: list[pybreaker.CircuitBreakerListener]) -> None:
        self._told = listeners
        observers: list[CircuitObserver] = [Listener(self, listener) for listener in listeners]
        if self._storage is not None:  # one that is there already knows what it has written
            observers.extend(self._shared() or [SharedState(self, self._storage)])
        self._circuit.set_observers(observers)
        for _, other in self.others():
            other._watched_by(listeners)

    def announce(self, transition: Transition, observers: Sequence[CircuitObserver]) -> None:
        """Tell *observers* and whoever listens to events of a transition that no call made."""
        self._tell(observers, "changed", *transition)
        if listened():
            emit(self._circuit.event(self.name, transition))

    def _tell(self, observers: Sequence[CircuitObserver], what: str, *arguments: object) -> None:
        for observer in observers:
            hook, tell = observer.hook(what), getattr(observer, what)
            try:
                call_hook(hook if callable(hook) else tell, tell, *arguments)
            except Exception as error:
                report_trouble("circuit listener", hook, error)

    def _shared(self) -> list[SharedState]:
        return [observer for observer in self._circuit.observers if isinstance(observer, SharedState)]

    def adopt(self, kind: CircuitState, left: float) -> State:
        """Go where a shared store says the circuit is, open for *left* seconds, without telling it again.

        Return the state it then is in.
        """
        circuit, clock = self._circuit, current_clock()
        transition = circuit.transition_to(kind, clock) if circuit.state.kind is not kind else None
        if transition is None:
            return circuit.state
        new = transition[1]
        if isinstance(new, Open):
            now = clock.now()
            ago = max(self.reset_timeout - left, 0.0)
            new.opened_at, new.until = now - ago, now + left
            circuit.since -= ago
        self.announce(transition, [observer for observer in circuit.observers if isinstance(observer, Listener)])
        return new

    def extend(self, left: float) -> None:
        """Stay open for at least *left* seconds: another circuit of a shared store has opened later."""
        state = self._circuit.state
        if isinstance(state, Open):
            state.until = max(state.until, current_clock().now() + left)

    def trip(self, error: Exception | None, failures: int) -> None:
        """Open the circuit because of *error*: failures that others counted as well come to *failures*."""
        last = None if error is None else (type(error).__name__, classify(error))
        transition = self._circuit.transition_to(CircuitState.OPEN, current_clock(), last, failures)
        if transition is not None:
            self.announce(transition, self._circuit.observers)

    def __str__(self) -> str:
        return str(self._circuit)

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name!r} {self.circuit_state.value}>"
