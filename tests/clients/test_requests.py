"""requests: what protects a session, and what the session keeps of its own."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from urllib3 import Retry, Timeout

from resilience import CircuitOpenError, circuit_breaker, classify, deadline, report_of, retry_on_category
from resilience.clients import inspect_client, protect, protection_of, request_options, send_deadline
from resilience.testing import no_waits

URL = "http://shelf.example/lamps"


class Recording(HTTPAdapter):
    """An adapter that answers with *statuses*, and keeps what it was given."""

    def __init__(self, *statuses: int, **options: Any) -> None:
        super().__init__(**options)
        self.statuses = list(statuses)
        self.bodies: list[object] = []
        self.timeouts: list[object] = []

    def send(self, request: Any, *_: Any, timeout: Any = None, **__: Any) -> requests.Response:
        body = request.body
        if hasattr(body, "read"):
            body = body.read()
        elif isinstance(body, Iterator):
            body = b"".join(body)
        self.bodies.append(body)
        self.timeouts.append(timeout)
        response = requests.Response()
        response.status_code = self.statuses.pop(0)
        response.raw, response.request, response.url = io.BytesIO(b"lamp"), request, request.url
        return response


def session_over(adapter: HTTPAdapter, *policies: Any) -> requests.Session:
    session = requests.Session()
    session.mount("http://", adapter)
    return protect(session, *policies)


@pytest.fixture(autouse=True)
def without_waits() -> Iterator[None]:
    with no_waits():
        yield


def test_the_genuine_session_comes_back() -> None:
    class ShopSession(requests.Session):
        def send(self, request: Any, **keywords: Any) -> requests.Response:
            self.sent = getattr(self, "sent", 0) + 1
            return super().send(request, **keywords)

    session = ShopSession()
    adapter = Recording(503, 200)
    session.mount("http://", adapter)
    assert protect(session, retry_on_category()) is session and type(session) is ShopSession
    assert session.get(URL).status_code == 200
    assert session.sent == 2, "the method of the subclass is called in each attempt"


def test_a_failed_response_reaches_the_caller_as_it_is() -> None:
    adapter = Recording(503, 503, 503)
    response = session_over(adapter, retry_on_category(attempts=3)).get(URL)
    assert (response.status_code, response.content, len(adapter.bodies)) == (503, b"lamp", 3)


def test_a_hook_that_raises_for_the_status_is_retried_and_raises_the_same_error() -> None:
    session = session_over(Recording(503, 503, 200), retry_on_category(attempts=2))
    session.hooks["response"].append(lambda response, **_: response.raise_for_status())
    with pytest.raises(requests.HTTPError) as caught:
        session.get(URL)
    assert caught.value.response.status_code == 503 and report_of(caught.value).made == 2
    assert session.get(URL).status_code == 200


def test_a_file_is_sent_from_where_it_stood_and_a_generator_once() -> None:
    adapter = Recording(503, 200, 503)
    session = session_over(adapter, retry_on_category())
    file = io.BytesIO(b"old lamp")
    file.seek(4)
    assert session.put(URL, data=file).status_code == 200
    assert adapter.bodies == [b"lamp", b"lamp"]
    assert session.put(URL, data=(part for part in (b"brass", b"lamp"))).status_code == 503
    assert len(adapter.bodies) == 3


def test_an_open_circuit_is_a_connection_error_of_requests() -> None:
    session = session_over(Recording(503), circuit_breaker("test_requests: open", failure_threshold=1))
    session.get(URL)
    with pytest.raises(requests.ConnectionError) as caught:
        session.get(URL)
    assert isinstance(caught.value, CircuitOpenError) and classify(caught.value).label == "rejected"
    assert caught.value.request.url == URL
    assert str(caught.value).startswith("circuit 'test_requests: open' is open")
    restored = pickle.loads(pickle.dumps(caught.value))
    assert type(restored) is type(caught.value) and str(restored) == str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, (2, 2, 2)),
        (1, (1, 1, 2)),
        ((1, None), (1, 2, 2)),
        (Timeout(connect=5, read=1), (2, 1, 2)),
        (Timeout(total=1), (1, 1, 1)),
    ],
    ids=["none", "number", "pair", "urllib3", "total"],
)
def test_the_deadline_cuts_the_time_limits_of_the_call(given: Any, expected: tuple[float, ...]) -> None:
    adapter = Recording(200)
    session_over(adapter, deadline(2)).get(URL, timeout=given)
    (limits,) = adapter.timeouts
    assert isinstance(limits, Timeout)
    limits.start_connect()
    found = (limits.connect_timeout, limits.read_timeout, limits.total)
    assert all(most - 0.5 < value <= most for value, most in zip(found, expected, strict=True))


def test_without_a_deadline_the_time_limits_stay_as_they_are() -> None:
    adapter = Recording(200)
    session_over(adapter, retry_on_category()).get(URL, timeout=(1, 7))
    assert adapter.timeouts == [(1, 7)]


def test_the_retries_of_an_adapter_are_switched_off_on_a_copy() -> None:
    given = Recording(503, 503, 200, max_retries=Retry(5, status_forcelist=[503]))
    session = session_over(given, retry_on_category(attempts=2))
    mounted = session.get_adapter(URL)
    assert isinstance(mounted, Recording) and mounted.max_retries.total == 0
    assert given.max_retries.total == 5, "the user's adapter is left as it is"
    assert mounted.poolmanager is given.poolmanager
    assert "the adapter of http:// no longer retries by itself" in str(protection_of(session))


def test_an_adapter_that_is_mounted_later_is_guarded_as_well() -> None:
    session = protect(requests.Session(), retry_on_category())
    adapter = Recording(503, 200, max_retries=Retry(5))
    session.mount("http://shelf.example", adapter)
    mounted = session.get_adapter(URL)
    assert isinstance(mounted, Recording) and mounted.max_retries.total == 0
    assert session.get(URL).status_code == 200
    assert "the adapter of http://shelf.example no longer retries" in str(protection_of(session))


def test_a_session_carries_its_guard_where_it_is_pickled() -> None:
    session = protect(requests.Session(), retry_on_category(attempts=2), deadline(5))
    session.headers["X-Shop"] = "lamps"
    for _ in range(2):  # what was pickled can be pickled
        session = pickle.loads(pickle.dumps(session))
    assert type(session) is requests.Session and session.headers["X-Shop"] == "lamps"
    assert [str(policy).partition("(")[0] for policy in protection_of(session).policies] == [
        "retry_on_category",
        "deadline",
    ]
    adapter = Recording(503, 200)
    session.mount("http://", adapter)
    assert session.get(URL).status_code == 200


def test_the_standard_stack_is_made_anew_for_a_session_that_was_pickled() -> None:
    session = pickle.loads(pickle.dumps(protect(requests.Session())))
    text = str(protection_of(session))
    assert text.startswith("deadline(10)") and "circuit_breaker('requests" in text
    session.mount("http://", Recording(503, 200))
    assert session.get(URL).status_code == 200


def test_a_deep_copy_is_guarded_by_itself() -> None:
    session = protect(requests.Session(), retry_on_category(attempts=2))
    copied = copy.deepcopy(session)
    copied.mount("http://", Recording(503, 200))
    assert copied.get(URL).status_code == 200
    assert session.adapters["http://"] is not copied.adapters["http://"]


def test_a_circuit_belongs_to_its_process_and_is_not_pickled() -> None:
    session = protect(requests.Session(), circuit_breaker("test_requests: pickled"))
    with pytest.raises(TypeError, match="belong to one process"):
        pickle.dumps(session)


def test_options_of_a_block_are_those_of_its_calls() -> None:
    adapter = Recording(503, 200, 503, 503)
    session = session_over(adapter, retry_on_category())
    with request_options(idempotent=True, deadline=3):
        assert session.post(URL).status_code == 200
    assert session.post(URL).status_code == 503
    with request_options(enabled=False):
        assert session.get(URL).status_code == 503
    first, *_, last = adapter.timeouts
    assert isinstance(first, Timeout) and 0 < first.total <= 3
    assert last is None


def test_responses_works_over_a_protected_session() -> None:
    session = protect(requests.Session(), retry_on_category())
    with responses.RequestsMock() as mock:
        mock.get(URL, status=503)
        mock.get(URL, json={"name": "brass lamp"})
        assert session.get(URL).json() == {"name": "brass lamp"}
        assert len(mock.calls) == 2


def test_a_request_that_the_caller_has_prepared_stays_as_it_is() -> None:
    session = session_over(Recording(503, 200), deadline(5), retry_on_category(), send_deadline("x-left-ms"))
    prepared = session.prepare_request(requests.Request("GET", URL))
    response = session.send(prepared)
    assert 0 < int(response.request.headers["x-left-ms"]) <= 5000
    assert "x-left-ms" not in prepared.headers


def test_the_policy_that_sends_the_deadline_is_pickled_with_the_session() -> None:
    session = pickle.loads(pickle.dumps(protect(requests.Session(), deadline(5), send_deadline("x-left-ms"))))
    session.mount("http://", Recording(200))
    assert "x-left-ms" in session.get(URL).request.headers


def test_inspection_tells_of_retries_time_limits_and_pools() -> None:
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=2, pool_maxsize=2, pool_block=True))
    text = str(inspect_client(session))
    assert "the adapter of http:// retries" in text and "waits for ever" in text
    assert "at most 2 connections for each host; a call waits for one" in text
    assert inspect_client(session).calls == 3
    assert inspect_client(protect(session, retry_on_category(attempts=3))).calls == 3


def test_a_session_without_a_time_limit_around_it_is_a_problem() -> None:
    (problem,) = inspect_client(requests.Session()).warnings
    assert str(problem) == "time_limit: requests waits for ever where a call has no timeout="
    assert len(inspect_client(protect(requests.Session(), retry_on_category())).warnings) == 1
    assert inspect_client(protect(requests.Session(), deadline(5))).warnings == []
