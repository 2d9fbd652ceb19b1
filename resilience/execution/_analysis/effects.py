"""Table of functions, of the standard library and the best-known clients, that act outside the process.

A name that is not in the table is taken for harmless: the guard in the worker sees the operation itself.
"""

from __future__ import annotations

import enum

__all__ = ["IMPORTERS", "INSTANCES", "LEAKS", "OPENERS", "WATCHED_MODULES", "Effect", "effect_of"]


class Effect(enum.Enum):
    """Effect of calling a function."""

    NONE = ""
    READ = "file_read"
    WRITE = "file_write"
    OPEN = "open"
    """Reads or writes, as its mode says."""
    NETWORK = "network"
    PROCESS = "process"
    DYNAMIC = "blocked_call"
    """Runs code that no analysis has seen."""


INSTANCES = {
    "http.client.HTTPConnection": "http.client.HTTPConnection()",
    "httpx.AsyncClient": "httpx.Client()",
    "httpx.Client": "httpx.Client()",
    "pathlib.Path": "pathlib.Path()",
    "pathlib.Path.cwd": "pathlib.Path()",
    "pathlib.Path.home": "pathlib.Path()",
    "pathlib.PosixPath": "pathlib.Path()",
    "requests.Session": "requests.Session()",
    "requests.session": "requests.Session()",
    "socket.socket": "socket.socket()",
}
"""Classes and functions whose instances are tracked, so that calls of their methods are found."""

OPENERS = {
    "builtins.open": 1,
    "bz2.open": 1,
    "codecs.open": 1,
    "gzip.open": 1,
    "io.open": 1,
    "lzma.open": 1,
    "os.fdopen": 1,
    "pathlib.Path().open": 0,
    "tarfile.open": 1,
    "zipfile.ZipFile": 1,
}
"""Functions that open a file, with the index of their mode argument."""

IMPORTERS = (
    *("builtins.__import__", "builtins.__lazy_import__", "importlib.__import__"),  # return the top of a package
    "importlib.import_module",
)
"""Functions that import a module by its name; `__lazy_import__` is there from Python 3.15 on."""

LEAKS = frozenset({"builtins", "ctypes", "importlib", "nt", "os", "posix", "shutil", "socket", "subprocess", "sys"})
"""Modules that can be reached through others that import them: ``random._os``."""


def _of(effect: Effect, module: str, names: str) -> dict[str, Effect]:
    return {f"{module}.{name}": effect for name in names.split()}


_METHODS = "get post put patch delete head options request"
_EFFECTS: dict[str, Effect] = {
    **dict.fromkeys(OPENERS, Effect.OPEN),
    **_of(Effect.DYNAMIC, "builtins", "breakpoint compile eval exec"),
    **_of(Effect.DYNAMIC, "runpy", "run_module run_path"),
    **_of(Effect.DYNAMIC, "pdb", "set_trace run"),
    # Files.
    **_of(Effect.READ, "os", "listdir scandir walk fwalk chdir"),
    **_of(Effect.READ, "glob", "glob iglob"),
    **_of(Effect.READ, "pathlib.Path()", "read_text read_bytes iterdir glob rglob walk"),
    **_of(Effect.READ, "linecache", "getline getlines"),
    **_of(Effect.WRITE, "os", "chmod chown link makedirs mkdir mkfifo mknod remove removedirs rename renames replace"),
    **_of(Effect.WRITE, "os", "rmdir symlink truncate unlink utime"),
    **_of(Effect.WRITE, "shutil", "chown copy copy2 copyfile copymode copystat copytree make_archive move rmtree"),
    **_of(Effect.WRITE, "shutil", "unpack_archive"),
    **_of(
        Effect.WRITE, "pathlib.Path()", "chmod hardlink_to lchmod mkdir rename replace rmdir symlink_to touch unlink"
    ),
    **_of(Effect.WRITE, "pathlib.Path()", "write_bytes write_text"),
    **_of(Effect.WRITE, "tempfile", "NamedTemporaryFile SpooledTemporaryFile TemporaryDirectory TemporaryFile"),
    **_of(Effect.WRITE, "tempfile", "mkdtemp mkstemp"),
    **_of(Effect.WRITE, "shelve", "open"),
    **_of(Effect.WRITE, "dbm", "open"),
    # Network.
    **_of(Effect.NETWORK, "socket", "create_connection create_server getaddrinfo gethostbyname gethostbyname_ex"),
    **_of(Effect.NETWORK, "socket.socket()", "bind connect connect_ex sendto"),
    **_of(Effect.NETWORK, "urllib.request", "urlopen urlretrieve"),
    **_of(Effect.NETWORK, "http.client.HTTPConnection()", "connect request"),
    **_of(Effect.NETWORK, "requests", _METHODS),
    **_of(Effect.NETWORK, "requests.Session()", _METHODS),
    **_of(Effect.NETWORK, "httpx", f"{_METHODS} stream"),
    **_of(Effect.NETWORK, "httpx.Client()", f"{_METHODS} send stream"),
    **_of(Effect.NETWORK, "aiohttp", "ClientSession request"),
    **_of(Effect.NETWORK, "asyncio", "open_connection start_server"),
    **_of(Effect.NETWORK, "ftplib", "FTP FTP_TLS"),
    **_of(Effect.NETWORK, "smtplib", "SMTP SMTP_SSL"),
    # Processes, and what is as strong.
    **_of(
        Effect.PROCESS, "os", "abort execl execle execlp execlpe execv execve execvp execvpe fork forkpty kill killpg"
    ),
    **_of(
        Effect.PROCESS, "os", "popen posix_spawn posix_spawnp spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp"
    ),
    **_of(Effect.PROCESS, "os", "spawnvpe startfile system _exit"),
    **_of(Effect.PROCESS, "subprocess", "Popen call check_call check_output getoutput getstatusoutput run"),
    **_of(Effect.PROCESS, "pty", "fork spawn"),
    **_of(Effect.PROCESS, "asyncio", "create_subprocess_exec create_subprocess_shell"),
    **_of(Effect.PROCESS, "multiprocessing", "Pool Process"),
    **_of(Effect.PROCESS, "concurrent.futures", "InterpreterPoolExecutor ProcessPoolExecutor"),
    **_of(Effect.PROCESS, "concurrent.interpreters", "create"),
    **_of(Effect.PROCESS, "sys", "remote_exec"),
    **_of(Effect.PROCESS, "webbrowser", "open open_new open_new_tab"),
    **_of(Effect.PROCESS, "ctypes", "CDLL PyDLL WinDLL"),
    **_of(Effect.PROCESS, "ctypes.cdll", "LoadLibrary"),
}


WATCHED_MODULES = frozenset(
    name.partition(".")[0] for name in (*_EFFECTS, *INSTANCES, *IMPORTERS, *LEAKS, "operator.attrgetter")
)
"""Modules of which some rule knows a function, or an attribute."""


def effect_of(function: str) -> Effect:
    """Return the effect of calling *function*, a dotted name.

    >>> effect_of("os.system"), effect_of("math.sqrt")
    (<Effect.PROCESS: 'process'>, <Effect.NONE: ''>)
    """
    return _EFFECTS.get(function, Effect.NONE)
