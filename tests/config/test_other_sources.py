"""Configurations that come from models of pydantic and from feature flags."""

from __future__ import annotations

import queue

import pytest

from resilience import subscribe
from resilience.config import ConfigurationError, Policies
from resilience.events import Event

FILE = {"policies": {"shop": {"retry": 3, "timeout": "2s"}}}


def test_layers_win_over_the_environment_and_are_asked_at_each_reload():
    values = {"policies": {"shop": {"retry": 5}}}

    def from_the_database() -> dict[str, object]:
        return values

    environment = {"RESILIENCE__POLICIES__SHOP__RETRY__ATTEMPTS": "4"}
    policies = Policies.load(FILE, environment=environment, layers=[from_the_database])
    assert policies.value("shop", "retry.attempts") == 5
    assert policies.origin("shop", "retry.attempts") == "from_the_database"
    assert policies.value("shop", "timeout") == 2.0
    values.clear()
    policies.reload()
    assert policies.value("shop", "retry.attempts") == 4
    policies.set("shop", "retry", 2)
    assert policies.value("shop", "retry.attempts") == 2


def test_a_layer_that_says_something_invalid_is_named():
    def from_the_database() -> dict[str, object]:
        return {"policies": {"shop": {"retry": -1}}}

    with pytest.raises(ConfigurationError, match=r"from_the_database: policies\.shop\.retry"):
        Policies.load(FILE, environment={}, layers=[from_the_database])


def test_a_model_of_pydantic_settings_is_a_source():
    settings = pytest.importorskip("pydantic_settings")

    class ShopSettings(settings.BaseSettings):
        policies: dict[str, dict[str, object]] = {}
        unrelated: str = "not given, so not said"

    policies = Policies.load(ShopSettings(policies=FILE["policies"]), environment={})
    assert policies.value("shop", "retry.attempts") == 3
    assert policies.origin("shop", "retry.attempts").endswith("ShopSettings")


def test_a_flag_of_openfeature_changes_the_policies():
    pytest.importorskip("openfeature")
    from openfeature import api
    from openfeature.event import ProviderEventDetails
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    from resilience.config.openfeature import flag_layer, reload_on_change

    def flags(**shop: object) -> dict[str, InMemoryFlag]:
        return {"resilience": InMemoryFlag("on", {"on": {"policies": {"shop": shop}}})}

    provider = InMemoryProvider(flags(retry=5))
    api.set_provider(provider)
    seen: queue.Queue[str] = queue.Queue()

    def listen(event: Event) -> None:
        seen.put(event.name)

    def changed(**shop: object) -> str:
        """Turn the flag, and return the event that follows, which the SDK may emit in another thread."""
        provider._flags = flags(**shop)
        provider.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=["resilience"]))
        return seen.get(timeout=60)

    undo = subscribe(listen)
    try:
        policies = Policies.load(FILE, environment={}, layers=[flag_layer(api.get_client())])
        assert policies.value("shop", "retry.attempts") == 5
        assert policies.origin("shop", "retry.attempts") == "flag resilience"
        end = reload_on_change(policies)
        assert changed(retry=7) == "configuration.changed"
        assert policies.value("shop", "retry.attempts") == 7
        assert changed(retry="many") == "configuration.rejected"
        assert policies.value("shop", "retry.attempts") == 7
        end()
        provider._flags = {"resilience": InMemoryFlag("on", {"on": {}})}
        policies.reload()
        assert policies.value("shop", "retry.attempts") == 3
    finally:
        undo()
        api.clear_providers()
