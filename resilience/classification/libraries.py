"""Registry of client libraries: finds the tables of a library by the name of its top-level module.

Three sources, in this order: what the program registered (`register_library`), the toolkit's own file in
`resilience.classification.clients`, and the installed entry points (`entry_points`). A table is loaded when the first
exception of its library is classified, never before, and the library itself is not imported.
"""

from __future__ import annotations

import functools
import sys
import threading

from resilience._forks import fork_safe
from resilience._validation import require
from resilience.classification._entry_points import from_entry_point, offered_libraries
from resilience.classification.library import UNKNOWN_LIBRARY, ClientLibrary
from resilience.classification.registry import Registration, forget_answers

__all__ = ["known_libraries", "library_named", "register_library"]

_CLIENTS = "resilience.classification.clients"
_MAX_LOADED = 1024  # the names of modules made at run time must not fill the memory


class _Registered:
    """One registration in force; its identity tells it from another one of the same library."""

    __slots__ = ("library", "name")

    def __init__(self, name: str, library: ClientLibrary) -> None:
        self.name: str = name
        self.library: ClientLibrary = library


class _Libraries:
    """The registrations at one moment, and the tables loaded while they hold.

    Replaced as a whole by a new registration, never changed: a thread that still loads under the old registrations
    stores the result where no other thread reads it.
    """

    __slots__ = ("loaded", "registered")

    def __init__(self, registered: tuple[_Registered, ...] = ()) -> None:
        self.registered: tuple[_Registered, ...] = registered
        self.loaded: dict[str, ClientLibrary] = {"builtins": UNKNOWN_LIBRARY}

    def load(self, name: str) -> ClientLibrary:
        """Return the tables of a library that is met for the first time."""
        library = self._registered(name) or _own(name)
        if library is not None:
            return self._keep(name, library)
        library = self._keep(name, from_entry_point(name) or UNKNOWN_LIBRARY)
        if library is not UNKNOWN_LIBRARY:
            forget_answers()  # what the code of the entry point has asked while the table was not there yet
        return library

    def _registered(self, name: str) -> ClientLibrary | None:
        return next((one.library for one in reversed(self.registered) if one.name == name), None)

    def _keep(self, name: str, library: ClientLibrary) -> ClientLibrary:
        if len(self.loaded) >= _MAX_LOADED:
            self.loaded.clear()
        self.loaded[name] = library
        return library


_libraries = _Libraries()
_lock = fork_safe(threading.Lock())


def library_named(name: str) -> ClientLibrary:
    """Return the tables of the library whose top-level module is *name*, empty tables where nothing is known of it."""
    libraries = _libraries
    return libraries.loaded.get(name) or libraries.load(name)


def known_libraries() -> list[str]:
    """Return the names of all libraries that have tables, in alphabetical order, without loading any of them."""
    import pkgutil

    from resilience.classification import clients

    own = {module.name for module in pkgutil.iter_modules(clients.__path__) if not module.name.startswith("_")}
    registered = {one.name for one in _libraries.registered}
    return sorted(own | registered | offered_libraries())


def register_library(name: str, library: ClientLibrary) -> Registration:
    """Say what the exceptions of a client library mean: *name* is the top-level module that it is imported by.

    The tables take the place of any others for that library, the toolkit's own included; for one class of a library
    that is known use `register`. Take the registration back by calling what is returned, or use it as a context
    manager. A distribution that brings tables for others to use declares an entry point instead, in the group
    ``resilience.classification``, named like the module and resolving to the `ClientLibrary`. In its `pyproject.toml`:

        [project.entry-points."resilience.classification"]
        acme = "acme._resilience:LIBRARY"

    Registrations of the program come first, the toolkit's own tables next, entry points last.

    Raises TypeError and ValueError for a name that no top-level module can have, and for anything but a
    `ClientLibrary`.

    >>> from resilience import classify
    >>> from resilience.classification import ClientLibrary
    >>> Busy = type("Busy", (Exception,), {"__module__": "acme.errors"})  # as if acme.errors had it
    >>> with register_library("acme", ClientLibrary({"Busy": "unavailable"})):
    ...     classify(Busy()).label
    'unavailable'
    """
    require(isinstance(name, str), "name", name, _NAME, TypeError)
    require(name.isidentifier(), "name", name, _NAME)
    require(
        isinstance(library, ClientLibrary), "library", library, "a resilience.classification.ClientLibrary", TypeError
    )
    entry = _Registered(name, library)
    _replace(add=(entry,))
    return Registration(f"the library {name}", functools.partial(_replace, remove=entry))


_NAME = "the top-level module that the library is imported by, such as 'httpx'"


def _replace(*, add: tuple[_Registered, ...] = (), remove: _Registered | None = None) -> None:
    global _libraries
    with _lock:
        kept = [one for one in _libraries.registered if one is not remove]
        _libraries = _Libraries((*kept, *add))
    forget_answers()


def _own(name: str) -> ClientLibrary | None:
    """Return the table of the toolkit's own file for a library."""
    if name in sys.stdlib_module_names:
        name = name.removeprefix("_")  # `queue.Empty` is of the accelerator `_queue`
    # Any text may stand in the __module__ of a class.
    if not name.isidentifier() or name.startswith("_"):
        return None
    if sys.is_finalizing():
        return None  # nothing can be imported any more, and the other rules still answer
    import importlib
    import importlib.util

    module = f"{_CLIENTS}.{name}"
    if importlib.util.find_spec(module) is None:
        return None
    library: ClientLibrary = importlib.import_module(module).LIBRARY
    return library
