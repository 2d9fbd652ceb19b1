"""A call that is cut off outside of a circuit counts in it as a time-out, as a slow call, or not at all."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import anyio
import pybreaker
import pytest

from resilience import (
    CallTimeoutError,
    CircuitOpenError,
    ErrorCategory,
    circuit_breaker,
    deadline,
    retry_on_category,
    subscribe,
    timeout,
)
from resilience.circuits import CircuitBreaker
from resilience.clock import current_clock
from resilience.metrics import track_errors
from resilience.metrics._call_stats import CALL_STATS
from resilience.policies import Call, CutOff, Outcome, Policy, Proceed, Steps
from resilience.testing import VirtualClock, virtual_time

BACKENDS = ("asyncio", "trio")
both = pytest.mark.parametrize("backend", BACKENDS)


async def hang() -> None:
    await anyio.sleep_forever()


# -- our own limits, async -------------------------------------------------------------------------------------------


async def in_one_stack(breaker: CircuitBreaker) -> None:
    await timeout(1)(breaker(hang))()


async def in_another_function(breaker: CircuitBreaker) -> None:
    guarded = breaker(hang)

    @timeout(1)
    async def page() -> None:
        await guarded()

    await page()


async def in_a_limited_block(breaker: CircuitBreaker) -> None:
    async with timeout(1):
        await breaker(hang)()


async def under_a_deadline(breaker: CircuitBreaker) -> None:
    async with deadline(1):
        await breaker(hang)()


async def a_block_of_the_circuit(breaker: CircuitBreaker) -> None:
    async with timeout(1), breaker:
        await hang()


async def a_block_that_is_made_for_it(breaker: CircuitBreaker) -> None:
    async with timeout(1), breaker.calling():
        await hang()


async def a_child_task(breaker: CircuitBreaker) -> None:
    async with timeout(1), anyio.create_task_group() as tasks:
        tasks.start_soon(breaker(hang))


async def below_a_retry(breaker: CircuitBreaker) -> None:
    await timeout(1)(retry_on_category(attempts=3)(breaker(hang)))()


async def around_a_longer_limit(breaker: CircuitBreaker) -> None:
    await timeout(1)(breaker(timeout(60)(hang)))()


async def a_stream(breaker: CircuitBreaker) -> None:
    @breaker
    async def items():
        yield 1
        await hang()

    async with timeout(1):
        async for _ in items():
            pass


async def the_items_of_a_stream(breaker: CircuitBreaker) -> None:
    @timeout(idle=1)
    @breaker
    async def items():
        yield 1
        await hang()

    async for _ in items():
        pass


async def a_class(breaker: CircuitBreaker) -> None:
    @breaker
    class Client:
        async def fetch(self) -> None:
            await self.send()

        async def send(self) -> None:
            await hang()

    async with timeout(1):
        await Client().fetch()


async def a_permit(breaker: CircuitBreaker) -> None:
    async with timeout(1):
        permit = breaker.acquire()
        try:
            await hang()
        finally:
            permit.release()


OWN = [
    in_one_stack,
    in_another_function,
    in_a_limited_block,
    under_a_deadline,
    a_block_of_the_circuit,
    a_block_that_is_made_for_it,
    a_child_task,
    below_a_retry,
    around_a_longer_limit,
    a_stream,
    the_items_of_a_stream,
    a_class,
    a_permit,
]


@both
@pytest.mark.parametrize("calls", OWN, ids=lambda calls: calls.__name__)
def test_a_call_that_our_own_outer_limit_cuts_off_is_one_time_out(calls: Callable[..., object], backend: str):
    breaker = circuit_breaker("hanging", failure_threshold=3)

    async def main() -> None:
        with virtual_time(patience=0.02):
            with pytest.raises(TimeoutError):
                await calls(breaker)

    anyio.run(main, backend=backend)
    assert breaker.fail_counter == 1
    assert breaker.circuit.category is ErrorCategory.TIMEOUT


@both
@pytest.mark.parametrize("calls", OWN, ids=lambda calls: calls.__name__)
def test_a_probe_that_our_own_outer_limit_cuts_off_opens_the_circuit_again(calls: Callable[..., object], backend: str):
    breaker = circuit_breaker("hanging")

    async def main() -> None:
        with virtual_time(patience=0.02):
            breaker.half_open()
            with pytest.raises(TimeoutError):
                await calls(breaker)
            assert (breaker.current_state, breaker.probes_in_flight) == ("open", 0)

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("shape", ["one stack", "two functions", "a block"])
def test_the_shared_timer_of_asyncio_says_that_its_limit_has_passed(shape: str):
    breaker = circuit_breaker("hanging", failure_threshold=2)
    guarded = breaker(hang)

    async def block() -> None:
        async with timeout(0.01):
            await guarded()

    async def call() -> None:
        await guarded()

    limited = {"one stack": timeout(0.01)(guarded), "two functions": timeout(0.01)(call), "a block": block}[shape]

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await limited()
        with pytest.raises(CircuitOpenError):
            await limited()

    asyncio.run(main())


async def by_gather(call: Callable[[], object]) -> None:
    await asyncio.gather(call(), asyncio.sleep(60))


async def by_a_task_group(call: Callable[[], object]) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(call())


async def by_a_task_group_of_anyio(call: Callable[[], object]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)


async def by_a_longer_wait_for(call: Callable[[], object]) -> None:
    await asyncio.wait_for(call(), 60)


async def by_awaiting_a_task(call: Callable[[], object]) -> None:
    await asyncio.create_task(call())


async def by_tasks_of_tasks(call: Callable[[], object]) -> None:
    await by_a_task_group(lambda: by_gather(lambda: by_a_longer_wait_for(lambda: by_awaiting_a_task(call))))


SPREADS = [
    by_gather,
    by_a_task_group,
    by_a_task_group_of_anyio,
    by_a_longer_wait_for,
    by_awaiting_a_task,
    by_tasks_of_tasks,
]


@pytest.mark.parametrize("spread", SPREADS, ids=lambda spread: spread.__name__)
def test_a_limit_of_ours_is_known_in_the_tasks_that_the_limited_one_waits_for(spread: Callable[..., object]):
    breaker = circuit_breaker("spread", failure_threshold=5)

    @timeout(0.01)
    async def page() -> None:
        await spread(breaker(hang))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await page()

    asyncio.run(main())
    assert breaker.fail_counter == 1


def test_a_limit_of_ours_says_nothing_of_a_task_that_nothing_in_it_waits_for():
    breaker = circuit_breaker("background", failure_threshold=1)

    @timeout(0.01)
    async def page(background: asyncio.Task[None]) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            background.cancel()
            await asyncio.sleep(0.001)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await page(asyncio.create_task(breaker(hang)()))

    asyncio.run(main())
    assert breaker.fail_counter == 0


def test_a_limit_outside_of_a_shield_does_not_end_what_is_in_it():
    breaker = circuit_breaker("shielded", failure_threshold=1)
    guarded = breaker(hang)

    async def shielded() -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(0.05):
            await guarded()  # the limit has passed, but it is anyio's that ends this
        await anyio.sleep(0)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await timeout(0.01)(shielded)()

    asyncio.run(main())
    assert breaker.current_state == "closed"


# -- sync ------------------------------------------------------------------------------------------------------------


class Hanging:
    """A dependency that hangs until it is let go, then answers or fails. In virtual time its limits pass at once."""

    def __init__(self) -> None:
        self.answer, self.ended = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def __call__(self) -> str:
        clock = current_clock()
        if isinstance(clock, VirtualClock):
            clock.advance(3600)
        self.answer.wait(30)
        if self.error is not None:
            raise self.error
        return "late"

    def ends(self, function: Callable[[], object]) -> Callable[[], object]:
        """Return what calls *function* and says when that has come back."""

        def call() -> object:
            try:
                return function()
            finally:
                self.ended.set()

        return call

    def come_back(self) -> None:
        self.answer.set()
        assert self.ended.wait(30)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    it = Hanging()
    yield it
    it.answer.set()


def one_stack(breaker: CircuitBreaker, hanging: Hanging) -> Callable[[], object]:
    return timeout(1)(hanging.ends(breaker(lambda: hanging())))


def one_stack_merged(breaker: CircuitBreaker, hanging: Hanging) -> Callable[[], object]:
    return timeout(1)(breaker(hanging.ends(lambda: hanging())))


def with_a_retry(breaker: CircuitBreaker, hanging: Hanging) -> Callable[[], object]:
    return timeout(1)(retry_on_category(attempts=3)(breaker(hanging.ends(lambda: hanging()))))


def a_sync_block(breaker: CircuitBreaker, hanging: Hanging) -> Callable[[], object]:
    def call() -> object:
        with breaker:
            return hanging()

    return timeout(1)(hanging.ends(call))


def an_inner_limit_under_a_deadline(breaker: CircuitBreaker, hanging: Hanging) -> Callable[[], object]:
    return deadline(1)(timeout(60)(hanging.ends(breaker(lambda: hanging()))))


def a_guarded_class(breaker: CircuitBreaker, hanging: Hanging) -> Callable[[], object]:
    @breaker
    class Client:
        def fetch(self) -> object:
            return self.send()

        def send(self) -> object:
            return hanging()

    return timeout(1)(hanging.ends(lambda: Client().fetch()))


def an_event_loop_of_its_own(breaker: CircuitBreaker, hanging: Hanging) -> Callable[[], object]:
    async def fetch() -> object:
        return hanging()  # blocks its loop

    guarded = breaker(fetch)
    return timeout(1)(hanging.ends(lambda: asyncio.run(guarded())))


def a_permit_by_hand(breaker: CircuitBreaker, hanging: Hanging) -> Callable[[], object]:
    def call() -> object:
        permit = breaker.acquire()
        answer = hanging()
        permit.succeeded(answer)
        return answer

    return timeout(1)(hanging.ends(call))


SYNC = [
    one_stack,
    one_stack_merged,
    with_a_retry,
    a_sync_block,
    an_inner_limit_under_a_deadline,
    a_guarded_class,
    an_event_loop_of_its_own,
    a_permit_by_hand,
]


@pytest.mark.parametrize("late", ["answers", "fails"])
@pytest.mark.parametrize("shape", SYNC, ids=lambda shape: shape.__name__)
def test_a_thread_that_a_limit_leaves_is_a_time_out_at_once_and_once(
    shape: Callable[..., Callable[[], object]], late: str, hanging: Hanging
):
    breaker = circuit_breaker("hanging", failure_threshold=3)
    call = shape(breaker, hanging)
    if late == "fails":
        hanging.error = ConnectionResetError("late")
    with virtual_time(patience=20):
        with pytest.raises(TimeoutError):
            call()
        assert breaker.fail_counter == 1
        hanging.come_back()
    wait_until(lambda: not threads_that_run())
    assert breaker.fail_counter == 1
    assert breaker.circuit.category is ErrorCategory.TIMEOUT


@pytest.mark.parametrize("shape", SYNC, ids=lambda shape: shape.__name__)
def test_a_probe_in_a_thread_that_a_limit_leaves_opens_the_circuit_again(
    shape: Callable[..., Callable[[], object]], hanging: Hanging
):
    breaker = circuit_breaker("hanging", reset_timeout=60)
    call = shape(breaker, hanging)
    with virtual_time(patience=20):
        breaker.half_open()
        with pytest.raises(TimeoutError):
            call()
        assert (breaker.current_state, breaker.probes_in_flight) == ("open", 0)
        hanging.come_back()
        wait_until(lambda: not threads_that_run())
        assert breaker.current_state == "open"  # its late answer closes nothing


def threads_that_run() -> list[str]:
    """Return the names of worker threads that have a call."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("resilience ") and name != "resilience idle"]


def wait_until(done: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not done():
        assert time.monotonic() < ends
        threading.Event().wait(0.001)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX only")
@pytest.mark.parametrize("shape", ["one stack", "two functions", "a block"])
def test_a_call_that_a_signal_interrupts_is_a_time_out(shape: str):
    breaker = circuit_breaker("hanging", failure_threshold=3)

    def spin() -> None:
        while True:
            pass

    guarded = breaker(spin)

    def block() -> None:
        with breaker:
            spin()

    calls = {"one stack": guarded, "two functions": lambda: guarded(), "a block": block}
    with pytest.raises(CallTimeoutError):
        timeout(0.02, mode="signal")(calls[shape])()
    assert breaker.fail_counter == 1


def test_a_call_in_time_in_a_thread_counts_as_ever(hanging: Hanging):
    breaker = circuit_breaker("working", failure_threshold=2)

    @breaker
    def answer(error: Exception | None) -> None:
        if error is not None:
            raise error

    limited = timeout(30)(lambda error: answer(error))
    for expected, error in [(1, TimeoutError()), (0, None), (1, TimeoutError())]:
        try:
            limited(error)
        except TimeoutError:
            pass
        assert breaker.fail_counter == expected


def test_an_attempt_that_is_not_made_in_a_thread_that_was_left_is_no_second_time_out(hanging: Hanging):
    breaker = circuit_breaker("hanging", failure_threshold=5)
    hanging.error = ConnectionResetError("late")
    call = with_a_retry(breaker, hanging)
    with virtual_time(patience=20):
        with pytest.raises(TimeoutError):
            call()
        hanging.come_back()
        wait_until(lambda: not threads_that_run())
    assert breaker.fail_counter == 1


def test_ctrl_c_in_the_caller_of_a_thread_is_neutral(hanging: Hanging):
    breaker = circuit_breaker("hanging", failure_threshold=1)
    begun = threading.Event()

    @timeout(30)
    @breaker
    def call() -> None:
        begun.set()
        hanging()

    main = threading.get_ident()

    def press() -> None:
        assert begun.wait(30)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        call()
    assert breaker.current_state == "closed"


# -- cancellations of others -----------------------------------------------------------------------------------------

SLOW = {"slow_call_rate": 0.5, "slow_call_seconds": 2, "minimum_calls": 1}


async def by_a_scope(call: Callable[[], object], seconds: float) -> None:
    with virtual_time(patience=30) as clock, anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            clock.advance(seconds)
            scope.cancel()


async def by_the_task(call: Callable[[], object], seconds: float) -> None:
    with virtual_time(patience=30) as clock:
        task = asyncio.ensure_future(call())
        await until_it_hangs()
        clock.advance(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until_it_hangs() -> None:
    for _ in range(20):  # rounds of the loop in which a call gets to where it hangs
        await asyncio.sleep(0)


async def by_wait_for(call: Callable[[], object], seconds: float) -> None:
    with virtual_time(patience=30) as clock:

        async def advance() -> None:
            await until_it_hangs()
            clock.advance(seconds)

        with pytest.raises(TimeoutError):
            await asyncio.gather(asyncio.wait_for(call(), 0.2), advance())


async def by_asyncio_timeout(call: Callable[[], object], seconds: float) -> None:
    with virtual_time(patience=30) as clock:

        async def limited() -> None:
            async with limit:
                await call()

        async def advance() -> None:
            await until_it_hangs()
            clock.advance(seconds)
            limit.reschedule(asyncio.get_running_loop().time())

        limit = asyncio.timeout(None)
        with pytest.raises(TimeoutError):
            await asyncio.gather(limited(), advance())


FOREIGN = [
    ("asyncio", by_a_scope),
    ("trio", by_a_scope),
    ("asyncio", by_the_task),
    ("asyncio", by_wait_for),
    ("asyncio", by_asyncio_timeout),
]
foreign = pytest.mark.parametrize(("backend", "cancel"), FOREIGN, ids=[f"{a}-{b.__name__}" for a, b in FOREIGN])


async def in_a_block(breaker: CircuitBreaker) -> None:
    async with breaker:
        await hang()


SHAPES: dict[str, Callable[[CircuitBreaker], Callable[[], object]]] = {
    "function": lambda breaker: breaker(hang),
    "block": lambda breaker: lambda: in_a_block(breaker),
    "below a limit of its own": lambda breaker: breaker(timeout(10_000)(hang)),
    "below a limit of ours that has not passed": lambda breaker: timeout(10_000)(breaker(hang)),
    "below a retry": lambda breaker: retry_on_category(attempts=2)(breaker(hang)),
}
shapes = pytest.mark.parametrize("shape", SHAPES)


@foreign
@shapes
@pytest.mark.parametrize(("seconds", "slow"), [(1.9, 0), (2, 1)])
def test_a_foreign_cancellation_counts_as_slow_after_slow_call_seconds(
    shape: str, backend: str, cancel: Callable[..., object], seconds: float, slow: int
):
    breaker = circuit_breaker("slow", **{**SLOW, "minimum_calls": 2})
    anyio.run(cancel, SHAPES[shape](breaker), seconds, backend=backend)
    assert breaker.circuit.window_snapshot(0) == (slow, 0, slow)
    assert breaker.fail_counter == 0


@foreign
@shapes
def test_slow_calls_that_are_cancelled_open_the_circuit(shape: str, backend: str, cancel: Callable[..., object]):
    breaker = circuit_breaker("slow", **SLOW)
    anyio.run(cancel, SHAPES[shape](breaker), 3, backend=backend)
    assert breaker.circuit.state.name == "open"


@foreign
@shapes
@pytest.mark.parametrize(("seconds", "state"), [(1.9, "half-open"), (2, "open")])
def test_a_probe_that_is_cancelled_is_slow_or_gives_its_permit_back(
    shape: str, backend: str, cancel: Callable[..., object], seconds: float, state: str
):
    breaker = circuit_breaker("slow", **SLOW, reset_timeout=60)
    breaker.half_open()
    anyio.run(cancel, SHAPES[shape](breaker), seconds, backend=backend)
    assert breaker.circuit.state.name == state
    assert len(breaker.circuit.state.permits) == 0


@foreign
@shapes
def test_without_slow_calls_a_foreign_cancellation_is_neutral(shape: str, backend: str, cancel: Callable[..., object]):
    breaker = circuit_breaker("plain", failure_threshold=1)
    anyio.run(cancel, SHAPES[shape](breaker), 1000, backend=backend)
    assert (breaker.current_state, breaker.fail_counter) == ("closed", 0)


def test_a_cancelled_slow_call_leaves_failures_in_a_row_as_they_are():
    breaker = circuit_breaker("slow", failure_threshold=3, slow_call_rate=1, slow_call_seconds=2, minimum_calls=9)
    for fails in (True, False, True):
        if fails:
            with pytest.raises(TimeoutError), breaker:
                raise TimeoutError
        else:
            anyio.run(by_a_scope, breaker(hang), 3)
    assert breaker.fail_counter == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("half_open", [False, True])
@pytest.mark.parametrize("shape", ["function", "block"])
def test_an_interruption_is_neutral_however_long_the_call_took(error: type[BaseException], half_open: bool, shape: str):
    breaker = circuit_breaker("slow", **SLOW, failure_threshold=1)

    def interrupted() -> None:
        clock.advance(10)
        raise error

    def block() -> None:
        with breaker:
            interrupted()

    with virtual_time() as clock:
        if half_open:
            breaker.half_open()
        with pytest.raises(error):
            {"function": breaker(interrupted), "block": block}[shape]()
        assert breaker.current_state == ("half-open" if half_open else "closed")
        assert breaker.probes_in_flight == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a real signal")
def test_ctrl_c_is_neutral_where_asyncio_makes_a_cancellation_of_it():
    breaker = circuit_breaker("slow", slow_call_rate=0.5, slow_call_seconds=0.001, minimum_calls=1)

    @breaker
    async def call() -> None:
        asyncio.get_running_loop().call_later(0.02, signal.raise_signal, signal.SIGINT)
        await hang()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(call())
    assert breaker.current_state == "closed"


# -- what follows from it --------------------------------------------------------------------------------------------


def cut_off(breaker: CircuitBreaker, *, retries: int = 1) -> None:
    """Have a limit of ours cut off one call, on asyncio."""

    async def main() -> None:
        with virtual_time(patience=0.02), pytest.raises(TimeoutError):
            async with timeout(1):
                await retry_on_category(attempts=retries)(breaker(hang))()

    anyio.run(main)


def test_a_category_that_does_not_count_does_not_count_when_a_limit_cuts_the_call_off():
    breaker = circuit_breaker("narrow", failure_threshold=1, trip_on="network")
    cut_off(breaker)
    assert (breaker.current_state, breaker.fail_counter) == ("closed", 0)
    breaker.half_open()
    cut_off(breaker)
    assert (breaker.current_state, breaker.probes_in_flight) == ("half-open", 0)


def test_a_time_out_weighs_what_its_category_weighs():
    breaker = circuit_breaker("heavy", failure_threshold=4, profiles={"timeout": {"weight": 3}})
    cut_off(breaker)
    assert breaker.fail_counter == 3


def test_the_event_of_the_circuit_says_that_it_was_a_time_out():
    events: list[object] = []
    with subscribe(events.append):
        cut_off(circuit_breaker("notified", failure_threshold=1))
    opened, timed_out = events
    assert (opened.name, opened.category, opened.failures) == ("circuit.opened", ErrorCategory.TIMEOUT, 1)
    assert (timed_out.name, timed_out.policy) == ("call.timed_out", "timeout")


def test_listeners_of_pybreaker_are_notified_of_it():
    notified: list[str] = []

    class Listener(pybreaker.CircuitBreakerListener):
        def failure(self, cb, exc):
            notified.append(type(exc).__name__)

        def state_change(self, cb, old_state, new_state):
            notified.append(new_state.name)

    cut_off(circuit_breaker("notified", failure_threshold=1, listeners=[Listener()]))
    assert notified == ["DeadlineExceededError", "open"]


def test_what_a_probe_calls_is_a_part_of_it_when_both_are_cut_off():
    breaker = circuit_breaker("nested", reset_timeout=60)
    other = circuit_breaker("other", failure_threshold=3)

    @breaker
    async def outer() -> None:
        await breaker(other(hang))()

    async def main() -> None:
        with virtual_time(patience=0.02), pytest.raises(TimeoutError):
            breaker.half_open()
            await timeout(1)(outer)()

    anyio.run(main)
    assert breaker.circuit.state.name == "open"
    assert breaker.circuit.state.permits == set()
    assert (breaker.circuit.state.failures, other.fail_counter) == (1, 1)


def test_the_circuit_of_a_key_records_it():
    hosts = circuit_breaker("hosts", failure_threshold=2, key=lambda host: host)

    @hosts
    async def fetch(host: str) -> None:
        await hang()

    async def main() -> None:
        with virtual_time(patience=0.02), pytest.raises(TimeoutError):
            async with timeout(1):
                await fetch("down")

    anyio.run(main)
    assert (hosts.of("down").fail_counter, hosts.of("up").fail_counter) == (1, 0)


@both
def test_a_call_that_is_late_for_the_circuits_state_changes_nothing_when_it_is_cut_off(backend: str):
    breaker = circuit_breaker("generations", failure_threshold=1)

    async def main() -> None:
        with virtual_time(patience=0.02), pytest.raises(TimeoutError):
            async with timeout(1), breaker:
                breaker.open()
                breaker.close()
                await hang()

    anyio.run(main, backend=backend)
    assert breaker.current_state == "closed"


@pytest.mark.parametrize("limit", ["outside", "in another function"])
def test_metrics_count_a_call_that_an_outer_limit_cuts_off_as_a_time_out(limit: str):
    @track_errors(component=limit)
    async def tracked() -> None:
        await hang()

    async def page() -> None:
        await tracked()

    limited = timeout(0.01)(tracked if limit == "outside" else page)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await limited()

    asyncio.run(main())
    target = f"{__name__}.{tracked.__qualname__}"
    totals = CALL_STATS.for_target(target, limit).totals()
    assert totals.cancelled == 0
    assert sum(totals.errors.values()) == 1
    assert next(iter(totals.errors))[1] == "timeout"


# -- a policy of a user's --------------------------------------------------------------------------------------------


class Recorder(Policy):
    """Notes what has cut a call off, and whether its outcome came late."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def run(self, call: Call) -> Steps:
        watch = call.on_abandoned(lambda: self.seen.append("abandoned"))
        try:
            outcome: Outcome = yield Proceed()
        except GeneratorExit:
            self.seen.append(call.cut_off)
            raise
        if watch is not None and not watch.end():
            self.seen.append("late")
        return outcome


@both
def test_a_policy_knows_what_has_cut_a_call_off(backend: str):
    recorder = Recorder()

    async def main() -> None:
        with virtual_time(patience=0.02):
            with pytest.raises(TimeoutError):
                await timeout(1)(recorder(hang))()
            with anyio.move_on_after(0):
                await recorder.acall(hang)
        with pytest.raises(KeyboardInterrupt):
            await recorder.acall(interrupt)

    async def interrupt() -> None:
        raise KeyboardInterrupt

    anyio.run(main, backend=backend)
    assert recorder.seen == [CutOff.TIMED_OUT, CutOff.CANCELLED, None]


def test_a_policy_is_notified_at_once_of_a_thread_that_a_limit_leaves(hanging: Hanging):
    recorder = Recorder()
    with virtual_time(patience=20):
        with pytest.raises(CallTimeoutError):
            timeout(1)(recorder(hanging.ends(hanging)))()
        assert recorder.seen == ["abandoned"]
        hanging.come_back()
        wait_until(lambda: not threads_that_run())
    assert recorder.seen == ["abandoned", "late"]


def test_an_error_of_a_watch_reaches_no_caller(hanging: Hanging, caplog: pytest.LogCaptureFixture):
    class Broken(Policy):
        def run(self, call: Call) -> Steps:
            call.on_abandoned(lambda: 1 // 0)
            return (yield Proceed())

    with virtual_time(patience=20), pytest.raises(CallTimeoutError):
        timeout(1)(Broken()(hanging))()
    assert "on_abandoned callback" in caplog.text
