"""Programs that take too much, or do not end by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from resilience import ErrorCategory
from resilience.execution import ExecutionReport, ExecutionRequest, SubprocessExecutor
from resilience.execution._worker.recorder import TRACE, Recording
from resilience.execution._worker.statements import FILENAME
from resilience.execution._worker_process import own_peak_memory
from tests.execution.processes import has_ended

MOST = 10.0
"""Seconds after which an execution certainly hung, on a busy machine too."""


@pytest.fixture(scope="module")
def executor() -> Iterator[SubprocessExecutor]:
    with SubprocessExecutor() as executor:
        yield executor


def run(executor: SubprocessExecutor, code: str, **options: object) -> ExecutionReport:
    began = time.monotonic()
    report = executor.execute_sync(
        ExecutionRequest(code, **{"security_level": "permissive", "timeout": 0.3, **options})
    )
    assert time.monotonic() - began < MOST
    return report


LATE = {
    "a loop": ("x = 1\nwhile True:\n    x = 1\n", 2),
    "a loop in a function": ("def f():\n    y = 7\n    while y:\n        y = 7\nprint('a')\nf()\n", 4),
    "sleep": ("import time\ntime.sleep(100)\n", 2),
    "C code": ("x = 1\nsum(range(10**11))\n", 2),
    "everything is caught": (
        "while True:\n    try:\n        while True: x = 1\n    except BaseException:\n        pass\n",
        3,
    ),
    "its signal is ignored": ("import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: x = 1\n", 3),
    "signals are blocked": (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: x = 1\n",
        3,
    ),
    "a thread": ("import threading\nthreading.Thread(target=lambda: sum(iter(int, 1))).start()\n", None),
    "at exit": ("import atexit, time\natexit.register(time.sleep, 100)\n", None),
    "a lock": ("import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()\n", 4),
    "compilation": ("x = " + "+".join(["1"] * 3000) + "\n" + "y = [" + "0," * 300_000 + "]\nwhile True: pass", None),
}


@pytest.mark.parametrize("kind", LATE)
def test_whatever_it_does_a_program_ends_when_its_time_is_up(executor, kind):
    code, line = LATE[kind]
    report = run(executor, code)
    assert (report.success, report.category) == (False, ErrorCategory.EXECUTION_TIMEOUT)
    error = report.error
    assert (error.error_type, error.error_message) == ("ExecutionTimeout", "Code execution exceeded 0.3 second timeout")
    assert error.specifics["timeout_limit"] == 0.3 and error.specifics["execution_time"] >= 0.29
    if line is not None:
        assert line - 1 <= error.line_number <= line + 1 and error.specifics["last_executed_line"] == error.line_number


def test_the_report_of_a_time_limit_has_variables_and_output(executor):
    report = run(executor, LATE["a loop in a function"][0])
    assert report.error.local_variables == {"y": 7} and report.error.function_name == "f"
    assert report.error.specifics["partial_output"] == "a\n"
    assert report.execution_result.stderr.endswith("ExecutionTimeout: Code execution exceeded 0.3 second timeout\n")


def test_output_without_a_line_end_survives_a_process_that_is_killed(executor):
    report = run(executor, "print('half a line', end='')\nsum(range(10**11))")
    assert report.execution_result.stdout == "half a line"
    assert report.error.partial_results["completed_lines"] == 1


def test_a_program_that_is_stopped_is_killed(executor):
    report = run(executor, "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n")
    assert report.category is ErrorCategory.EXECUTION_TIMEOUT


def test_what_a_program_does_when_it_is_stopped_is_done(executor):
    report = run(executor, "import time\ntry:\n    time.sleep(100)\nfinally:\n    print('tidied up')")
    assert report.execution_result.stdout == "tidied up\n" and report.category is ErrorCategory.EXECUTION_TIMEOUT


@pytest.mark.parametrize("timeout", [1e-9, 1e300, 10**9])
def test_any_time_limit_can_be_kept(executor, timeout):
    report = run(executor, "1", timeout=timeout)
    assert report.success or (timeout < 1 and report.category is ErrorCategory.EXECUTION_TIMEOUT)


HUNGRY = {
    "at once": "numbers = [0] * 10**9",
    "text": "text = 'x' * 10**9",
    "in steps": "x = []\nwhile True:\n    x.append('a' * 10**5 + str(len(x)))",
    "objects": "x = []\nwhile True:\n    x.append({})",
    "in a function": "def f():\n    return bytearray(10**10)\nf()",
}


@pytest.mark.parametrize("kind", HUNGRY)
def test_a_memory_error_is_reported_with_its_line(executor, kind):
    report = run(executor, HUNGRY[kind], timeout=30, security_level="strict")
    assert (report.category, report.error.error_type) == (ErrorCategory.MEMORY, "MemoryError")
    assert report.error.error_message == "Memory limit of 100MB exceeded"
    assert report.error.specifics["memory_limit"] == "100MB" and report.error.specifics["memory_used"].endswith("MB")
    assert report.error.line_number == {"in steps": 3, "objects": 3, "in a function": 2}.get(kind, 1)


@pytest.mark.parametrize(("limit", "works"), [("400MB", True), ("50MB", False), (50 << 20, False), ("1GB", True)])
def test_the_memory_limit_is_what_the_request_says(executor, limit, works):
    report = run(executor, "x = bytearray(200 << 20)\nlen(x)", memory_limit=limit, timeout=30)
    assert report.success == works
    if works:
        assert report.execution_result.memory_used >= 200 << 20


def test_a_memory_error_that_the_program_deals_with_is_none(executor):
    assert (
        run(
            executor, "try:\n    [0] * 10**9\nexcept MemoryError:\n    x = 1\nx", timeout=30
        ).execution_result.return_value
        == 1
    )


def test_a_memory_error_of_the_programs_own_is_one(executor):
    assert run(executor, "raise MemoryError('mine')").category is ErrorCategory.MEMORY


@pytest.mark.parametrize("limit", ["lots", "-1MB", 0, 1.5, None, "MB", True])
def test_an_invalid_memory_limit_is_refused_where_it_is_written(limit):
    with pytest.raises((TypeError, ValueError), match="memory_limit="):
        ExecutionRequest("1", memory_limit=limit)


ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak begins with the parent's")


@ON_LINUX
def test_the_peak_of_memory_is_the_programs_own_however_much_its_parent_has_used(executor):
    small = executor.execute_sync("1").execution_result.memory_used
    request = ExecutionRequest(f"len(b'x' * {200 << 20})", memory_limit="1GB")
    large = executor.execute_sync(request).execution_result.memory_used
    assert 5 << 20 < small < 100 << 20
    assert 180 << 20 < large - small < 220 << 20


@ON_LINUX
@pytest.mark.parametrize("is_own", [False, True])
def test_both_ways_to_measure_the_peak_agree(is_own):
    code = """if True:
        import sys
        from resilience.execution._worker.limits import Limits
        limits = Limits()
        before = b"x" * int(sys.argv[1])
        limits.compare_peaks()
        after = b"x" * (100 << 20)
        print(limits._has_own_maxrss, limits.peak_memory(), limits._peak_by_status())
    """
    size = is_own * (own_peak_memory() + (50 << 20))
    ended = subprocess.run([sys.executable, "-c", code, str(size)], capture_output=True, text=True, check=True)
    found, quick, exact = ended.stdout.split()
    assert found == str(is_own)
    assert abs(int(quick) - int(exact)) < 1 << 20


def test_files_have_a_limit(executor):
    code = "with open('big', 'wb') as file:\n    for _ in range(200):\n        file.write(bytes(1 << 20))"
    report = run(executor, code, timeout=30)
    assert report.error.error_type == "OSError" and "File too large" in report.error.error_message
    report = run(executor, "files = [open('/dev/null') for _ in range(1000)]", timeout=30)
    assert "Too many open files" in report.error.error_message


def test_a_crash_leaves_no_core_and_has_the_name_of_its_signal_and_its_line(executor, tmp_path):
    code = "import ctypes\ndef f():\n    ctypes.string_at(0)\nf()"
    report = run(executor, code, working_directory=tmp_path)
    assert (report.category, report.error.error_type) == (ErrorCategory.RUNTIME, "SIGSEGV")
    assert (report.error.line_number, report.execution_result.exit_code) == (3, 128 + signal.SIGSEGV)
    assert report.error.partial_results["completed_lines"] == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGABRT", "SIGUSR1", "SIGHUP"])
def test_a_signal_that_ends_the_program_is_reported(executor, name):
    report = run(executor, f"import os, signal\nprint('a')\nos.kill(os.getpid(), signal.{name})")
    assert (report.category, report.error.error_type) == (ErrorCategory.RUNTIME, name)
    assert report.execution_result.stdout == "a\n"


@pytest.fixture
def deaf() -> Iterator[None]:
    """This process as a job in the background that `nohup` started, with the timer's signal blocked on top."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGINT)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals are the main thread's")
def test_a_program_does_not_inherit_ignored_or_blocked_signals(deaf):
    with SubprocessExecutor(spares=0) as executor:
        for name in ("SIGHUP", "SIGTERM"):
            report = run(executor, f"import os, signal\nos.kill(os.getpid(), signal.{name})")
            assert (report.category, report.error.error_type) == (ErrorCategory.RUNTIME, name)
        report = run(executor, "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass", timeout=5)
        assert report.error.error_type == "KeyboardInterrupt"
        report = run(executor, "n = 0\nwhile True:\n    n += 1", timeout=0.3)
        assert (report.category, report.execution_result.variables.keys()) == (ErrorCategory.EXECUTION_TIMEOUT, {"n"})


def test_sigxcpu_is_a_time_limit(executor):
    report = run(executor, "import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)", timeout=5)
    assert report.category is ErrorCategory.EXECUTION_TIMEOUT


@pytest.mark.parametrize(("code", "kind"), [(3, "ProcessExit"), (0, "WorkflowError")])
def test_a_process_that_just_ends_is_never_a_success(executor, code, kind):
    report = run(executor, f"import os\nx = 1\nos._exit({code})\ny = 2")
    assert (report.success, report.error.error_type) == (False, kind)
    assert report.category is (ErrorCategory.RUNTIME if code else ErrorCategory.INTERNAL)
    assert report.execution_result.exit_code == (code or 1)
    assert report.error.execution_context.last_successful_line == 2


def test_a_program_that_is_killed_from_outside_over_its_limit_has_used_too_much():
    from resilience.execution._outcome import Crash, ReportBuilder
    from resilience.execution.security import SecurityPolicy

    request = ExecutionRequest("x", memory_limit="1MB")
    known = ReportBuilder(execution_id="e", request=request, code="x", policy=SecurityPolicy.of("strict"))
    for memory, category in ((own_peak_memory() + 1, ErrorCategory.MEMORY), (own_peak_memory(), ErrorCategory.RUNTIME)):
        crash = Crash(timed_out=False, protocol_error="", exit_status=-signal.SIGKILL, peak_memory=memory, seconds=1.0)
        assert known.from_crash(crash).category is category


# -- what a program leaves running -----------------------------------------------------------------------------------

FORKS = {
    "a fork that sleeps": "import os, time\npid = os.fork()\nif not pid: time.sleep(100)\nprint(pid)",
    "a fork that prints for ever": (
        "import os\npid = os.fork()\nif not pid:\n    while True: os.write(2, b'y' * 1000)\nprint(pid)"
    ),
    "a grandchild": "import subprocess\nprint(subprocess.Popen(['sleep', '100']).pid)",
    "one in a group of its own": "import subprocess\nprint(subprocess.Popen(['sleep', '100'], process_group=0).pid)",
    "one in a session of its own": (
        "import subprocess\nprint(subprocess.Popen(['sleep', '100'], start_new_session=True).pid)"
    ),
    "a daemon": (
        "import os, time\nr, w = os.pipe()\nif not os.fork():\n    os.setsid()\n    pid = os.fork()\n    if pid:\n"
        "        os.write(w, str(pid).encode())\n        os._exit(0)\n    time.sleep(100)\nprint(int(os.read(r, 20)))"
    ),
}


@pytest.mark.parametrize("kind", FORKS)
def test_nothing_that_a_program_starts_outlives_it_or_keeps_it_waiting(kind):
    with SubprocessExecutor() as executor:
        report = run(executor, FORKS[kind], timeout=20)
        assert report.success
        pid = next(
            int(line) for line in report.execution_result.stdout.splitlines() if line.isdecimal() and line != "0"
        )
    assert has_ended(pid)


def test_a_fork_does_not_answer_for_the_program(executor):
    code = "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n'parent' if pid else 1 / 0"
    report = run(executor, code, timeout=20)
    assert report.execution_result.return_value == "parent"
    assert "ZeroDivisionError" in report.execution_result.stderr


def test_a_fork_outlives_the_program_only_until_the_program_ends(executor):
    report = run(executor, "import os, time\nif os.fork():\n    os._exit(7)\ntime.sleep(100)", timeout=20)
    assert report.error.error_type == "ProcessExit" and report.execution_result.exit_code == 7


def test_a_program_that_takes_the_signal_of_the_timer_is_stopped_in_what_it_leaves_for_the_end(executor):
    code = (
        "import atexit, signal\ndef spin():\n    while True: pass\natexit.register(spin)\n"
        "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n1 / 0"
    )
    report = run(executor, code, timeout=1)
    assert report.error.error_type == "ZeroDivisionError"  # which was reported while the timer was the process's own
    assert report.execution_result.execution_time < 1.5


def test_a_source_that_takes_more_memory_to_compile_than_it_may_is_over_its_limit(executor):
    report = run(executor, "x=1\n" * 500_000, memory_limit="100MB", timeout=120)
    assert (report.category, report.error.error_type) == (ErrorCategory.MEMORY, "MemoryError")
    assert report.execution_result.memory_used < 700 << 20


def test_a_source_that_is_nested_too_deeply_is_no_matter_of_memory(executor):
    report = run(executor, f"{'-' * 100_000}1", memory_limit="100MB")
    assert report.category is ErrorCategory.SYNTAX


def test_a_long_program_has_as_much_memory_as_a_short_one(executor):
    statements = "\n".join(f"x{number} = {number}" for number in range(20_000))
    report = run(executor, f"{statements}\nlen(bytes(80 << 20))", memory_limit="100MB", timeout=60, return_variables=[])
    assert report.execution_result.return_value == 80 << 20


# -- the recorder ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\xff" * TRACE, os.urandom(2 * TRACE), b"\1" + bytes(3 * TRACE)])
def test_whatever_is_in_the_recorder_can_be_read(content):
    recording = Recording(content)
    assert isinstance(recording.path, list) and (recording.line is None or recording.line > 0)


def test_a_program_that_writes_into_the_recorder_breaks_nothing(executor):
    code = (
        "import os\nfor fd in range(3, 20):\n    try:\n        os.pwrite(fd, b'\\xff' * 100000, 0)\n"
        "    except OSError:\n        pass\nos._exit(1)"
    )
    report = run(executor, code)
    assert not report.success
    assert report.to_json(4)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statements are the lines before sys.monitoring")
def test_lines_inside_of_functions_are_on_the_path_of_a_traced_program_that_crashed(executor):
    report = run(executor, "import os\ndef f():\n    x = 1\n    os._exit(3)\nf()", trace=True)
    assert report.error.execution_context.execution_path[-2:] == ("line 3", "line 4 (failed)")


@pytest.mark.parametrize(
    ("limit", "at_limit", "frames", "expected"),
    [
        ("100MB", True, [], True),  # no memory for a traceback either
        ("100MB", True, [{"filename": "sklearn/_base.pyx", "code": ""}], True),
        ("100MB", True, [{"filename": FILENAME, "code": "int('x')"}], False),
        ("100MB", False, [], False),
        ("1GB", True, [], False),  # the library has what it takes
    ],
)
def test_any_error_of_a_library_that_lacks_memory_is_a_matter_of_memory(
    limit: str, at_limit: bool, frames: list[dict[str, str]], expected: bool
):
    from resilience.execution._outcome import ReportBuilder
    from resilience.execution.security import SecurityPolicy

    code = "from sklearn.linear_model import Ridge"
    builder = ReportBuilder(
        execution_id="e",
        request=ExecutionRequest(code, memory_limit=limit),
        code=code,
        policy=SecurityPolicy.of("permissive"),
        memory_is_limited=True,
    )
    bases = ["builtins.TypeError", "builtins.Exception"]
    raised = {"bases": bases, "message": "", "frames": frames, "cause": None}
    assert builder._lacked_memory(raised, at_limit=at_limit) is expected
