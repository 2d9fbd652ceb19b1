"""Redaction of paths: home directories and installation paths are taken out of file names and texts.

A user's name and the layout of a host must not leave a report, so an installed file goes by its module's path,
``httpx/_client.py``, and a home directory by ``~``. The same patterns decide which files are the program's own:
`is_library`. Decisions are made by names and by the import path; no package is imported for them.
"""

from __future__ import annotations

import functools
import os
import re
import sys

__all__ = ["is_library", "short_name", "without_paths"]

# What installed code has before its module's path, and what of a home directory tells whose it is. Bounded in
# directories, so that a text made of slashes takes no time.
_DIRECTORY = r"[^/\\:*?\"'<>|\s]+"
_LIBRARY = (
    rf"(?:[A-Za-z]:)?(?:[/\\]{_DIRECTORY}){{0,30}}?[/\\]"
    r"(?:lib(?:64)?/python3?(?:\.\d+)?t?/(?:(?:site|dist)-packages/|lib-dynload/)?"
    r"|(?:site|dist)-packages[/\\]|Lib\\(?:site-packages\\)?)"
)
_HOME = r"(?:/home|/Users)/[^/\s'\":]+|(?<![\w/])/root(?=[/\s'\":,;)]|$)|[A-Za-z]:\\Users\\[^\\\s'\":]+"
_IN_TEXT = re.compile(_LIBRARY)
_HOME_IN_TEXT = re.compile(_HOME)
_INSTALLED = re.compile(
    r".*[/\\](?:lib(?:64)?/python3?(?:\.\d+)?t?/(?:(?:site|dist)-packages/)?|(?:site|dist)-packages[/\\]|Lib\\(?:site-packages\\)?)",
    re.DOTALL,
)
# What is called like this is a program that came from no file. Other such names are made by libraries.
_PROGRAM = re.compile(
    r"<(?:string|stdin|unknown|input|console|cell|code|exec|eval|module|program|script|test|source|snippet|main)>"
    r"|<(?:ipython|ipykernel|python-input|doctest|pyshell|notebook)",
    re.IGNORECASE,
)
_MAX_RECORDS = 500
_COMPILED = (".pyx", ".pxi", ".pxd")
_SOURCE_DIRECTORIES = frozenset({"lib", "src"})
_ARCHIVED = re.compile(r"\.(?:egg|whl|zip)[/\\]")
_NAMED = re.compile(r'(?<=File ")[^"\n]*(?=")')
_HINT = re.compile(r"[/\\](?:lib|Lib|root|home|Users|site-packages|dist-packages)")


def is_library(filename: str) -> bool:
    """Return whether a file belongs to Python or to an installed package, and not to the program.

    So do the sources of Cython, which have the names that they had where they were compiled, and code that a library
    has made: ``<attrs generated init shop.Item>``.

    >>> is_library("/usr/lib/python3.12/json/decoder.py"), is_library("<frozen runpy>"), is_library("<string>")
    (True, True, False)
    >>> is_library("pandas/_libs/tslibs/strptime.pyx"), is_library("<lambdifygenerated-1>"), is_library("<stdin>")
    (True, True, False)
    """
    if filename.startswith("<"):
        return _PROGRAM.match(filename) is None
    return (
        filename.endswith(_COMPILED)
        or _ARCHIVED.search(filename) is not None
        or _INSTALLED.match(filename) is not None
        or _is_below_target(filename)
        or _is_compiled_package(filename)
    )


def _is_compiled_package(filename: str) -> bool:
    """Whether a path is relative to where an installed package was compiled: ``lib/sqlalchemy/_row_cy.py``.

    Cython and mypyc compile Python files, too, and keep these names. A file of the program exists under its name.
    """
    if filename.startswith(("/", "\\", ".")) or ":" in filename[:3] or "/" not in filename:
        return False
    top, *rest = filename.split("/")
    package = rest[0] if top in _SOURCE_DIRECTORIES else top
    return not os.path.exists(filename) and package.isidentifier() and _is_installed(package)  # noqa: PTH110 - as above


@functools.lru_cache(maxsize=64)
def _is_installed(package: str) -> bool:
    """Whether a package is below a directory of installed ones; it is looked for, and not imported."""
    from importlib.machinery import PathFinder

    try:
        spec = PathFinder.find_spec(package)
    except (ImportError, ValueError, OSError):
        return False
    return spec is not None and spec.origin is not None and _INSTALLED.match(spec.origin) is not None


def _is_below_target(filename: str) -> bool:
    """Whether a file belongs to a package in a directory on the path that `pip install --target` has filled."""
    for directory in sys.path:
        if directory and filename.startswith(f"{directory.rstrip('/')}/"):
            top = filename[len(directory.rstrip("/")) + 1 :].partition("/")[0].removesuffix(".py")
            if top in _targets_of(directory):
                return True
    return False


@functools.lru_cache(maxsize=64)
def _targets_of(directory: str) -> frozenset[str]:
    """Return the modules in a directory that the records of installed packages beside them name."""
    found: set[str] = set()
    try:
        with os.scandir(directory) as entries:
            records = [each.path for each in entries if each.name.endswith(".dist-info")][:_MAX_RECORDS]
        for record in records:
            with open(os.path.join(record, "RECORD"), encoding="utf-8") as lines:  # noqa: PTH118, PTH123 - slow to import
                found.update(line.partition(",")[0].partition("/")[0].removesuffix(".py") for line in lines)
    except Exception:  # the directory cannot be read, or a policy forbids it
        return frozenset()
    return frozenset(name for name in found if name and not name.endswith((".dist-info", "..")))


def short_name(filename: str) -> str:
    """Return a file's name without what it says of the host.

    >>> short_name("/srv/venv/lib/python3.12/site-packages/httpx/_client.py"), short_name("/home/ada/shop/main.py")
    ('httpx/_client.py', '~/shop/main.py')
    """
    found = _INSTALLED.match(filename)
    if found is not None:
        return filename[found.end() :].replace("\\", "/")
    return _without_home(filename)


def without_paths(text: str) -> str:
    """Return a text in which files of installed packages go by their module's path, and home directories by ``~``.

    >>> without_paths("cannot import name 'x' from 'json' (/usr/lib/python3.12/json/__init__.py)")
    "cannot import name 'x' from 'json' (json/__init__.py)"
    """
    home = _home()
    if not _HINT.search(text) and (not home or home not in text):
        return text
    text = _NAMED.sub(lambda found: short_name(found[0]), text)
    return _without_home(_IN_TEXT.sub("", text))


def _without_home(text: str) -> str:
    """Replace this process's home directory by ``~``, and any other path of the form ``/home/ada`` as well."""
    home = _home()
    if home and home in text:
        text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text)
    return _HOME_IN_TEXT.sub("~", text)


@functools.cache
def _home() -> str:
    """Return the home directory of this process; empty where none is known, or where it is the root directory."""
    home = os.path.expanduser("~").rstrip("/\\")  # noqa: PTH111 - Path.home() raises where there is none
    if home == "~" or not {"/", "\\"} & set(home):
        return ""
    return home
