"""Channels of gRPC, sync and asyncio, guarded by policies: real calls to real servers on loopback."""

from __future__ import annotations

import asyncio
import pickle
import threading

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from resilience import (
    CircuitOpenError,
    DeadlineExceededError,
    bulkhead,
    circuit_breaker,
    classify,
    deadline,
    retry_on_category,
    standard,
    timeout,
)
from resilience.clients import by_host, inspect_client, protect, protection_of, request_options
from resilience.clients.grpc import idempotency_of_method
from resilience.testing import virtual_time
from tests.clients.grpc_server import KINDS, AsyncCaller, Busy, Caller, Code, FutureCaller, Shop, serving

PATIENCE = 60.0  # seconds; no test waits for so long
CALLERS = [Caller, FutureCaller, AsyncCaller]
REPEATABLE = {"attempts": 4, "base_delay": 0, "idempotent": True}


@pytest.fixture(params=CALLERS, ids=lambda caller: caller.__name__)
def caller(request: pytest.FixtureRequest) -> type[Caller]:
    return request.param


def retrying(**options: object) -> object:
    return lambda channel: protect(channel, retry_on_category(**{**REPEATABLE, **options}))


# -- the genuine channel -----------------------------------------------------------------------------------------------


def test_the_channel_is_the_same_object_of_the_same_class():
    channel = grpc.insecure_channel("127.0.0.1:1")
    kind = type(channel)
    assert protect(channel, deadline(5)) is channel
    assert type(channel) is kind
    assert isinstance(channel.unary_unary("/shop/Find"), grpc.UnaryUnaryMultiCallable)
    assert isinstance(channel.unary_stream("/shop/Find"), grpc.UnaryStreamMultiCallable)
    assert isinstance(channel.stream_unary("/shop/Find"), grpc.StreamUnaryMultiCallable)
    assert isinstance(channel.stream_stream("/shop/Find"), grpc.StreamStreamMultiCallable)
    channel.close()


def test_an_async_call_is_what_grpc_makes_for_channels_with_interceptors():
    async def call() -> object:
        with serving(Shop()) as address:
            async with protect(grpc.aio.insecure_channel(address), deadline(PATIENCE)) as channel:
                made = channel.unary_unary("/shop/unary_unary")(b"a")
                assert isinstance(made, grpc.aio.UnaryUnaryCall)
                assert await made.code() is Code.OK
                return await made

    assert asyncio.run(call()) == b"message 0"


def test_a_channel_with_interceptors_of_its_own_keeps_them():
    seen: list[str] = []

    class Noting(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: object, details: object, request: object) -> object:
            seen.append(details.method)
            return continuation(details, request)

    shop = Shop(Busy(Code.UNAVAILABLE), "ok")
    with serving(shop) as address, grpc.insecure_channel(address) as inner:
        channel = protect(grpc.intercept_channel(inner, Noting()), retry_on_category(**REPEATABLE))
        assert channel.unary_unary("/shop/unary_unary")(b"a") == b"message 0"
    assert seen == ["/shop/unary_unary"] * 2  # below the policies: each attempt


@pytest.mark.parametrize("kind", KINDS)
def test_a_success_passes(caller: type[Caller], kind: str):
    shop = Shop()
    (messages,) = caller(retrying())(shop, kind)
    assert messages == [b"message 0", b"message 1", b"message 2"][: 3 if kind.endswith("stream") else 1]
    assert shop.calls == [[b"a", b"b"] if kind.startswith("stream") else [b"a"]]


# -- retries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.INTERNAL])
def test_a_transient_status_is_retried(caller: type[Caller], kind: str, code: grpc.StatusCode):
    shop = Shop(Busy(code), Busy(code), "ok")
    (messages,) = caller(retrying())(shop, kind)
    assert messages[0] == b"message 0"
    assert shop.calls == [[b"a"]] * 3


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
@pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED])
def test_another_status_is_not_retried_and_is_grpcs_own_error(caller: type[Caller], kind: str, code: grpc.StatusCode):
    shop = Shop(Busy(code))
    (error,) = caller(retrying())(shop, kind)
    assert isinstance(error, caller.error)
    assert (error.code(), error.details(), len(shop.calls)) == (code, "as the script says", 1)


def test_the_last_error_is_grpcs_own(caller: type[Caller]):
    shop = Shop(Busy(Code.UNAVAILABLE))
    (error,) = caller(retrying())(shop, "unary_unary")
    assert type(error).__module__.startswith("grpc")
    assert (error.code(), len(shop.calls)) == (Code.UNAVAILABLE, 4)


@pytest.mark.parametrize("kind", ["stream_unary", "stream_stream"])
def test_a_stream_of_requests_is_sent_once(caller: type[Caller], kind: str):
    shop = Shop(Busy(Code.UNAVAILABLE))
    (error,) = caller(retrying())(shop, kind)
    assert (error.code(), shop.calls) == (Code.UNAVAILABLE, [[b"a", b"b"]])


def test_a_stream_is_not_retried_after_its_first_message(caller: type[Caller]):
    shop = Shop(Busy(Code.UNAVAILABLE, messages=1))
    (error,) = caller(retrying())(shop, "unary_stream")
    assert (error.code(), len(shop.calls)) == (Code.UNAVAILABLE, 1)


def test_what_may_have_been_executed_is_not_repeated_unless_the_retry_says_so(caller: type[Caller]):
    shop = Shop(Busy(Code.UNAVAILABLE))
    (error,) = caller(lambda channel: protect(channel, retry_on_category(base_delay=0)))(shop, "unary_unary")
    assert (error.code(), len(shop.calls)) == (Code.UNAVAILABLE, 1)


def test_what_the_server_has_rejected_is_repeated_in_any_case(caller: type[Caller]):
    shop = Shop(Busy(Code.RESOURCE_EXHAUSTED), "ok")
    (messages,) = caller(lambda channel: protect(channel, retry_on_category(base_delay=0)))(shop, "unary_unary")
    assert (messages, len(shop.calls)) == ([b"message 0"], 2)


@pytest.mark.parametrize(
    ("level", "repeated"), [("NO_SIDE_EFFECTS", True), ("IDEMPOTENT", True), ("IDEMPOTENCY_UNKNOWN", False)]
)
def test_the_idempotency_level_of_a_method_is_read(level: str, repeated: bool):
    file = descriptor_pb2.FileDescriptorProto(name=f"{level}.proto", package=f"level_{level.lower()}")
    file.message_type.add(name="Message")
    kind = f".{file.package}.Message"
    method = file.service.add(name="Shop").method.add(name="Find", input_type=kind, output_type=kind)
    method.options.idempotency_level = descriptor_pb2.MethodOptions.IdempotencyLevel.Value(level)
    descriptor_pool.Default().Add(file)
    assert (idempotency_of_method(f"/{file.package}.Shop/Find") in {"GET", "PUT"}) is repeated


@pytest.mark.parametrize("path", ["/shop.Catalogue/Find", "", "nonsense", "/a/b/c"])
def test_a_method_that_no_descriptor_knows_may_happen_once(path: str):
    assert idempotency_of_method(path) == "POST"


# -- pushback ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", [Caller, AsyncCaller], ids=lambda caller: caller.__name__)
def test_the_servers_pushback_is_waited_for(caller: type[Caller]):
    shop = Shop(Busy(Code.UNAVAILABLE, pushback=30_000), "ok")
    with virtual_time() as clock:
        (messages,) = caller(retrying(jitter="none"))(shop, "unary_unary")
        waited = clock.now()
    assert (messages, len(shop.calls)) == ([b"message 0"], 2)
    assert 30 <= waited <= 33


def test_a_server_that_asks_for_no_retry_gets_none(caller: type[Caller]):
    shop = Shop(Busy(Code.UNAVAILABLE, pushback=-1))
    (error,) = caller(retrying())(shop, "unary_unary")
    assert (error.code(), len(shop.calls)) == (Code.UNAVAILABLE, 1)


# -- deadlines ---------------------------------------------------------------------------------------------------------


def test_each_attempt_has_what_is_left(caller: type[Caller]):
    shop = Shop(Busy(Code.UNAVAILABLE), "ok")
    guard = lambda channel: protect(channel, deadline(PATIENCE), retry_on_category(**REPEATABLE), timeout(20))
    caller(guard)(shop, "unary_unary")
    assert [left <= 21 for left in shop.left] == [True, True]


def test_the_callers_timeout_is_that_of_the_call_with_its_retries(caller: type[Caller]):
    shop = Shop(Busy(Code.UNAVAILABLE), Busy(Code.UNAVAILABLE), "ok")
    with virtual_time():
        (messages,) = caller(retrying(base_delay=10, jitter="none"))(shop, "unary_unary", timeout=50)
    assert messages == [b"message 0"]
    assert [round(left, -1) for left in shop.left] == [50, 40, 20]


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_server_that_does_not_answer_is_left_when_the_time_limit_has_passed(caller: type[Caller], kind: str):
    never = threading.Event()

    class Hanging(Shop):
        def step(self, requests: list[bytes], context: grpc.ServicerContext) -> object:
            super().step(requests, context)
            context.add_callback(never.set)
            never.wait(PATIENCE)
            return "ok"

    shop = Hanging()
    (error,) = caller(lambda channel: protect(channel, timeout(0.2)))(shop, kind)
    assert isinstance(error, grpc.RpcError)
    assert error.code() is Code.DEADLINE_EXCEEDED
    assert classify(error).label == "timeout"


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_with_no_time_left_the_call_is_not_made(kind: str):
    shop = Shop()
    with virtual_time() as clock, deadline(1):
        clock.advance(2)
        (error,) = Caller(lambda channel: protect(channel, deadline(5), timeout(3)))(shop, kind)
    assert isinstance(error, DeadlineExceededError)
    assert isinstance(error, grpc.RpcError)
    assert (error.code(), shop.calls) == (Code.DEADLINE_EXCEEDED, [])


def test_a_stream_goes_on_after_the_time_limit_of_its_first_message():
    shop = Shop()
    with serving(shop) as address, grpc.insecure_channel(address) as channel:
        stream = protect(channel, timeout(PATIENCE)).unary_stream("/shop/unary_stream")(b"a")
        assert next(stream) == b"message 0"
        assert list(stream) == [b"message 1", b"message 2"]
    assert shop.left[0] > 1e9  # the server knows of no deadline


def test_a_stream_has_the_callers_own_deadline(caller: type[Caller]):
    shop = Shop()
    caller(retrying())(shop, "unary_stream", timeout=PATIENCE)
    assert shop.left[0] <= PATIENCE + 1


# -- rejections --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_open_circuit_is_an_error_of_grpc_and_of_the_toolkit(caller: type[Caller], kind: str):
    circuit = circuit_breaker(f"test_grpc: rejection {caller.__name__} {kind}", failure_threshold=1)
    circuit.open()
    shop = Shop()
    (error,) = caller(lambda channel: protect(channel, circuit))(shop, kind)
    assert isinstance(error, CircuitOpenError)
    assert isinstance(error, caller.error)
    assert error.code() is Code.UNAVAILABLE
    assert error.details() == str(error)
    assert error.code == "RES-E005"
    assert error.to_dict(full=True)["code"] == "RES-E005"
    assert not error.trailing_metadata()
    assert shop.calls == []
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.code(), again.details()) == (type(error), error.code(), error.details())


def test_failures_open_the_circuit(caller: type[Caller]):
    circuit = circuit_breaker(f"test_grpc: opens {caller.__name__}", failure_threshold=2)
    shop = Shop(Busy(Code.UNAVAILABLE))
    errors = caller(lambda channel: protect(channel, circuit))(shop, *["unary_unary"] * 3)
    assert [type(error) is not type(errors[0]) for error in errors] == [False, False, True]
    assert len(shop.calls) == 2


def test_each_target_has_its_circuit():
    circuit = circuit_breaker("test_grpc: per target", failure_threshold=1, key=by_host)
    (failed,) = Caller(lambda channel: protect(channel, circuit), "127.0.0.1:1")(Shop(), "unary_unary")
    (answer,) = Caller(lambda channel: protect(channel, circuit))(Shop(), "unary_unary")
    assert (failed.code(), answer) == (Code.UNAVAILABLE, [b"message 0"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_slot_is_given_back(caller: type[Caller], kind: str):
    slots = bulkhead(f"test_grpc: slots {caller.__name__} {kind}", 1, max_wait=0.001)
    answers = caller(lambda channel: protect(channel, slots))(Shop(), *[kind] * 3)
    assert all(isinstance(answer, list) for answer in answers)


# -- streams and futures -----------------------------------------------------------------------------------------------


def test_a_stream_that_was_cancelled_before_its_first_message_is_not_asked_for():
    shop = Shop()
    with serving(shop) as address, protect(grpc.insecure_channel(address), deadline(5)) as channel:
        stream = channel.unary_stream("/shop/unary_stream")(b"a")
        assert stream.cancel()
        with pytest.raises(grpc.FutureCancelledError):
            next(stream)
    assert shop.calls == []


def test_the_call_of_a_stream_can_be_asked_before_and_after_its_messages():
    with serving(Shop()) as address, protect(grpc.insecure_channel(address), deadline(PATIENCE)) as channel:
        stream = channel.unary_stream("/shop/unary_stream")(b"a")
        assert isinstance(stream, grpc.Call)
        assert stream.initial_metadata() == ()
        assert list(stream) == [b"message 0", b"message 1", b"message 2"]
        assert stream.code() is Code.OK


def test_a_failed_stream_raises_its_error_again():
    with serving(Shop(Busy(Code.NOT_FOUND))) as address, protect(grpc.insecure_channel(address)) as channel:
        stream = channel.unary_stream("/shop/unary_stream")(b"a")
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as raised:
                next(stream)
            assert raised.value.code() is Code.NOT_FOUND
        assert stream.code() is Code.NOT_FOUND


def test_a_future_is_one_of_grpcs():
    done: list[object] = []
    with serving(Shop(Busy(Code.UNAVAILABLE), "ok")) as address, grpc.insecure_channel(address) as channel:
        method = protect(channel, retry_on_category(**REPEATABLE)).unary_unary("/shop/unary_unary")
        future = method.future(b"a")
        future.add_done_callback(done.append)
        assert isinstance(future, grpc.Future)
        assert isinstance(future, grpc.Call)
        assert future.result(PATIENCE) == b"message 0"
        assert (future.done(), future.running(), future.cancelled()) == (True, False, False)
        assert (future.code(), future.exception(), future.traceback()) == (Code.OK, None, None)
    assert done == [future]


def test_a_future_that_is_cancelled_makes_no_further_attempt():
    begun, release = threading.Event(), threading.Event()

    class Hanging(Shop):
        def step(self, requests: list[bytes], context: grpc.ServicerContext) -> object:
            begun.set()
            release.wait(PATIENCE)
            return super().step(requests, context)

    shop = Hanging()
    with serving(shop) as address, grpc.insecure_channel(address) as channel:
        future = protect(channel, retry_on_category(**REPEATABLE)).unary_unary("/shop/unary_unary").future(b"a")
        assert begun.wait(PATIENCE)
        with pytest.raises(grpc.FutureTimeoutError):
            future.result(0.01)
        assert future.cancel()
        assert isinstance(future.exception(PATIENCE), grpc.FutureCancelledError)
        assert future.cancelled()
        release.set()
    assert len(shop.calls) <= 1


# -- what is said of it ------------------------------------------------------------------------------------------------


def test_without_policies_it_is_the_standard_stack_of_the_target():
    with protect(grpc.insecure_channel("dns:///localhost:50051")) as channel:
        shown = str(protection_of(channel))
    assert "circuit_breaker('dns:///localhost:50051'" in shown
    assert "idempotent=unless_post" in shown


def test_what_may_be_repeated_may_be_said_by_method():
    stack = standard("test_grpc: by path", idempotent=lambda call: call.url == "/shop/unary_unary", max_delay=0.01)
    shop = Shop(Busy(Code.UNAVAILABLE), "ok")
    (messages,) = Caller(lambda channel: protect(channel, stack))(shop, "unary_unary")
    assert (messages, len(shop.calls)) == ([b"message 0"], 2)


def test_a_channel_is_inspected():
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        kinds = [finding.kind for finding in inspect_client(channel).findings]
    assert kinds == ["retries", "time_limit", "pool"]


def test_a_channel_is_protected_once():
    with protect(grpc.insecure_channel("127.0.0.1:1")) as channel, pytest.raises(TypeError, match="protected already"):
        protect(channel)


# -- options of calls --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"enabled": False}, {"idempotent": False}], ids=["no policies", "not repeatable"])
def test_the_options_of_a_block_are_for_the_calls_in_it(caller: type[Caller], options: dict[str, bool]):
    shop = Shop(Busy(Code.UNAVAILABLE))
    with request_options(**options):
        (error,) = caller(retrying(idempotent=None))(shop, "unary_unary")
    assert isinstance(error, caller.error)
    assert len(shop.calls) == 1


def test_a_call_without_policies_keeps_the_time_limit_of_its_caller(caller: type[Caller]):
    shop = Shop()
    with request_options(enabled=False):
        assert caller(retrying())(shop, "unary_unary", timeout=PATIENCE) == [[b"message 0"]]
    assert shop.left[0] <= PATIENCE + 1
