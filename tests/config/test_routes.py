"""Routes say which policies are for which request: the most specific one."""

from __future__ import annotations

import pytest

from resilience.config import ConfigurationError, Policies

ROUTES = [
    ("*", "default"),
    ("*.internal", "internal"),
    ("catalogue.internal", "catalogue"),
    ("catalogue.internal/items/*", "items"),
    ("GET catalogue.internal/items/*", "read items"),
    ("catalogue.internal/items/search", "search"),
]


def policies_with(routes: list[tuple[str, str]]) -> Policies:
    names = {policy: {"retry": 2} for _, policy in ROUTES}
    listed = [{"match": match, "policy": policy} for match, policy in routes]
    return Policies.load({"policies": names, "routes": listed}, environment={})


@pytest.mark.parametrize(
    ("method", "url", "policy"),
    [
        ("GET", "https://elsewhere.example/", "default"),
        ("GET", "https://stock.internal/a", "internal"),
        ("GET", "https://catalogue.internal", "catalogue"),
        ("POST", "https://catalogue.internal:8080/orders", "catalogue"),
        ("POST", "https://catalogue.internal/items/3", "items"),
        ("get", "https://CATALOGUE.internal/items/3?x=1", "read items"),
        ("POST", "https://catalogue.internal/items/search", "search"),
        ("GET", "catalogue.internal/items/search/deep", "search"),
    ],
)
def test_the_most_specific_route_wins_in_any_order(method: str, url: str, policy: str):
    assert policies_with(ROUTES).route(method, url) == policy
    assert policies_with(ROUTES[::-1]).route(method, url) == policy


def test_a_request_without_a_route_has_no_policies():
    assert policies_with(ROUTES[1:]).route("GET", "https://elsewhere.example/") is None


@pytest.mark.parametrize("match", ["", "GET", "GET a b c", "/items", "[catalogue", "GET http://]x"])
def test_a_route_that_cannot_be_meant_is_refused(match: str):
    with pytest.raises(ConfigurationError, match="routes: match = "):
        policies_with([(match, "default")])


def test_a_route_to_a_name_that_there_is_not_is_refused():
    with pytest.raises(ConfigurationError, match="no such policy; did you mean 'catalogue'"):
        policies_with([("*", "catalog")])


@pytest.mark.parametrize("route", [{"match": "*"}, {"match": "*", "policy": 3}, {"match": "*", "policy": "a", "x": 1}])
def test_a_route_says_match_and_policy_and_nothing_else(route: dict[str, object]):
    with pytest.raises(ConfigurationError, match=r"routes\.1 = "):
        Policies.load({"policies": {"a": {"retry": 2}}, "routes": [route]}, environment={})
