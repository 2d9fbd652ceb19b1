"""Prove from a traceback that the request which failed was the first one of its call.

A client that follows redirects or retries may have sent a request before the one that was refused. Only local
variables in its frames tell, and a later version may rename them. Then there is no proof, and what is not proven
*may have been sent*. So a proof needs a traceback that runs through known functions of the client alone, and variables
that are there and hold nothing. What to look for is in the `PriorRequests` table of each library.

Code that is not a client's counts too: an installed library that is not known to call once may have called twice.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FrameType

from resilience._safe_access import as_str, qualified_name, safe_getattr
from resilience.classification._installed import is_among_libraries, uses_this_toolkit
from resilience.classification.frames import MAX_FRAMES, frames_of, library_of, module_of
from resilience.classification.libraries import library_named
from resilience.classification.library import PriorRequests

__all__ = ["proven_first"]

# Causes of exceptions of another process or interpreter, whose frames stayed there.
_REMOTE = {
    ("concurrent", "_RemoteTraceback"),
    ("concurrent", "ExecutionFailed"),
    ("multiprocessing", "RemoteTraceback"),
}

# Libraries without a file of their own whose functions send what they are given once, or nothing at all. What they do
# while they connect again does not count: nothing is sent by that.
_TRANSPARENT = """
    resilience pybreaker
    h11 h2 hpack hyperframe sniffio outcome exceptiongroup aiohappyeyeballs async_timeout
    uvloop winloop gevent eventlet greenlet dns aiodns socks socksio python_socks aiohttp_socks httpx_socks truststore
    psycopg_pool psycopg2 aiomysql aiosqlite
    typing_extensions wrapt decorator opentelemetry sentry_sdk ddtrace newrelic elasticapm logfire asgiref typeguard
    beartype cachetools async_lru
"""
_SENDS_ONCE = sys.stdlib_module_names | set(_TRANSPARENT.split())


def proven_first(exc: BaseException, proven: frozenset[str] = frozenset()) -> frozenset[str] | None:
    """Return the clients whose frames prove that they sent nothing before *exc*, or None where one of them may have.

    *proven* are those of which the exception that wraps *exc* has shown it. An exception that has not been raised has
    no frames, and nothing came before it.
    """
    if qualified_name(type(safe_getattr(exc, "__cause__"))) in _REMOTE:
        return None
    frames = frames_of(exc)
    if len(frames) == MAX_FRAMES:
        return None
    proof = _Proof(frames, proven)
    if not all(proof.admits(frame) for frame in frames):
        return None
    return frozenset(proof.proven) if proof.clients <= proof.proven else None


class _Proof:
    """State of one proof: which clients the frames read so far belong to, and which of them have proven to send first.

    A traceback may run through several clients, requests over urllib3 for example. Each of them may retry, so each has
    to prove for itself.
    """

    __slots__ = ("clients", "frames", "in_one_request", "proven")

    def __init__(self, frames: list[FrameType], proven: Iterable[str]) -> None:
        self.frames: list[FrameType] = frames
        self.proven: set[str] = set(proven)
        self.clients: set[str] = set()
        self.in_one_request: set[str] = set()

    def admits(self, frame: FrameType) -> bool:
        """Read the next frame, the outermost first; False ends the proof: a prior request cannot be ruled out."""
        name = library_of(frame)
        table = library_named(name).prior_requests
        if table is None:
            return _calls_once(frame, name, self.frames)
        self.clients.add(name)
        module = module_of(frame).partition(".")[2]
        evidence = table.evidence.get(f"{module}.{frame.f_code.co_name}")
        if evidence is None:
            return name in self.proven or self._admits_caller(table, name, module, frame.f_code.co_name)
        found = evidence(frame)
        if found:
            self.proven.add(name)
        return found is not False

    def _admits_caller(self, table: PriorRequests, name: str, module: str, function: str) -> bool:
        """Return whether a function that is no evidence may stand above the first proof of its library.

        A helper that makes several requests calls the functions that make one, so there only the first is admitted.
        """
        if not table.is_one_request(module):
            return function in table.callers
        first = name not in self.in_one_request
        self.in_one_request.add(name)
        return first


# -- code of libraries that are not clients ----------------------------------------------------------------------------


def _calls_once(frame: FrameType, library: str, frames: Iterable[FrameType]) -> bool:
    """Return whether the code of a frame is known to call what is below it once, or is the caller's own.

    The caller's own code may call as often as it likes: a guarded call ends where it was made, so what came before is
    another call. An application may be installed beside the libraries that it uses; it is the one that uses this
    toolkit.
    """
    if library in _SENDS_ONCE or library_named(library).sends_once:
        return True
    of_library = [one.f_globals for one in frames if library_of(one) == library]
    return not _is_installed(frame) or any(map(uses_this_toolkit, of_library))


def _is_installed(frame: FrameType) -> bool:
    """Return whether a frame's code lies where libraries are installed. Code without a file is the caller's."""
    file = as_str(frame.f_globals.get("__file__"))
    return file is not None and is_among_libraries(file, module_of(frame))
