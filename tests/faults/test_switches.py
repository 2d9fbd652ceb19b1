"""Switches of chaos: flags, headers of requests, and configuration that is reloaded."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from resilience import chaos, fallback
from resilience.config import ConfigurationError, Policies
from resilience.faults import flag, header, served_headers
from resilience.integrations.chaos import ChaosMiddleware, WsgiChaosMiddleware
from resilience.testing import virtual_time

SECRET = "a1b2"


class Flags:
    """A client of OpenFeature, as far as switches need one."""

    def __init__(self) -> None:
        self.on: set[str] = set()

    def get_boolean_value(self, flag_key: str, default_value: bool) -> bool:
        return flag_key in self.on or default_value


@pytest.fixture
def price() -> Callable[[], str]:
    @fallback(default="none")
    @chaos(category="network", enabled=header("x-chaos", SECRET))
    def price() -> str:
        return "12.50"

    return price


def test_a_flag_is_asked_at_each_call():
    flags = Flags()

    @fallback(default="none")
    @chaos(category="network", enabled=flag("chaos.price", flags))
    def price() -> str:
        return "12.50"

    assert price() == "12.50"
    flags.on.add("chaos.price")
    assert price() == "none"
    flags.on.clear()
    assert price() == "12.50"


def test_the_client_of_openfeature_is_taken_where_none_is_given(monkeypatch: pytest.MonkeyPatch):
    openfeature = pytest.importorskip("openfeature.api")
    provider = pytest.importorskip("openfeature.provider.in_memory_provider")
    on = provider.InMemoryFlag("on", {"on": True, "off": False})
    openfeature.set_provider(provider.InMemoryProvider({"chaos.price": on}))
    assert flag("chaos.price")()
    assert not flag("chaos.other")()


def test_a_request_with_the_header_and_its_value_gets_faults(price: Callable[[], str]):
    assert price() == "12.50"
    with served_headers([("X-Chaos", SECRET)]):
        assert price() == "none"
    for wrong in ([("x-chaos", "guess")], [("x-other", SECRET)], [], [("x-chaos", "a1b2é")]):
        with served_headers(wrong):
            assert price() == "12.50"
    assert price() == "12.50"


def test_requests_that_are_served_at_once_have_headers_of_their_own(price: Callable[[], str]):
    async def shop(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await send(price())

    async def request(headers: list[tuple[bytes, bytes]]) -> list[str]:
        sent: list[str] = []

        async def send(message: Any) -> None:
            sent.append(message)

        app: Any = ChaosMiddleware(shop, header="X-Chaos")
        await app({"type": "http", "headers": headers}, None, send)
        return sent

    async def main() -> list[list[str]]:
        with_header = [(b"host", b"shop"), (b"x-chaos", SECRET.encode())]
        return await asyncio.gather(*(request(with_header if number % 2 else []) for number in range(20)))

    assert asyncio.run(main()) == [["none"] if number % 2 else ["12.50"] for number in range(20)]


def test_a_wsgi_answer_has_the_header_in_force_for_each_piece(price: Callable[[], str]):
    closed: list[str] = []

    class Answer:
        def __iter__(self) -> Iterator[bytes]:
            yield price().encode()

        def close(self) -> None:
            closed.append(price())

    def shop(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Answer()

    app = WsgiChaosMiddleware(shop, header="x-chaos")
    answer: Any = app({"HTTP_X_CHAOS": SECRET}, lambda *_: None)
    assert list(answer) == [b"none"]
    answer.close()
    assert closed == ["none"]
    assert list(app({}, lambda *_: None)) == [b"12.50"]
    assert price() == "12.50"


def test_a_wsgi_generator_is_closed_too():
    def shop(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return [b"a"]

    answer: Any = WsgiChaosMiddleware(shop, header="x-chaos")({"HTTP_X_CHAOS": "1"}, None)
    answer.close()
    assert list(answer) == [b"a"]


@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        (lambda: flag(""), ValueError, "key=''"),
        (lambda: flag(b"x"), TypeError, "key="),
        (lambda: flag("x", default=1), TypeError, "default=1"),
        (lambda: header("", "x"), ValueError, "name=''"),
        (lambda: header("x", ""), ValueError, "value=''"),
        (lambda: header("x", 1), TypeError, "value=1"),
        (lambda: ChaosMiddleware(None, header="x y"), ValueError, "header='x y'"),
        (lambda: WsgiChaosMiddleware(None, header=b"x"), TypeError, "header="),
    ],
    ids=["key", "bytes", "default", "name", "value", "number", "asgi", "wsgi"],
)
def test_invalid_switches_are_refused(wrong: Callable[[], object], kind: type[Exception], says: str):
    with pytest.raises(kind, match=says):
        wrong()


# -- configuration -----------------------------------------------------------------------------------------------------


def write(path: pathlib.Path, text: str) -> Policies:
    path.write_text(text, "utf-8")
    return Policies.load(path)


def test_a_configuration_switches_chaos_without_a_restart(tmp_path: pathlib.Path):
    path = tmp_path / "resilience.toml"
    text = '[policies.price]\nfallback = "none"\nretry = 1\nchaos = {category = "network", enabled = %s}\n'
    policies = write(path, text % "false")

    @policies["price"]
    def price() -> str:
        return "12.50"

    assert price() == "12.50"
    path.write_text(text % "true", "utf-8")
    policies.reload()
    assert price() == "none"
    path.write_text(text % "false", "utf-8")
    policies.reload()
    assert price() == "12.50"


@pytest.mark.parametrize(
    ("latency", "seconds"),
    [('"2s"', 2), ("{low = 3, high = 3}", 3), ('{p50 = "1s", p99 = "1s"}', 1)],
    ids=["fixed", "uniform", "lognormal"],
)
def test_a_configuration_has_latency(tmp_path: pathlib.Path, latency: str, seconds: float):
    policies = write(tmp_path / "resilience.toml", f"[policies.price]\nchaos = {{latency = {latency}}}\n")
    with virtual_time() as clock:
        assert policies["price"].call(str, "12.50") == "12.50"
        assert clock.now() == seconds


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("{latency = {p50 = 1}}", "p50 = '40ms'"),
        ("{latency = {p50 = 2, p99 = 1}}", "p99"),
        ('{category = "network", rate = 2}', "rate"),
        ("{rate = 0.5}", "category="),
        ('{category = "network", enabled = "yes"}', "true or false"),
        ('{category = "network", when = "x"}', "when"),
    ],
    ids=["latency", "order", "rate", "nothing", "enabled", "when"],
)
def test_a_configuration_with_a_mistake_is_refused(tmp_path: pathlib.Path, options: str, says: str):
    with pytest.raises(ConfigurationError, match=says):
        write(tmp_path / "resilience.toml", f"[policies.price]\nchaos = {options}\n")["price"]
