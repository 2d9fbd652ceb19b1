"""Clients that a configuration guards: each request goes through the policies of the most specific route.

A `RoutedClient` belongs to one client of a library. It owns the guard of each name of policies that a route leads to,
and chooses between them by the method and the URL of a request. A reload prepares new guards, which may fail, and puts
all of them in force by one assignment: an exchange that has begun keeps the guard it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from resilience.clients._protect import fit, install, require_adapter
from resilience.clients._protection import Protection
from resilience.clients.adapter import Adapter
from resilience.clients.exchange import AsyncExchange, BaseExchange, Exchange
from resilience.clients.guards import AsyncGuard, Guard
from resilience.config._plan import Plan
from resilience.config._routes import Route, best_route, names_of
from resilience.config._sources import ConfigurationError

__all__ = ["RoutedClient", "protect_by_routes"]

C = TypeVar("C")

_MAX_CHOICES: Final = 1024  # requests whose route is remembered


class _Guards(NamedTuple):
    """The guards in force: by the name of their policies, with the routes that lead to them."""

    routes: Sequence[Route]
    by_name: Mapping[str, tuple[Plan, Guard | AsyncGuard, Protection]]
    unguarded: Guard | AsyncGuard
    #: By method, host and path: what a request gets. It is filled as requests come.
    choices: dict[tuple[str, str, str], Guard | AsyncGuard]


class RoutedClient:
    """The guards of one *client*, by route; requests that no route matches get those of *default*, or none.

    All that a request needs is in one tuple, `_Guards`, which a reload replaces by one assignment. So threads that send
    requests take no lock, and a request sees the routes and the guards of one configuration. The choice for a request
    is remembered by method, host and path, for up to `_MAX_CHOICES` of them.
    """

    def __init__(self, adapter: Adapter[Any], client: object, default: str | None) -> None:
        self.default: str | None = default
        self._adapter = adapter
        self._client = client
        self._guards = _Guards((), {}, self._unguarded(), {})
        #: Of the client: its text says what each route has at the time it is asked.
        self.protection: Protection = _RoutedProtection(self, adapter.target(client))

    def _unguarded(self) -> Guard | AsyncGuard:
        kind = AsyncGuard if self._adapter.is_async(self._client) else Guard
        return kind(self._adapter.target(self._client), (), self._adapter.errors(self._client))

    def preparing(self, routes: Sequence[Route], plans: Mapping[str, Plan]) -> Callable[[], None]:
        """Return what puts *routes* and *plans* in force. A guard whose plan is the same goes on.

        Raises:
            ConfigurationError: where policies cannot guard the client.
        """
        by_name: dict[str, tuple[Plan, Guard | AsyncGuard, Protection]] = {}
        for name in names_of(routes, self.default):
            plan, before = plans[name], self._guards.by_name.get(name)
            if before is not None and before[0] is plan:
                by_name[name] = before
                continue
            try:
                protection, guard = fit(self._adapter, self._client, tuple(plan.parts.values()), "raise")
            except TypeError as error:
                raise ConfigurationError(f"policies.{name}: {error}") from error
            by_name[name] = plan, guard, protection
        guards = _Guards(tuple(routes), by_name, self._guards.unguarded, {})

        protections = [protection for _, _, protection in by_name.values()]
        worst = max(protections, key=lambda each: each.description.worst.calls, default=None)

        def apply() -> None:
            self._guards = guards
            self.protection.policies = () if worst is None else worst.policies

        return apply

    def guard_for(self, exchange: BaseExchange[Any]) -> Any:
        """Return the guard of the most specific route for the request of *exchange*."""
        guards, host = self._guards, exchange.host
        request = exchange.method, host, urlsplit(exchange.url).path
        found = guards.choices.get(request)
        if found is None:
            route = best_route(guards.routes, exchange.method, f"//{host}{request[2]}")
            name = self.default if route is None else route.policy
            found = guards.unguarded if name is None else guards.by_name[name][1]
            if len(guards.choices) >= _MAX_CHOICES:
                guards.choices.clear()
            guards.choices[request] = found
        return found

    def guard(self) -> Guard | AsyncGuard:
        """Return the guard that the adapter installs: it hands each exchange to the one of its route."""
        target, errors = self._adapter.target(self._client), self._adapter.errors(self._client)
        if self._adapter.is_async(self._client):
            return _AsyncRoutedGuard(self, target, errors)
        return _RoutedGuard(self, target, errors)

    def protections(self) -> Mapping[str, Protection]:
        """Return the protection of the client by the policies of each name."""
        return {name: protection for name, (_, _, protection) in self._guards.by_name.items()}

    def routes(self) -> Sequence[Route]:
        """Return the routes in force."""
        return self._guards.routes


class _RoutedGuard(Guard):
    """The guard that a sync client has: it hands each exchange to the guard of its route."""

    def __init__(self, owner: RoutedClient, target: str, errors: Any) -> None:
        super().__init__(target, (), errors)
        self._owner = owner

    def call(self, exchange: Exchange[Any]) -> Any:
        return self._owner.guard_for(exchange).call(exchange)


class _AsyncRoutedGuard(AsyncGuard):
    """The guard that an async client has, as `_RoutedGuard`."""

    def __init__(self, owner: RoutedClient, target: str, errors: Any) -> None:
        super().__init__(target, (), errors)
        self._owner = owner

    async def call(self, exchange: AsyncExchange[Any]) -> Any:
        return await self._owner.guard_for(exchange).call(exchange)


class _RoutedProtection(Protection):
    """The protection of a client by routes. Its policies are those of the route with the most calls."""

    def __init__(self, owner: RoutedClient, target: str) -> None:
        self._owner = owner
        super().__init__(target, ())

    def __str__(self) -> str:
        lines = [self.target, *(f"{route}: policies[{route.policy!r}]" for route in self._owner.routes())]
        default = self._owner.default
        lines.append(f"other requests: {'no policies' if default is None else f'policies[{default!r}]'}")
        for name, protection in self._owner.protections().items():
            lines += ["", f"{name}:", str(protection)]
        return "\n".join([*lines, *(f"* {change}" for change in self.changes)])


def protect_by_routes(client: C, default: str | None, begin: Callable[[RoutedClient], None]) -> C:
    """Return *client*, guarded by route. *begin* puts the guards in force, and may refuse them."""
    adapter = require_adapter(client)
    routed = RoutedClient(adapter, client, default)
    begin(routed)
    return install(adapter, client, routed.guard(), routed.protection)
