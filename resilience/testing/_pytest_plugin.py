"""The pytest plugin: fixtures for virtual time, events, faults and circuits, and a marker that switches policies off.

pytest loads it by its entry point in every run of a project that has the toolkit installed. So it imports nothing of
the toolkit's core until a fixture or a marker is used, adds no fixture to a test that does not ask for it, and prints
nothing. ``-p no:resilience`` leaves it out.

The clock of `virtual_clock` is a context variable. A plugin that runs async tests may run one in a context that was
made before the fixture was; so async tests and fixtures put the clock in force once more themselves.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from resilience.testing import Faults, RecordedEvents, Rehearsal, VirtualClock

__all__ = ["faults", "fresh_circuits", "recorded_events", "resilience", "virtual_clock"]

_MARKERS = (
    "no_resilience: policies are switched off while the test runs, in the whole process",
    "virtual_clock(patience=1.0, seed=0): options of the fixture `virtual_clock`, as `virtual_time` takes them",
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def fresh_circuits() -> Iterator[None]:
    """Reset all circuits before and after the test: closed, nothing recorded, normal mode.

    For all tests of a project: ``usefixtures = fresh_circuits`` in pytest's configuration.
    """
    _reset_circuits()
    yield
    _reset_circuits()


def _reset_circuits() -> None:
    circuits = sys.modules.get("resilience.circuits")
    if circuits is not None:  # else there is none, and pybreaker need not be imported
        circuits.reset_all()


@pytest.fixture
def virtual_clock(
    request: pytest.FixtureRequest,
    fresh_circuits: None,  # noqa: ARG001  # set up before
) -> Iterator[VirtualClock]:
    """Virtual time for the test: retries, time limits and open circuits take no real time. See `virtual_time`.

    Circuits are reset before and after: the times that they keep are those of one clock. The marker
    ``virtual_clock(patience=..., seed=...)`` has the options.
    """
    from resilience.testing import virtual_time

    marker = request.node.get_closest_marker("virtual_clock")
    options: dict[str, Any] = {} if marker is None else marker.kwargs
    with virtual_time(**options) as clock:
        request.node.stash[_CLOCK] = clock
        yield clock
        del request.node.stash[_CLOCK]


@pytest.fixture
def recorded_events() -> Iterator[RecordedEvents]:
    """The events of all guarded calls from here to the end of the test. See `record_events`."""
    from resilience.testing import record_events

    with record_events() as events:
        yield events


@pytest.fixture
def faults() -> Iterator[Faults]:
    """Faults that are taken back at the end of the test: ``faults.open(...)``, ``faults.fail_next(...)``."""
    from resilience.testing import Faults

    with Faults() as faults:
        yield faults


@pytest.fixture
def resilience() -> Iterator[Rehearsal]:
    """Faults of the test: ``resilience.chaos(...)``, ``resilience.fail_next(...)``, ``resilience.open(...)``."""
    from resilience.testing import Rehearsal

    with Rehearsal() as rehearsal:
        yield rehearsal


_CLOCK: pytest.StashKey[VirtualClock] = pytest.StashKey()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Run the test without policies where it is marked so, and in virtual time where it uses that."""
    with contextlib.ExitStack() as stack:
        if item.get_closest_marker("no_resilience") is not None:
            from resilience import settings

            stack.enter_context(settings.disabled(everywhere=True))
        clock = item.stash.get(_CLOCK, None)
        if clock is not None and isinstance(item, pytest.Function):
            owner, name = item, "obj"
            if hasattr(item.obj, "hypothesis"):  # it calls the test itself once for each example
                owner, name = item.obj.hypothesis, "inner_test"
            stack.enter_context(_in_virtual_time(owner, name, clock))
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Set up an async fixture of a test in virtual time where the test uses that."""
    clock = request.node.stash.get(_CLOCK, None)
    if clock is None:
        return (yield)
    with _in_virtual_time(fixturedef, "func", clock):
        return (yield)


@contextlib.contextmanager
def _in_virtual_time(owner: object, name: str, clock: VirtualClock) -> Generator[None]:
    """Have an async function, the attribute *name* of *owner*, enter virtual time in the block.

    A sync one runs in the context in which the fixture `virtual_clock` was set up.
    """
    function = getattr(owner, name)
    if inspect.iscoroutinefunction(function):
        setattr(owner, name, _coroutine_function(function, clock))
    elif inspect.isasyncgenfunction(function):
        setattr(owner, name, _async_generator_function(function, clock))
    try:
        yield
    finally:
        setattr(owner, name, function)


def _coroutine_function(function: Callable[..., Awaitable[object]], clock: VirtualClock) -> Callable[..., object]:
    from resilience.clock import using_clock

    @functools.wraps(function)
    async def wrapper(*args: object, **kwargs: object) -> object:
        with using_clock(clock):
            return await function(*args, **kwargs)

    return wrapper


def _async_generator_function(
    function: Callable[..., AsyncGenerator[object]], clock: VirtualClock
) -> Callable[..., object]:
    """Return a fixture that does what *function* does before and after its value, each in virtual time."""
    from resilience.clock import using_clock

    @functools.wraps(function)
    async def wrapper(*args: object, **kwargs: object) -> AsyncIterator[object]:
        items = function(*args, **kwargs)
        with using_clock(clock):
            value = await anext(items)
        yield value
        with using_clock(clock):
            async for value in items:  # a second one is an error, which the plugin reports
                yield value

    return wrapper
