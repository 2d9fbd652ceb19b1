"""One program: carried out, and how it went told to the parent."""

from __future__ import annotations

import atexit
import faulthandler
import os
import sys
import warnings

from resilience.execution._worker.fallback_capture import bare
from resilience.execution._worker.framing import ChannelClosed
from resilience.execution._worker.guard import install
from resilience.execution._worker.line_tracer import Lines
from resilience.execution._worker.loading import watch_loads
from resilience.execution._worker.result_encoding import looks, value_of, variables_of
from resilience.execution._worker.statements import FILENAME, Program
from resilience.execution._worker.timer import Timer
from resilience.report._capture import capture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

    from resilience.execution._worker.framing import Channel
    from resilience.execution._worker.guard import Guard
    from resilience.execution._worker.limits import Limits
    from resilience.execution._worker.messages import Policy, Request
    from resilience.execution._worker.recorder import Recorder
    from resilience.execution._worker.statements import Statement
    from resilience.report._safe_repr import SafeRepr
    from resilience.report.captured_exception import Captured, Json

__all__ = ["Execution"]

_HERE = os.path.dirname(__file__)  # noqa: PTH120  # pathlib is slow to import
_MOST_WARNINGS = 100
_MOST_TEXT = 1000
_RECURSION = 1000
_SHORT = 4096
"""Characters that are compiled without any memory to speak of."""


class Execution:
    """What is known of the one program that this process carries out."""

    def __init__(self, channel: Channel, recorder: Recorder, limits: Limits) -> None:
        self._channel = channel
        self._recorder = recorder
        self._limits = limits
        self._is_fork = False
        self._main = type(sys)("__main__")
        self._timer = Timer(FILENAME, channel, recorder.descriptor)
        self._lines = Lines(self._reached)
        self._request: Request
        self._statements: list[Statement] = []
        self._guard: Guard | None = None
        self._stage = "compile"
        self._warnings_left = _MOST_WARNINGS
        self._value: object = None
        self._is_looking = False
        self._is_measured = False

    def settle(self) -> None:
        """Make this look like a Python that was asked to run a program, and nothing else."""
        ours = [name for name in sys.modules if name.partition(".")[0] == "resilience"]
        self._ours = {name: sys.modules.pop(name) for name in ours}
        self._main.__dict__["__builtins__"] = sys.modules["builtins"]
        sys.modules["__main__"] = self._main
        sys.argv[:] = [FILENAME]
        self._show_warning = warnings.showwarning
        warnings.showwarning = self._warn
        os.register_at_fork(after_in_child=self._abandon)
        faulthandler.enable(self._recorder.descriptor, all_threads=False)
        self._timer.install()

    def prepare(self, policy: Policy) -> None:
        """Do, while there is time, what takes time when it is done for the first time."""
        self.install(policy)
        Program("1").statements()
        self._limits.measure()
        self._is_measured = True

    def install(self, policy: Policy) -> Guard:
        """Set up the guard, which does not watch yet."""
        self._policy = policy
        if not policy["processes"]:
            os.environ.setdefault("JOBLIB_MULTIPROCESSING", "0")  # it does in this process what it is asked for
        self._guard = install(policy, self._main.__dict__, warn=self._would_be_refused)
        self._guard.off()
        return self._guard

    def carry_out(self, request: Request) -> None:
        """Run the program of *request*, answer, and end the process."""
        code = 1
        self._request = request
        try:
            self._recorder.begin()
            self._timer.set(request["timeout"])
            if "directory" in request:
                os.chdir(request["directory"])
            error = self._until_the_time_is_up(self._compile)
            if error is None:
                if not request["checked"]:
                    self._channel.receive()  # that it may go on
                self._limits.set_processor(request["timeout"])
                error = self._until_the_time_is_up(self._run)
            answer, code = self._answer(error)
            self._hand_back()
            if error is not None and not self._timer.fired:
                self._until_the_time_is_up(_let_it_end)
            _flush()
            self._tell({**answer, "exit_code": code, "seconds": self._timer.elapsed, "peak": self._limits.peak()})
            self._linger(code)
        except ChannelClosed:
            pass
        except BaseException as trouble:  # no report could be made, which must not look as if all were well
            code = 1
            self._tell({"kind": "trouble", "text": f"{type(trouble).__name__}: {trouble}"[:_MOST_TEXT]})
        finally:
            os._exit(code)  # without this, Python would tidy up, and wait for who knows what

    def _abandon(self) -> None:
        """Let go of what belongs to the process, in a fork: that goes on with the program, but nobody asks it."""
        self._channel.abandon()
        self._recorder.abandon()
        self._is_fork = True

    def _until_the_time_is_up(self, function: Callable[[], object]) -> BaseException | None:
        """Call *function*; return what it raises, be it the time limit's signal."""
        try:
            try:
                self._timer.start()
                function()
            finally:
                self._timer.stop()
        except BaseException as error:
            self._limits.relax()
            self._timer.stop()  # once more: it may have struck in there
            return error
        return None

    def _compile(self) -> None:
        if len(self._request["code"]) > _SHORT:
            self._limits.limit_compiler(self._request["memory"])
        program = Program(self._request["code"])
        self._stage = "split"
        self._statements = program.statements()

    def _run(self) -> None:
        statements = self._statements
        self._lines.watch(statements, functions=self._request.get("trace", False))
        namespace = self._main.__dict__
        self._watch()
        self._add_directory()
        if not self._is_measured or len(self._request["code"]) > _SHORT:  # compiling may have taken much
            self._limits.measure()
        self._limits.set_memory(self._request["memory"])
        watch_loads(self._limits)
        self._stage = "run"
        completed = last = 0
        for statement in statements:
            self._lines.begins(statement)
            if statement.is_value:
                self._value = eval(statement.code, namespace)  # noqa: S307  # what all of this is for
            else:
                exec(statement.code, namespace)  # noqa: S102
            completed += statement.end_line - max(statement.line, last + 1) + 1
            last = statement.end_line
            self._recorder.done(completed, last, statement.end_column)
        _let_it_end()

    def _watch(self) -> None:
        """Have the guard watch, the one that was set up before if it is the right one."""
        request, guard = self._request, self._guard
        if guard is None or "policy" in request or "directory" in request:
            guard = self.install(request.get("policy") or self._policy)
        guard.source = request["code"]
        guard.on = True

    def _add_directory(self) -> None:
        """Have modules in the working directory found, behind all others, where it is not the program that writes them.

        The code of a module is held to nothing while it is imported: one that the program could write would be a way
        out.
        """
        request = self._request
        policy = request.get("policy") or self._policy
        if "directory" in request and policy["files"] != "write":
            sys.path.append(request["directory"])

    def _answer(self, error: BaseException | None) -> tuple[dict[str, object], int]:
        """Return what there is to tell, and the exit code, once nothing of the program runs any more."""
        if self._timer.is_near:
            self._tell({"kind": "over"})
        self._take_back()
        code = 1 if self._timer.fired else 0 if error is None else _exit_code(error)
        answer: dict[str, object] = {
            "kind": "result",
            "stage": "run" if self._stage == "run" or self._is_out_of_memory(error) else "compile",
            "timed_out": self._timer.fired,
            "variables": self._variables(),
        }
        if self._timer.fired:
            answer["timed_out_at"] = self._timer.line
        violation = self._violation(error)
        if violation is not None:
            answer["violation"] = violation
        if code == 0:
            answer["value"] = value_of(self._value, self._looks)
        elif error is not None:
            captured = self._captured(error)
            answer["exception"] = captured
            answer["at_memory_limit"] = self._limits.was_reached()
            _complain(error, captured["traceback"])
        return answer, code

    def _variables(self) -> dict[str, Json]:
        try:
            return variables_of(self._main.__dict__, self._request.get("variables"), self._looks)
        except BaseException:  # a value that stops at nothing when it is looked at
            return {}

    def _captured(self, error: BaseException) -> Captured:
        self._get_ready_to_look()
        try:
            return capture(error, source=self._request["code"], hidden=_is_ours)
        except BaseException:  # an exception, or a value in reach of it, that stops at nothing
            return bare(error)

    def _take_back(self) -> None:
        """Undo what the program may have set that would stand in the way of a report."""
        self._limits.relax()
        if self._guard is not None:
            self._guard.off()
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION))
        sys.settrace(None)
        sys.setprofile(None)

    def _looks(self) -> SafeRepr:
        self._get_ready_to_look()
        return looks()

    def _get_ready_to_look(self) -> None:
        """See to it that what the program has left behind can be looked at, and holds nothing up."""
        if not self._is_looking:
            self._is_looking = True
            sys.modules.update(self._ours)
            self._timer.limit_report()

    def _hand_back(self) -> None:
        """Let the program go on, with its threads and what it has registered for the end."""
        if self._guard is not None:
            self._guard.on = True
        if self._is_looking:
            for name in self._ours:
                sys.modules.pop(name, None)

    def _is_out_of_memory(self, error: BaseException | None) -> bool:
        return _is(error, MemoryError) and self._limits.is_compiler_out_of_memory()

    def _violation(self, error: BaseException | None) -> object:
        return None if self._guard is None else self._guard.violation(error)

    def _reached(self, line: int) -> None:
        self._recorder.reached(line)
        if self._request.get("trace"):
            self._tell({"kind": "line", "line": line})

    def _would_be_refused(self, violation: dict[str, object]) -> None:
        self._tell_warning(str(violation["reason"]), violation["line"])

    def _warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if self._stage == "split":
            return  # it was said when the whole was compiled
        if filename == FILENAME:
            self._tell_warning(f"{category.__name__}: {message}", lineno)
        self._show_warning(message, category, filename, lineno, file, line)

    def _tell_warning(self, text: str, line: object) -> None:
        if self._warnings_left:
            self._warnings_left -= 1
            self._tell({"kind": "warning", "text": text[:_MOST_TEXT], "line": line})

    def _linger(self, code: int) -> None:
        """Wait a moment to be killed. To end by itself takes 1 ms, for which the parent may wait for the processor."""
        if not self._is_fork:
            self._timer.exit_soon(code)
            self._channel.wait()

    def _tell(self, message: dict[str, object]) -> None:
        if not self._is_fork:
            self._channel.send(message)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_HERE)


def _is(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Return whether it is one, whatever it says of itself: `isinstance` asks its `__class__`, too."""
    return issubclass(type(error), kind)


def _exit_code(error: Any) -> int:
    """Return what Python would exit with."""
    if not _is(error, SystemExit):
        return 1
    code = error.code
    if code is None:
        return 0
    return code & 0xFF if type(code) is int else 1


def _complain(error: Any, traceback: str) -> None:
    """Write to the program's stderr what Python would."""
    if _is(error, SystemExit):
        traceback = "" if error.code is None or type(error.code) is int else f"{error.code}"
    if not traceback:
        return
    try:
        sys.stderr.write(f"{traceback.rstrip()}\n")
    except BaseException:  # it may be closed, or something else
        os.write(2, f"{traceback.rstrip()}\n".encode("utf-8", "replace"))


def _let_it_end() -> None:
    """Wait for the program's threads, and call what it has registered, as Python does at the end."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: S112  # closed, or whatever the program has put there
            continue
