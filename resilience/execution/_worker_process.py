"""The process that executes code, as its parent sees it: started, killed, buried.

On Linux all of this holds. On macOS there is no limit of memory that the system keeps, and no sight of the end of a
process but by asking for it (20 times a second). Windows has neither sessions nor a way to hand sockets down, and is
refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from resilience.clock import SYSTEM
from resilience.contrib.executor import ContainerConfigurationError, ContainerConnectivityError
from resilience.execution._framing import MALFORMED, Frames, Message, text_of
from resilience.execution._library_memory import thread_settings
from resilience.execution._orphans import kill_strays
from resilience.execution._worker.framing import frame_of
from resilience.execution._worker.messages import Go, Policy, Prepare

__all__ = ["Child", "own_peak", "readable"]

_MAIN = str(Path(__file__).with_name("_worker") / "__main__.py")
_OPTIONS = ("-I", "-u", "-X", "utf8")
_MARK = "RESILIENCE_EXECUTION"
_INHERITED = (
    *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "PATH", "TZ"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),  # some interpreters start with no others
)
_INTERVAL = 0.05
_LONGEST_DEATH = 10.0
_GO: Go = {"kind": "go"}
_MOST_RECORDED = 1 << 17
_NOT_FOUND = (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC, errno.ELOOP, errno.EISDIR, errno.EPERM)


class Child:
    """One process, with a session, a directory and pipes of its own. It executes one request, or none."""

    def __init__(self, python: str) -> None:
        if sys.platform == "win32":
            raise ContainerConfigurationError("code is executed on POSIX systems only; use a JupyterExecutor here")
        self.python = python
        self.token: bytes = os.urandom(16)
        self.mark: str = f"{_MARK}={self.token.hex()}"
        self.prepared_for: Policy | None = None
        """The policy it was told to expect."""
        self.greeted: bool = False
        """Whether it has said hello."""
        self.python_version: str = ""
        self.may_start_processes: bool = False
        """Whether the policy of its program allows that."""
        self.is_reaped: bool = False
        self.status: int | None = None
        """What it ended with, a negative number for a signal; None as long as it is not known."""
        self.most_memory: int | None = None
        """The most it had, in bytes, and at least what this process had when it made it."""
        self.go: bytes = frame_of(self.token, _GO)
        """What has a program run that it was sent."""
        self.execution_id: str = f"exec_{os.urandom(6).hex()}"
        with contextlib.ExitStack() as undo:
            try:
                self._start(python, undo)
            except OSError as error:
                raise _not_started(python, error) from error
            undo.pop_all()

    def _start(self, python: str, undo: contextlib.ExitStack) -> None:
        self.directory: str = tempfile.mkdtemp(prefix="resilience-")
        undo.callback(_remove, self.directory)
        with contextlib.ExitStack() as theirs:
            self.stdout: int
            self.stderr: int
            self.control: socket.socket
            self.stdout, stdout = _pipe(undo, theirs)
            self.stderr, stderr = _pipe(undo, theirs)
            self.control, control = socket.socketpair()
            undo.callback(self.control.close)
            theirs.callback(control.close)
            self.control.setblocking(False)
            self.frames: Frames = Frames(self.control, self.token)
            self.recorder: int = _nameless_file()
            undo.callback(os.close, self.recorder)
            self._process = subprocess.Popen(  # noqa: S603
                [python, *_OPTIONS, _MAIN, str(control.fileno()), str(self.recorder)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(control.fileno(), self.recorder),
                cwd=self.directory,
                env=self._environment(),
                start_new_session=True,
            )
        self.pid: int = self._process.pid
        self.end: int | None = _end_of(self.pid)

    def _environment(self) -> dict[str, str]:
        """Return what the program sees of the environment: nothing that could be a secret."""
        found = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        name, _, value = self.mark.partition("=")
        own = {"HOME": self.directory, "TMPDIR": self.directory, name: value}
        return {**thread_settings(os.environ), **found, **own}

    def prepare(self, policy: Policy) -> None:
        """Tell it which policy to expect, and have it get ready while there is time."""
        message: Prepare = {"kind": "prepare", "policy": policy}
        self.prepared_for = policy
        with contextlib.suppress(OSError):  # it has died; whoever takes it will see
            self.control.sendall(frame_of(self.token, message))

    def greet(self) -> None:
        """Take its hello, if that has come."""
        try:
            self.frames.receive()
            message = self.frames.take()
            if message is not None:
                self.take_hello(message)
        except MALFORMED:  # whoever takes it will see it dead
            self.kill()

    def take_hello(self, message: Message) -> None:
        """Take the first of its messages. Raises one of `MALFORMED` where that is something else."""
        if message["kind"] != "hello" or message["pid"] != self.pid:
            raise ValueError("something else than hello")
        self.python_version = text_of(message["python"])
        self.greeted = True

    def is_alive(self) -> bool:
        """Return whether the process has not ended yet."""
        return not self.wait(0)

    def kill(self) -> None:
        """Kill it with its whole session; what has ended already is left alone."""
        if self.is_reaped:
            return  # the number may be another process's by now
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: all of them have ended
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, and take its exit status; return whether it has ended."""
        until = SYSTEM.now() + seconds
        while not self._reap():
            left = until - SYSTEM.now()
            if left <= 0:
                return False
            if self.end is None:
                SYSTEM.sleep(min(left, _INTERVAL))
            else:
                readable(self.end, left)
        return True

    def _reap(self) -> bool:
        if self.is_reaped:
            return True
        try:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody else in this program waits for all children
            self.is_reaped, self._process.returncode = True, 0
            return True
        if pid == 0:
            return False
        self.is_reaped = True
        self.status = self._process.returncode = os.waitstatus_to_exitcode(status)
        self.most_memory = _in_bytes(usage.ru_maxrss)
        return True

    def read_recorder(self) -> bytes:
        """Return what it has noted down on its way."""
        return os.pread(self.recorder, _MOST_RECORDED, 0)

    def bury(self) -> None:
        """Kill it, wait for its end, and leave nothing of it behind."""
        self.kill()
        self.wait(_LONGEST_DEATH)
        if self.may_start_processes:
            kill_strays(self.mark)
        self.forget()
        _remove(self.directory)

    def forget(self) -> None:
        """Close what leads to it, and do nothing to the process: in a fork, it is somebody else's."""
        self._process.returncode = self._process.returncode or 0  # or it complains that nobody has waited
        self.control.close()
        for descriptor in (self.stdout, self.stderr, self.recorder, self.end):
            if descriptor is not None:
                os.close(descriptor)


def own_peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    import resource

    return _in_bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _in_bytes(maxrss: int) -> int:
    return maxrss if sys.platform == "darwin" else maxrss << 10


def readable(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read; return whether there is."""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def _pipe(undo: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[int, int]:
    reading, writing = os.pipe()
    undo.callback(os.close, reading)
    theirs.callback(os.close, writing)
    os.set_blocking(reading, False)
    return reading, writing


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("resilience")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _end_of(pid: int) -> int | None:
    """Return what becomes readable when the process ends, where the system has such a thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _not_started(python: str, error: OSError) -> ContainerConfigurationError | ContainerConnectivityError:
    said = f"python={python!r} cannot be started: {error.strerror or error}"
    if error.errno in _NOT_FOUND:
        return ContainerConfigurationError(f"{said}; give the path of a Python 3.11 or later", {"python": python})
    return ContainerConnectivityError(said, "localhost", 0, {"python": python})  # no memory, no processes, no files


def _remove(directory: str) -> None:
    """Remove a directory, whatever has been made of it."""
    with contextlib.suppress(OSError):
        os.rmdir(directory)  # noqa: PTH106  # most are empty
        return
    with contextlib.suppress(RecursionError):
        shutil.rmtree(directory, ignore_errors=True)
    if os.path.lexists(directory):  # deeper than Python's stack, or closed to its owner
        subprocess.run(["chmod", "-R", "u+rwX", "--", directory], stderr=subprocess.DEVNULL, check=False)  # noqa: S603, S607
        subprocess.run(["rm", "-rf", "--", directory], stderr=subprocess.DEVNULL, check=False)  # noqa: S603, S607
