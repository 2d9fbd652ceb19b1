"""Idempotency by the request itself: the failure says what was sent, before names and arguments do."""

from __future__ import annotations

import logging
import pathlib
import warnings
from collections.abc import Callable, Iterator

import aiohttp
import anyio
import httpx
import openai
import pytest
import requests
from yarl import URL as YarlURL

from resilience import RetryBudget, StopReason, by_method, circuit_breaker, retry_on_category, retrying, settings
from resilience._runtime.protocol import Call
from resilience.policies import idempotency
from resilience.testing import no_waits
from tests.runners import Runner

URL = "https://shop.example/orders"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Let each test see its first warning, and leave the setting as it was."""
    idempotency.REPEATED_POST.forget()
    before = settings.repeat_posts(None)
    yield
    settings.repeat_posts(before)


class Shop:
    """A service whose answers get lost, or are as *answer* says; it counts the requests that reach it."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response] | None = None) -> None:
        self.sent: list[str] = []
        self.answer = answer
        self.client = httpx.Client(transport=httpx.MockTransport(self.handle), follow_redirects=True)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request.method)
        if self.answer is None:
            raise httpx.ReadTimeout("no answer", request=request)
        return self.answer(request)

    def times(self, guarded: Callable[[], object]) -> int:
        """Return how many requests a call makes that fails."""
        self.sent.clear()
        with no_waits(), pytest.raises(Exception, match="."):
            guarded()
        return len(self.sent)


def calls_of(shop: Shop, method: str, **options: object) -> Callable[[], object]:
    """Return a guarded function whose name and arguments say nothing of the request in it."""

    @retry_on_category(attempts=3, **options)
    def checkout() -> httpx.Response:
        return shop.client.request(method, URL).raise_for_status()

    return checkout


# -- by_method ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "calls"), [("GET", 3), ("PUT", 3), ("DELETE", 3), ("POST", 1), ("PATCH", 1)])
def test_by_method_reads_the_request_of_the_failure(method: str, calls: int):
    shop = Shop()
    assert shop.times(calls_of(shop, method, idempotent=by_method)) == calls


def test_the_request_of_the_failure_goes_before_the_name_of_the_function_and_the_arguments():
    shop = Shop()

    @retry_on_category(attempts=3, idempotent=by_method)
    def get(method: str = "GET") -> httpx.Response:
        return shop.client.post(URL)

    @retry_on_category(attempts=3, idempotent=by_method)
    def post(method: str = "POST") -> httpx.Response:
        return shop.client.get(URL)

    assert (shop.times(get), shop.times(post)) == (1, 3)


def test_a_key_in_the_request_of_the_failure_is_found():
    shop = Shop()

    @retry_on_category(attempts=3, idempotent=by_method)
    def checkout() -> httpx.Response:
        return shop.client.post(URL, headers={"Idempotency-Key": "8e03978e"})

    assert shop.times(checkout) == 3


def test_a_request_that_follows_a_redirect_says_nothing_of_the_one_before():
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(303, headers={"Location": f"{URL}/1"})
        raise httpx.ReadTimeout("no answer", request=request)

    shop = Shop(answer)
    assert shop.times(calls_of(shop, "POST", idempotent=by_method)) == 2
    assert shop.sent == ["POST", "GET"]
    shop = Shop(lambda request: httpx.Response(303 if request.method == "POST" else 503, headers={"Location": URL}))
    assert shop.times(calls_of(shop, "POST", idempotent=by_method)) == 2
    assert shop.sent == ["POST", "GET"]


def test_an_error_of_the_program_is_asked_for_its_cause():
    shop = Shop()

    class StoreDownError(ConnectionError): ...

    def guarded(method: str) -> Callable[[], object]:
        @retry_on_category(attempts=3, idempotent=by_method)
        def checkout() -> object:
            try:
                return shop.client.request(method, URL)
            except httpx.HTTPError as error:
                raise StoreDownError from error

        return checkout

    assert (shop.times(guarded("GET")), shop.times(guarded("POST"))) == (3, 1)


def test_a_loop_takes_by_method(runner: Runner):
    shop = Shop()

    def sync(method: str) -> None:
        for attempt in retrying(attempts=3, base_delay=0, idempotent=by_method):
            with attempt:
                shop.client.request(method, URL)

    async def asynchronous(method: str) -> None:
        async for attempt in retrying(attempts=3, base_delay=0, idempotent=by_method):
            with attempt:
                shop.client.request(method, URL)

    def run(method: str) -> object:
        return runner.run(lambda: sync(method), lambda: asynchronous(method))

    assert (shop.times(lambda: run("GET")), shop.times(lambda: run("POST"))) == (3, 1)
    with pytest.raises(TypeError, match="a block has no result and no arguments"):
        retrying(idempotent=lambda: True)


POST = httpx.Request("POST", URL)
CARRIERS = {
    "httpx": lambda: httpx.ReadTimeout("x", request=POST),
    "httpx, by its answer": lambda: httpx.HTTPStatusError("x", request=POST, response=httpx.Response(500)),
    "requests": lambda: requests.ReadTimeout("x", request=requests.Request("POST", URL).prepare()),
    "openai": lambda: openai.APITimeoutError(POST),
    "aiohttp": lambda: aiohttp.ClientResponseError(
        aiohttp.RequestInfo(YarlURL(URL), "POST", {}, YarlURL(URL)), (), status=500
    ),
    "a group": lambda: ExceptionGroup("both", [httpx.ReadTimeout("x", request=POST)]),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_request_is_found_on_the_errors_of_each_client(carrier: str):
    assert idempotency.repeated_post(CARRIERS[carrier]()) == "POST"
    assert by_method(Call("get", print, ("GET",)), CARRIERS[carrier]()) is False


def test_a_group_of_which_a_member_carries_no_request_says_nothing():
    group = ExceptionGroup("both", [httpx.ReadTimeout("x", request=POST), TimeoutError()])
    assert idempotency.repeated_post(group) is None


@pytest.mark.parametrize("failure", [None, "text", 503, TimeoutError(), httpx.ReadTimeout("no request"), KeyError("a")])
def test_a_failure_without_a_request_says_nothing(failure: object):
    assert idempotency.repeated_post(failure) is None
    assert by_method(Call("load", print), failure) is False


# -- the default: one warning ---------------------------------------------------------------------------------------


def test_a_post_that_may_have_arrived_is_repeated_by_default_with_one_warning():
    shop = Shop()
    checkout = calls_of(shop, "POST")
    with pytest.warns(RuntimeWarning, match=r"checkout failed in a POST .* retried.*by_method.*repeat_posts") as caught:
        assert shop.times(checkout) == 3
    assert len(caught) == 1
    assert pathlib.Path(caught[0].filename).name == pathlib.Path(__file__).name
    assert shop.times(checkout) == 3  # warnings are errors here


def test_an_answered_5xx_warns_as_well_but_for_a_503_that_asks_to_come_back():
    for status, headers, warned in [(500, {}, True), (503, {}, True), (503, {"Retry-After": "1"}, False)]:
        shop = Shop(lambda request: httpx.Response(status, headers=headers))
        idempotency.REPEATED_POST.forget()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert shop.times(calls_of(shop, "POST")) == 3
        assert bool(caught) is warned, status


def test_a_response_that_is_tried_again_warns_as_well():
    shop = Shop(lambda request: httpx.Response(500))

    @retry_on_category(attempts=2, retry_if_result=lambda response: response.status_code == 500)
    def checkout() -> httpx.Response:
        return shop.client.post(URL)

    with pytest.warns(RuntimeWarning, match="checkout failed in a POST"), no_waits():
        checkout()
    assert len(shop.sent) == 2


@pytest.mark.parametrize("connects", [False, True])
def test_async_calls_warn_too_where_it_may_have_arrived(backend: str, connects: bool):
    shop = Shop()

    def refuse(request: httpx.Request) -> httpx.Response:
        shop.sent.append(request.method)
        raise (httpx.ReadTimeout if connects else httpx.ConnectTimeout)("no answer", request=request)

    @retry_on_category(attempts=3, base_delay=0)
    async def checkout() -> object:
        async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
            return await client.post(URL)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert shop.times(lambda: anyio.run(checkout, backend=backend)) == 3
    assert len(caught) == connects


@pytest.mark.parametrize(
    ("method", "options"),
    [("GET", {}), ("POST", {"idempotent": True}), ("POST", {"idempotent": False}), ("POST", {"idempotent": by_method})],
)
def test_nothing_is_said_where_nothing_is_in_doubt(method: str, options: dict[str, object]):
    shop = Shop()
    shop.times(calls_of(shop, method, **options))  # warnings are errors here


def test_nothing_is_said_of_the_last_attempt():
    shop = Shop()

    @retry_on_category(attempts=1)
    def checkout() -> object:
        return shop.client.post(URL)

    assert shop.times(checkout) == 1


def test_with_warnings_as_errors_the_post_is_not_repeated_and_nothing_is_paid():
    shop, budget = Shop(), RetryBudget("posts")
    breaker = circuit_breaker("posts", failure_threshold=9)
    checkout = breaker(calls_of(shop, "POST", budget=budget))
    for _ in range(2):
        with pytest.raises(RuntimeWarning, match="checkout failed in a POST"):
            checkout()
    assert (shop.sent, budget.left()) == (["POST", "POST"], 500)


def test_a_log_handler_that_raises_for_the_warning_changes_nothing():
    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    shop, handler = Shop(), Raising()
    logging.getLogger("py.warnings").addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=True)
            assert shop.times(calls_of(shop, "POST")) == 3
    finally:
        logging.captureWarnings(capture=False)
        logging.getLogger("py.warnings").removeHandler(handler)


# -- one line for a whole program -----------------------------------------------------------------------------------


def test_one_line_keeps_a_whole_program_from_repeating_posts():
    assert settings.repeat_posts(False) is None
    shop = Shop()
    assert shop.times(calls_of(shop, "GET")) == 3
    assert shop.times(calls_of(shop, "POST", idempotent=True)) == 3
    checkout = calls_of(shop, "POST")
    assert shop.times(checkout) == 1
    with pytest.raises(httpx.ReadTimeout) as caught:
        checkout()
    assert caught.value.resilience.reason is StopReason.NOT_IDEMPOTENT


def test_what_is_no_request_or_never_arrived_is_retried_all_the_same():
    settings.repeat_posts(False)
    calls = 0

    @retry_on_category(attempts=3, base_delay=0)
    def query() -> None:
        nonlocal calls
        calls += 1
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        query()
    assert calls == 3

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    shop = Shop(refuse)
    assert shop.times(calls_of(shop, "POST")) == 3


def test_a_program_may_say_that_posts_may_be_repeated():
    settings.repeat_posts(True)
    shop = Shop()
    assert shop.times(calls_of(shop, "POST")) == 3  # warnings are errors here
    assert settings.repeat_posts(None) is True


@pytest.mark.parametrize("wrong", [0, "no", by_method])
def test_the_setting_takes_true_false_or_none(wrong: object):
    with pytest.raises(TypeError, match="allowed="):
        settings.repeat_posts(wrong)
