"""What really happens: files, network, processes, and the frames of the interpreter, told by audit hooks.

An audit hook sees what code does by whatever road it came to do it, and cannot be removed. It sees what the interpreter
tells of, no more: `os.stat`, for one, raises no event. Runs in the child: standard library only.
"""

from __future__ import annotations

import os
import sys

from resilience.execution._worker.importing import exists
from resilience.execution._worker.policy_messages import ATTRIBUTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import TypeGuard

    from resilience.execution._worker.guard import Guard
    from resilience.execution._worker.policy_messages import Policy

    Found = tuple[str, str, str]
    """Kind, subject, operation."""
    Look = Callable[[tuple[object, ...]], Found | None]

__all__ = ["said", "watch", "writes"]

_NETWORK = (
    *("socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname"),
    *("socket.getnameinfo", "socket.sendmsg", "socket.sendto", "socket.sethostname", "urllib.Request"),
)
_PROCESS = (
    *("os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.posix_spawn", "os.spawn", "os.startfile"),
    *("os.system", "pty.spawn", "signal.pthread_kill", "subprocess.Popen", "sys.remote_exec", "webbrowser.open"),
)
_NATIVE = (
    *("ctypes.call_function", "ctypes.cdata", "ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle"),
    *("ctypes.string_at", "ctypes.wstring_at"),
)
_NATIVE_OF_LIBRARIES = ("ctypes.call_function", "ctypes.dlopen", "ctypes.dlsym")
# Events of which the code itself must not be the cause, while modules that it uses may be.
_INNER = (
    *("code.__new__", "gc.get_objects", "gc.get_referents", "gc.get_referrers", "sys._current_exceptions"),
    *("sys._current_frames", "sys.addaudithook", "sys.setprofile", "sys.settrace"),
)
_READ = ("os.chdir", "os.listdir", "os.scandir", "os.walk")
_WRITE = (
    *("os.chflags", "os.chmod", "os.chown", "os.mkdir", "os.remove", "os.removexattr", "os.rmdir", "os.setxattr"),
    *("os.truncate", "os.utime", "tempfile.mkdtemp", "tempfile.mkstemp"),
)
_TWO_PATHS = ("os.link", "os.rename", "os.symlink")

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_ZONES = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo")
_STANDARD_STREAMS = 2
# What libraries look up to find out how many threads to start, and which fonts there are.
_SYSTEM_INFORMATION = (
    *("/sys/fs/cgroup", "/sys/devices/system/cpu", "/sys/devices/system/node", "/proc/cpuinfo", "/proc/meminfo"),
    *("/proc/stat", "/proc/loadavg", "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/osrelease"),
    *("/etc/localtime", "/etc/timezone", "/usr/share/fonts", "/usr/local/share/fonts"),
)
_OWN_INFORMATION = ("cgroup", "maps", "stat", "statm", "status")


def watch(guard: Guard, policy: Policy) -> None:
    """Refuse from now on, while *guard* is on, what *policy* denies; at level permissive, warn."""
    permissive = policy["level"] == "permissive"
    if permissive:
        policy = {**policy, "files": "read", "network": False, "processes": False}
    looks = _looks(guard, policy)
    if not looks:
        return
    tell = guard.warn if permissive else guard.refuse

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        look = looks.get(event)
        if look is None or not guard.on:
            return
        found = look(arguments)
        if found is not None and not _in_import(guard):
            tell(*found)

    sys.addaudithook(hook)


def writes(mode: str) -> bool:
    """Return whether a file that is opened in *mode* can be written."""
    return any(letter in mode for letter in "wax+")


def said(path: object) -> str:
    """Return how to call the file *path*."""
    if _is_path(path):
        return os.fsdecode(path)
    return f"file descriptor {path}" if isinstance(path, int) else type(path).__name__


def _looks(guard: Guard, policy: Policy) -> dict[str, Look]:
    found: dict[str, Look] = {}
    if not policy["network"]:
        found |= {event: _network(event) for event in _NETWORK}
    if not policy["processes"]:
        found |= {event: _always("process", event) for event in _PROCESS}
        found |= {event: _always("blocked_call", event) for event in _NATIVE}
        found |= {event: _native(guard, event) for event in _NATIVE_OF_LIBRARIES}
    if not policy["dynamic"]:
        found["object.__getattr__"] = _attribute(guard)
        found |= {event: _inner(guard, event) for event in _INNER}
    if policy["files"] != "all":
        found |= _Files(guard, policy).looks()
    return found


def _in_import(guard: Guard) -> bool:
    """Whether what happens is part of an import: such as reading the module."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals is not guard.namespace:
        code = frame.f_code
        if code.co_filename == "<frozen importlib._bootstrap>" or code is exists.__code__:
            return True
        frame = frame.f_back
    return False


def _always(kind: str, event: str) -> Look:
    return lambda _arguments: (kind, event, f"call {event}")


def _native(guard: Guard, event: str) -> Look:
    """Let a library look up and call functions of shared objects that are installed with libraries: scikit-learn does.

    Each call of such a function is an event from Python 3.14 on.
    """

    def look(arguments: tuple[object, ...]) -> Found | None:
        installed = event != "ctypes.dlopen" or (
            isinstance(arguments[0], str) and os.path.realpath(arguments[0]).startswith(guard.libraries)
        )
        return None if installed and guard.is_asked_by_library(event) else ("blocked_call", event, f"call {event}")

    return look


def _network(event: str) -> Look:
    def look(arguments: tuple[object, ...]) -> Found:
        for each in arguments:
            if _is_address(each):
                return "network", ":".join(map(str, each[:2])), f"call {event}"
            if isinstance(each, str | bytes):
                # Of a URL, without user and password.
                return "network", os.fsdecode(each).rpartition("@")[2], f"call {event}"
        return "network", event, f"call {event}"

    return look


def _is_address(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple)  # host and port, and more of it in IPv6


def _attribute(guard: Guard) -> Look:
    def look(arguments: tuple[object, ...]) -> Found | None:
        name = arguments[1]
        if isinstance(name, str) and name in ATTRIBUTES and _asked_by_code(guard):
            return "blocked_attribute", name, f"access {name}"
        return None

    return look


def _inner(guard: Guard, event: str) -> Look:
    return lambda _arguments: ("blocked_call", event, f"call {event}") if _asked_by_code(guard) else None


def _asked_by_code(guard: Guard) -> bool:
    # This function, the look and the hook are the innermost three.
    return sys._getframe(3).f_globals is guard.namespace


class _Files:
    """Which files may be read and written."""

    def __init__(self, guard: Guard, policy: Policy) -> None:
        self._guard = guard
        self._files = policy["files"]
        self._here = _working_directory()
        self._own: tuple[str, ...] = (self._here, *policy["paths"])
        # What modules read when they are imported, or later: their own code and data. The code of an interpreter is no
        # secret, and refusing it would break the modules that are allowed.
        self._system: tuple[str, ...] = (*filter(None, sys.path), os.path.dirname(os.__file__), *_ZONES)  # noqa: PTH120
        self._followed = False
        # Pipes to processes are opened by number.
        self._descriptors = policy["processes"] or policy["level"] == "permissive"

    def looks(self) -> dict[str, Look]:
        found: dict[str, Look] = {"open": self._opened, "sqlite3.connect": self._database}
        found |= dict.fromkeys(_READ, self._read)
        found |= dict.fromkeys(_WRITE, self._written)
        return found | dict.fromkeys(_TWO_PATHS, self._both_written)

    def _opened(self, arguments: tuple[object, ...]) -> Found | None:
        path, mode, flags = arguments[:3]
        writing = bool(flags & _WRITING) if isinstance(flags, int) else isinstance(mode, str) and writes(mode)
        if isinstance(path, int):
            return None if path <= _STANDARD_STREAMS or self._descriptors else _file(said(path), writing=writing)
        return self._judge(path, writing=writing)

    def _database(self, arguments: tuple[object, ...]) -> Found | None:
        return None if arguments[0] in (":memory:", b":memory:", "") else self._judge(arguments[0], writing=True)

    def _read(self, arguments: tuple[object, ...]) -> Found | None:
        return self._judge(arguments[0], writing=False)

    def _written(self, arguments: tuple[object, ...]) -> Found | None:
        return self._judge(arguments[0], writing=True)

    def _both_written(self, arguments: tuple[object, ...]) -> Found | None:
        return self._judge(arguments[0], writing=True) or self._judge(arguments[1], writing=True)

    def _judge(self, path: object, *, writing: bool) -> Found | None:
        if path is None or isinstance(path, int):  # here; or what was opened before
            path = "."
        if not _is_path(path):
            return None  # the call will fail by itself
        place = os.path.realpath(os.fsdecode(path))
        if place in _DEVICES or self._allows(place, writing=writing):
            return None
        if not writing and _is_information(place) and self._guard.is_asked_by_library(said(path)):
            return None
        # Modules make paths absolute: where the code is run is nobody's business.
        return _file(said(path).removeprefix(f"{self._here}/"), writing=writing)

    def _allows(self, place: str, *, writing: bool) -> bool:
        if not self._followed:  # links in them, when they are first asked for: most code opens no file
            self._own = tuple(map(os.path.realpath, self._own))
            self._system = tuple(map(os.path.realpath, self._system))
            self._followed = True
        if writing:
            return self._files == "write" and _below(place, self._own)
        return _below(place, self._system) or (self._files != "none" and _below(place, self._own))


def _is_information(place: str) -> bool:
    own = f"/proc/{os.getpid()}/"
    return _below(place, _SYSTEM_INFORMATION) or (place.startswith(own) and place.removeprefix(own) in _OWN_INFORMATION)


def _is_path(value: object) -> TypeGuard[str | bytes | os.PathLike[str]]:
    return isinstance(value, str | bytes | os.PathLike)


def _file(path: str, *, writing: bool) -> Found:
    kind = "file_write" if writing else "file_read"
    return kind, path, kind


def _below(place: str, directories: tuple[str, ...]) -> bool:
    return any(place == each or place.startswith(each.rstrip("/") + "/") for each in directories)


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  # pathlib is slow to import
    except OSError:  # it was removed
        return os.devnull
