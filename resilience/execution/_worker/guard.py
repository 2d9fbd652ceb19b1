"""Hold code to a policy while it runs: its imports, its builtins, and what it really does.

A guard rail for code that means well, no boundary against code that does not: all of this lives in the process of that
code. Runs in the child: standard library only, and nothing that is slow to import.
"""

from __future__ import annotations

import builtins
import os
import sys
from _weakref import ref
from errno import EACCES

from resilience.execution._worker import audit, importing
from resilience.execution._worker.policy_messages import ATTRIBUTES, DYNAMIC, denied, message
from resilience.execution._worker.source import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType
    from typing import NoReturn

    from resilience.execution._worker.policy_messages import Policy

__all__ = ["Guard", "SecurityViolation", "install"]

_MOST_KEPT = 100
_MOST_DEEP = 20
# Whatever a class of the program makes of these names.
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_NOT_GIVEN = object()
_HERE = os.path.dirname(__file__)  # noqa: PTH120  # pathlib is slow to import
_STANDARD = os.path.dirname(os.__file__)  # noqa: PTH120


class SecurityViolation(PermissionError):
    """The code did what its policy forbids. *violation* holds the fields of a `resilience.report.failure.Violation`.

    A PermissionError, as of a system that does not allow it: libraries look for files that may be missing, and are
    ready for an OSError.
    """

    def __init__(self, violation: dict[str, object]) -> None:
        super().__init__(message(str(violation["kind"]), str(violation["subject"])))
        self.errno: int | None = EACCES
        self.violation = violation

    def __del__(self) -> None:
        refusal = _pending.pop(id(self), None)
        if refusal is not None:
            refusal.look_at(self)


class Refusal:
    """Something that was refused. It counts, unless a library asked for it and caught the exception itself."""

    def __init__(self, error: SecurityViolation, namespace: dict[str, object], *, counts: bool) -> None:
        self.violation: dict[str, object] = error.violation
        self._namespace = namespace
        self._counts = counts
        # Not kept alive: that would keep the variables of all calls alive.
        self._error = ref(error)
        if not counts:
            _pending[id(error)] = self

    def look_at(self, error: SecurityViolation) -> None:
        """Have it count if *error* came to the program's own code, or if that can no longer be told."""
        entry = error.__traceback__
        self._counts = self._counts or entry is None
        while entry is not None and not self._counts:
            self._counts = entry.tb_frame.f_globals is self._namespace
            entry = entry.tb_next

    @property
    def is_open(self) -> bool:
        """Whether its exception is still about."""
        return self._error() is not None

    def counts(self) -> bool:
        """Return whether it is held against the program."""
        error = self._error()
        if error is not None and not self._counts:
            self.look_at(error)
        return self._counts


_pending: dict[int, Refusal] = {}
"""What is to be looked at when its exception ends, by the exception; an attribute of it could be reached by code."""


class Guard:
    """The policy that one namespace is held to. Who holds this can switch it off; code that is held to it has none."""

    __slots__ = ("_policy", "_refusals", "_room", "_warn", "_warned", "libraries", "namespace", "on", "source")

    def __init__(
        self,
        policy: Policy,
        namespace: dict[str, object],
        source: str,
        warn: Callable[[dict[str, object]], object] | None,
    ) -> None:
        self.namespace: dict[str, object] = namespace
        #: Whether it is watched what happens.
        self.on: bool = True
        self._refusals: list[Refusal] = []
        self._room = {True: _MOST_KEPT, False: _MOST_KEPT}
        self._policy = policy
        #: The program, for the code that is blocked. It may be known later than the policy.
        self.source: str = source
        self._warn = warn
        self._warned: set[tuple[object, ...]] = set()
        #: Directories that packages are installed in. The program's own modules lie elsewhere.
        self.libraries: tuple[str, ...] = tuple(f"{each}/" for each in sys.path if each and not _is_standard(each))

    def off(self) -> None:
        """Watch no longer what happens; imports and builtins of the namespace stay as they are."""
        self.on = False

    def refuse(self, kind: str, subject: str, operation: str) -> NoReturn:
        """Raise what says that this is denied, with the place in the code that does it."""
        violation = self._violation(kind, subject, operation)
        error = SecurityViolation(violation)
        # Libraries cannot use up the room for what the program does itself.
        if not self._room[True]:
            self._forget_harmless()
        by_library = self._room[True] > 0 and self.is_asked_by_library(subject)
        if self._room[by_library]:
            self._room[by_library] -= 1
            self._refusals.append(Refusal(error, self.namespace, counts=not by_library))
        try:
            raise error
        finally:
            del error  # its traceback has this call, and would keep it alive

    def _forget_harmless(self) -> None:
        kept = [refusal for refusal in self._refusals if refusal.counts() or refusal.is_open]
        self._room[True] += len(self._refusals) - len(kept)
        self._refusals = kept

    def violation(self, error: BaseException | None) -> dict[str, object] | None:
        """Return what is held against a program that ended with *error*, also where it has caught the exception.

        What a library tried and went on without is not: it was not done, and the program knows nothing of it.
        """
        for _ in range(_MOST_DEEP):
            if error is None:
                break
            if issubclass(type(error), SecurityViolation):
                return error.violation  # type: ignore[attr-defined, no-any-return]
            error = _cause_of(error) or _context_of(error)
        return next(iter(self.violations), None)

    @property
    def violations(self) -> list[dict[str, object]]:
        """What was refused so far and is held against the program, in order."""
        return [refusal.violation for refusal in self._refusals if refusal.counts()]

    def is_asked_by_library(self, subject: str) -> bool:
        """Return whether an installed package reaches for *subject* on its own account, and not for the program.

        The standard library does what it is told to, so what matters is whose code called it. And what stands in the
        program, or was handed over by it, was asked for by the program: `pandas.read_csv("/etc/passwd")`.
        """
        if subject in self.source:
            return False
        frame: FrameType | None = sys._getframe(1)
        called: FrameType | None = None
        by_library = False
        while frame is not None and frame.f_globals is not self.namespace:
            filename = frame.f_code.co_filename
            if not by_library and not filename.startswith(_HERE):
                by_library = filename.startswith(self.libraries)
                if not by_library and not _is_standard(filename):
                    return False
            frame, called = frame.f_back, frame
        if not by_library:
            return False
        places = [self.namespace, *(each.f_locals for each in (called, frame) if each is not None)]
        return not any(_names(value, subject) for place in places for value in list(place.values()))

    def warn(self, kind: str, subject: str, operation: str) -> None:
        """Tell of it once for each place, and let it happen."""
        if self._warn is None or len(self._warned) >= _MOST_KEPT:
            return
        violation = self._violation(kind, subject, operation)
        key = (kind, subject, violation["line"])
        if key not in self._warned:
            self._warned.add(key)
            self._warn(violation)

    def user_frame(self) -> FrameType | None:
        """Return the innermost call of the code's own that is under way in this thread."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_globals is not self.namespace:
            frame = frame.f_back
        return frame

    def _violation(self, kind: str, subject: str, operation: str) -> dict[str, object]:
        frame = self.user_frame()
        if frame is None:
            return denied(self._policy, kind, subject, operation)  # a thread that runs no function of the code
        source = Source(self.source)
        positions = list(frame.f_code.co_positions())[frame.f_lasti // 2]
        line, end_line, offset, end_offset = positions
        if line is None or end_line is None or offset is None or end_offset is None:
            number = frame.f_lineno
            return denied(self._policy, kind, subject, operation, source.line(number).strip(), number)
        code = source.piece(line, offset, end_line, end_offset)
        return denied(self._policy, kind, subject, operation, code, line, source.column(line, offset))


def _names(value: object, path: str) -> bool:
    pathlib = sys.modules.get("pathlib")
    if pathlib is not None and (type(value) is pathlib.PosixPath or type(value) is pathlib.PurePosixPath):
        value = str(value)
    return type(value) is str and value.endswith(path)


def _is_standard(filename: str) -> bool:
    inside = filename == _STANDARD or filename.startswith((f"{_STANDARD}/", "<frozen "))
    return (inside and "-packages" not in filename) or filename.endswith(".zip")


def install(
    policy: Mapping[str, object],
    namespace: dict[str, object],
    *,
    source: str = "",
    warn: Callable[[dict[str, object]], object] | None = None,
) -> Guard:
    """Hold the code that will run in *namespace* to *policy*, a `SecurityPolicy.to_dict()`, and watch the process.

    *source* is the code, for the reports. At level permissive nothing is refused: *warn* is told what would be
    elsewhere. Call it once in a process, after the working directory was changed to the code's own: an audit hook
    cannot be removed. Code of modules that the policy allows is not held to anything while it is imported.
    """
    told: Policy = policy  # type: ignore[assignment]  # typing.cast would cost an import
    guard = Guard(told, namespace, source, warn)
    namespace["__builtins__"] = _builtins(guard, told)
    if told["files"] != "all":
        sys.dont_write_bytecode = True  # what is imported later would write where it must not
    audit.watch(guard, told)
    return guard


def _builtins(guard: Guard, policy: Policy) -> dict[str, object]:
    found = dict(vars(builtins))
    if policy["modules"] is not None:
        # From Python 3.15 on `lazy import os` asks `__lazy_import__`: what it imports is decided there and then.
        found |= dict.fromkeys({"__import__", "__lazy_import__"} & found.keys(), importing.guarded(guard, policy))
    if policy["files"] == "none":
        found["open"] = _no_open(guard)
    if not policy["dynamic"]:
        for name in DYNAMIC:
            found[name] = _no_call(guard, name)
        found["getattr"] = _guarded_getattr(guard)
        del found["__loader__"], found["__spec__"]
    return found


def _no_call(guard: Guard, name: str) -> Callable[..., object]:
    def refused(*_arguments: object, **_options: object) -> NoReturn:
        guard.refuse("blocked_call", name, f"call {name}")

    return _named(refused, name)


def _no_open(guard: Guard) -> Callable[..., object]:
    def refused(file: object = "", mode: object = "r", *_arguments: object, **_options: object) -> NoReturn:
        kind = "file_write" if isinstance(mode, str) and audit.writes(mode) else "file_read"
        guard.refuse(kind, audit.said(file), kind)

    return _named(refused, "open")


def _guarded_getattr(guard: Guard) -> Callable[..., object]:
    real = getattr

    def guarded(target: object, name: str, default: object = _NOT_GIVEN, /) -> object:
        # A subclass of str may say that it is anything.
        plain = str.__str__(name) if isinstance(name, str) else name
        if plain in ATTRIBUTES:
            guard.refuse("blocked_attribute", plain, f"access {plain}")
        return real(target, plain) if default is _NOT_GIVEN else real(target, plain, default)

    return _named(guarded, "getattr")


def _named(function: Callable[..., object], name: str) -> Callable[..., object]:
    function.__name__ = function.__qualname__ = name
    function.__module__ = "builtins"
    return function
