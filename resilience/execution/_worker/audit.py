"""Audit hook that enforces a policy: files, network, processes, native code and the interpreter's internals.

An audit hook sees an operation however the code reaches it, and cannot be removed. It sees only operations that raise
an audit event: `os.stat` does not. Runs in the worker: standard library only.

The hook runs at every event of the process, thousands of them in one import. So it looks an event up in a dict first,
and walks the stack only for one that the policy denies: an import may read the files of its module. An exception of a
check would fail the operation it looks at; checks therefore take any argument, also of a wrong type.
"""

from __future__ import annotations

import os
import sys

from resilience.execution._worker.importing import module_exists
from resilience.execution._worker.policy_messages import ATTRIBUTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import TypeGuard

    from resilience.execution._worker.guard import Guard
    from resilience.execution._worker.policy_messages import Policy

    Denied = tuple[str, str, str]
    """Kind, subject, operation."""
    Check = Callable[[tuple[object, ...]], Denied | None]

__all__ = ["install_hook", "is_write_mode", "path_name"]

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
# Events that the program must not cause by itself, while modules that it calls may.
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
# Files that libraries read to choose a number of threads, and to find fonts.
_SYSTEM_INFORMATION = (
    *("/sys/fs/cgroup", "/sys/devices/system/cpu", "/sys/devices/system/node", "/proc/cpuinfo", "/proc/meminfo"),
    *("/proc/stat", "/proc/loadavg", "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/osrelease"),
    *("/etc/localtime", "/etc/timezone", "/usr/share/fonts", "/usr/local/share/fonts"),
)
_OWN_INFORMATION = ("cgroup", "maps", "stat", "statm", "status")


def install_hook(guard: Guard, policy: Policy) -> None:
    """Install the hook. While *guard* is on, it rejects what *policy* denies; at level permissive it only warns."""
    permissive = policy["level"] == "permissive"
    if permissive:
        policy = {**policy, "files": "read", "network": False, "processes": False}
    checks = _checks(guard, policy)
    if not checks:
        return
    report = guard.warn if permissive else guard.refuse

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        check = checks.get(event)
        if check is None or not guard.on:
            return
        found = check(arguments)
        if found is not None and not _in_import(guard):
            report(*found)

    sys.addaudithook(hook)


def is_write_mode(mode: str) -> bool:
    """Return whether a file that is opened in *mode* can be written."""
    return any(letter in mode for letter in "wax+")


def path_name(path: object) -> str:
    """Return the name of the file *path* for messages."""
    if _is_path(path):
        return os.fsdecode(path)
    return f"file descriptor {path}" if isinstance(path, int) else type(path).__name__


def _checks(guard: Guard, policy: Policy) -> dict[str, Check]:
    """Return a check for each audit event that *policy* restricts; it returns what is denied, or None."""
    found: dict[str, Check] = {}
    if not policy["network"]:
        found |= {event: _network_check(event) for event in _NETWORK}
    if not policy["processes"]:
        found |= {event: _deny_always("process", event) for event in _PROCESS}
        found |= {event: _deny_always("blocked_call", event) for event in _NATIVE}
        found |= {event: _native_check(guard, event) for event in _NATIVE_OF_LIBRARIES}
    if not policy["dynamic"]:
        found["object.__getattr__"] = _attribute_check(guard)
        found |= {event: _denied_to_program(guard, event) for event in _INNER}
    if policy["files"] != "all":
        found |= _Files(guard, policy).checks()
    return found


def _in_import(guard: Guard) -> bool:
    """Return whether the event belongs to an import, such as reading the module's file."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals is not guard.namespace:
        code = frame.f_code
        if code.co_filename == "<frozen importlib._bootstrap>" or code is module_exists.__code__:
            return True
        frame = frame.f_back
    return False


def _deny_always(kind: str, event: str) -> Check:
    return lambda _arguments: (kind, event, f"call {event}")


def _native_check(guard: Guard, event: str) -> Check:
    """Let a library load and call functions of installed shared objects, as scikit-learn does.

    Each call of such a function is an event from Python 3.14 on.
    """

    def check(arguments: tuple[object, ...]) -> Denied | None:
        installed = event != "ctypes.dlopen" or (
            isinstance(arguments[0], str) and os.path.realpath(arguments[0]).startswith(guard.libraries)
        )
        return None if installed and guard.is_requested_by_library(event) else ("blocked_call", event, f"call {event}")

    return check


def _network_check(event: str) -> Check:
    def check(arguments: tuple[object, ...]) -> Denied:
        for each in arguments:
            if _is_address(each):
                return "network", ":".join(map(str, each[:2])), f"call {event}"
            if isinstance(each, str | bytes):
                # Of a URL, without user and password.
                return "network", os.fsdecode(each).rpartition("@")[2], f"call {event}"
        return "network", event, f"call {event}"

    return check


def _is_address(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple)  # host and port, and more of it in IPv6


def _attribute_check(guard: Guard) -> Check:
    def check(arguments: tuple[object, ...]) -> Denied | None:
        name = arguments[1]
        if isinstance(name, str) and name in ATTRIBUTES and _called_by_program(guard):
            return "blocked_attribute", name, f"access {name}"
        return None

    return check


def _denied_to_program(guard: Guard, event: str) -> Check:
    return lambda _arguments: ("blocked_call", event, f"call {event}") if _called_by_program(guard) else None


def _called_by_program(guard: Guard) -> bool:
    # The innermost three frames are this function, the check and the hook.
    return sys._getframe(3).f_globals is guard.namespace


class _Files:
    """Decides which files may be read and written.

    Paths are compared after all links are resolved: a link in the working directory gives no access to its target. The
    library of the interpreter may always be read, since modules load code and data late.
    """

    def __init__(self, guard: Guard, policy: Policy) -> None:
        self._guard = guard
        self._files = policy["files"]
        self._directory = _working_directory()
        self._own: tuple[str, ...] = (self._directory, *policy["paths"])
        # Code and data that modules read when they are imported, or later. The code of an interpreter is no secret, and
        # rejecting it would break the modules that are allowed.
        self._system: tuple[str, ...] = (*filter(None, sys.path), os.path.dirname(os.__file__), *_ZONES)  # noqa: PTH120
        self._are_resolved = False
        # Pipes to processes are opened by number.
        self._descriptors = policy["processes"] or policy["level"] == "permissive"

    def checks(self) -> dict[str, Check]:
        found: dict[str, Check] = {"open": self._opened, "sqlite3.connect": self._database}
        found |= dict.fromkeys(_READ, self._read)
        found |= dict.fromkeys(_WRITE, self._written)
        return found | dict.fromkeys(_TWO_PATHS, self._both_written)

    def _opened(self, arguments: tuple[object, ...]) -> Denied | None:
        path, mode, flags = arguments[:3]
        writing = bool(flags & _WRITING) if isinstance(flags, int) else isinstance(mode, str) and is_write_mode(mode)
        if isinstance(path, int):
            return (
                None
                if path <= _STANDARD_STREAMS or self._descriptors
                else _denied_file(path_name(path), writing=writing)
            )
        return self._check_path(path, writing=writing)

    def _database(self, arguments: tuple[object, ...]) -> Denied | None:
        return None if arguments[0] in (":memory:", b":memory:", "") else self._check_path(arguments[0], writing=True)

    def _read(self, arguments: tuple[object, ...]) -> Denied | None:
        return self._check_path(arguments[0], writing=False)

    def _written(self, arguments: tuple[object, ...]) -> Denied | None:
        return self._check_path(arguments[0], writing=True)

    def _both_written(self, arguments: tuple[object, ...]) -> Denied | None:
        return self._check_path(arguments[0], writing=True) or self._check_path(arguments[1], writing=True)

    def _check_path(self, path: object, *, writing: bool) -> Denied | None:
        if path is None or isinstance(path, int):  # the working directory, or a descriptor that is open already
            path = "."
        if not _is_path(path):
            return None  # the call will fail by itself
        real_path = os.path.realpath(os.fsdecode(path))
        if real_path in _DEVICES or self._allows(real_path, writing=writing):
            return None
        if not writing and _is_information(real_path) and self._guard.is_requested_by_library(path_name(path)):
            return None
        # Modules make paths absolute. The location of the working directory stays out of messages.
        return _denied_file(path_name(path).removeprefix(f"{self._directory}/"), writing=writing)

    def _allows(self, real_path: str, *, writing: bool) -> bool:
        if not self._are_resolved:  # only at the first check: most programs open no file
            self._own = tuple(map(os.path.realpath, self._own))
            self._system = tuple(map(os.path.realpath, self._system))
            self._are_resolved = True
        if writing:
            return self._files == "write" and _below(real_path, self._own)
        return _below(real_path, self._system) or (self._files != "none" and _below(real_path, self._own))


def _is_information(real_path: str) -> bool:
    own = f"/proc/{os.getpid()}/"
    return _below(real_path, _SYSTEM_INFORMATION) or (
        real_path.startswith(own) and real_path.removeprefix(own) in _OWN_INFORMATION
    )


def _is_path(value: object) -> TypeGuard[str | bytes | os.PathLike[str]]:
    return isinstance(value, str | bytes | os.PathLike)


def _denied_file(path: str, *, writing: bool) -> Denied:
    kind = "file_write" if writing else "file_read"
    return kind, path, kind


def _below(real_path: str, directories: tuple[str, ...]) -> bool:
    return any(real_path == each or real_path.startswith(each.rstrip("/") + "/") for each in directories)


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  # pathlib is slow to import
    except OSError:  # it was removed
        return os.devnull
