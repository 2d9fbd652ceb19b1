"""Sources of configuration: files, mappings and the environment, merged so that later ones win.

A source gives values by path: ``("policies", "catalogue", "retry", "attempts")``. Later ones win, option by option: the
program's own defaults, then the file, then the environment, then layers, then what is set while the program runs. Each
value keeps its origin, in words, for `Policies.origin` and for errors.

Values are read, by their kind, where their source is: an error so names the file or the variable and the path in it. A
base is resolved after merging, so that a base in the file can be changed by a variable, and its heirs follow.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from resilience._validation import did_you_mean
from resilience.config._sections import section_named

__all__ = [
    "ConfigurationError",
    "Setting",
    "Settings",
    "put_option",
    "read_environment",
    "read_file",
    "read_tree",
]

PREFIX = "RESILIENCE__"
_TOP = ("policies", "routes", "categories")


class ConfigurationError(ValueError):
    """An invalid configuration: the message has the source, the key, the value and what would be right.

    Nothing of it has been applied.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """A value, and its *origin* in words, such as ``resilience.toml`` or ``environment RESILIENCE__...``."""

    value: object
    origin: str


Sections: TypeAlias = dict[str, dict[str, Setting] | None]
"""The options of one name, by section; None for a section that is switched off."""


@dataclasses.dataclass(slots=True)
class Settings:
    """All that one source, or several of them merged, say.

    *policies* has the options of each name, section and option; a section that is switched off is None. *bases* are the
    names that others take what they do not say from. *routes* are taken whole from the last source that has any, rows
    of *categories* cell by cell.
    """

    policies: dict[str, Sections] = dataclasses.field(default_factory=dict[str, Sections])
    bases: dict[str, Setting] = dataclasses.field(default_factory=dict[str, Setting])
    routes: list[tuple[str, str]] = dataclasses.field(default_factory=list[tuple[str, str]])
    categories: dict[str, dict[str, Setting]] = dataclasses.field(default_factory=dict[str, dict[str, Setting]])

    def put(self, name: str, section: str, option: str, setting: Setting) -> None:
        """Set one option."""
        options = self.policies.setdefault(name, {}).get(section)
        if options is None:
            options = self.policies[name][section] = {}
        options[option] = setting

    def merge(self, other: Settings) -> None:
        """Have what *other* says win over what is here.

        A section that *other* switches off is off; options that it gives turn a section on again, with these options
        alone.
        """
        for name, sections in other.policies.items():
            mine = self.policies.setdefault(name, {})
            for section, options in sections.items():
                if options is None:
                    mine[section] = None
                else:
                    mine[section] = {**(mine.get(section) or {}), **options}
        self.bases.update(other.bases)
        self.routes = other.routes or self.routes
        for label, row in other.categories.items():
            self.categories[label] = {**self.categories.get(label, {}), **row}

    def resolved(self, name: str) -> dict[str, dict[str, Setting]]:
        """Return the options of *name* by section, those of its base included.

        The base's base comes first, and *name* itself last and wins. Sections that are switched off are left out.

        Raises:
            ConfigurationError: for a base that there is not, and for bases in a circle.
        """
        chain = [name]
        while chain[-1] in self.bases:
            base = self.bases[chain[-1]]
            if base.value not in self.policies:
                near = did_you_mean(str(base.value), list(self.policies))
                raise _error(base.origin, ("policies", chain[-1], "base"), base.value, f"a policy of this file{near}")
            if base.value in chain:
                raise _error(base.origin, ("policies", chain[-1], "base"), base.value, "a base that is not its own")
            chain.append(str(base.value))
        merged = Settings()
        for each in reversed(chain):
            merged.merge(Settings({name: _inherited(self.policies[each], each, name)}))
        return {section: options for section, options in merged.policies[name].items() if options is not None}


def _inherited(sections: Sections, base: str, name: str) -> Sections:
    """Return the *sections* of *base* as *name* takes them: the origins say so."""
    if base == name:
        return dict(sections)
    return {
        section: options
        and {option: Setting(setting.value, f"{setting.origin}, base {base!r}") for option, setting in options.items()}
        for section, options in sections.items()
    }


def _error(origin: str, path: Sequence[str], value: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{origin}: {'.'.join(path)} = {_shown(value)}: {expected}")


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


# -- files ---------------------------------------------------------------------------------------------------------


def read_file(path: Path) -> Settings:
    """Return what a TOML file says: its tables, or those below ``[tool.resilience]``.

    Raises ConfigurationError for a file that cannot be read, is no TOML, or has an invalid value.
    """
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: no TOML: {error}") from error
    tool = tree.get("tool")
    if isinstance(tool, dict) and "resilience" in tool:
        return read_tree(cast("dict[str, object]", tool)["resilience"], path.name)
    if path.name == "pyproject.toml":
        raise ConfigurationError(f"{path}: has no table [tool.resilience]")
    return read_tree(tree, path.name)


def read_tree(tree: object, origin: str) -> Settings:
    """Return what a mapping says that is laid out as the file is."""
    settings = Settings()
    for key, value in _table(tree, origin, ()).items():
        if key == "policies":
            for name, sections in _table(value, origin, (key,)).items():
                _read_policy(settings, name, sections, origin)
        elif key == "routes":
            settings.routes = list(_read_routes(value, origin))
        elif key == "categories":
            for label, row in _table(value, origin, (key,)).items():
                cells = _table(row, origin, (key, label))
                settings.categories[label] = {cell: Setting(each, origin) for cell, each in cells.items()}
        else:
            raise _error(origin, (key,), value, f"no such table{did_you_mean(key, _TOP)}; there are {', '.join(_TOP)}")
    return settings


def _table(value: object, origin: str, path: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _error(origin, path or ("file",), value, "a table")
    return cast("Mapping[str, Any]", value)


def _read_policy(settings: Settings, name: str, sections: object, origin: str) -> None:
    """Read the sections of one name into *settings*: tables of options, booleans, or values of short forms."""
    path = ("policies", name)
    settings.policies.setdefault(name, {})
    for key, value in _table(sections, origin, path).items():
        if key == "base":
            if not isinstance(value, str):
                raise _error(origin, (*path, key), value, "the name of another policy")
            settings.bases[name] = Setting(value, origin)
            continue
        try:
            section = section_named(key)
        except ValueError as error:
            raise _error(origin, (*path, key), value, str(error)) from None
        if value is False:
            settings.policies[name][key] = None
        elif isinstance(value, Mapping):
            settings.policies[name].setdefault(key, {})
            for option, each in cast("Mapping[str, Any]", value).items():
                put_option(settings, (name, key, option), each, origin)
        elif value is True:
            settings.policies[name].setdefault(key, {})
        elif section.short is not None:
            put_option(settings, (name, key, section.short), value, origin)
        else:
            raise _error(origin, (*path, key), value, "a table of options, true for the defaults, or false for none")


def put_option(settings: Settings, path: tuple[str, str, str], value: object, origin: str) -> None:
    """Read one option. Raises ConfigurationError for one that there is not, and for a value of another kind."""
    name, section, option = path
    try:
        read = section_named(section).read(option, value)
    except ValueError as error:
        expected = str(error)
        if not expected.startswith("no such"):
            expected = f"give {expected}"
        raise _error(origin, ("policies", *path), value, expected) from None
    settings.put(name, section, option, Setting(read, origin))


def _read_routes(value: object, origin: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        raise _error(origin, ("routes",), value, "a list of tables: [[routes]]")
    for number, route in enumerate(cast("list[object]", value), 1):
        table = _table(route, origin, ("routes", str(number)))
        if set(table) != {"match", "policy"} or not all(isinstance(each, str) for each in table.values()):
            expected = 'match = "GET catalogue.internal/items/*" and policy = "catalogue"'
            raise _error(origin, ("routes", str(number)), dict(table), expected)
        yield table["match"], table["policy"]


# -- the environment --------------------------------------------------------------------------------------------------


def read_environment(environment: Mapping[str, str], names: Sequence[str]) -> Settings:
    """Return what variables such as ``RESILIENCE__POLICIES__CATALOGUE__RETRY__ATTEMPTS`` say.

    Names of policies are found whatever the case, and with ``_`` for what a variable cannot have. A value is a TOML
    value, such as ``2``, ``true`` or ``["timeout", "network"]``, or else a text.

    Args:
        environment: the variables; those without the prefix ``RESILIENCE__`` are ignored.
        names: the policies that the other sources have: a variable changes policies, and cannot add one.

    Raises:
        ConfigurationError: for a variable with the prefix that sets no option of a known policy.

    >>> found = read_environment({"RESILIENCE__POLICIES__SHOP_API__RETRY": "3"}, ["shop-api"])
    >>> found.policies["shop-api"]["retry"]["attempts"].value
    3
    """
    settings = Settings()
    known = {_as_variable(name): name for name in names}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX):
            continue
        origin, text = f"environment {variable}", environment[variable]
        path = [part.lower() for part in variable.removeprefix(PREFIX).split("__")]
        if path[0] != "policies" or not 3 <= len(path) <= 4:
            expected = f"{PREFIX}POLICIES__<name>__<policy>__<option>"
            raise ConfigurationError(f"{origin}: no such setting; write {expected}")
        if path[1] not in known:
            near = did_you_mean(path[1], list(known))
            raise ConfigurationError(f"{origin}: no policy is called {path[1]!r}{near}; there are {', '.join(names)}")
        name, value = known[path[1]], _value_of(text)
        if len(path) == 4:
            value = {path[3]: value}
        _read_policy(settings, name, {path[2]: value}, origin)
    return settings


def _as_variable(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name).lower()


def _value_of(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
