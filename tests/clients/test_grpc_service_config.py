"""Policies as the service config of gRPC: its JSON, and what gRPC itself makes of it."""

from __future__ import annotations

import json

import grpc
import pytest

from resilience import RetryBudget, bulkhead, deadline, hedge, retry_on_category
from resilience.clients.grpc import service_config
from tests.clients.grpc_server import Busy, Code, Shop, serving

REPEATABLE = {"attempts": 4, "base_delay": 0.01, "max_delay": 1, "idempotent": True}


def method(*policies: object, **options: object) -> dict[str, object]:
    (found,) = json.loads(service_config(*policies, **options))["methodConfig"]
    return found


def test_the_config_of_a_retry():
    assert method(retry_on_category(**REPEATABLE)) == {
        "name": [{}],
        "retryPolicy": {
            "maxAttempts": 4,
            "initialBackoff": "0.01s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2.0,
            "retryableStatusCodes": ["DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE"],
        },
    }


@pytest.mark.parametrize("idempotent", [None, False])
def test_without_a_word_on_repetition_only_certain_rejections_are_retried(idempotent: bool | None):
    policy = method(retry_on_category(attempts=3, idempotent=idempotent))["retryPolicy"]
    assert policy["retryableStatusCodes"] == ["RESOURCE_EXHAUSTED"]
    assert policy["initialBackoff"] == "1s"  # the category's own


def test_the_categories_of_the_retry_choose_the_statuses():
    policy = method(retry_on_category("unavailable", **REPEATABLE))["retryPolicy"]
    assert policy["retryableStatusCodes"] == ["UNAVAILABLE"]


def test_grpc_makes_five_attempts_at_most():
    assert method(retry_on_category(**{**REPEATABLE, "attempts": 9}))["retryPolicy"]["maxAttempts"] == 5


def test_a_budget_is_the_throttling():
    budget = RetryBudget(tokens=140, reserve=0)
    config = json.loads(service_config(retry_on_category("timeout", budget=budget, **REPEATABLE)))
    assert config["retryThrottling"] == {"maxTokens": 20, "tokenRatio": 0.071}  # ten retries at 14 tokens


def test_a_deadline_is_the_timeout():
    assert method(deadline(2.5))["timeout"] == "2.5s"


def test_a_hedge():
    assert method(hedge(0.25, copies=2))["hedgingPolicy"] == {
        "maxAttempts": 3,
        "hedgingDelay": "0.25s",
        "nonFatalStatusCodes": ["DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE"],
    }


def test_the_services_and_methods_it_is_for():
    names = method(deadline(1), services=["shop.Catalogue", "/shop.Orders/Place"])["name"]
    assert names == [{"service": "shop.Catalogue"}, {"service": "shop.Orders", "method": "Place"}]


@pytest.mark.parametrize(
    ("policies", "error", "message"),
    [
        ([bulkhead("test_grpc_service_config", 5)], TypeError, "gRPC has deadlines, retries and hedges"),
        ([print], TypeError, "give policies"),
        ([retry_on_category(attempts=3, idempotent=True), hedge(0.1)], TypeError, "one of the two"),
        ([retry_on_category("timeout", attempts=3)], ValueError, "retries no status"),
        ([retry_on_category(attempts=1, idempotent=True)], ValueError, "one attempt"),
        ([hedge("p95")], ValueError, "give seconds"),
    ],
    ids=["bulkhead", "function", "both", "no status", "one attempt", "quantile"],
)
def test_what_grpc_cannot_do_is_refused(policies: list[object], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        service_config(*policies)


@pytest.mark.parametrize(("idempotent", "calls"), [(True, 3), (False, 1)])
def test_grpc_retries_by_the_config(idempotent: bool, calls: int):
    shop = Shop(Busy(Code.UNAVAILABLE, messages=0), Busy(Code.UNAVAILABLE, messages=0), "ok")
    config = service_config(retry_on_category(**{**REPEATABLE, "idempotent": idempotent}))
    options = [("grpc.service_config", config)]
    with serving(shop) as address, grpc.insecure_channel(address, options=options) as channel:
        try:
            channel.unary_unary("/shop/unary_unary")(b"a")
        except grpc.RpcError as error:
            assert error.code() is Code.UNAVAILABLE
    assert len(shop.calls) == calls
