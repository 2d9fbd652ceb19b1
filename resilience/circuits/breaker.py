"""The circuit breaker as an object: it guards functions, methods, classes and blocks, and is opened and closed by hand.

`CircuitBreaker` composes the options (`CircuitBreakerConfig`), the policy that calls go through
(`CircuitBreakerPolicy`), the circuits of single keys or objects (its *children*), and pybreaker's listeners and
storages. It makes no decision about a call.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Awaitable, Callable, Hashable, Sequence
from types import FrameType
from typing import Concatenate, Literal, ParamSpec, Self, TypeAlias, TypeVar

import pybreaker

from resilience._forks import call_in_forked_child
from resilience._listeners import emit, has_listeners
from resilience._process_bound import ProcessBound
from resilience._runtime.callables import name_of
from resilience._runtime.context_manager import Block, OneBlock
from resilience._runtime.method_selection import RequestMethods
from resilience._runtime.pipeline import Decorator
from resilience._runtime.protocol import Policy
from resilience._validation import did_you_mean, require_known_names
from resilience.circuits._per_instance import OneForAll, PerInstance
from resilience.circuits._per_key import PerKey
from resilience.circuits._permit import Permit
from resilience.circuits._registry import Registry
from resilience.clock import current_clock
from resilience.integrations.pybreaker.adapters import ListenerAdapter, StorageObserver
from resilience.integrations.pybreaker.compat import SETTABLE, PybreakerCompat
from resilience.policies._circuit_breaker_config import CircuitBreakerConfig
from resilience.policies._partial_circuit import PartialCircuit
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import CircuitMode, CircuitObserver, CircuitState

__all__ = ["REGISTRY", "CircuitBreaker", "circuit_breaker"]

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
_UNNAMED = "unnamed"


def _takes_options_of(
    config: Callable[P, CircuitBreakerConfig],
) -> Callable[[Callable[[S, CircuitBreakerConfig], None]], Callable[Concatenate[S, P], None]]:
    """Give an ``__init__`` that takes a finished config the parameters that the config itself is made of.

    So options are written in `CircuitBreakerConfig` alone. Type checkers and editors solve *P* from its fields,
    `inspect.signature` follows ``__wrapped__``, and `help` shows its docstring. A keyword that is no option is refused
    here, with the nearest one that is.
    """
    names = [option.name for option in dataclasses.fields(CircuitBreakerConfig) if option.init]

    def decorate(init: Callable[[S, CircuitBreakerConfig], None]) -> Callable[Concatenate[S, P], None]:
        @functools.wraps(init)
        def construct(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
            require_known_names("circuit_breaker", kwargs, names)
            if len(args) > 1:
                raise TypeError(
                    f"circuit_breaker{args!r}: give the name alone by its position, and options by their names, as in"
                    " circuit_breaker('billing', failure_threshold=5, reset_timeout=60)"
                )
            init(self, config(*args, **kwargs))

        construct.__doc__ = config.__doc__
        return functools.update_wrapper(construct, CircuitBreakerConfig.__init__, assigned=())

    return decorate


class CircuitBreaker(ProcessBound, Decorator, Block, PybreakerCompat):  # type: ignore[misc]  # its calls are not pybreaker's
    """Stop the calls to a dependency that keeps failing, and probe it until it has recovered.

    `circuit_breaker` is this class under the name that decorators have. The object decorates, is a ``with`` and ``async
    with`` block, and is a `pybreaker.CircuitBreaker`: give one object to all that call the same dependency. The options
    are those of `CircuitBreakerConfig`, which ``help(circuit_breaker)`` shows below.

    Of pybreaker it has the listeners, storages and ``current_state``, not the engine. No lock is held while a call
    runs, async functions trip it, cancellation and Ctrl-C count for nothing, and the tripping call raises its own
    error.

    >>> from resilience import circuit_breaker
    >>> billing = circuit_breaker("billing", failure_threshold=2, reset_timeout=30)
    >>> @billing
    ... def charge() -> str:
    ...     return "paid"
    >>> charge(), billing.current_state
    ('paid', 'closed')
    """

    #: The module that made it, which tells circuits of one name apart; empty for those of keys and objects.
    module: str = ""
    # Class attributes, since most circuits have none of these, and circuits of keys are made by the thousand.
    _scoped: _Scoped | None = None
    _storage_observers: Sequence[StorageObserver] = ()
    _own_listeners: Sequence[pybreaker.CircuitBreakerListener] = ()

    @_takes_options_of(CircuitBreakerConfig)
    def __init__(self, config: CircuitBreakerConfig) -> None:
        # Not pybreaker's __init__: every attribute it would set up has its own answer here.
        self._named = config.name is not None
        self.module = _module_of(sys._getframe(2))  # 1 is `construct`
        self._attach(self._make_policy(config, RequestMethods(config.only, config.exclude)), config.listeners)
        if config.key is not None:
            self._scoped = PerKey(self, self._fork, config.key, config.max_keys)
        elif config.per_instance:
            self._scoped = PerInstance(self, self._fork)
        REGISTRY.add(self)
        if (
            self._named and config.storage is None and config.fleet is None
        ):  # those that share a state know of each other
            REGISTRY.check_name(self)

    def _instead_of_pickling(self) -> tuple[str, str]:
        return (
            f"the circuit {self.name!r}",
            "make it in a module that each process imports; fleet= shares the state of one between processes",
        )

    def _make_policy(self, config: CircuitBreakerConfig, methods: RequestMethods) -> CircuitBreakerPolicy:
        """Return the policy that calls go through. A subclass may count failures in another way."""
        return _new_policy(config.name or _UNNAMED, config, methods)

    def _attach(self, circuit: CircuitBreakerPolicy, listeners: Sequence[pybreaker.CircuitBreakerListener]) -> None:
        """Put this object in front of *circuit*, with *listeners* and the storage of its config."""
        self._circuit = circuit
        circuit.owner = self  # the registry finds it for as long as a function is guarded by it
        if circuit.config.storage is not None:
            self._storage_observers = [StorageObserver(circuit, circuit.config.storage)]
        if listeners or self._storage_observers:
            self.add_listeners(*listeners)
        for observer in self._storage_observers:
            observer.sync_from_storage()  # another process may have opened it

    def _fork(self, key: Hashable = None) -> CircuitBreaker:
        """Return a new circuit with the options, listeners and mode of this one, for a *key* or an object."""
        # Not through __init__: thousands of them share what was checked once.
        fork = CircuitBreaker.__new__(CircuitBreaker)
        fork._named = True
        config = self._circuit.config
        circuit = _new_policy(self._circuit.name, config, self._circuit.methods, key)
        fork._attach(circuit, self._own_listeners)
        if self.mode is not CircuitMode.NORMAL and circuit.mode is CircuitMode.NORMAL:
            circuit.change_mode(self.mode, current_clock())
        return fork

    # -- guarding ------------------------------------------------------------------------------------------------

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        """Return the one policy that guards *target*. A circuit without a name is called after its first target."""
        if not self._named and callable(target):
            self._circuit.name, self._named = name_of(target), True
            REGISTRY.check_name(self)
        return (self._circuits.policy_for(target),)

    def calling(self) -> OneBlock[Self]:  # type: ignore[override]  # a context manager all the same
        """Return one block of this circuit: ``with breaker.calling():``, as ``with breaker:``, sync or async.

        It may be left in another context, task or thread than it was entered in, by hand too. Blocks may overlap. Call
        this for each block: entered twice, it raises RuntimeError.
        """
        return OneBlock(self)

    def call_async(  # pyright: ignore[reportIncompatibleMethodOverride]  # awaitable, where pybreaker's is tornado's
        self, func: Callable[..., Awaitable[R]], *args: object, **kwargs: object
    ) -> Awaitable[R]:
        """Call an async function through the circuit; `acall` under pybreaker's name."""
        return self.acall(func, *args, **kwargs)

    def acquire(self) -> Permit:
        """Admit one call whose outcome is recorded by hand, by the methods of the `Permit`.

        Raises `CircuitOpenError` where the circuit rejects the call, and TypeError for a circuit per key or object:
        acquire a permit of the one that `of` returns.
        """
        if self.scope is not None:
            raise TypeError(f"{self!r} has a circuit for each {self.scope}: call of({self.scope}).acquire()")
        return Permit(self._circuit, f"circuit {self.name!r}")

    def would_admit(self) -> bool:
        """Return whether a call would be admitted now. It takes nothing: another call may be the one.

        A circuit that ramps up admits a share of the calls, and answers True.
        """
        return self._circuit.would_admit(current_clock())

    def _policy(self) -> Policy:
        return self._circuit

    @property
    def circuit(self) -> CircuitBreakerPolicy:
        """The policy that calls go through, with the state."""
        return self._circuit

    @property
    def probes_in_flight(self) -> int:
        """The number of probes in flight whose lease has not ended."""
        return self._circuit.state.probes_in_flight(current_clock().now())

    # -- circuits per key or object ------------------------------------------------------------------------------

    @property
    def _circuits(self) -> _Scoped:
        """The circuits that calls go through: this one, or its children."""
        if self._scoped is None:
            self._scoped = OneForAll(self, self._fork)
        return self._scoped

    @property
    def scope(self) -> Literal["key", "instance"] | None:
        """The scope of its children: each key or each object has one. None: calls go through this circuit itself."""
        return self._circuits.scope

    def of(self, instance: Hashable) -> CircuitBreaker:
        """Return the circuit of one key, or of one object of a class decorated with ``per_instance=True``.

        A circuit without keys and objects returns one that lives as long as *instance*, and guards no call by itself.
        """
        return self._circuits.of(instance)

    def children(self) -> list[tuple[Hashable, CircuitBreaker]]:
        """Return the circuits that exist by key, or for each object, with the key or the object's class and address."""
        return self._circuits.items()

    def reconfiguring(self, config: CircuitBreakerConfig) -> Callable[[], None]:
        """Return what gives this circuit, and its children, the options of *config*; states and windows stay.

        Raises TypeError where the options make another kind of circuit: with and without *partial*, *key*,
        *per_instance* or *storage*.
        """
        before = self._circuit.config
        for option in ("partial", "key", "per_instance", "storage"):
            if getattr(config, option) != getattr(before, option):
                raise TypeError(f"{option}={getattr(config, option)!r}: cannot change while the circuit is in use")

        def reconfigure() -> None:
            self._circuit.reconfigure(config)
            for _, child in self.children():
                child.reconfiguring(config)()

        return reconfigure

    # -- by hand -------------------------------------------------------------------------------------------------

    def open(self) -> bool:
        """Open the circuit now; a probe is admitted after *reset_timeout*. Always True."""
        self._force(CircuitState.OPEN)
        return True

    def half_open(self) -> None:
        """Admit the next call as a probe. Probes that are in flight decide nothing any more, and hold no permit."""
        self._force(CircuitState.HALF_OPEN)

    def close(self) -> None:
        """Admit all calls, with nothing recorded."""
        self._force(CircuitState.CLOSED)

    @property
    def mode(self) -> CircuitMode:
        """``CircuitMode.NORMAL``, unless it was changed by `isolate`, `disable` or `shadow`."""
        return self._circuit.mode

    def isolate(self) -> None:
        """Reject all calls until `reset`."""
        self._change_mode(CircuitMode.ISOLATED)

    def disable(self) -> None:
        """Admit all calls and record nothing, until `reset`."""
        self._change_mode(CircuitMode.DISABLED)

    def shadow(self) -> None:
        """Record, open and close, and notify of it, but reject no call, until `reset`."""
        self._change_mode(CircuitMode.SHADOW)

    def reset(self) -> None:
        """Start again: closed, with nothing recorded, in normal mode."""
        self._change_mode(CircuitMode.NORMAL)
        self.close()
        for breaker in (self, *(child for _, child in self.children())):
            breaker._circuit.category = None

    def _force(self, kind: CircuitState) -> None:
        """Go to a state by hand, with all children."""
        circuit = self._circuit
        transition = circuit.transition_to(kind, current_clock())
        if transition is not None:
            circuit.announce(transition, circuit.observers)
        elif kind is CircuitState.CLOSED:
            # It was closed and starts again. So does a shared state, which another process may have opened meanwhile.
            circuit.announce_restart()
        for _, child in self.children():
            child._force(kind)

    def _change_mode(self, mode: CircuitMode) -> None:
        """Change the mode by hand, with that of all children."""
        circuit = self._circuit
        if mode is not self.mode:
            transition = circuit.change_mode(mode, current_clock())
            if has_listeners():
                emit(circuit.mode_event(self.name))
            if transition is not None and transition[0].kind is not transition[1].kind:
                circuit.announce(transition, circuit.observers)
        for _, child in self.children():
            child._change_mode(mode)

    def _set_listeners(self, listeners: Sequence[pybreaker.CircuitBreakerListener]) -> None:
        self._own_listeners = listeners
        adapters: list[CircuitObserver] = [ListenerAdapter(self, listener) for listener in listeners]
        self._circuit.set_observers([*adapters, *self._storage_observers])
        for _, child in self.children():
            child._set_listeners(listeners)

    # -- copies ------------------------------------------------------------------------------------------------------

    def __copy__(self) -> Self:
        """Return this very circuit: a copy would see only its own failures."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Return this very circuit, also in a deep copy of what holds it."""
        return self

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute. Raises AttributeError for a name without effect, such as a misspelt option."""
        if not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(f"a circuit has no {name!r} to set{did_you_mean(name, SETTABLE)}")
        super().__setattr__(name, value)

    def __str__(self) -> str:
        return str(self._circuit)

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name!r} {self.circuit_state.value}>"


_MAKERS = ("resilience._standard", "resilience.config.")


def _module_of(frame: FrameType | None) -> str:
    """Return the module of the program that makes a circuit, itself, by `standard` or by a configuration."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_MAKERS):
        frame = frame.f_back
    return "" if frame is None else frame.f_globals.get("__name__", "")


def _new_policy(
    name: str, config: CircuitBreakerConfig, methods: RequestMethods, key: Hashable = None
) -> CircuitBreakerPolicy:
    """Return the policy of a new circuit: one that a fleet shares is made by the fleet, by its name and *key*."""
    if config.fleet is not None:
        made: CircuitBreakerPolicy = config.fleet.make_circuit(name, config, methods, key)
        return made
    if config.partial:
        return PartialCircuit(name, config, methods)
    return CircuitBreakerPolicy(name, config, methods)


_Scoped: TypeAlias = PerKey[CircuitBreaker] | PerInstance[CircuitBreaker] | OneForAll[CircuitBreaker]

circuit_breaker = CircuitBreaker
"""The class under the name that decorators have: ``@circuit_breaker("billing")``."""

REGISTRY: Registry[CircuitBreaker] = Registry()
"""Every circuit of this process, but for children, which their circuit lists."""


def _renew_locks() -> None:
    """Free the lock of every circuit, in a forked process: a thread of the parent may have held any."""
    for breaker in REGISTRY:
        for each in (breaker, *(child for _, child in breaker.children())):
            each.circuit._renew_lock()


call_in_forked_child(_renew_locks)
