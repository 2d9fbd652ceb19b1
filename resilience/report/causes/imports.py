"""Modules and names that cannot be imported."""

from __future__ import annotations

import re
import sys

from resilience.errors.details import Json
from resilience.report.causes.case import Case, texts
from resilience.report.causes.fixes import renamed
from resilience.report.causes.homes import PACKAGES
from resilience.report.causes.wording import clear_match, listed, near_matches
from resilience.report.diagnosis import Diagnosis

__all__ = ["import_error", "module_not_found"]

_MODULE = re.compile(r"No module named '?([\w.]+)'?")
_NAME = re.compile(r"cannot import name '([^']+)' from (?P<partly>partially initialized module )?'([^']+)'")
# Modules of Python 2, and those that left the standard library, with what to use now.
_GONE = {
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
    "ConfigParser": "configparser",
    "Queue": "queue",
    "StringIO": "io.StringIO",
    "cStringIO": "io.StringIO",
    "cPickle": "pickle",
    "Tkinter": "tkinter",
    "__builtin__": "builtins",
    "HTMLParser": "html.parser",
    "httplib": "http.client",
    "commands": "subprocess",
    "thread": "threading",
    "imp": "importlib",
    "distutils": "setuptools",
    "asynchat": "asyncio",
    "asyncore": "asyncio",
    "smtpd": "the package aiosmtpd",
    "cgi": "urllib.parse, or the package legacy-cgi",
    "pipes": "shlex and subprocess",
    "crypt": "hashlib",
    "telnetlib": "the package telnetlib3",
    "imghdr": "the package filetype",
    "sets": "the type set",
    "md5": "hashlib",
    "sha": "hashlib",
}
# What the standard library has for what is often installed.
_STANDARD = {
    "requests": "urllib.request",
    "numpy": "math, statistics and lists",
    "pandas": "csv and lists of dicts",
    "yaml": "json",
    "simplejson": "json",
    "ujson": "json",
    "orjson": "json",
    "dateutil": "datetime",
    "pytz": "zoneinfo",
    "attr": "dataclasses",
    "scipy": "math and statistics",
    "bs4": "html.parser",
    "lxml": "xml.etree.ElementTree",
    "toml": "tomllib",
    "mock": "unittest.mock",
    "pathlib2": "pathlib",
    "enum34": "enum",
    "futures": "concurrent.futures",
    "httpx": "urllib.request",
    "aiohttp": "urllib.request",
}


def module_not_found(case: Case) -> Diagnosis | None:
    """A module that is not there, or not for this code."""
    found = _MODULE.search(case.message)
    module = case.hint("name") or (found[1] if found else "")
    if not module:
        return None
    top = module.partition(".")[0]
    allowed = list(texts(case.specifics.get("available_modules")))
    level = case.specific("security_level")
    tips: list[str] = []
    fix: str | None = None
    if "is not a package" in case.message:
        tips.append(
            f"{top} is a module and no package: import {top} alone, or look whether a file {top}.py of yours hides "
            "the real one."
        )
    choice = allowed or [name for name in sys.stdlib_module_names if not name.startswith("_")]
    meant = clear_match(top, choice) if top not in sys.stdlib_module_names else None
    near = near_matches(top, choice)
    if top in _GONE:
        tips.append(f"{top} is not part of this Python any more: use {_GONE[top]}.")
    elif meant is not None and top not in PACKAGES and top not in _STANDARD:
        tips.append(f"Write {meant} instead of {top}.")
        fix = renamed(case, top, meant)
    elif near and top not in sys.stdlib_module_names:
        tips.append(f"Did you mean {listed(near, last='or')}?")
    if top in _STANDARD:
        tips.append(f"Do without {top}: the standard library has {_STANDARD[top]}.")
    if allowed:
        tips.append(f"Use the modules that are available: {listed(allowed, 12)}.")
    elif top not in sys.stdlib_module_names and meant is None and top not in _GONE:
        package = PACKAGES.get(module) or PACKAGES.get(top) or top
        other = f" (the package is called {package}, the module {top})" if package != top else ""
        tips.append(f"Install it where the program runs: pip install {package}{other}.")
    if top in sys.stdlib_module_names and "." in module and not allowed:
        tips.append(f"{top} has no module {module.partition('.')[2]}: look up its name.")
    if not tips:
        tips.append(f"Do without {module}, or have it installed where the program runs.")
    if level:
        tips.append(f"If {top} is needed, have it allowed: allowed_imports=[{top!r}], or a higher level than {level}.")
    return Diagnosis(
        immediate_cause=f"there is no module '{module}' where the program runs",
        contributing_factors=_shadowed(case),
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics=_specifics(module, allowed),
    )


def import_error(case: Case) -> Diagnosis | None:
    """A module that has no such name, or that cannot be loaded."""
    found = _NAME.search(case.message)
    if found is None:
        if "relative import" in case.message:
            return Diagnosis(
                immediate_cause="a relative import (with a dot) needs a package around it, and there is none",
                suggestions=(
                    "Write the import without the dot: from module import name.",
                    "Or run it as a module of its package: python -m package.module.",
                ),
            )
        return _broken(case)
    name, module = found[1], found[3]
    near, meant = near_matches(name, case.names), clear_match(name, case.names)
    tips: list[str] = []
    fix: str | None = None
    if found["partly"]:
        tips.append(
            f"{module} is still being imported: two modules import each other. Move one import into the function "
            "that needs it."
        )
    moved = {"collections": "collections.abc"}.get(module)
    if moved and name in (
        "Mapping",
        "Iterable",
        "Callable",
        "Sequence",
        "MutableMapping",
        "Iterator",
        "Hashable",
        "Sized",
    ):
        tips.append(f"It moved: write from {moved} import {name}.")
        fix = renamed(case, module, moved)
    elif meant is not None:
        tips.append(f"Write {meant} instead of {name}.")
        fix = renamed(case, name, meant)
    elif near:
        tips.append(f"Did you mean {listed(near, last='or')}?")
    own = [each for each in case.names if not each.startswith("_")]
    if own and not near:
        tips.append(f"{module} has {listed(own, 12)}.")
    tips.append(f"Import the module and look what it has: `import {module}; print(dir({module}))`.")
    tips.append(f"If {name} came with another version of {module}, use what this one has.")
    return Diagnosis(
        immediate_cause=f"the module {module} has no '{name}'",
        contributing_factors=_shadowed(case),
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics=_specifics(module, list(texts(case.specifics.get("available_modules"))), name),
    )


def _broken(case: Case) -> Diagnosis:
    name = case.hint("name")
    library = re.search(r"(lib[\w.+-]+\.so[\w.]*|[\w-]+\.dll)", case.message)
    tips = ["Reinstall the package for this Python and this machine: pip install --force-reinstall."]
    if library is not None:
        tips.insert(0, f"Install the system library that has {library[1]}.")
    return Diagnosis(
        immediate_cause=f"the module {name or 'that is imported'} is there but cannot be loaded",
        suggestions=tuple(tips),
        specifics=_specifics(name, list(texts(case.specifics.get("available_modules")))) if name else {},
    )


def _shadowed(case: Case) -> tuple[str, ...]:
    origin = re.search(r"\(([^()]+\.py)\)$", case.message)
    return (f"it was imported from {origin[1].replace(chr(92), '/').rpartition('/')[2]}",) if origin else ()


def _specifics(module: str, allowed: list[str], name: str = "") -> dict[str, Json]:
    return {
        "attempted_import": f"{module}.{name}" if name else module,
        **({"available_modules": [*allowed]} if allowed else {}),
    }
