"""Worker process as its parent sees it: start, ready message, kill, reap.

A worker owns a session, a directory, two pipes for output, a control socket and a recorder file. All of them go with
it.

The interpreter is started isolated. It inherits the pipes, its end of the socket and the recorder, but no other file,
and no variable that may hold a secret. It leads a session of its own, so that one signal reaches all processes that its
program starts, and Ctrl-C in a terminal reaches none of them.

A process ID is a number that the system may give to another process once this one has been waited for. So nothing is
signalled after that, and the exit is awaited by a descriptor where the system has one.

Linux supports everything. On macOS the system does not enforce the memory limit, and the exit of a process is found by
polling 20 times a second. Windows can neither start a session nor pass a socket to a child process, and is rejected.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from resilience.clock import SYSTEM
from resilience.contrib.executor import ContainerConfigurationError, ContainerConnectivityError
from resilience.execution._framing import MALFORMED, FrameReader, Message, require_str
from resilience.execution._library_memory import blas_threads, thread_settings
from resilience.execution._orphans import kill_orphans
from resilience.execution._worker.framing import encode_frame
from resilience.execution._worker.messages import Policy, Prepare, Start

__all__ = ["Interpreter", "WorkerProcess", "new_execution_id", "own_peak_memory", "wait_readable"]

_MAIN = str(Path(__file__).with_name("_worker") / "__main__.py")
_OPTIONS = ("-I", "-u", "-X", "utf8")
_MARKER_NAME = "RESILIENCE_EXECUTION"
"""Environment variable by which orphaned processes of a program are found."""
_INHERITED = (
    *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "PATH", "TZ"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),  # some interpreters start with no others
)
_POLL_INTERVAL = 0.05
_REAP_TIMEOUT = 10.0
_START: Start = {"kind": "start"}
_MAX_RECORDING = 1 << 17
_NOT_EXECUTABLE = (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC, errno.ELOOP, errno.EISDIR, errno.EPERM)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The interpreter that workers are started with, and the state that they start in.

    It is another one than this process's where the caller says so: with other packages, or of another version.
    """

    python: str
    preload: Sequence[str] = ()
    """Modules that a warm worker imports while it is idle."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables besides those of the allow list, over which they take precedence."""


class WorkerProcess:
    """A child process that executes one request, or none.

    The constructor starts the interpreter and returns at once. `reap` must be called in the end: it kills the process
    with all that its program has started, waits for it, and removes its directory.

    Its owner is one thread at a time, but for `kill`, which any thread may call.

    Raises `ContainerConfigurationError` where the interpreter cannot be executed, or the platform is not supported, and
    `ContainerConnectivityError` where the system has no memory, processes or descriptors left. Nothing is left behind
    then.
    """

    def __init__(self, interpreter: Interpreter) -> None:
        if sys.platform == "win32":
            raise ContainerConfigurationError("code is executed on POSIX systems only; use a JupyterExecutor here")
        self._interpreter = interpreter
        self.python: str = interpreter.python
        self.token: bytes = os.urandom(16)
        self.env_marker: str = f"{_MARKER_NAME}={self.token.hex()}"
        self.prepared_for: Policy | None = None
        """The policy of the prepare message, None if none was sent."""
        self.is_ready: bool = False
        """Whether its ready message has been read."""
        self.python_version: str = ""
        self.preload_failure: str = ""
        """Why it could not import a module of *preload*; empty if it has imported all."""
        self.may_start_processes: bool = False
        """Whether the policy of its program allows that: only then orphans are looked for."""
        self.is_reaped: bool = False
        self.is_killed: bool = False
        """Whether this process has killed it."""
        self.program_directory: str | None = None
        """Working directory that was sent to it; None: its own."""
        self.exit_status: int | None = None
        """Exit status, negative for a signal; None until it is known."""
        self.peak_memory: int | None = None
        """Peak of resident memory in bytes. It begins with that of this process at the time of the fork."""
        self.start_frame: bytes = encode_frame(self.token, _START)
        """Frame that starts the program of a request whose analysis was not complete when it was sent."""
        self.execution_id: str = new_execution_id()
        """Drawn in advance, for the program that it will run."""
        self.threads: int
        """Threads that the program's environment gives to linear algebra."""
        with contextlib.ExitStack() as cleanup:
            try:
                self._start(self.python, cleanup)
            except OSError as error:
                raise _start_error(self.python, error) from error
            cleanup.pop_all()

    def _start(self, python: str, cleanup: contextlib.ExitStack) -> None:
        """Make all that the process needs and start it. *cleanup* undoes what was made if a later step fails."""
        self.directory: str = tempfile.mkdtemp(prefix="resilience-")
        cleanup.callback(_remove_directory, self.directory)
        environment = self._environment()
        self.threads = blas_threads(environment)
        with contextlib.ExitStack() as child_ends:
            self.stdout: int
            self.stderr: int
            self.control: socket.socket
            self.stdout, stdout = _pipe(cleanup, child_ends)
            self.stderr, stderr = _pipe(cleanup, child_ends)
            self.control, control = socket.socketpair()
            cleanup.callback(self.control.close)
            child_ends.callback(control.close)
            self.control.setblocking(False)
            self.reader: FrameReader = FrameReader(self.control, self.token)
            self.recorder: int = _anonymous_file()
            cleanup.callback(os.close, self.recorder)
            self._process = subprocess.Popen(  # noqa: S603
                [python, *_OPTIONS, _MAIN, str(control.fileno()), str(self.recorder)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(control.fileno(), self.recorder),
                cwd=self.directory,
                env=environment,
                start_new_session=True,
            )
        self.pid: int = self._process.pid
        self.pidfd: int | None = _open_pidfd(self.pid)
        self.poller: select.poll = select.poll()
        """Watches all that a session waits for."""
        for descriptor in (self.control.fileno(), self.stdout, self.stderr, self.pidfd):
            if descriptor is not None:
                self.poller.register(descriptor, select.POLLIN)

    def _environment(self) -> dict[str, str]:
        """Return the program's environment: an allow list, since any other variable may hold a secret."""
        found = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        name, _, value = self.env_marker.partition("=")
        own = {"HOME": self.directory, "TMPDIR": self.directory, "MPLBACKEND": "agg"}
        return {**thread_settings(os.environ), **found, **own, **self._interpreter.environment, name: value}

    def prepare(self, policy: Policy) -> None:
        """Send the policy of the likely next request: the worker sets it up, and imports modules, while it is idle."""
        message: Prepare = {"kind": "prepare", "policy": policy, "preload": list(self._interpreter.preload)}
        self.prepared_for = policy
        with contextlib.suppress(OSError):  # it has died, which its session will find
            self.control.sendall(encode_frame(self.token, message))

    def read_ready(self) -> None:
        """Read the ready message if it has arrived."""
        try:
            self.reader.receive()
            message = self.reader.next_message()
            if message is not None:
                self.accept_ready(message)
        except MALFORMED:  # its session will find it dead
            self.kill()

    def accept_ready(self, message: Message) -> None:
        """Take its first message. Raises one of `MALFORMED` if that is no ready message."""
        if message["kind"] != "ready" or message["pid"] != self.pid:
            raise ValueError(f"a first message of kind {message['kind']!r}")
        self.python_version = require_str(message["python"])
        self.preload_failure = require_str(message.get("preload_failure", ""))
        self.is_ready = True

    def is_alive(self) -> bool:
        """Return whether the process is still running."""
        return not self.wait(0)

    def kill(self) -> None:
        """Kill the process and its whole session. Without effect once it is reaped."""
        self.is_killed = True
        if self.is_reaped:
            return  # the process ID may have been reused
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: all processes of the group have ended
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Wait up to *seconds* for the exit and collect its status; return whether the process has exited."""
        until = SYSTEM.now() + seconds
        while not self._poll_exit():
            left = until - SYSTEM.now()
            if left <= 0:
                return False
            if self.pidfd is None:
                SYSTEM.sleep(min(left, _POLL_INTERVAL))
            else:
                wait_readable(self.pidfd, left)
        return True

    def _poll_exit(self) -> bool:
        """Collect the exit status if the process has ended; return whether it has."""
        if self.is_reaped:
            return True
        try:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        except ChildProcessError:  # another part of this program has waited for all child processes
            self.is_reaped, self._process.returncode = True, 0
            return True
        if pid == 0:
            return False
        self.is_reaped = True
        self.exit_status = self._process.returncode = os.waitstatus_to_exitcode(status)
        self.peak_memory = _maxrss_in_bytes(usage.ru_maxrss)
        return True

    def read_recorder(self) -> bytes:
        """Return the content of the recorder file: the progress of the program."""
        return os.pread(self.recorder, _MAX_RECORDING, 0)

    def expect_next_program(self) -> None:
        """Make ready for another request to the same worker: what is recorded from now on is of that one."""
        os.pwrite(self.recorder, bytes(4), 0)
        self.reader.reset()
        self.execution_id = new_execution_id()

    def reap(self) -> None:
        """Kill the process, wait for its exit, kill its orphans and remove its directory."""
        self.kill()
        self.wait(_REAP_TIMEOUT)
        if self.may_start_processes:
            kill_orphans(self.env_marker)
        self.detach()
        _remove_directory(self.directory)

    def detach(self) -> None:
        """Close this process's ends and leave the process alone: in a fork it belongs to the parent."""
        self._process.returncode = self._process.returncode or 0  # otherwise Popen warns that it was not waited for
        self.control.close()
        for descriptor in (self.stdout, self.stderr, self.recorder, self.pidfd):
            if descriptor is not None:
                os.close(descriptor)


def new_execution_id() -> str:
    """Return a name for an execution that no other one has."""
    return f"exec_{os.urandom(6).hex()}"


def own_peak_memory() -> int:
    """Return the peak of this process's resident memory in bytes."""
    import resource

    return _maxrss_in_bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _maxrss_in_bytes(maxrss: int) -> int:
    return maxrss if sys.platform == "darwin" else maxrss << 10


def wait_readable(descriptor: int, seconds: float) -> bool:
    """Wait up to *seconds* until *descriptor* is readable; return whether it is."""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def _pipe(cleanup: contextlib.ExitStack, child_ends: contextlib.ExitStack) -> tuple[int, int]:
    reading, writing = os.pipe()
    cleanup.callback(os.close, reading)
    child_ends.callback(os.close, writing)
    os.set_blocking(reading, False)
    return reading, writing


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("resilience")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _open_pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process exits, None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _start_error(python: str, error: OSError) -> ContainerConfigurationError | ContainerConnectivityError:
    problem = f"python={python!r} cannot be started: {error.strerror or error}"
    if error.errno in _NOT_EXECUTABLE:
        return ContainerConfigurationError(f"{problem}; give the path of a Python 3.11 or later", {"python": python})
    # The system has no memory, processes or descriptors left.
    return ContainerConnectivityError(problem, "localhost", 0, {"python": python})


def _remove_directory(directory: str) -> None:
    """Remove a directory, however deep or unreadable the program has left it."""
    with contextlib.suppress(OSError):
        os.rmdir(directory)  # noqa: PTH106  # most are empty
        return
    with contextlib.suppress(RecursionError):
        shutil.rmtree(directory, ignore_errors=True)
    if os.path.lexists(directory):  # deeper than Python's stack, or closed to its owner
        subprocess.run(["chmod", "-R", "u+rwX", "--", directory], stderr=subprocess.DEVNULL, check=False)  # noqa: S603, S607
        subprocess.run(["rm", "-rf", "--", directory], stderr=subprocess.DEVNULL, check=False)  # noqa: S603, S607
