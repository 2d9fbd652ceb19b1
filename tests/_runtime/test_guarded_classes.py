"""A circuit around a whole client class: which methods it guards, and which calls count."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx
import pytest
import requests

from resilience import (
    CircuitOpenError,
    Pipeline,
    adaptive_limit,
    bulkhead,
    circuit_breaker,
    deadline,
    describe,
    fallback,
    gather_results,
    hedge,
    rate_limit,
    retry_on_category,
    retrying,
    throttle,
    timeout,
)
from resilience._runtime.circuit_context import calls_here, still_running
from resilience._runtime.method_selection import LOCAL_METHODS
from resilience.testing import virtual_time
from tests.independent_caller import IndependentCaller
from tests.interruptions import interruptions
from tests.runners import Runner

down = ConnectionResetError("down")


class Requests:
    """A client as people write them: public methods on top of each other, and some that send nothing."""

    def __init__(self) -> None:
        self.sent = 0
        self.fails = True
        self.closed = False
        self.setup()

    def setup(self) -> None:
        """Prepare, without a request."""

    def url(self, path: str) -> str:
        return f"https://example.org/{path}"

    def build_request(self, path: str) -> str:
        return f"GET {self.url(path)}"

    def request(self, path: str) -> str:
        return self.send(self.build_request(path))

    def send(self, request: str) -> str:
        self.sent += 1
        if self.fails:
            raise down
        return request

    def get(self, path: str) -> str:
        return self.request(path)

    def close(self) -> None:
        self.flush()
        self.closed = True

    def flush(self) -> None: ...


class AsyncRequests(Requests):
    async def request(self, path: str) -> str:
        await anyio.lowlevel.checkpoint()
        return await self.send(self.build_request(path))

    async def send(self, request: str) -> str:
        return super().send(request)

    async def get(self, path: str) -> str:
        return await self.request(path)

    async def aclose(self) -> None:
        self.close()


def guarded(runner: Runner, **options: object) -> tuple[object, type[Requests]]:
    breaker = circuit_breaker("api", **{"failure_threshold": 3, "reset_timeout": 30, **options})
    base = AsyncRequests if runner.is_async else Requests
    return breaker, breaker(type("Client", (base,), {}))


def send(runner: Runner, client: Requests, times: int = 1) -> list[type[Exception] | str]:
    """Get something *times* times; return what came of it."""
    came: list[type[Exception] | str] = []

    def get() -> None:
        for _ in range(times):
            try:
                came.append(client.get("x"))
            except Exception as error:
                came.append(type(error))

    async def get_async() -> None:
        for _ in range(times):
            try:
                came.append(await client.get("x"))
            except Exception as error:
                came.append(type(error))

    runner.run(get, get_async)
    return came


def test_each_request_that_fails_counts_once_however_many_methods_it_goes_through(runner: Runner):
    breaker, client = guarded(runner)
    mine = client()
    assert send(runner, mine, 2) == [ConnectionResetError] * 2
    assert (breaker.fail_counter, breaker.state.name) == (2, "closed")
    assert send(runner, mine, 2) == [ConnectionResetError, CircuitOpenError]
    assert (mine.sent, breaker.state.name) == (3, "open")


def test_a_request_that_succeeds_starts_the_count_anew(runner: Runner):
    breaker, client = guarded(runner)
    mine = client()
    send(runner, mine, 2)
    mine.fails = False
    assert send(runner, mine) == ["GET https://example.org/x"]
    assert breaker.fail_counter == 0


def test_local_methods_neither_reset_the_count_nor_are_rejected(runner: Runner):
    breaker, client = guarded(runner)
    mine = client()
    for _ in range(3):
        send(runner, mine)
        assert mine.url("y") == "https://example.org/y"
        assert mine.build_request("y") == "GET https://example.org/y"
        client()  # its __init__ calls setup(), which is public
    assert breaker.state.name == "open"
    assert mine.url("y") == "https://example.org/y"
    mine.close()  # although it calls flush(), which is guarded
    assert mine.closed
    client()
    with pytest.raises(CircuitOpenError):
        mine.flush()


def test_an_async_client_can_be_closed_while_the_circuit_is_open(backend: str):
    breaker, client = guarded(Runner(backend))
    mine = client()
    breaker.open()
    anyio.run(mine.aclose, backend=backend)
    assert mine.closed


def test_local_methods_do_not_close_a_half_open_circuit(runner: Runner):
    breaker, client = guarded(runner)
    mine = client()
    with virtual_time() as clock:
        breaker.open()
        clock.advance(30)
        mine.url("x")
        mine.close()
        client()
        assert breaker.state.name == "open"
        assert send(runner, mine) == [ConnectionResetError]  # the probe
        assert breaker.state.name == "open"


def test_a_failure_rate_of_requests_is_not_diluted_by_their_inner_calls(runner: Runner):
    breaker, client = guarded(runner, failure_threshold=None, failure_rate=0.5, window=10, minimum_calls=4)
    mine = client()
    for fails in (False, True, False, True):
        mine.fails = fails
        send(runner, mine)
    assert breaker.state.name == "open"


def test_slow_requests_count_once(runner: Runner):
    breaker, client = guarded(
        runner, failure_threshold=None, slow_call_rate=0.5, slow_call_seconds=1, window=10, minimum_calls=2
    )
    mine = client()
    mine.fails = False
    with virtual_time(patience=5):
        send(runner, mine, 4)
        assert breaker.circuit.state.window_snapshot(0).calls == 4


def test_a_half_open_circuit_of_a_class_admits_one_request_with_its_inner_calls(runner: Runner):
    breaker, client = guarded(runner)
    mine = client()
    mine.fails = False
    with virtual_time() as clock:
        breaker.open()
        clock.advance(30)
        assert send(runner, mine) == ["GET https://example.org/x"]
    assert breaker.state.name == "closed"


def test_inner_calls_of_a_long_call_are_rejected_after_other_calls_opened_the_circuit(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=1)

    @breaker
    class Client:
        def fetch(self) -> str:
            return "answer"

        def fetch_all(self) -> None:
            assert self.fetch() == "answer"
            breaker.open()
            self.fetch()

        async def fetch_async(self) -> str:
            return "answer"

        async def fetch_all_async(self) -> None:
            assert await self.fetch_async() == "answer"
            breaker.open()
            await self.fetch_async()

    def main() -> None:
        with pytest.raises(CircuitOpenError):
            Client().fetch_all()

    async def main_async() -> None:
        with pytest.raises(CircuitOpenError):
            await Client().fetch_all_async()

    runner.run(main, main_async)


def test_a_task_that_outlives_the_method_that_started_it_counts_by_itself(backend: str):
    breaker = circuit_breaker("api", failure_threshold=2)

    @breaker
    class Poller:
        async def poll(self) -> None:
            raise down

        async def start(self, tasks: anyio.abc.TaskGroup) -> None:
            tasks.start_soon(self._run)

        async def _run(self) -> None:
            await go.wait()
            for _ in range(2):
                with pytest.raises(ConnectionResetError):
                    await self.poll()

    async def main() -> None:
        nonlocal go
        go = anyio.Event()
        async with anyio.create_task_group() as tasks:
            await Poller().start(tasks)
            go.set()

    go: anyio.Event
    anyio.run(main, backend=backend)
    assert breaker.state.name == "open"


def test_a_stream_of_a_class_counts_once_and_its_consumer_by_itself(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2)

    @breaker
    class Client:
        def page(self) -> str:
            return "page"

        def fail(self) -> None:
            raise down

        def pages(self) -> Iterator[str]:
            yield self.page()
            yield self.page()

        async def page_async(self) -> str:
            return "page"

        async def fail_async(self) -> None:
            raise down

        async def pages_async(self) -> AsyncIterator[str]:
            yield await self.page_async()
            yield await self.page_async()

    client = Client()

    def main() -> None:
        for _ in client.pages():
            with pytest.raises(ConnectionResetError):
                client.fail()

    async def main_async() -> None:
        async for _ in client.pages_async():
            with pytest.raises(ConnectionResetError):
                await client.fail_async()

    with contextlib.suppress(CircuitOpenError):  # the last page is rejected
        runner.run(main, main_async)
    assert breaker.state.name == "open"


def test_only_names_the_methods_that_are_guarded(runner: Runner):
    breaker, client = guarded(runner, only=("get",))
    mine = client()
    assert describe(client.get).policies and not describe(client.send).policies
    mine.fails = False
    send(runner, mine)
    breaker.open()
    assert send(runner, mine) == [CircuitOpenError]
    mine.flush()


def test_only_may_name_a_method_that_is_local_by_default():
    breaker = circuit_breaker("api", only=("close",))

    @breaker
    class Session:
        def close(self) -> None: ...

        def get(self) -> None: ...

    breaker.open()
    Session().get()
    with pytest.raises(CircuitOpenError):
        Session().close()


def test_an_excluded_method_stays_unguarded():
    class Session:
        def get(self) -> None: ...

        def ping(self) -> None: ...

    ping = Session.ping
    circuit_breaker("api", exclude=("ping",))(Session)
    assert Session.ping is ping
    assert describe(Session.get).policies


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"only": ("get", "psot")}, ValueError, "only='psot': give one of 'get', 'post'; did you mean 'post'"),
        ({"exclude": ("psot",)}, ValueError, "exclude='psot': give one of 'get', 'post'; did you mean 'post'"),
        ({"only": "get"}, TypeError, "only='get': give a tuple of names, such as"),
        ({"only": ()}, ValueError, r"only=\(\): name the methods to guard, such as \('get', 'post'\)"),
        (
            {"only": ("get",), "exclude": ("post",)},
            TypeError,
            r"only=\('get',\), exclude=\('post',\): give one of them",
        ),
    ],
)
def test_bad_selections_are_refused_where_they_are_written(
    options: dict[str, object], error: type[Exception], message: str
):
    class Client:
        def get(self) -> None: ...

        def post(self) -> None: ...

    before = dict(vars(Client))
    with pytest.raises(error, match=message):
        circuit_breaker("api", **options)(Client)
    assert dict(vars(Client)) == before


def test_a_class_of_which_nothing_would_be_guarded_is_refused():
    class Session:
        def close(self) -> None: ...

    with pytest.raises(TypeError, match=r"all its public methods are left out \(close\); name those to guard"):
        circuit_breaker("api")(Session)


@pytest.mark.parametrize("options", [{"only": ("get",)}, {"exclude": ("get",)}])
def test_a_selection_of_methods_is_refused_on_what_is_no_class(options: dict[str, object]):
    with pytest.raises(TypeError, match="give it where a class is decorated; .* is none"):
        circuit_breaker("api", **options)(lambda: None)


def test_other_policies_of_a_stack_guard_the_local_methods_too():
    breaker = circuit_breaker("api", failure_threshold=1)

    @Pipeline(fallback(default="unknown"), breaker)
    class Client:
        def url(self) -> str:
            raise ConnectionResetError

        def get(self) -> str:
            raise ConnectionResetError

    assert Client().url() == "unknown"
    assert breaker.state.name == "closed"
    assert describe(Client.url).policies == ("fallback(default=str, on=infrastructure|rejected)",)
    assert Client().get() == "unknown"
    assert breaker.state.name == "open"


@pytest.mark.parametrize(
    "policy",
    [
        retry_on_category("network"),
        timeout(5),
        deadline(5),
        bulkhead("api", 1),
        adaptive_limit("api"),
        circuit_breaker("api"),
        rate_limit("api", "10/s"),
        throttle("api"),
        hedge(5, to_threads=True),
        retry_on_category("network", exclude=("ping",)),
    ],
    ids=str,
)
def test_what_rejects_repeats_or_limits_calls_leaves_methods_out_that_make_no_request(policy):
    class Client:
        def get(self) -> str:
            return "got"

        def ping(self) -> str:
            return "pong"

        def close(self) -> str:
            return threading.current_thread().name

        async def aclose(self) -> None: ...

    guarded = policy(Client)
    assert describe(guarded.get).policies
    assert describe(guarded.close).policies == describe(guarded.aclose).policies == ()
    assert guarded().close() == threading.current_thread().name


@pytest.mark.parametrize("policy", [retry_on_category, timeout, deadline, bulkhead], ids=lambda policy: policy.__name__)
def test_a_local_method_is_guarded_where_it_is_named(policy):
    class Client:
        def close(self) -> None: ...

        def get(self) -> None: ...

    arguments = {retry_on_category: ("network",), bulkhead: ("api", 1)}.get(policy, (5,))
    guarded = policy(*arguments, only=("close",))(Client)
    assert (len(describe(guarded.close)), len(describe(guarded.get))) == (1, 0)


def test_a_class_with_nothing_but_local_methods_is_refused():
    class Client:
        def close(self) -> None: ...

    with pytest.raises(TypeError, match=r"all its public methods are left out \(close\); name those to guard"):
        retry_on_category("network")(Client)


def test_retries_within_a_request_are_one_call_to_the_circuit():
    breaker = circuit_breaker("api", failure_threshold=2)
    calls = 0

    @retry_on_category(attempts=3, base_delay=0)
    @breaker
    class Client:
        def get(self) -> str:
            return self.send()

        def send(self) -> str:
            nonlocal calls
            calls += 1
            raise down

    with virtual_time(), pytest.raises(ConnectionResetError):
        Client().get()
    assert (calls, breaker.fail_counter) == (3, 1)


@pytest.mark.parametrize("many", ["key", "per_instance"])
def test_circuits_of_many_keys_and_objects_know_local_methods_too(many: str):
    options = {"key": lambda self, *_: "all"} if many == "key" else {"per_instance": True}
    breaker = circuit_breaker("api", failure_threshold=2, **options)
    client = breaker(type("Client", (Requests,), {}))
    mine = client()
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            mine.get("x")
        mine.url("x")
    circuit = breaker.of("all" if many == "key" else mine)
    assert (circuit.state.name, circuit.fail_counter, mine.sent) == ("open", 2, 2)
    mine.close()
    assert mine.closed


def test_class_methods_static_methods_and_signatures_stay_as_they_are():
    @circuit_breaker("api")
    class Client:
        def __init__(self, base: str, *, timeout: float = 3) -> None:
            self.base = base

        @classmethod
        def from_url(cls, url: str) -> Client:
            return cls(url)

        @staticmethod
        def join_url(base: str, path: str) -> str:
            return f"{base}/{path}"

        def get(self) -> str:
            return self.base

    assert Client.from_url("a").get() == "a"
    assert Client.join_url("a", "b") == "a/b"
    assert str(inspect.signature(Client)) == "(base: 'str', *, timeout: 'float' = 3) -> 'None'"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'base'"):
        Client()


def test_a_subclass_s_own_initializer_and_methods_work_as_before():
    breaker = circuit_breaker("api", failure_threshold=1)

    @breaker
    class Client:
        def __init__(self) -> None:
            self.ready = True

        def get(self) -> str:
            return "answer"

    class Special(Client):
        def __init__(self) -> None:
            super().__init__()
            self.special = True

    assert Special().get() == "answer"
    assert Special().ready and Special().special


def test_a_circuit_on_the_real_httpx_client_opens_after_so_many_requests(closed_port: str):
    breaker = circuit_breaker("api", failure_threshold=5)
    client_class = breaker(type("Client", (httpx.Client,), {}))
    with client_class() as client:
        for _ in range(5):
            with pytest.raises(httpx.ConnectError):
                client.get(closed_port)
        assert breaker.fail_counter == 5
        with pytest.raises(CircuitOpenError):
            client.get(closed_port)
    assert client.is_closed


def test_a_session_of_requests_that_is_made_while_half_open_is_no_probe(closed_port: str):
    breaker = circuit_breaker("api", failure_threshold=2)
    session_class = breaker(type("Session", (requests.Session,), {}))
    breaker.half_open()
    with session_class() as session:
        assert breaker.state.name == "half-open"
        with pytest.raises(requests.ConnectionError):
            session.get(closed_port)
        assert breaker.state.name == "open"
    for name in ("mount", "prepare_request", "get_adapter", "close"):
        assert name in LOCAL_METHODS


@pytest.fixture
def closed_port() -> str:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


def test_other_calls_go_on_while_a_call_of_the_class_runs(runner: Runner):
    """Only what it calls itself belongs to it: a failure of another caller counts."""
    breaker = circuit_breaker("api", failure_threshold=1)

    @breaker
    class Client:
        def fail(self) -> None:
            raise down

        def slow(self) -> None:
            with pytest.raises(ConnectionResetError):
                threads.submit(others.call, self.fail).result()

        async def slow_async(self) -> None:
            with pytest.raises(ConnectionResetError):
                others.call(self.fail)

    others = IndependentCaller()
    with ThreadPoolExecutor(1) as threads:
        runner.run(lambda: Client().slow(), lambda: Client().slow_async())
    assert breaker.state.name == "open"


# -- calls through a circuit that has counted no failure --------------------------------------------------------------


def layered(**options: object) -> tuple[circuit_breaker, type]:
    """Return a circuit, and a class it guards whose method ``outer`` does what it is given, ``inner`` or not."""
    breaker = circuit_breaker("api", **{"failure_threshold": 3, **options})

    @breaker
    class Client:
        def inner(self, error: Exception | None = None) -> str:
            if error is not None:
                raise error
            return "answer"

        async def inner_async(self, error: Exception | None = None) -> str:
            return Client.__dict__["inner"].__wrapped__(self, error)

        def outer(self, do: Callable[[], object]) -> object:
            return do()

    return breaker, Client


def test_failures_that_a_method_handles_count_for_nothing():
    breaker, client = layered()

    def three_attempts() -> str:
        for _ in range(4):
            with contextlib.suppress(ConnectionResetError):
                mine.inner(down)
        return mine.inner()

    mine = client()
    for _ in range(3):
        assert mine.outer(three_attempts) == "answer"
    assert (breaker.fail_counter, breaker.state.name) == (0, "closed")


def test_a_failure_within_a_method_within_a_method_counts_once():
    breaker, client = layered()
    mine = client()
    for expected in (1, 2):
        with pytest.raises(ConnectionResetError):
            mine.outer(lambda: mine.outer(lambda: mine.inner(down)))
        assert breaker.fail_counter == expected


def test_a_success_within_a_failing_method_does_not_reset_the_count():
    breaker, client = layered()

    def fail_after_a_success() -> None:
        mine.inner()
        mine.inner(down)

    mine = client()
    for expected in (1, 2, 3):
        with pytest.raises(ConnectionResetError):
            mine.outer(fail_after_a_success)
        assert breaker.fail_counter == expected
    assert breaker.state.name == "open"


def test_a_success_within_a_failing_method_does_not_reset_the_count_after_another_callers_failure():
    breaker, client = layered()

    def fail_after_others_and_a_success() -> None:
        with ThreadPoolExecutor(1) as thread, pytest.raises(ConnectionResetError):
            thread.submit(mine.inner, down).result()
        assert breaker.fail_counter == 1
        mine.inner()
        assert breaker.fail_counter == 1
        raise down

    mine = client()
    with pytest.raises(ConnectionResetError):
        mine.outer(fail_after_others_and_a_success)
    assert breaker.fail_counter == 2


def test_a_method_that_succeeds_starts_the_count_anew_when_another_caller_has_failed_meanwhile():
    breaker, client = layered()

    def succeed_after_others() -> None:
        with ThreadPoolExecutor(1) as thread, pytest.raises(ConnectionResetError):
            thread.submit(mine.inner, down).result()
        assert breaker.fail_counter == 1

    mine = client()
    mine.outer(succeed_after_others)
    assert breaker.fail_counter == 0


def test_retries_within_a_method_are_told_apart_from_those_of_the_method():
    breaker, client = layered()
    answers = iter([down, down, "answer"])

    @retry_on_category(attempts=3, base_delay=0)
    def answer() -> object:
        given = next(answers)
        return mine.inner(given) if isinstance(given, Exception) else mine.inner()

    mine = client()
    assert mine.outer(answer) == "answer"
    assert breaker.fail_counter == 0


def test_a_sync_method_that_runs_an_event_loop_decides_for_what_runs_in_it():
    breaker, client = layered()

    async def three_failures() -> None:
        for _ in range(3):
            with contextlib.suppress(ConnectionResetError):
                await mine.inner_async(down)

    mine = client()
    mine.outer(lambda: anyio.run(three_failures))
    assert (breaker.fail_counter, breaker.state.name) == (0, "closed")


def test_a_block_and_a_stream_within_a_method_belong_to_it():
    breaker, client = layered()

    @breaker
    def items() -> Iterator[str]:
        yield "item"
        raise down

    def use_both() -> None:
        with pytest.raises(ConnectionResetError), breaker:
            raise down
        with pytest.raises(ConnectionResetError):
            list(items())

    client().outer(use_both)
    assert breaker.fail_counter == 0


def test_threads_of_the_toolkit_s_own_belong_to_the_method_that_waits_for_them():
    breaker, client = layered()

    @timeout(5)
    def in_a_thread() -> None:
        with pytest.raises(ConnectionResetError):
            mine.inner(down)

    mine = client()
    mine.outer(in_a_thread)
    mine.outer(lambda: gather_results([lambda: mine.inner(down)] * 3, limit=3))
    assert breaker.fail_counter == 0


def test_threads_that_run_in_a_copy_of_its_context_belong_to_the_method():
    """On a free-threaded CPython 3.14 every thread does."""
    breaker, client = layered()

    def in_a_thread() -> None:
        with ThreadPoolExecutor(1) as thread, pytest.raises(ConnectionResetError):
            thread.submit(contextvars.copy_context().run, mine.inner, down).result()

    mine = client()
    mine.outer(in_a_thread)
    assert breaker.fail_counter == 0


def test_a_thread_that_outlives_the_method_that_started_it_counts_by_itself():
    breaker, client = layered()
    mine = client()
    context = mine.outer(contextvars.copy_context)
    with pytest.raises(ConnectionResetError):
        context.run(mine.inner, down)
    assert breaker.fail_counter == 1


def test_notes_of_ended_methods_do_not_pile_up_in_contexts_that_were_copied_one_from_another():
    _, client = layered()
    mine = client()
    context = contextvars.copy_context()
    for _ in range(20):
        context = context.run(mine.outer, contextvars.copy_context)
    assert len(context.run(calls_here)) == 1


def test_a_probe_that_a_method_begins_and_leaves_open_goes_on_after_the_method():
    """As of a client whose ``__enter__`` is guarded, and enters a block of another circuit."""
    _, client = layered()
    other = circuit_breaker("other", reset_timeout=5)
    probe = other.calling()
    with virtual_time() as clock:
        other.open()
        clock.advance(5)
        client().outer(probe.__enter__)
        assert other.call(lambda: "within the probe") == "within the probe"
        assert other.current_state == "half-open"
        probe.__exit__(None, None, None)
        assert other.current_state == "closed"


def test_a_method_that_is_interrupted_anywhere_leaves_no_note_behind():
    breaker, client = layered()
    mine = client()
    wrapper = vars(client)["outer"].__code__
    for _ in interruptions(lambda: mine.outer(lambda: None), {wrapper}, after_calls=True):
        assert not still_running(calls_here())
    with pytest.raises(ConnectionResetError):
        mine.inner(down)
    assert breaker.fail_counter == 1


def test_tasks_that_an_async_method_waits_for_belong_to_it(backend: str):
    breaker = circuit_breaker("api", failure_threshold=2)

    @breaker
    class Client:
        async def inner(self) -> None:
            await anyio.lowlevel.checkpoint()
            raise down

        async def outer(self) -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(self._fail)

        async def _fail(self) -> None:
            with pytest.raises(ConnectionResetError):
                await self.inner()

    anyio.run(Client().outer, backend=backend)
    assert (breaker.fail_counter, breaker.state.name) == (0, "closed")


def test_a_call_after_a_method_has_ended_is_one_of_its_own():
    breaker, client = layered()
    mine = client()
    assert mine.outer(mine.inner) == "answer"
    with pytest.raises(ConnectionResetError):
        mine.inner(down)
    assert breaker.fail_counter == 1


def test_the_methods_of_two_circuits_do_not_belong_to_each_other():
    breaker, client = layered()
    other, other_client = layered()
    with pytest.raises(ConnectionResetError):
        client().outer(lambda: other_client().inner(down))
    assert (breaker.fail_counter, other.fail_counter) == (1, 1)


def test_a_method_decides_while_its_own_retry_makes_another_attempt():
    breaker = circuit_breaker("api", failure_threshold=4)

    @retry_on_category(attempts=3, base_delay=0, retry_exhausted=True)
    @breaker
    class Client:
        def inner(self) -> None:
            raise down

        def outer(self) -> None:
            self.inner()

    with pytest.raises(ConnectionResetError):
        Client().outer()
    assert breaker.fail_counter == 3  # attempts of the method; those of inner() within them are part of it


# -- only= and exclude= of every policy --------------------------------------------------------------------------------

POLICIES = {
    "retry": lambda **methods: retry_on_category(**methods),
    "timeout": lambda **methods: timeout(5, **methods),
    "timeout of items": lambda **methods: timeout(first_item=5, **methods),
    "deadline": lambda **methods: deadline(5, **methods),
    "fallback": lambda **methods: fallback(default=None, **methods),
    "adaptive limit": lambda **methods: adaptive_limit("api", **methods),
    "bulkhead": lambda **methods: bulkhead("api", 5, **methods),
    "rate limit": lambda **methods: rate_limit("api", "100/s", **methods),
    "circuit": lambda **methods: circuit_breaker("api", **methods),
}


def guarded_methods(cls: type) -> set[str]:
    return {name for name in ("get", "put", "items", "close") if hasattr(vars(cls)[name], "__resilience__")}


class Api:
    def get(self) -> str:
        return "got"

    def put(self) -> str:
        return "put"

    def close(self) -> None: ...

    def items(self) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "timeout of items"])
def test_every_policy_guards_only_the_methods_that_it_names_or_all_but_those(name: str):
    policy = POLICIES[name]

    class Named(Api):
        get, put, items, close = (vars(Api)[each] for each in ("get", "put", "items", "close"))

    class Left(Api):
        get, put, items, close = (vars(Api)[each] for each in ("get", "put", "items", "close"))

    assert guarded_methods(policy(only=("get",))(Named)) == {"get"}
    left = guarded_methods(policy(exclude=("put", "items"))(Left))
    assert left - {"close"} == {"get"}
    assert Named().get() == "got"


def test_limits_on_items_guard_only_the_streams_that_they_name():
    @timeout(first_item=5, only=("items",))
    class Streams:
        def get(self) -> str:
            return "got"

        def items(self) -> Iterator[int]:
            yield 1

    assert (Streams().get(), list(Streams().items())) == ("got", [1])


@pytest.mark.parametrize("name", POLICIES)
def test_a_selection_without_a_class_or_of_names_that_it_has_not_is_refused(name: str):
    policy = POLICIES[name]
    with pytest.raises(TypeError, match=r"only=\('get',\): give it where a class is decorated"):
        policy(only=("get",))(lambda: None)
    with pytest.raises(ValueError, match="only='gett'"):
        policy(only=("gett",))(type("Client", (Api,), {}))
    with pytest.raises(TypeError, match="give one of them"):
        policy(only=("get",), exclude=("put",))
    with pytest.raises(TypeError, match="exclude='get': give a tuple of names"):
        policy(exclude="get")


def test_a_selection_has_no_meaning_for_a_call_or_a_block():
    with pytest.raises(TypeError, match=r"only=\('get',\): give it where a class is decorated"):
        timeout(5, only=("get",)).call(abs, 1)
    with pytest.raises(TypeError, match="a block is none"), deadline(5, only=("get",)):
        pass
    with pytest.raises(TypeError, match="a block has no methods; decorate a class"):
        retrying(only=("get",))
