"""Descriptions of functions and of classes, as `describe` makes them."""

from __future__ import annotations

import functools

import pytest

from resilience import ClassDescription, Pipeline, circuit_breaker, describe, retry_on_category, timeout


class Client:
    """A client of which everything is a request, but for `close`."""

    def __init__(self) -> None:
        self.base = "http://catalogue"

    def get(self) -> str:
        return self.base

    def post(self) -> str:
        return self.base

    @staticmethod
    def ping() -> None: ...

    @classmethod
    def version(cls) -> str:
        return cls.__name__

    @functools.singledispatchmethod
    def send(self, what: object) -> object:
        return what

    async def stream(self) -> None: ...

    def close(self) -> None: ...

    def _prepare(self) -> None: ...

    @property
    def name(self) -> str:
        return self.base


def test_a_class_is_described_by_its_guarded_methods_and_the_names_of_the_others():
    @circuit_breaker("described by methods")
    class Guarded(Client): ...

    description = describe(Guarded)
    assert isinstance(description, ClassDescription)
    assert [*description.methods] == ["get", "ping", "post", "send", "stream", "version"]
    assert description.unguarded == ("close",)
    assert description.methods["get"] == describe(Guarded.get)


def test_methods_of_one_stack_are_shown_together():
    retry = retry_on_category("timeout", attempts=2, base_delay=0.1, jitter="none")

    @retry_on_category("network", attempts=2, base_delay=0.1, jitter="none", only=["put"])
    class Shelf:
        @retry
        def get(self) -> None: ...
        @retry
        def find(self) -> None: ...
        def put(self) -> None: ...
        def drop(self) -> None: ...

    worst = (
        "worst case: 2 calls, 0.1 s of waiting and what the calls take"
        " (up to 66 s per wait if the server sends Retry-After)"
    )
    assert str(describe(Shelf)).splitlines() == [
        f"{__name__}.{Shelf.__qualname__}",
        "  retry_on_category(timeout, attempts=2, base_delay=0.1, max_delay=60, jitter=none)",
        "    find, get",
        f"  {worst}",
        "  retry_on_category(network, attempts=2, base_delay=0.1, max_delay=60, jitter=none)",
        "    put",
        f"  {worst}",
        "  not guarded: drop",
    ]


def test_a_class_without_policies_has_no_guarded_method():
    assert describe(Client).methods == {}
    assert str(describe(Client)) == f"{__name__}.Client\n  not guarded: close, get, ping, post, send, stream, version"


def test_of_a_class_without_methods_its_name_is_all():
    class Nothing: ...

    assert str(describe(Nothing)) == f"{__name__}.{Nothing.__qualname__}"


def test_an_inherited_method_that_is_guarded_on_the_base_is_described_as_there():
    @circuit_breaker("described on the base")
    class Base:
        def get(self) -> None: ...

    class Derived(Base):
        def put(self) -> None: ...

    assert [*describe(Derived).methods] == ["get"]
    assert describe(Derived).unguarded == ("put",)


def test_what_cannot_be_called_has_no_description():
    with pytest.raises(TypeError, match=r"describe\(5\): give a function, a method or a class"):
        describe(5)


@pytest.mark.parametrize("policy", [retry_on_category("network"), timeout(2), circuit_breaker("described")])
def test_the_description_of_a_policy_or_a_pipeline_is_that_of_a_function_it_will_guard(policy):
    def function() -> None: ...

    for described in (policy, Pipeline(policy)):
        assert describe(described).policies == describe(described(function)).policies
        assert describe(described).worst == describe(described(function)).worst
        assert "a function" in str(describe(described))
