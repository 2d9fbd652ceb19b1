"""Feature flags as a source of the configuration, by the SDK of OpenFeature.

A flag whose value is an object, laid out as the file, is a layer of `Policies.load`: turning the flag changes
policies without a release. `reload_on_change` reads it again when the provider says that its flags have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from resilience.config._policies import Policies
from resilience.config._sources import ConfigurationError

if TYPE_CHECKING:
    from resilience.config._policies import Layer

__all__ = ["HasObjectFlags", "flag_layer", "reload_on_change"]


class HasObjectFlags(Protocol):
    """A client of OpenFeature, as far as it is used here."""

    def get_object_value(self, flag_key: str, default_value: Any, /) -> object: ...


def flag_layer(client: HasObjectFlags, flag: str = "resilience") -> Layer:
    """Return the layer of a configuration that the value of *flag* is, as *client* evaluates it.

    Where the flag is missing, or its provider fails, the layer is empty. Its values have the origin ``flag NAME``.

    >>> from openfeature import api
    >>> from resilience.config import Policies
    >>> policies = Policies.load(
    ...     {"policies": {"catalogue": {"retry": 3}}}, environment={}, layers=[flag_layer(api.get_client())]
    ... )
    >>> policies.value("catalogue", "retry.attempts")
    3
    """

    def read() -> Mapping[str, Any]:
        value = client.get_object_value(flag, {})
        if not isinstance(value, Mapping):
            raise ConfigurationError(f"flag {flag}: {type(value).__name__}: give an object, laid out as the file is")
        return cast("Mapping[str, Any]", value)

    read.origin = f"flag {flag}"  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess]
    return read


def reload_on_change(policies: Policies) -> Callable[[], None]:
    """Have *policies* read again whenever a provider says that its flags have changed; return what ends that.

    An invalid configuration is the event ``configuration.rejected``, and the one before stays in force.
    """
    from openfeature import api
    from openfeature.event import ProviderEvent

    def changed(_: object) -> None:
        policies._reload_quietly()

    api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, changed)
    return lambda: api.remove_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, changed)
