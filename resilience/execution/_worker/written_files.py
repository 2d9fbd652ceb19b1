"""Files that a program has written into its working directory.

Used by the parent, and in kernels: standard library only. The directory is the program's: links in it are not followed.
"""

from __future__ import annotations

import contextlib
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    Snapshot: TypeAlias = Mapping[str, tuple[int, ...]]
    """Regular files of a directory: their paths, with what changes when a file is written, the size first."""

__all__ = ["MAX_ENTRIES", "MAX_SIZE", "list_files", "read_file"]

MAX_SIZE = 10 << 20
"""Bytes of one file or other artifact."""
MAX_ENTRIES = 10_000
"""Files of a working directory that are compared with those before the program."""


def list_files(directory: str) -> Snapshot | None:
    """Return the regular files below *directory*, without hidden ones and bytecode; None if there are too many."""
    found: dict[str, tuple[int, ...]] = {}
    seen = 0
    for folder, folders, names, descriptor in os.fwalk(directory, follow_symlinks=False):
        folders[:] = [name for name in folders if _is_listed(name)]
        seen += len(folders) + len(names)
        if seen > MAX_ENTRIES:
            return None
        for name in filter(_is_listed, names):
            with contextlib.suppress(OSError):  # removed meanwhile
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    path = f"{folder}/{name}".removeprefix(f"{directory}/")
                    found[path] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def _is_listed(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__"


def read_file(directory: str, path: str) -> bytes | None:
    """Return the content of a regular file, up to the limit; None if it is none any more.

    No part of the path may be a link: a process that the program has left could put one there.
    """
    try:
        with contextlib.ExitStack() as opened:
            place: int | None = None
            for part, flags in _steps(directory, path):
                place = os.open(part, flags | os.O_NOFOLLOW, dir_fd=place)
                opened.callback(os.close, place)
            assert place is not None, "a path has at least one part"
            if not stat.S_ISREG(os.fstat(place).st_mode):
                return None
            with os.fdopen(os.dup(place), "rb") as file:
                return file.read(MAX_SIZE)
    except OSError:
        return None


def _steps(directory: str, path: str) -> Iterator[tuple[str, int]]:
    *folders, name = path.split("/")
    for each in (os.path.realpath(directory), *folders):
        yield each, os.O_RDONLY | os.O_DIRECTORY
    yield name, os.O_RDONLY | os.O_NONBLOCK
