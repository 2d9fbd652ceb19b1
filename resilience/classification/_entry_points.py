"""Entry points of the group ``resilience.classification``: tables that installed distributions bring for a library.

An entry point is named like the top-level module of the library and resolves to a `ClientLibrary`:

    [project.entry-points."resilience.classification"]
    acme = "acme._resilience:LIBRARY"

They are read once per process, when an exception is met of a library that is known from nowhere else, so what is
installed later is not seen. A table is loaded when its library is met. One that cannot be loaded is logged once and
ignored: classifying must not fail because a distribution is broken.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, cast

from resilience._callback_errors import log_internal_error
from resilience._forks import fork_safe
from resilience._validation import require
from resilience.classification.library import ClientLibrary

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "from_entry_point", "offered_libraries"]

GROUP = "resilience.classification"
_NOT_OFFERED = sys.stdlib_module_names | {"", "__main__", "__mp_main__"}
_METADATA = (".dist-info", ".egg-info")


class _Loading(threading.local):
    """The entry points that this thread loads: their own code may classify exceptions of their library."""

    def __init__(self) -> None:
        self.names: set[str] = set()


_loading = _Loading()
_reading = fork_safe(threading.RLock())


def from_entry_point(name: str) -> ClientLibrary | None:
    """Return the table that an installed distribution offers for a library, or None.

    For the standard library and the program itself nothing is offered: their exceptions do not have metadata read.
    """
    if name in _NOT_OFFERED:
        return None
    point = _entry_points().get(name)
    if point is None or name in _loading.names:
        return None
    _loading.names.add(name)
    try:
        library: object = point.load()
        require(isinstance(library, ClientLibrary), point.value, library, "a ClientLibrary", TypeError)
        return cast("ClientLibrary", library)
    except Exception as error:
        _entry_points().pop(name, None)  # logged once, however often the library is looked up
        message = "entry point %s of %s is ignored: loading %s raised %s"
        log_internal_error(message, name, GROUP, point.value, type(error).__name__, error=error)
        return None
    finally:
        _loading.names.discard(name)


def offered_libraries() -> set[str]:
    """Return the names of the libraries that installed distributions offer tables for, without loading any."""
    return set(_entry_points())


def _entry_points() -> dict[str, EntryPoint]:
    # Threads that fail at the same moment wait for one of them to read.
    with _reading:
        return _read_entry_points()


@functools.cache
def _read_entry_points() -> dict[str, EntryPoint]:
    """Return the entry points of the group by the name of the library.

    Most programs have none. For them importing `importlib.metadata` and parsing the metadata of everything installed
    would be a pause of some 50 ms in the first failing call, so the files on the import path are searched for the
    group's name first. Another finder than Python's own may keep metadata elsewhere, and is always asked.
    """
    try:
        finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
        if len(finders) == 1 and not any(_may_offer(folder) for folder in dict.fromkeys(sys.path)):
            return {}
        from importlib.metadata import entry_points

        return {point.name: point for point in entry_points(group=GROUP)}
    except Exception as error:  # the metadata of one distribution is not what it should be
        log_internal_error("the entry points of %s cannot be read: %s", GROUP, type(error).__name__)
        return {}


def _may_offer(folder: str) -> bool:
    """Return whether a distribution in a folder of the import path has an entry point of the group.

    The name of the group anywhere in the file is enough; `importlib.metadata` then reads what it stands for. An archive
    is not searched, and counts as if one had. A folder that is not there, or not to be read, has none.
    """
    try:
        names = os.listdir(folder or ".")  # noqa: PTH208 - pathlib would be imported for this alone
    except NotADirectoryError:
        return True
    except OSError:
        return False
    return any(GROUP.encode() in _entry_points_of(f"{folder}/{name}") for name in names if name.endswith(_METADATA))


def _entry_points_of(metadata: str) -> bytes:
    """Return the content of a distribution's ``entry_points.txt``, empty where it has none, as most do."""
    try:
        with open(f"{metadata}/entry_points.txt", "rb") as opened:  # noqa: PTH123
            return opened.read()
    except OSError:
        return b""
