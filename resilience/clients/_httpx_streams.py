"""The bodies of responses of httpx, of which a part has been read already, or which must be read in time.

Each is made a class of the library's own by `stream_class`: a response wants a stream of that.

A caller that reads a failed response gets every byte, and the error at the place where it was, as if nothing had been
read before: `take` is invisible to it. The connection goes back to the pool when the stream ends or is closed.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from resilience.clients.exchange import MAX_DRAINED

__all__ = ["AsyncStream", "SyncStream", "TimedStream", "stream_class", "take", "take_async"]


class SyncStream:
    """A body that consists of *chunks*; *close* gives its connection back."""

    def __init__(self, chunks: Iterator[bytes], close: Callable[[], object]) -> None:
        self._chunks = chunks
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks, once."""
        yield from self._chunks

    def close(self) -> None:
        """Give the connection back."""
        self._close()


class TimedStream:
    """A body that is read until *check* raises: each chunk may come in time, and all of them too late."""

    def __init__(self, stream: Any, check: Callable[[], None]) -> None:
        self._stream = stream
        self._check = check

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks of the stream, each after a check of the time."""
        check = self._check
        for chunk in self._stream:
            check()
            yield chunk

    def close(self) -> None:
        """Close the stream itself."""
        self._stream.close()


class AsyncStream:
    """The same of an async response: *chunks* are those of `take_async`, *close* is awaited.

    The chunks may be an async generator, which is closed first: one that is left to the garbage collector may be closed
    too late.
    """

    def __init__(self, chunks: AsyncIterator[bytes], close: Callable[[], Awaitable[object]]) -> None:
        self._chunks = chunks
        self._close = close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the chunks, once."""
        async for chunk in self._chunks:
            yield chunk

    async def aclose(self) -> None:
        """Close what yields the chunks, and give the connection back."""
        aclose: Any = getattr(self._chunks, "aclose", None)
        if aclose is not None:
            await aclose()
        await self._close()


def stream_class(stream: type[Any], base: type[Any]) -> type[Any]:
    """Return *stream* as a subclass of *base* too, the library's class of streams."""
    return type(stream.__name__, (stream, base), {})


def take(stream: Any) -> Iterator[bytes]:
    """Read up to `MAX_DRAINED` bytes of *stream*, and return an iterator over all of it.

    A stream that ends before is closed. So is one that fails: the iterator raises its error.
    """
    chunks: Iterator[bytes] = iter(stream)
    taken: list[bytes] = []
    size = 0
    try:
        while size <= MAX_DRAINED:
            chunk = next(chunks)
            taken.append(chunk)
            size += len(chunk)
    except StopIteration:
        stream.close()
    except Exception as error:
        stream.close()
        chunks = _raising(error)
    return itertools.chain(taken, chunks)


async def take_async(stream: Any) -> AsyncIterator[bytes]:
    """Read an async *stream*, as `take` does."""
    chunks: AsyncIterator[bytes] = aiter(stream)
    taken: list[bytes] = []
    size = 0
    try:
        while size <= MAX_DRAINED:
            chunk = await anext(chunks)
            taken.append(chunk)
            size += len(chunk)
    except StopAsyncIteration:
        await stream.aclose()
    except Exception as error:
        await stream.aclose()
        chunks = _raising_async(error)
    return _chained(taken, chunks)


def _raising(error: Exception) -> Iterator[bytes]:
    """Raise *error* when the first chunk is asked for."""
    raise error
    yield b""


async def _raising_async(error: Exception) -> AsyncIterator[bytes]:
    """Raise *error* when the first chunk is asked for."""
    raise error
    yield b""


async def _chained(taken: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what was *taken*, and then the *rest*.

    The rest is closed at the end: an async generator that is left to the collector may be closed too late.
    """
    try:
        for chunk in taken:
            yield chunk
        async for chunk in rest:
            yield chunk
    finally:
        aclose: Any = getattr(rest, "aclose", None)
        if aclose is not None:
            await aclose()
