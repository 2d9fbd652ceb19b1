"""`protect`: what becomes of the client, of the policies, and of the errors."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import httpx
import pytest

from resilience import (
    CallTimeoutError,
    CircuitOpenError,
    DeadlineExceededError,
    circuit_breaker,
    classify,
    deadline,
    hedge,
    retry_on_category,
    timeout,
)
from resilience.clients import by_host, inspect_client, protect, protection_of
from resilience.clients._error_tree import ErrorTree, joined

HTTPX = ErrorTree(httpx.TransportError, httpx.TimeoutException)


def answering(*statuses: int) -> httpx.MockTransport:
    left = list(statuses)
    return httpx.MockTransport(lambda _: httpx.Response(left.pop(0)))


@pytest.mark.parametrize("kind", [httpx.Client, httpx.AsyncClient])
def test_the_genuine_client_comes_back(kind: type) -> None:
    client = kind()
    assert protect(client) is client
    assert type(client) is kind


def test_without_policies_it_is_the_standard_stack_per_host() -> None:
    text = str(protection_of(protect(httpx.Client(base_url="http://shelf.example:8000"))))
    assert text.startswith("deadline(10)\n  retry_on_category(transient, attempts=3")
    assert "circuit_breaker('shelf.example:8000'" in text and "per key" in text


def test_a_client_is_protected_once() -> None:
    client = protect(httpx.Client(), deadline(5))
    with pytest.raises(TypeError, match="protected already"):
        protect(client, deadline(5))


def test_a_client_without_an_adapter_is_refused() -> None:
    with pytest.raises(TypeError, match="no adapter for builtins"):
        protect(object(), deadline(5))


def engine() -> object:
    return pytest.importorskip("sqlalchemy").create_engine("sqlite://")


def pool_of_psycopg() -> object:
    return pytest.importorskip("psycopg_pool").ConnectionPool(open=False)


def pool_of_asyncpg() -> object:
    kind = pytest.importorskip("asyncpg").Pool
    return object.__new__(kind)  # a pool is made on an event loop


@pytest.mark.parametrize(
    ("make", "integration"), [(engine, "sqlalchemy"), (pool_of_psycopg, "psycopg"), (pool_of_asyncpg, "asyncpg")]
)
def test_a_client_whose_calls_are_parts_of_a_transaction_is_refused_by_what_retries_that(
    make: Callable[[], object], integration: str
) -> None:
    expected = f"retry the transaction, by in_transaction of resilience.integrations.{integration}"
    client = make()
    with pytest.raises(TypeError, match=expected):
        protect(client, deadline(5))
    with pytest.raises(TypeError, match=expected):
        inspect_client(client)


def test_what_is_not_a_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="give policies"):
        protect(httpx.Client(), 5)  # type: ignore[arg-type]


def test_a_policy_that_cannot_be_applied_is_an_error_a_warning_or_a_line() -> None:
    with pytest.raises(TypeError, match="hedge"):
        protect(httpx.Client(), deadline(5), hedge(0.1))
    with pytest.warns(RuntimeWarning, match="is not guarded by hedge"):
        warned = protect(httpx.Client(), deadline(5), hedge(0.1), on_unsupported="warn")
    ignored = protect(httpx.Client(), deadline(5), hedge(0.1), on_unsupported="ignore")
    for client in (warned, ignored):
        protection = protection_of(client)
        assert protection is not None
        assert [str(policy) for policy in protection.policies] == ["deadline(5)"]
        assert len(protection.left_out) == 1 and "not applied: hedge" in str(protection)


def test_a_failed_attempt_to_protect_leaves_the_client_as_it_was() -> None:
    client = httpx.Client()
    with pytest.raises(TypeError):
        protect(client, hedge(0.1))
    assert "send" not in vars(client) and protection_of(client) is None


def test_the_limit_of_a_sync_client_needs_no_thread() -> None:
    protection = protection_of(protect(httpx.Client(), timeout(2)))
    assert protection is not None
    assert [str(policy) for policy in protection.policies] == ["timeout(2)"]
    assert protection.changes == ["timeout(2) is kept by the client's own time limits: no thread is used"]
    asynchronous = protection_of(protect(httpx.AsyncClient(), timeout(2)))
    assert asynchronous is not None
    assert [str(policy) for policy in asynchronous.policies] == ["timeout(2)"]


def test_a_retry_that_says_nothing_of_posts_repeats_none() -> None:
    given = retry_on_category(base_delay=0)
    client = protect(httpx.Client(transport=answering(503, 200, 503, 503)), given)
    assert client.get("http://shelf.example/").status_code == 200
    assert client.post("http://shelf.example/").status_code == 503
    assert given.idempotency is None, "the policy of the caller is left as it is"


def test_a_retry_that_allows_posts_is_obeyed() -> None:
    client = protect(httpx.Client(transport=answering(503, 201)), retry_on_category(base_delay=0, idempotent=True))
    assert client.post("http://shelf.example/").status_code == 201


def test_each_host_has_its_circuit() -> None:
    circuit = circuit_breaker("test_protect: per host", failure_threshold=1, key=by_host)
    client = protect(httpx.Client(transport=answering(503, 200)), circuit)
    assert client.get("http://down.example/").status_code == 503
    with pytest.raises(CircuitOpenError):
        client.get("http://down.example/")
    assert client.get("http://up.example/").status_code == 200


def test_a_rejection_is_an_error_of_the_client_and_of_the_toolkit() -> None:
    circuit = circuit_breaker("test_protect: rejection", failure_threshold=1)
    client = protect(httpx.Client(transport=answering(503)), circuit)
    client.get("http://down.example/shelf")
    with pytest.raises(httpx.TransportError) as caught:
        client.get("http://down.example/shelf")
    assert isinstance(caught.value, CircuitOpenError)
    assert caught.value.request.url == "http://down.example/shelf"
    assert classify(caught.value).label == "rejected"
    assert str(caught.value).startswith("circuit 'test_protect: rejection' is open")


def test_an_error_of_the_clients_own_is_the_same_object() -> None:
    error = httpx.ReadError("gone")

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(httpx.ReadError) as caught:
        protect(httpx.Client(transport=httpx.MockTransport(fail)), deadline(5)).get("http://down.example/")
    assert caught.value is error


@pytest.mark.parametrize("kind", [CallTimeoutError, DeadlineExceededError])
def test_limits_are_time_outs_of_the_client(kind: type) -> None:
    adopted = HTTPX.adopt(kind("shop.search", 2.0))
    assert isinstance(adopted, kind) and isinstance(adopted, httpx.TimeoutException)
    assert str(adopted) == str(kind("shop.search", 2.0))


def test_adopted_errors_have_one_class_for_each_pair_and_can_be_pickled() -> None:
    assert joined(CircuitOpenError, httpx.TransportError) is joined(CircuitOpenError, httpx.TransportError)
    adopted = HTTPX.adopt(CircuitOpenError("the shelf", 3.0, failures=5))
    adopted.add_note("seen at noon")
    restored = pickle.loads(pickle.dumps(adopted))
    assert type(restored) is type(adopted)
    assert (str(restored), restored.retry_after, restored.__notes__) == (str(adopted), 3.0, ["seen at noon"])
    assert HTTPX.adopt(adopted) is adopted


def test_a_policy_of_the_users_own_is_run() -> None:
    from resilience.policies import Outcome, Policy, Proceed

    class Counting(Policy):
        def __init__(self) -> None:
            self.hosts: list[str] = []

        def run(self, call):  # type: ignore[no-untyped-def]
            self.hosts.append(call.arguments[0].host)
            outcome: Outcome = yield Proceed()
            return outcome

    counting = Counting()
    protect(httpx.Client(transport=answering(200)), counting).get("http://shelf.example:81/")
    assert counting.hosts == ["shelf.example:81"]


def test_a_circuit_without_a_name_is_called_after_the_client() -> None:
    circuit = circuit_breaker()
    protect(httpx.Client(), circuit)
    assert circuit.name == "httpx.Client"
