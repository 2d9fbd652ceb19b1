"""Diagnosis of ImportError and ModuleNotFoundError.

A package is advised only where a table knows it: a name that a model has invented may be registered by an attacker, who
waits for the `pip install` of it. Nothing is imported to look what a module has: its names come from the hints.

Where the program may import some modules alone, as in a sandbox, these are advised in place of an installation.
"""

from __future__ import annotations

import re
import sys

from resilience.errors._json_safe import Json
from resilience.report._diagnosis.context import FailureContext, as_texts, known_facts
from resilience.report._diagnosis.known_names import PACKAGES, SAME_NAME
from resilience.report._diagnosis.line_edits import rename_in_line
from resilience.report._diagnosis.text import clear_match, join_words, near_matches, phrase
from resilience.report.diagnosis import Diagnosis

__all__ = ["import_error", "module_not_found"]

_MODULE = re.compile(r"No module named '?([\w.]+)'?")
_NAME = re.compile(r"cannot import name '([^']+)' from (?P<partly>partially initialized module )?'([^']+)'")
_NO_MEMORY = re.compile(
    r"failed to map segment(?!.*(?:not permitted|denied))|cannot allocate memory\s*$", re.IGNORECASE
)
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

# Modules of packages that are somewhere else now.
_MOVED = {
    "sklearn.cross_validation": "sklearn.model_selection",
    "sklearn.grid_search": "sklearn.model_selection",
    "sklearn.learning_curve": "sklearn.model_selection",
    "pandas.util.testing": "pandas.testing",
}


def module_not_found(context: FailureContext) -> Diagnosis | None:
    """Diagnose ``No module named 'yaml'``: a misspelt module, one of Python 2, a package that is not installed.

    ``available_modules`` in the specifics of the failure are the modules that the policy allows; empty: no such limit.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.IMPORT,
    ...     error_type="ModuleNotFoundError",
    ...     message="No module named 'jsn'",
    ...     source="import jsn",
    ...     line=1,
    ...     specifics={"available_modules": ["json", "math"]},
    ... )
    >>> module_not_found(FailureContext(failure)).suggested_fix
    'import json'
    """
    found = _MODULE.search(context.message)
    module = context.hint("name") or (found[1] if found else "")
    if not module:
        return None
    allowed = list(as_texts(context.specifics.get("available_modules")))
    parent = module.rpartition(".")[0]
    # Python names all of it where what stands before the last dot was found.
    tips, fix = (
        _no_submodule(context, module) if parent and module not in PACKAGES else _no_module(context, module, allowed)
    )
    return Diagnosis(
        immediate_cause=f"there is no module '{module}' where the program runs",
        contributing_factors=_shadowed(context),
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics=_specifics(module, allowed),
    )


def _no_submodule(context: FailureContext, module: str) -> tuple[list[str], str | None]:
    """Return what to do about a module that is missing in a package that is there: no installation will help.

    The result is a pair: the tips, and the corrected line or None. It moved, its name is near one that the package has,
    or a file of the program hides the package.
    """
    parent, _, last = module.rpartition(".")
    tips: list[str] = []
    fix: str | None = None
    if "is not a package" in context.message:
        tips.append(
            f"{parent} is a module and no package: import {parent} alone, or look whether a file {parent}.py of yours "
            "hides the real one."
        )
    near, meant = near_matches(last, context.names), clear_match(last, context.names)
    if module in _MOVED:
        tips.append(f"It moved: write {_MOVED[module]} instead of {module}.")
        fix = rename_in_line(context, module, _MOVED[module])
    elif meant is not None:
        tips.append(f"Write {parent}.{meant} instead of {module}.")
        fix = rename_in_line(context, last, meant)
    elif near:
        tips.append(f"Did you mean {join_words([f'{parent}.{each}' for each in near], last='or')}?")
    public = [name for name in context.names if not name.startswith("_")]
    if public and not near and not tips:
        tips.append(f"The modules in {parent} are {join_words(public, 12)}.")
    tips.append(f"{parent} is there and has no module {last}: look up its name.")
    return tips, fix


def _no_module(context: FailureContext, module: str, allowed: list[str]) -> tuple[list[str], str | None]:
    """Return what to do about a module that is missing as a whole: the tips, and the corrected line or None.

    *allowed* are the modules that the program may import. A near name is taken from what is there first, and is written
    into the line only if no package of the tables is as near.
    """
    top = module.partition(".")[0]
    package = _package_of(module)
    tips: list[str] = []
    fix: str | None = None
    standard = [name for name in sys.stdlib_module_names if not name.startswith("_")]
    there = allowed or [*standard, *context.names]
    is_standard = top in sys.stdlib_module_names
    near: list[str] = []
    other = _MODULE_OF.get(_normal(top))
    if top in _GONE:
        tips.append(f"{top} is not part of this Python any more: use {_GONE[top]}.")
    elif other is not None and other != top:
        tips.append(f"The package {PACKAGES[other]} has the module {other}: write {other} instead of {top}.")
        fix = rename_in_line(context, top, other) if other in there else None
    elif package is None and not is_standard:
        every = [*there, *standard, *context.names, *_KNOWN]
        near = near_matches(top, there) or near_matches(top, every)
        meant = clear_match(top, there)
        if meant is not None and clear_match(top, every) in (None, meant):
            tips.append(f"Write {meant} instead of {top}.")
            fix = rename_in_line(context, top, meant)
        elif near:
            tips.append(f"Did you mean {join_words(near, last='or')}?")
    if top in _STANDARD:
        tips.append(f"Do without {top}: the standard library has {_STANDARD[top]}.")
    if top in allowed:
        tips.append(f"{top} may be imported, and is not installed where the program runs{_by_pip(package)}.")
    elif allowed:
        tips.append(f"Use the modules that are available: {join_words(allowed, 12)}.")
    elif package is not None and top not in _GONE:
        named = f" (the package is called {package}, the module {top})" if package != top else ""
        tips.append(f"Install it where the program runs{_by_pip(package)}{named}.")
    if not tips or (package is None and not near and other is None and top not in _GONE and not is_standard):
        tips.append(f"No package is known that has a module {top}: remove the import, and write what it was to do.")
    level = context.specific("security_level")
    if level and top not in allowed and (package is not None or is_standard):
        tips.append(f"If {top} is needed, have it allowed: allowed_imports=[{top!r}], or a higher level than {level}.")
    return tips, fix


def _package_of(module: str) -> str | None:
    """Return what an installer calls the package that has *module*, ``Pillow`` for ``PIL``; None where no table has it.

    An invented name may be registered by an attacker who waits for such a command.
    """
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in _GONE:
        return None
    known = PACKAGES.get(module) or PACKAGES.get(top)
    return known or (top if top in SAME_NAME or top in _STANDARD else None)


def _by_pip(package: str | None) -> str:
    return phrase(": pip install {}", package)


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


_KNOWN = (*PACKAGES, *SAME_NAME, *_STANDARD)
_MODULE_OF = {
    _normal(package): module for module, package in PACKAGES.items() if _normal(package) not in ("attrs", "setuptools")
}
"""For each package the module that it has, where these are called differently."""


def import_error(context: FailureContext) -> Diagnosis | None:
    """Diagnose a name that a module lacks, or a module that fails to load.

    A module that is only partly initialised is imported by one that it imports: a circular import.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> message = "cannot import name 'Mapping' from 'collections'"
    >>> failure = Failure(category=ErrorCategory.IMPORT, error_type="ImportError", message=message)
    >>> import_error(FailureContext(failure)).suggestions[0]
    'It moved: write from collections.abc import Mapping.'
    """
    found = _NAME.search(context.message)
    if found is None:
        if "relative import" in context.message:
            return Diagnosis(
                immediate_cause="a relative import (with a dot) needs a package around it, and there is none",
                suggestions=(
                    "Write the import without the dot: from module import name.",
                    "Or run it as a module of its package: python -m package.module.",
                ),
            )
        return _broken(context)
    name, module = found[1], found[3]
    near, meant = near_matches(name, context.names), clear_match(name, context.names)
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
        fix = rename_in_line(context, module, moved)
    elif meant is not None:
        tips.append(f"Write {meant} instead of {name}.")
        fix = rename_in_line(context, name, meant)
    elif near:
        tips.append(f"Did you mean {join_words(near, last='or')}?")
    own = [each for each in context.names if not each.startswith("_")]
    if own and not near:
        tips.append(f"{module} has {join_words(own, 12)}.")
    tips.append(f"Import the module and look what it has: `import {module}; print(dir({module}))`.")
    tips.append(f"If {name} came with another version of {module}, use what this one has.")
    return Diagnosis(
        immediate_cause=f"the module {module} has no '{name}'",
        contributing_factors=_shadowed(context),
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics=_specifics(module, list(as_texts(context.specifics.get("available_modules"))), name),
    )


def _broken(context: FailureContext) -> Diagnosis:
    """Diagnose a module that is there and fails to load.

    A system library is missing, or there is too little memory to map one.
    """
    name = context.hint("name")
    specifics = _specifics(name, list(as_texts(context.specifics.get("available_modules")))) if name else {}
    if _NO_MEMORY.search(context.message):
        return Diagnosis(
            immediate_cause=f"there is not enough memory to load {f'the module {name}' if name else 'a library'}",
            suggestions=("Raise the limit of memory, or import less.",),
            specifics=specifics,
        )
    library = re.search(r"(lib[\w.+-]+\.so[\w.]*|[\w-]+\.dll)", context.message)
    package = _package_of(name) if name else None
    command = phrase(": pip install --force-reinstall {}", package)
    tips = [f"Reinstall the package that has it, for this Python and this machine{command}."]
    if library is not None:
        tips.insert(0, f"Install the system library that has {library[1]}.")
    return Diagnosis(
        immediate_cause=f"the module {name or 'that is imported'} is there but cannot be loaded",
        suggestions=tuple(tips),
        specifics=specifics,
    )


def _shadowed(context: FailureContext) -> tuple[str, ...]:
    """Return the file from which a module was imported, which may be one of the program that hides the library's."""
    origin = re.search(r"\(([^()]+\.py)\)$", context.message)
    return (f"it was imported from {origin[1].replace(chr(92), '/').rpartition('/')[2]}",) if origin else ()


def _specifics(module: str, allowed: list[str], name: str = "") -> dict[str, Json]:
    return {
        "attempted_import": module + phrase(".{}", name),
        **known_facts(available_modules=[*allowed]),
    }
