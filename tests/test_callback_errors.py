"""Hooks, listeners and log handlers never change a call's outcome, and none of them runs within itself."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import warnings
from collections.abc import Callable, Iterator

import anyio
import pytest

import resilience._callback_errors
from resilience import circuit_breaker, fallback, register, retry_on_category, retrying, subscribe, timeout, translating
from resilience.events import Event
from resilience.integrations.logging import log_events
from resilience.testing import no_waits
from tests.runners import Runner

down = ConnectionResetError("down")
retry = retry_on_category(attempts=2, base_delay=0)
thrice = retry_on_category(attempts=3, base_delay=0)


class Raising(logging.Handler):
    """A handler of the application's that raises."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.records = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.records += 1
        raise self.error


@pytest.fixture(autouse=True)
def no_errors_logged_before(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resilience._callback_errors, "_logged", set())
    yield


@pytest.fixture
def added() -> Iterator[Callable[[logging.Handler, str], logging.Handler]]:
    """Adds handlers to loggers, until the test ends."""
    undo: list[Callable[[], None]] = []

    def add(handler: logging.Handler, logger: str) -> logging.Handler:
        logging.getLogger(logger).addHandler(handler)
        undo.append(lambda: logging.getLogger(logger).removeHandler(handler))
        return handler

    yield add
    for each in undo:
        each()


# -- what raises ----------------------------------------------------------------------------------------------------


def broken(*arguments: object, **keywords: object) -> object:
    raise RuntimeError("hook")


@pytest.mark.parametrize("logger", ["resilience", ""], ids=["resilience", "root"])
def test_a_log_handler_that_raises_does_not_fail_a_call_that_succeeds_on_its_second_attempt(
    runner: Runner, logger: str, added: Callable
):
    handler = added(Raising(OSError("disk full")), logger)
    with log_events():
        story = runner.play(retry, down, "ok")
    assert (story.answer, story.reached) == ("ok", 2)
    assert handler.records > 0


HOOKS = {
    "on_retry": lambda: retry_on_category(attempts=2, base_delay=0, on_retry=broken),
    "on_success": lambda: retry_on_category(attempts=2, base_delay=0, on_success=broken),
    "retry_if_result": lambda: retry_on_category(attempts=2, base_delay=0, retry_if_result=broken),
    "failure_if": lambda: retry_over(circuit_breaker("hooks", failure_if=broken)),
    "stale cache": lambda: fallback_over(fallback(default="other", stale=Broken())),
    "stale key": lambda: fallback_over(fallback(default="other", stale={}, key=broken)),
    "translation": lambda: lambda function: translating({KeyError: broken})(retry(function)),
}


class Broken(dict):
    __setitem__ = get = broken


def retry_over(policy: Callable) -> Callable:
    return lambda function: retry(policy(function))


def fallback_over(policy: Callable) -> Callable:
    return lambda function: policy(retry(function))


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_and_a_log_handler_that_both_raise_leave_the_result_as_it_is(runner: Runner, hook: str, added: Callable):
    added(Raising(OSError("disk full")), "resilience")
    with subscribe(broken):
        assert runner.play(HOOKS[hook](), down, "ok").answer == "ok"


def test_an_error_is_the_original_one_where_hook_and_log_handler_raise(runner: Runner, added: Callable):
    added(Raising(OSError("disk full")), "resilience")
    answer = runner.play(lambda function: translating({ValueError: broken})(function), wrong := ValueError("no")).answer
    assert answer is wrong
    asked = retry_on_category(attempts=2, idempotent=broken)
    assert runner.play(asked, failed := ConnectionResetError()).answer is failed


def test_a_registered_predicate_that_raises_is_skipped_also_where_the_log_handler_raises(
    runner: Runner, added: Callable
):
    handler = added(Raising(OSError("disk full")), "resilience")
    with register(broken, "timeout"):
        assert runner.play(retry, down, "ok").answer == "ok"
    assert handler.records == 1


def test_a_circuit_listener_and_a_log_handler_that_raise_do_not_keep_a_circuit_from_being_opened(added: Callable):
    import pybreaker

    class Broken(pybreaker.CircuitBreakerListener):
        state_change = broken

    added(Raising(OSError("disk full")), "resilience")
    breaker = circuit_breaker("hooks", listeners=[Broken()])
    assert breaker.open()
    assert breaker.current_state == "open"


def test_a_hook_that_cannot_even_be_named_changes_nothing(runner: Runner):
    class Hostile:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError if name == "__qualname__" else AttributeError(name)

        def __call__(self, event: Event) -> None:
            raise RuntimeError

    with subscribe(Hostile()):
        assert runner.play(retry, down, "ok").answer == "ok"


def test_with_warnings_as_errors_a_hook_or_a_log_handler_that_warns_changes_nothing(runner: Runner, added: Callable):
    def warn(*arguments: object) -> None:
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    class Warns(logging.Handler):
        emit = warn

    added(Warns(), "resilience")
    with warnings.catch_warnings(), subscribe(warn), log_events():
        warnings.simplefilter("error")
        story = runner.play(retry_on_category(attempts=2, base_delay=0, on_retry=warn), down, "ok")
    assert story.answer == "ok"


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_passes_from_a_log_handler_and_leaves_nothing_behind(
    raised: type[BaseException], added: Callable
):
    handler = added(Raising(raised()), "resilience")
    guarded = thrice(flaky(9))
    with subscribe(broken):
        with pytest.raises(raised):
            guarded()
        handler.error = OSError()
        with pytest.raises(ConnectionResetError):
            guarded()
    assert resilience._callback_errors.RUNNING.get() == ()


def flaky(failures: int) -> Callable[..., object]:
    left = [ConnectionResetError("down") for _ in range(failures)]

    def call(*arguments: object) -> str:
        if left:
            raise left.pop()
        return "ok"

    return call


# -- listeners that make guarded calls ------------------------------------------------------------------------------


def names(seen: list[Event]) -> list[tuple[str, str]]:
    return [(event.target.rpartition(".")[2], event.name) for event in seen]


PAID = [("dependency", name) for name in ("attempt.failed", "retry.scheduled")]
POSTED = [("post", name) for name in ("attempt.failed", "retry.scheduled", "attempt.failed", "retry.exhausted")]


def test_events_of_a_call_that_a_listener_makes_go_to_the_others_and_not_to_it(runner: Runner):
    @retry
    def post() -> None:
        raise ConnectionRefusedError

    heard: list[Event] = []

    def alert(event: Event) -> None:
        heard.append(event)
        with pytest.raises(ConnectionRefusedError):
            post()

    with subscribe(alert):
        story = runner.play(retry, down, "ok")
    assert story.answer == "ok"
    assert names(heard) == PAID
    # The other listener, which is the second one, hears them before the event that the calls are made for.
    assert names(story.events) == [*POSTED, PAID[0], *POSTED, PAID[1]]


def test_two_listeners_that_make_calls_are_notified_of_each_others_once():
    @retry
    def post() -> None:
        raise ConnectionRefusedError

    heard: dict[str, list[Event]] = {"one": [], "two": []}

    def listener(name: str) -> Callable[[Event], None]:
        def hear(event: Event) -> None:
            heard[name].append(event)
            with pytest.raises(ConnectionRefusedError):
                post()

        return hear

    with subscribe(listener("one")), subscribe(listener("two")):
        assert retry(flaky(1))() == "ok"
    assert {name: len(events) for name, events in heard.items()} == {"one": 2 + 2 * 4, "two": 2 + 2 * 4}


def test_events_of_another_thread_are_delivered_while_a_listener_runs():
    heard: list[str] = []
    other = threading.Thread(target=retry(flaky(1)))

    def listen(event: Event) -> None:
        heard.append(threading.current_thread().name)
        if threading.current_thread() is not other:
            other.start()
            other.join()
            other.start = other.join = lambda: None

    with subscribe(listen):
        assert retry(flaky(1))() == "ok"
    assert heard == ["MainThread", other.name, other.name, "MainThread"]


def test_events_of_another_task_are_delivered_while_an_async_hook_runs(backend: str):
    heard: list[str] = []

    async def main() -> None:
        other_done, hook_runs = anyio.Event(), anyio.Event()

        async def hook(event: Event) -> None:
            hook_runs.set()
            await other_done.wait()

        async def dependency(fails: list) -> str:
            if fails:
                raise fails.pop()
            return "ok"

        async def other() -> None:
            await hook_runs.wait()
            await retry_on_category(attempts=2, base_delay=0, on_retry=lambda event: heard.append("other"))(dependency)(
                [down]
            )
            other_done.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            await retry_on_category(attempts=2, base_delay=0, on_retry=hook)(dependency)([down])

    anyio.run(main, backend=backend)
    assert heard == ["other"]


def test_a_listener_is_not_notified_of_calls_in_a_task_it_starts():
    heard: list[Event] = []
    tasks: list[asyncio.Task] = []

    @retry
    async def post() -> None:
        raise ConnectionRefusedError

    def alert(event: Event) -> None:
        heard.append(event)
        tasks.append(asyncio.get_running_loop().create_task(post()))

    @retry
    async def pay() -> None:
        raise ConnectionRefusedError

    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await pay()
        await asyncio.gather(*tasks, return_exceptions=True)

    with subscribe(alert):
        asyncio.run(main())
    assert len(heard) == len(tasks) == 4


def test_a_listener_is_not_notified_of_its_own_calls_under_a_time_limit():
    heard: list[Event] = []

    @timeout(5)
    @circuit_breaker("alerts", failure_threshold=1)
    @retry
    def post() -> None:
        raise ConnectionRefusedError

    def alert(event: Event) -> None:
        heard.append(event)
        try:
            post()
        except Exception:
            pass

    with subscribe(alert):
        assert retry(flaky(1))() == "ok"
    assert len(heard) == 2


def test_a_bound_method_is_the_same_listener_each_time_it_is_looked_up():
    class Alerts:
        calls = 0

        def hear(self, event: Event) -> None:
            self.calls += 1
            with subscribe(self.hear), pytest.raises(ConnectionRefusedError):
                retry(self.post)()

        def post(self) -> None:
            raise ConnectionRefusedError

    alerts = Alerts()
    with subscribe(alerts.hear):
        assert retry(flaky(1))() == "ok"
    assert alerts.calls == 2


def test_a_listener_is_notified_again_after_it_has_returned_or_raised():
    heard: list[Event] = []

    def listen(event: Event) -> None:
        heard.append(event)
        raise RuntimeError

    with subscribe(listen):
        assert retry(flaky(1))() == "ok"
        assert retry(flaky(1))() == "ok"
    assert len(heard) == 4


def test_a_listener_that_returns_a_coroutine_is_reported(caplog: pytest.LogCaptureFixture):
    async def post(event: Event) -> None: ...

    with subscribe(lambda event: post(event)):
        assert retry(flaky(1))() == "ok"
    assert "raised TypeError" in caplog.text
    assert "not awaited" in caplog.text


# -- log handlers that make guarded calls ---------------------------------------------------------------------------


class OverHTTP(logging.Handler):
    """A handler whose records go over a guarded connection that is down."""

    def __init__(self) -> None:
        super().__init__()
        self.posts = 0
        self.post = retry_on_category(attempts=2, base_delay=0)(self._post)

    def _post(self, record: logging.LogRecord) -> None:
        self.posts += 1
        raise ConnectionRefusedError

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.post(record)
        except ConnectionRefusedError:
            self.handleError(record)


@pytest.mark.parametrize("logger", ["resilience", ""], ids=["resilience", "root"])
def test_a_log_handler_that_makes_guarded_calls_does_not_log_them_through_itself(
    runner: Runner, logger: str, added: Callable, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = added(OverHTTP(), logger)
    with log_events():
        assert runner.play(retry, down, "ok").answer == "ok"
    assert handler.posts == 2  # retry.scheduled, posted twice


def test_a_log_handler_that_makes_guarded_calls_whose_hook_raises_comes_back(added: Callable):
    handler = added(OverHTTP(), "resilience")
    handler.emit = lambda record: retry_on_category(attempts=2, base_delay=0, on_retry=broken)(handler._post)(record)
    guarded = retry_on_category(attempts=2, base_delay=0, on_retry=broken)(flaky(1))
    assert guarded() == "ok"
    assert handler.posts == 2


# -- hooks that make guarded calls ----------------------------------------------------------------------------------


def test_on_retry_is_not_called_for_calls_that_it_makes_itself(runner: Runner):
    calls = posts = 0

    def alert(event: Event) -> None:
        nonlocal calls
        calls += 1
        with pytest.raises(ConnectionRefusedError):
            post()

    policy = retry_on_category(attempts=3, base_delay=0, on_retry=alert)

    @policy
    def post() -> None:
        nonlocal posts
        posts += 1
        raise ConnectionRefusedError

    assert runner.play(policy, down, down, "ok").answer == "ok"
    assert (calls, posts) == (2, 6)


def test_an_async_on_retry_is_not_called_for_calls_that_it_makes_itself(backend: str):
    calls = 0

    async def alert(event: Event) -> None:
        nonlocal calls
        calls += 1
        await anyio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await post()

    policy = retry_on_category(attempts=3, base_delay=0, on_retry=alert)

    @policy
    async def post() -> None:
        raise ConnectionRefusedError

    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await post()

    anyio.run(main, backend=backend)
    assert calls == 2


class Alert:
    def __init__(self, alert: Callable[[object], None]) -> None:
        self.alert = alert

    def __call__(self, event: Event) -> None:
        self.alert(event)


ANEW = {
    "lambda": lambda alert: lambda event: alert(event),
    "partial": functools.partial,
    "object": Alert,
    "method": lambda alert: Alert(alert).__call__,
}


@pytest.mark.parametrize("make", ANEW)
def test_a_hook_that_is_made_anew_for_each_call_comes_back(make: str):
    posts = 0

    def alert(event: object) -> None:
        nonlocal posts
        for attempt in retrying(attempts=3, base_delay=0, on_retry=ANEW[make](alert)):
            with attempt:
                posts += 1
                raise ConnectionRefusedError

    with no_waits(), pytest.raises(ConnectionRefusedError):
        alert(None)
    assert posts == 3 + 2 * 3 + 2 * 2 * 3


def _asking(calls: list[object]) -> Callable[..., object]:
    def ask(*arguments: object, **keywords: object) -> object:
        calls.append(arguments)
        for _ in range(2):
            try:
                guarded[0]()
            except Exception:
                pass
        return 0

    guarded: list[Callable] = []
    ask.guarded = guarded
    return ask


ASKED = {
    "on_success": lambda ask: retry_on_category(attempts=2, base_delay=0, on_success=ask),
    "retry_if_result": lambda ask: retry_on_category(attempts=2, base_delay=0, retry_if_result=ask),
    "wait": lambda ask: retry_on_category(attempts=2, wait=ask),
    "stop": lambda ask: retry_on_category(attempts=2, base_delay=0, stop=ask),
    "retry_if": lambda ask: retry_on_category(attempts=2, base_delay=0, retry_if=ask),
    "revise": lambda ask: retry_on_category(attempts=2, base_delay=0, revise=ask, revise_on="network"),
    "idempotent": lambda ask: retry_on_category(attempts=2, base_delay=0, idempotent=ask),
    "failure_if": lambda ask: circuit_breaker("asked", failure_if=ask),
    "stale key": lambda ask: fallback(default=None, stale={}, key=ask),
    "translation": lambda ask: translating({Exception: ask}),
}


@pytest.mark.parametrize("fails", [True, False], ids=["failing", "succeeding"])
@pytest.mark.parametrize("hook", ASKED)
def test_a_hook_that_is_asked_is_not_asked_about_calls_that_it_makes_itself(hook: str, fails: bool):
    asked: list[object] = []
    ask = _asking(asked)

    def call() -> str:
        if fails:
            raise TimeoutError
        return "ok"

    guarded = ASKED[hook](ask)(call)
    ask.guarded.append(guarded)
    try:
        guarded()
    except TimeoutError:
        assert fails
    assert len(asked) <= 2


def test_a_wait_strategy_that_makes_the_call_it_is_asked_about_is_reported(caplog: pytest.LogCaptureFixture):
    asked: list[object] = []
    ask = _asking(asked)
    guarded = retry_on_category(attempts=3, wait=ask)(flaky(1000))
    ask.guarded.append(guarded)
    with pytest.raises(ConnectionResetError):
        guarded()
    assert len(asked) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "wait strategy _asking.<locals>.ask raised HookRecursionError" in caplog.text


def test_a_hook_that_returns_a_coroutine_counts_as_one_that_raised(caplog: pytest.LogCaptureFixture):
    async def judge(value: object) -> bool:
        return True

    breaker = circuit_breaker("async judge", failure_threshold=1, failure_if=lambda value: judge(value))
    assert breaker(flaky(0))() == "ok"
    assert breaker.current_state == "closed"
    assert "failure_if" in caplog.text
    assert "not awaited" in caplog.text
    keyed = circuit_breaker("async key", key=lambda *arguments: judge(arguments))
    with pytest.raises(TypeError, match="returned a coroutine, which is not awaited") as refused:
        keyed(flaky(0))()
    assert "the call was not made" in refused.value.__notes__[0]


def test_a_circuit_listener_is_not_notified_of_its_own_calls(runner: Runner):
    import pybreaker

    notified: list[str] = []

    class Alerts(pybreaker.CircuitBreakerListener):
        def failure(self, cb: object, exc: BaseException) -> None:
            notified.append(cb.name)
            for _ in range(2):
                with pytest.raises(ConnectionRefusedError):
                    post()

    alerts = Alerts()

    @circuit_breaker("alerts", failure_threshold=1000, listeners=[alerts])
    def post() -> None:
        raise ConnectionRefusedError

    story = runner.play(circuit_breaker("shop", failure_threshold=1000, listeners=[alerts]), failed := TimeoutError())
    assert story.answer is failed
    assert notified == ["shop"]


def test_a_listener_that_opens_its_circuit_is_notified_of_the_opening():
    import pybreaker

    notified: list[str] = []

    class Opens(pybreaker.CircuitBreakerListener):
        def failure(self, cb: object, exc: BaseException) -> None:
            cb.open()

        def state_change(self, cb: object, old_state: object, new_state: object) -> None:
            notified.append(new_state.name)

    breaker = circuit_breaker("shop", failure_threshold=1000, listeners=[Opens()])
    with pytest.raises(ConnectionResetError):
        breaker(flaky(1))()
    assert notified == ["open"]


def test_a_store_whose_calls_go_through_the_circuit_it_keeps_comes_back():
    import pybreaker

    class Store(pybreaker.CircuitMemoryStorage):
        calls = 0

        def increment_counter(self) -> None:
            Store.calls += 1
            with pytest.raises(ConnectionRefusedError):
                send()
            super().increment_counter()

    breaker = circuit_breaker("store", failure_threshold=3, storage=Store("closed"))

    @breaker
    def send() -> None:
        raise ConnectionRefusedError

    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            send()
    assert Store.calls == 2
