"""`Policies`: a configuration that is loaded, asked, changed and read again while the program runs.

A change goes three steps. The sources are merged into `Settings`; the settings are prepared, which may fail; what is
prepared is put in force, which may not. `load`, `set`, `unset` and `reload` are all this same way, so an invalid value
has the same error, and the same absence of effects, wherever it comes from.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeAlias, TypeVar, cast, runtime_checkable

from resilience._forks import fork_safe
from resilience._listeners import emit, has_listeners
from resilience._validation import did_you_mean, parse_duration
from resilience.config._managed import ConfiguredPolicies
from resilience.config._plan import Plan, check_plan, make_plan
from resilience.config._routes import Route, best_route, names_of, parse_route
from resilience.config._schema import json_schema
from resilience.config._sections import section_named
from resilience.config._sources import (
    ConfigurationError,
    Setting,
    Settings,
    put_option,
    read_environment,
    read_file,
    read_tree,
)
from resilience.config._watching import Watch
from resilience.events import ConfigurationChanged, ConfigurationRejected
from resilience.policies.retry_budget import RetryBudget
from resilience.profiles import ProfileOverride, replace_override

if TYPE_CHECKING:
    from resilience.categories import CategoryLike
    from resilience.config._routed_clients import RoutedClient

__all__ = ["Change", "Policies"]

C = TypeVar("C")

Layer: TypeAlias = Callable[[], Mapping[str, Any]]
"""A source of a configuration that is asked at each reload."""


@runtime_checkable
class HasSettings(Protocol):
    """A model of pydantic: its values by `model_dump`. Pydantic itself is not imported."""

    def model_dump(self, *, exclude_unset: bool) -> dict[str, Any]: ...


_FILES = ("resilience.toml", "pyproject.toml")
_DEFAULT = "default"


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """An option that two configurations say different things of, with the origin of what the second one says.

    *policy* is the name, *option* such as ``retry.attempts``. None stands for what is not said. Its text is one line,
    as the event ``configuration.changed`` has it.

    >>> print(Change("catalogue", "retry.attempts", 2, 3, "resilience.toml"))
    catalogue.retry.attempts: 2 -> 3 (resilience.toml)
    """

    policy: str
    option: str
    before: object
    after: object
    origin: str

    def __str__(self) -> str:
        return f"{self.policy}.{self.option}: {self.before!r} -> {self.after!r} ({self.origin})"


class _Prepared(NamedTuple):
    """A configuration that is ready: the plans that *began*, by name, and the *steps* that put all plans in force."""

    began: Mapping[str, Plan]
    steps: Sequence[Callable[[], object]]


class Policies(Mapping[str, ConfiguredPolicies]):
    """The policies of a configuration, by name: ``@policies["catalogue"]`` guards a function by them.

    `load` makes one. Values come from the program's *defaults*, the file, the environment, the *layers* and `set`, the
    later ones winning; `origin` says where one comes from. `reload` reads all of it again and puts what has changed in
    force between two calls. An invalid configuration changes nothing: `ConfigurationError` says what is wrong.

    Any thread may ask and change it; one lock makes changes follow each other. Sources are read under it, so a layer
    must not wait for a thread that changes the same policies. Policies that were handed out stay valid for as long as
    the program runs: a configuration that lacks their name is refused.

    >>> policies = Policies.load({"policies": {"catalogue": {"retry": 2, "timeout": "500ms"}}}, environment={})
    >>> @policies["catalogue"]
    ... def search(query: str) -> str:
    ...     return f"{query} lamp"
    >>> search("brass"), policies.value("catalogue", "timeout")
    ('brass lamp', 0.5)
    >>> policies.origin("catalogue", "timeout")
    'code'
    """

    def __init__(
        self,
        read: Callable[[], Settings],
        path: Path | None,
        environment: Mapping[str, str] | None,
        layers: Sequence[Layer] = (),
    ) -> None:
        self._read = read
        self._environment = environment
        self._layers = tuple(layers)
        #: The file that was read, if any.
        self.path: Path | None = path
        self._set = Settings()  # by the running program
        self._settings = Settings()
        self._budgets: dict[str, RetryBudget] = {}
        self._managed: dict[str, ConfiguredPolicies] = {}
        self._routes: list[Route] = []
        self._clients: weakref.WeakSet[RoutedClient] = weakref.WeakSet()
        self._rows: ProfileOverride | None = None
        self._lock = fork_safe(threading.RLock())
        self._apply(self._merged())

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | Mapping[str, Any] | HasSettings | None = None,
        *,
        defaults: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        layers: Sequence[Layer] = (),
    ) -> Self:
        """Return the policies that *source* describes.

        Args:
            source: the path of a TOML file, or a mapping laid out as one, or a model of pydantic whose ``model_dump``
                is such a mapping, as that of pydantic-settings. Unless given, ``resilience.toml`` in the current
                directory, or ``pyproject.toml`` with a table ``[tool.resilience]``.
            defaults: what the program itself says, in the same layout; the file wins over it.
            environment: variables; those of the process unless given.
            layers: functions without arguments that return further mappings laid out as a file, such as
                `resilience.config.openfeature.flag_layer`. Each is called at each `reload`, wins over the environment
                and over the layers before it; its name, or its attribute ``origin``, is the origin of its values.

        Raises ConfigurationError for a source that cannot be read, and for an invalid value.
        """
        if isinstance(source, Mapping):
            tree = source
            return cls(lambda: _layered(defaults, read_tree(tree, "code")), None, environment, layers)
        if isinstance(source, HasSettings):
            model, origin = source, type(source).__qualname__
            read = lambda: _layered(defaults, read_tree(model.model_dump(exclude_unset=True), origin))  # noqa: E731
            return cls(read, None, environment, layers)
        path = _found(source)
        return cls(lambda: _layered(defaults, read_file(path)), path, environment, layers)

    # -- as a mapping --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> ConfiguredPolicies:
        self._require(name)
        with self._lock:
            if name not in self._managed:
                plan = make_plan(name, self._settings.resolved(name), {}, self._budgets)
                self._managed[name] = ConfiguredPolicies(name, plan)
            return self._managed[name]

    def for_client(self, client: C, *, default: str | None = None) -> C:
        """Return *client* guarded by these policies, as `resilience.clients.protect` guards it: each request by route.

        Args:
            client: a client of a library that `protect` knows.
            default: the name of the policies for requests that no route matches. None: those are not guarded.

        A reload replaces the policies, and the routes, of the client as well: a call that runs ends as it began.
        `resilience.clients.protection_of` lists what each route has.

        Raises TypeError for a client that `protect` refuses, KeyError for a name that there is not, and
        ConfigurationError where there is neither a route nor a *default*, or where policies cannot guard the client,
        such as a hedge of a sync one.

        >>> import httpx
        >>> policies = Policies.load(
        ...     {
        ...         "policies": {"catalogue": {"retry": 2, "timeout": "500ms"}},
        ...         "routes": [{"match": "GET catalogue.internal/items/*", "policy": "catalogue"}],
        ...     },
        ...     environment={},
        ... )
        >>> client = policies.for_client(httpx.Client())
        """
        from resilience.config._routed_clients import protect_by_routes

        if default is not None:
            self._require(default)
        with self._lock:
            if default is None and not self._routes:
                raise ConfigurationError(
                    f"{self._source}: there are no routes, so no request of the client would be guarded: write"
                    " [[routes]], or name the policies for all requests, as in for_client(client, default='catalogue')"
                )
            return protect_by_routes(client, default, self._begin_client)

    def _begin_client(self, client: RoutedClient) -> None:
        """Put the policies in force for a new *client*, and remember it for the next reload."""
        plans = {name: self[name].plan for name in names_of(self._routes, client.default)}
        client.preparing(self._routes, plans)()
        self._clients.add(client)

    def _require(self, name: str) -> None:
        known = list(self._settings.policies)
        if name not in known:
            raise KeyError(f"no policies are called {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings.policies)

    def __len__(self) -> int:
        return len(self._settings.policies)

    # -- questions -----------------------------------------------------------------------------------------------------

    def value(self, name: str, option: str) -> object:
        """Return what is configured for *option* of *name*; None where nothing is, and the policy's default holds.

        *option* is ``retry.attempts``, or ``timeout`` for the one value of a policy. Raises KeyError for a name, and
        ValueError for an option, that there is not.
        """
        setting = self._setting(name, option)
        return None if setting is None else setting.value

    def origin(self, name: str, option: str) -> str:
        """Return where the value of *option* of *name* comes from, in words: a file, a variable, ``default``.

        Raises KeyError for a name, and ValueError for an option, that there is not.
        """
        setting = self._setting(name, option)
        return _DEFAULT if setting is None else setting.origin

    def _setting(self, name: str, option: str) -> Setting | None:
        section, key = _path_of(option)
        self._require(name)
        return self._settings.resolved(name).get(section, {}).get(key)

    def options(self) -> dict[str, dict[str, Setting]]:
        """Return all that is configured: by name, then by option, such as ``retry.attempts``, values with origins.

        >>> policies = Policies.load({"policies": {"catalogue": {"retry": 2}}}, environment={})
        >>> {option: setting.value for option, setting in policies.options()["catalogue"].items()}
        {'retry.attempts': 2}
        """
        return {name: _flat(self._settings, name) for name in self}

    def diff(self, other: Policies) -> list[Change]:
        """Return what *other* says differently, by name and option. Routes and rows of categories are not compared.

        >>> before = Policies.load({"policies": {"catalogue": {"retry": 2}}}, environment={})
        >>> after = Policies.load({"policies": {"catalogue": {"retry": 3, "timeout": 2.0}}}, environment={})
        >>> for change in before.diff(after):
        ...     print(change)
        catalogue.retry.attempts: 2 -> 3 (code)
        catalogue.timeout.limit: None -> 2.0 (code)
        """
        return _changes(self._settings, other._settings)

    def route(self, method: str, url: str) -> str | None:
        """Return the name of the policies for a request, by the most specific route; None where no route matches.

        A host without ``*`` comes before one with, then the longer path, then a route with a method. Ports do not
        count.
        """
        found = best_route(self._routes, method, url)
        return None if found is None else found.policy

    @staticmethod
    def schema() -> dict[str, object]:
        """Return the JSON Schema of the file, for editors."""
        return json_schema()

    # -- changes -------------------------------------------------------------------------------------------------------

    def set(self, name: str, option: str, value: object, *, by: str = "", why: str = "") -> list[Change]:
        """Set an option while the program runs, until `unset`; it wins over all other sources. Return what changed.

        *by* and *why* are kept with the value, for `origin` and for the event. What is set lives in this process:
        others, and the next start, do not have it.

        Raises:
            ConfigurationError: for an invalid value; nothing has changed then.
            KeyError: for a name that there is not.
            ValueError: for an option that there is not.

        >>> policies = Policies.load({"policies": {"catalogue": {"timeout": 2.0}}}, environment={})
        >>> [change] = policies.set("catalogue", "timeout", "500ms", by="ada", why="the shop is slow")
        >>> print(change)
        catalogue.timeout.limit: 2.0 -> 0.5 (set at run time (by ada, the shop is slow))
        """
        section, key = _path_of(option)
        self._require(name)
        said = ", ".join(filter(None, (by and f"by {by}", why)))
        with self._lock:
            changed = _copied(self._set)
            put_option(changed, (name, section, key), value, f"set at run time{said and f' ({said})'}")
            return self._change(changed)

    def unset(self, name: str, option: str) -> list[Change]:
        """Take back what `set` has set, and return what changed."""
        section, key = _path_of(option)
        with self._lock:
            changed = _copied(self._set)
            sections = changed.policies.get(name, {})
            (sections.get(section) or {}).pop(key, None)
            if not sections.get(section):  # an empty one would switch the policy on
                sections.pop(section, None)
            return self._change(changed)

    def reload(self) -> list[Change]:
        """Read all sources again, put what has changed in force, and return it.

        The configuration is checked whole. Each call sees all policies of one configuration, and calls that run end as
        they began. What is known is kept:

        * A circuit keeps its state, and the time for which it is open. What a closed one has counted is kept unless its
          window changes.
        * Budgets and limits go on, whatever changes: calls in flight count against the new limit of a bulkhead, those
          that wait get its new slots, tokens that are gone stay gone at the new rate, and a throttle keeps what it has
          counted.
        * A hedge whose options change measures anew.

        Raises ConfigurationError, and changes nothing, for an invalid configuration, for another ``partial`` of a
        circuit, and for one that lacks a name that was handed out.
        """
        with self._lock:
            return self._change(self._set)

    def _change(self, by_program: Settings) -> list[Change]:
        """Apply a configuration with other options of `set`, and emit what has changed, or that it was rejected."""
        before, was_set = self._settings, self._set
        self._set = by_program
        try:
            self._apply(self._merged())
        except ConfigurationError as error:
            self._set = was_set
            if has_listeners():
                rejected = ConfigurationRejected(
                    target=self._source, policy="configuration", error=error, problem=str(error)
                )
                emit(rejected)
            raise
        changes = _changes(before, self._settings)
        if changes and has_listeners():
            texts = tuple(map(str, changes))
            emit(ConfigurationChanged(target=self._source, policy="configuration", changes=texts))
        return changes

    def close(self) -> None:
        """Take back the rows of the category table that this configuration has changed. Guarded functions stay so."""
        with self._lock:
            rows, self._rows = self._rows, None
            if rows is not None:
                rows()

    def watch(self, seconds: float = 5.0) -> Watch:
        """Look at the file every so many *seconds*, and `reload` when it has changed. Return what ends that.

        An invalid configuration is an event, ``configuration.rejected``, and the one before stays in force. Raises
        ValueError where the policies do not come from a file.
        """
        if self.path is None:
            raise ValueError("these policies come from no file: give Policies.load the path of one to watch it")
        return Watch(self.path, parse_duration("seconds", seconds), self._reload_quietly)

    def _reload_quietly(self) -> None:
        try:
            self.reload()
        except ConfigurationError:  # an event has been emitted
            pass

    @property
    def _source(self) -> str:
        return "code" if self.path is None else str(self.path)

    def _merged(self) -> Settings:
        """Read all sources, and return them merged. Nothing is kept of an earlier reading but what `set` has set."""
        settings = self._read()
        environment = os.environ if self._environment is None else self._environment
        settings.merge(read_environment(environment, list(settings.policies)))
        for layer in self._layers:
            settings.merge(read_tree(layer(), _origin_of(layer)))
        settings.merge(self._set)
        return settings

    def _apply(self, settings: Settings) -> None:
        """Put *settings* in force: first all that may fail, then all that changes anything.

        `_prepared` and `_overridden` raise ConfigurationError, and leave everything as it was. What follows them
        assigns, and must not fail: half a configuration in force is worse than the old one.
        """
        self._require_managed(settings)
        routes = [parse_route(match, policy, self._source) for match, policy in settings.routes]
        _require_policies(routes, settings, self._source)
        prepared = self._prepared(settings, routes)
        overrides = _overridden(self._rows, settings.categories, self._source)
        for step in prepared.steps:
            step()
        self._managed.update((name, ConfiguredPolicies(name, plan)) for name, plan in prepared.began.items())
        self._routes, self._rows, self._settings = routes, overrides, settings

    def _require_managed(self, settings: Settings) -> None:
        """Raise ConfigurationError where *settings* lack policies that have been handed out."""
        for name in self._managed:
            if name not in settings.policies:
                raise ConfigurationError(
                    f"{self._source}: policies.{name} is missing, and functions are guarded by it: put it back, or"
                    " restart the program"
                )

    def _prepared(self, settings: Settings, routes: Sequence[Route]) -> _Prepared:
        """Make the plans of all names that are in use, and check those of the others. Nothing is in force by this.

        Raises ConfigurationError for a plan that cannot be made, or that cannot guard a function or a client.
        """
        clients = list(self._clients)
        by_clients = {name for client in clients for name in names_of(routes, client.default)}
        plans: dict[str, Plan] = {}
        for name in settings.policies:
            if name in self._managed:
                plans[name] = make_plan(name, settings.resolved(name), self._managed[name].plan.kept, self._budgets)
            else:
                check_plan(name, settings.resolved(name))
        began = {name: make_plan(name, settings.resolved(name), {}, self._budgets) for name in by_clients - {*plans}}
        applying = [_applying(self._managed[name], plan) for name, plan in plans.items()]
        applying += [client.preparing(routes, {**plans, **began}) for client in clients]
        changes = [change for plan in plans.values() for change in plan.changes]
        return _Prepared(began, [*changes, *applying])

    def __repr__(self) -> str:
        return f"<Policies of {self._source}: {', '.join(self)}>"


def _origin_of(layer: Layer) -> str:
    return str(getattr(layer, "origin", None) or getattr(layer, "__name__", type(layer).__name__))


def _layered(defaults: Mapping[str, Any] | None, settings: Settings) -> Settings:
    if defaults is None:
        return settings
    merged = read_tree(defaults, "code")
    merged.merge(settings)
    return merged


def _found(source: str | os.PathLike[str] | None) -> Path:
    """Return the path of the file to read. Raises ConfigurationError if neither file exists."""
    if source is not None:
        return Path(os.fspath(source))
    for name in _FILES:
        if Path(name).is_file():
            return Path(name)
    raise ConfigurationError(f"there is no {_FILES[0]} and no {_FILES[1]} in {Path.cwd()}: give the path of a file")


def _path_of(option: str) -> tuple[str, str]:
    """Return the section and the name of an option. Raises ValueError for one that there is not."""
    name, _, key = option.partition(".")
    section = section_named(name)
    key = key or section.short or ""
    if key not in section.options:
        known = [f"{name}.{each}" for each in section.options]
        raise ValueError(
            f"option={option!r}: no such option{did_you_mean(option, known)}; there are {', '.join(known)}"
        )
    return name, key


def _flat(settings: Settings, name: str) -> dict[str, Setting]:
    sections = settings.resolved(name)
    return {f"{section}.{option}": each for section, options in sections.items() for option, each in options.items()}


def _changes(before: Settings, after: Settings) -> list[Change]:
    changes: list[Change] = []
    for name in {**before.policies, **after.policies}:
        old = _flat(before, name) if name in before.policies else {}
        new = _flat(after, name) if name in after.policies else {}
        for option in {**old, **new}:
            was, now = old.get(option), new.get(option)
            if (was and was.value) != (now and now.value) or (was is None) != (now is None):
                origin = _DEFAULT if now is None else now.origin
                changes.append(Change(name, option, was and was.value, now and now.value, origin))
    return changes


def _copied(settings: Settings) -> Settings:
    copy = Settings()
    copy.merge(settings)
    return copy


def _require_policies(routes: Sequence[Route], settings: Settings, source: str) -> None:
    for route in routes:
        if route.policy not in settings.policies:
            near = did_you_mean(route.policy, list(settings.policies))
            raise ConfigurationError(f"{source}: routes: policy = {route.policy!r}: no such policy{near}")


def _applying(managed: ConfiguredPolicies, plan: Plan) -> Callable[[], None]:
    try:
        return managed.applying(plan)
    except TypeError as error:
        raise ConfigurationError(f"policies.{managed.name}: {error}") from error


def _overridden(
    before: ProfileOverride | None, categories: Mapping[str, Mapping[str, Setting]], source: str
) -> ProfileOverride | None:
    """Change rows of the category table in place of those *before*; return what takes that back, None for no rows.

    Raises ConfigurationError for an invalid row, and changes none then.
    """
    rows = {label: {cell: setting.value for cell, setting in row.items()} for label, row in categories.items()}
    try:
        return replace_override(before, cast("Mapping[CategoryLike, Mapping[str, object]]", rows))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{source}: categories: {error}") from error
