"""The body of a request, as far as it can be sent again.

A retry must bring the server the same body as the first attempt, or none at all. A generator is empty after the first
attempt, and a file stands at its end: a client that sends them again sends nothing, and the server answers 200. An
adapter says by `Body` what it is about to send; the guard rewinds it, or makes no further attempt.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from types import GeneratorType
from typing import Final, Protocol, cast

from resilience._safe_access import safe_getattr

__all__ = ["FIXED", "Body", "FileBody", "OneTimeBody", "body_of", "body_of_parts"]


class Body:
    """A body that is in memory, or none: it can be sent any number of times, and by two attempts at once."""

    shareable: bool = True
    """Whether two attempts may send it at the same time, as a hedge does."""

    def may_repeat(self) -> bool:
        """Return whether another attempt would send the same body as the first."""
        return True

    def rewind(self) -> None:
        """Make the body ready for another attempt."""


FIXED: Final = Body()
"""The one body that is in memory: the client keeps the bytes itself."""


class _File(Protocol):
    """An open file, as far as a body needs it."""

    def tell(self) -> int: ...
    def seek(self, position: int, /) -> object: ...


class FileBody(Body):
    """A body that is read from *files*: each is set back to the position that it has now.

    A file that cannot be set back, such as a pipe, or that has been closed meanwhile, is sent once.

    >>> import io
    >>> file = io.BytesIO(b"key=value")
    >>> body = FileBody(file)
    >>> file.read(), body.may_repeat()
    (b'key=value', True)
    >>> body.rewind()
    >>> file.read()
    b'key=value'
    """

    shareable = False

    def __init__(self, *files: object) -> None:
        self._files: list[_File] = [cast("_File", file) for file in files]
        self._starts: list[int | None] = [_position(file) for file in self._files]

    def may_repeat(self) -> bool:
        """Return whether all files can be set back, and are still open."""
        return None not in self._starts and all(_position(file) is not None for file in self._files)

    def rewind(self) -> None:
        """Set each file back to where it stood before the first attempt."""
        for file, start in zip(self._files, self._starts, strict=True):
            if start is not None:
                file.seek(start)


class OneTimeBody(Body):
    """A body that is gone once it has been sent: a generator, or any other iterator.

    *is_untouched* says whether nothing has been read of it yet, as where the connection could not be made: then it can
    still be sent. Without it the first attempt is taken to have used it up.
    """

    shareable = False

    def __init__(self, is_untouched: Callable[[], bool] | None = None) -> None:
        self._is_untouched = is_untouched

    def may_repeat(self) -> bool:
        """Return whether nothing has been read of it, as far as that is known."""
        return self._is_untouched is not None and self._is_untouched()


def body_of(content: object) -> Body:
    """Return the body that *content* is: what users hand to most clients.

    Text, bytes, None and a list or tuple of such are in memory. A file is read again from where it stands. Anything
    else is taken to be sent once: an iterable of the user's own may be different the second time. A generator that
    has not been started can still be sent.

    >>> body_of(b"key=value").may_repeat(), body_of(iter((b"key", b"=value"))).may_repeat()
    (True, False)
    """
    if content is None or isinstance(content, _IN_MEMORY):
        return FIXED
    if callable(safe_getattr(content, "read")):
        return FileBody(content)
    if isinstance(content, list | tuple) and _are_in_memory(cast("Sequence[object]", content)):
        return FIXED
    if isinstance(content, GeneratorType):
        generator = cast("GeneratorType[object, object, object]", content)
        return OneTimeBody(lambda: inspect.getgeneratorstate(generator) == inspect.GEN_CREATED)
    return OneTimeBody()


def body_of_parts(parts: Iterable[object]) -> Body:
    """Return the body that is sent of several *parts*, such as the files of a form: each as `body_of` takes it.

    One part that can be sent once makes a body of the whole that can be sent once.

    >>> import io
    >>> body_of_parts([b"key=value", io.BytesIO(b"lamp")]).may_repeat(), body_of_parts([b"", iter(())]).may_repeat()
    (True, False)
    """
    bodies = [(part, body_of(part)) for part in parts]
    if any(isinstance(body, OneTimeBody) for _, body in bodies):
        return OneTimeBody()
    files = [part for part, body in bodies if isinstance(body, FileBody)]
    if not files:
        return FIXED
    return FileBody(*files)


_IN_MEMORY = (str, bytes, bytearray, memoryview)


def _are_in_memory(parts: Sequence[object]) -> bool:
    return all(isinstance(part, _IN_MEMORY) for part in parts)


def _position(file: _File) -> int | None:
    """Return where a file stands; None where it cannot be set back to that."""
    try:
        position = file.tell()
        seekable = safe_getattr(file, "seekable")
        if callable(seekable) and not seekable():
            return None
        if not callable(safe_getattr(file, "seek")):
            return None
    except Exception:  # a pipe, or a closed file
        return None
    return position
