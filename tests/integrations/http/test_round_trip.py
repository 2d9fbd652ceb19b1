"""An exception, FastAPI under uvicorn, httpx, and the same exception again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from resilience import ErrorCategory as C
from resilience import retry_on_category
from resilience.contrib import executor, service
from resilience.errors import (
    AdaptiveLimitError,
    BulkheadFullError,
    CallTimeoutError,
    DeadlineExceededError,
    ResilienceError,
    RetriesExhaustedError,
    ThreadNotStartedError,
    ThrottledError,
    TooManyAbandonedError,
)
from resilience.errors.circuit import CircuitOpenError
from resilience.integrations.http import install, raise_for_problem
from resilience.testing import no_waits
from tests.integrations.http.serving import serving


class ShopClosed(ResilienceError, code="HTTPR-E001", category="unavailable"):
    def __init__(self, until: int) -> None:
        super().__init__("closed", details={"until": until}, retry_after=until)
        self.until = until


BY_CATEGORY: dict[str, Exception] = {leaf.label: ResilienceError("m", category=leaf) for leaf in C}
CODED: dict[str, Exception] = {
    "shop": ShopClosed(7),
    "call": CallTimeoutError("shop.search", 2.0),
    "deadline": DeadlineExceededError("shop.search"),
    "exhausted": RetriesExhaustedError("shop.search", 3, "attempts", 0.25),
    "abandoned": TooManyAbandonedError("shop.search", 256),
    "abandoned by target": TooManyAbandonedError("shop.search", 64, "target"),
    "no thread": ThreadNotStartedError("shop.search", "can't start new thread"),
    "adaptive limit": AdaptiveLimitError("stock", 20, 40, "its queue is full", 0.5),
    "bulkhead": BulkheadFullError("stock", 20, 40, "its queue is full", 0.5),
    "throttled": ThrottledError("payments", 0.4, 0.8),
    "open": CircuitOpenError("billing", 12.4),
    "shed": CircuitOpenError("billing", 1.0, shed=0.25),
    "task": service.TaskNotFoundError("t-7"),
    "rate": service.RateLimitError(100, 60, 0),
    "llm": service.LLMAPIError("openai", 503),
    "late": service.TimeoutError("plan", 30),
    "arm": service.ArmUnavailableError(["see"]),
    "container": executor.ContainerConnectivityError("m", "localhost", 8888),
    "code": executor.CodeSyntaxError("m", ["line 1"]),
}
ALL = BY_CATEGORY | CODED
FOREIGN: dict[str, tuple[Exception, C]] = {
    "timeout": (TimeoutError("m"), C.TIMEOUT),
    "reset": (ConnectionResetError("m"), C.NETWORK),
    "bug": (KeyError("m"), C.UNKNOWN),
    "file": (FileNotFoundError("m"), C.INTERNAL),
}

calls: Counter[str] = Counter()


def inner(style: str) -> FastAPI:
    app = FastAPI()
    install(app, format=style)

    @app.get("/ours/{name}")
    async def ours(name: str) -> None:
        calls[name] += 1
        raise ALL[name]

    @app.get("/foreign/{name}")
    def foreign(name: str) -> None:
        raise FOREIGN[name][0]

    return app


@pytest.fixture(scope="module", params=["problem", "service"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with serving(inner(request.param)) as client:
        yield client


@pytest.mark.parametrize("name", ALL)
def test_the_same_error_arrives(name: str, client: httpx.Client):
    sent = ALL[name]
    with pytest.raises(ResilienceError) as raised:
        raise_for_problem(client.get(f"/ours/{name}"))
    found = raised.value
    assert type(found) is type(sent)
    assert (found.category, found.code, found.retry_after) == (sent.category, sent.code, sent.retry_after)
    assert isinstance(str(found), str)
    assert isinstance(found, TimeoutError) == isinstance(sent, TimeoutError)


@pytest.mark.parametrize("name", FOREIGN)
def test_of_a_foreign_exception_its_category_arrives(name: str, client: httpx.Client):
    with pytest.raises(ResilienceError) as raised:
        raise_for_problem(client.get(f"/foreign/{name}"))
    assert (type(raised.value), raised.value.category) == (ResilienceError, FOREIGN[name][1])


@pytest.mark.parametrize("name", ALL)
def test_a_retry_at_the_client_retries_what_is_transient_and_nothing_else(name: str, client: httpx.Client):
    @retry_on_category(attempts=3)
    def get() -> httpx.Response:
        return raise_for_problem(client.get(f"/ours/{name}"))

    calls.clear()
    with no_waits(), pytest.raises(type(ALL[name])):
        get()
    assert calls[name] == (3 if ALL[name].category in C.TRANSIENT else 1)
