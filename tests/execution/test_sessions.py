"""Sessions: executions that share their variables, in a process and in a kernel."""

from __future__ import annotations

import functools
import os
import pathlib
import threading

import anyio
import pytest

from resilience import ErrorCategory
from resilience.execution import (
    ExecutionReport,
    ExecutionRequest,
    ExecutionSession,
    JupyterExecutor,
    SubprocessExecutor,
)
from resilience.execution._worker_process import wait_readable
from tests.runners import Runner

pytestmark = pytest.mark.skipif(os.name != "posix", reason="executions need POSIX")

FREE = functools.partial(ExecutionRequest, security_level="permissive")


@pytest.fixture(
    scope="module",
    params=[SubprocessExecutor, pytest.param(JupyterExecutor, marks=pytest.mark.slow)],
    ids=["process", "kernel"],
)
def executor(request: pytest.FixtureRequest):
    with request.param() as executor:
        yield executor


@pytest.fixture
def session(executor):
    with executor.session() as session:
        yield session


def run(session: ExecutionSession, request: ExecutionRequest | str, **variables: object) -> ExecutionReport:
    return session.execute_sync(request, variables=variables)


def value(session: ExecutionSession, request: ExecutionRequest | str, **variables: object) -> object:
    report = run(session, request, **variables)
    assert report.success, report.error
    return report.execution_result.return_value


def test_variables_functions_and_imports_stay(session):
    assert value(session, "import math\nx = 5\ndef double(n):\n    return 2 * n") is None
    assert value(session, "x + 1") == 6
    assert value(session, "double(x) + math.floor(0.5)") == 10


def test_it_works_sync_and_async_alike(executor, runner: Runner):
    session = executor.session()
    try:
        for code, expected in (("x = 5", None), ("x + 1", 6)):
            report = runner.run(lambda: session.execute_sync(code), functools.partial(session.execute, code))
            assert report.execution_result.return_value == expected
    finally:
        session.close()


@pytest.mark.anyio
async def test_a_session_is_an_async_context_manager(executor):
    async with executor.session() as session:
        await session.execute("x = 5")
        report = await session.execute("x + y", variables={"y": 2})
    assert report.execution_result.return_value == 7


def test_two_sessions_and_other_executions_share_nothing(executor):
    with executor.session() as one, executor.session() as two:
        run(one, "x = 1")
        run(two, "x = 2")
        assert executor.execute_sync("x").error.error_type == "NameError"
        assert (value(one, "x"), value(two, "x")) == (1, 2)


def test_given_variables_replace_those_that_are_there(session):
    assert value(session, "limit", limit=5) == 5
    assert value(session, "limit", limit=6) == 6
    assert value(session, "limit") == 6


def test_a_failure_leaves_what_was_defined_before_it(session):
    assert run(session, "x = 5\n1 / 0\nx = 6").error.line_number == 2
    assert value(session, "x") == 5


def test_an_error_in_a_function_of_an_earlier_execution_shows_both_sources(session):
    run(session, "# an earlier execution\n\ndef ratio(n):\n    return n / 0")
    report = run(session, "ratio(3)")
    assert report.error.line_number == 1
    assert 'File "<string>", line 1' in report.execution_result.stderr
    assert 'File "<execution 1>", line 4, in ratio\n    return n / 0' in report.execution_result.stderr
    assert report.execution_result.stderr.count("ratio(3)") == 1


def test_a_syntax_error_is_one_of_its_own_program(session):
    run(session, "x = 5")
    report = run(session, "x = 6\nif x")
    assert (report.category, report.error.line_number) == (ErrorCategory.SYNTAX, 2)
    assert report.execution_result.stderr.count("<string>") == 1
    assert value(session, "x") == 5


def test_the_output_of_each_execution_is_its_own(session):
    assert run(session, "print('one')").execution_result.stdout == "one\n"
    assert run(session, "print('two')").execution_result.stdout == "two\n"


def test_each_execution_has_an_id_of_its_own(session):
    assert run(session, "1").execution_id != run(session, "1").execution_id


def test_the_time_limit_holds_for_each_execution_and_keeps_the_state(session):
    run(session, "x = 5")
    report = run(session, ExecutionRequest("y = 1\nwhile True: pass", timeout=0.5))
    assert (report.category, report.error.line_number) == (ErrorCategory.EXECUTION_TIMEOUT, 2)
    assert report.notes == ()
    assert value(session, ExecutionRequest("x + y", timeout=5)) == 6


def test_a_task_goes_on_in_the_next_execution(session):
    code = "import asyncio\nasync def work():\n    await asyncio.sleep(0)\n    return 42\n"
    code += "async def begin():\n    return asyncio.create_task(work())\ntask = await begin()"
    assert run(session, ExecutionRequest(code, allowed_imports=["asyncio"])).success
    assert value(session, "await task") == 42


def test_files_of_one_execution_are_there_for_the_next(session):
    run(session, FREE("with open('notes.txt', 'w') as file:\n    file.write('hello')"))
    assert value(session, FREE("open('notes.txt').read()")) == "hello"


def test_only_what_an_execution_has_written_is_its_artifact(session):
    first = run(session, FREE("with open('a.txt', 'w') as file:\n    file.write('a')"))
    second = run(session, FREE("with open('b.txt', 'w') as file:\n    file.write('b')"))
    assert [each.name for report in (first, second) for each in report.artifacts] == ["a.txt", "b.txt"]


def test_level_and_imports_of_a_session_are_those_of_plain_code(executor):
    with executor.session(allowed_imports=["statistics"]) as session:
        assert value(session, "import statistics\nstatistics.mean([1, 3])") == 2
        assert run(session, "import os").category is ErrorCategory.SECURITY
        assert value(session, ExecutionRequest("import os\nos.sep", security_level="permissive")) == "/"
        assert run(session, "import os").category is ErrorCategory.SECURITY


def test_a_violation_changes_nothing(session):
    run(session, "x = 5")
    report = run(session, "x = 6\nimport socket")
    assert report.category is ErrorCategory.SECURITY and report.notes == ()
    assert value(session, "x") == 5


ENDED = "import os\nos._exit(3)"


def test_a_session_whose_process_ends_says_what_is_lost(session):
    run(session, "x = 5\ndef double(n):\n    return 2 * n")
    report = run(session, FREE(ENDED))
    assert report.category is ErrorCategory.RUNTIME
    assert report.notes == (
        "the session's process has ended, and x, double with it: replay() executes again what had run before",
    )
    assert session.lost == ("x", "double")
    report = run(session, "y = 1")
    assert report.success
    assert report.notes[0].startswith("this execution began without x, double, lost with an earlier process")


def test_a_lost_session_can_be_replayed(session):
    run(session, "x = 5")
    run(session, "x += y\n1 / 0", y=2)
    run(session, FREE(ENDED))
    assert [report.success for report in session.replay_sync()] == [True, False]
    assert session.lost == ()
    report = run(session, "x")
    assert (report.execution_result.return_value, report.notes) == (7, ())


@pytest.mark.anyio
async def test_a_lost_session_can_be_replayed_async(executor):
    async with executor.session() as session:
        await session.execute("x = 5")
        await session.execute(FREE(ENDED))
        assert [report.success for report in await session.replay()] == [True]
        assert (await session.execute("x")).execution_result.return_value == 5


def test_a_session_executes_one_program_at_a_time(session):
    begun = threading.Event()
    worker = threading.Thread(
        target=lambda: session.execute_sync(
            ExecutionRequest("import time\nprint('begun', flush=True)\ntime.sleep(0.5)", allowed_imports=["time"]),
            on_event=lambda event: begun.set() if event.kind == "stdout" else None,
        )
    )
    worker.start()
    try:
        assert begun.wait(30)
        with pytest.raises(RuntimeError, match="this session is executing"):
            session.execute_sync("1")
    finally:
        worker.join()
    assert value(session, "1") == 1


def test_a_closed_session_does_not_execute(executor):
    session = executor.session()
    assert value(session, "1") == 1
    session.close()
    session.close()
    with pytest.raises(RuntimeError, match="this session is closed"):
        session.execute_sync("1")


# -- in a process ------------------------------------------------------------------------------------------------------


@pytest.fixture
def process():
    with SubprocessExecutor() as executor, executor.session() as session:
        yield session


def test_memory_limits_hold_for_each_execution(process):
    assert run(process, "x = 5\nb = bytearray(200 << 20)").category is ErrorCategory.MEMORY
    assert run(process, ExecutionRequest("b = bytearray(200 << 20)", memory_limit="300MB")).success
    assert run(process, "c = bytearray(200 << 20)").category is ErrorCategory.MEMORY
    assert value(process, "x + len(b)") == 5 + (200 << 20)


def test_an_execution_that_must_be_killed_takes_the_state_with_it(process):
    run(process, "x = 5")
    report = run(process, ExecutionRequest("sum(range(10**10))", timeout=0.3))
    assert (report.category, process.lost) == (ErrorCategory.EXECUTION_TIMEOUT, ("x",))


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs a descriptor of a process")
def test_a_process_that_dies_between_two_executions_is_replaced_and_that_is_said(process):
    pid = value(process, FREE("import os, threading\nx = 5\nthreading.Timer(0.2, os._exit, [1]).start()\nos.getpid()"))
    descriptor = os.pidfd_open(pid)
    try:
        assert wait_readable(descriptor, 30)
    finally:
        os.close(descriptor)
    report = run(process, "y = 1")
    assert report.success
    assert report.notes[0].startswith("this execution began without x, lost with an earlier process")


@pytest.mark.anyio
async def test_a_cancelled_execution_takes_the_state_with_it():
    async with SubprocessExecutor() as executor, executor.session() as session:
        await session.execute("x = 5")
        with anyio.move_on_after(0.3):
            await session.execute("while True: pass")
        report = await session.execute("x")
    assert report.error.error_type == "NameError" and "x" in report.notes[0]


def test_a_session_leaves_nothing_behind(kept):
    with SubprocessExecutor() as executor:
        for _ in range(3):
            with executor.session() as session:
                run(session, FREE("open('a.txt', 'w').close()"))
        left = executor.session()  # never closed: the executor does it
        run(left, "x = 5")
    assert kept() == []


@pytest.mark.slow
def test_two_hundred_sessions_leave_nothing_behind(kept):
    descriptors = len(list(pathlib.Path("/dev/fd").iterdir()))
    with SubprocessExecutor(spares=2) as executor:
        for number in range(200):
            with executor.session() as session:
                run(session, FREE("x = 5\nwith open('a.txt', 'w') as file:\n    file.write('a')"))
                if number % 4 == 0:
                    run(session, FREE(ENDED))
                    assert session.replay_sync()[0].success
                assert value(session, "x + 1") == 6
    assert kept() == []
    assert len(list(pathlib.Path("/dev/fd").iterdir())) <= descriptors + 1
    assert executor._pool._workers == set()  # all of them have been waited for


def test_a_session_has_the_policy_of_each_request_also_for_what_a_library_may_do(process):
    code = "import statistics\nstatistics.mean([1, 3])"
    assert value(process, ExecutionRequest(code, security_level="moderate")) == 2
    assert run(process, "import statistics").category is ErrorCategory.SECURITY
    refused = ExecutionRequest("open('/etc/hostname')", security_level="moderate")
    assert run(process, refused).category is ErrorCategory.SECURITY
    assert run(process, FREE("open('/etc/hostname').close()")).success
    assert run(process, refused).category is ErrorCategory.SECURITY


def test_warnings_and_traced_lines_are_those_of_each_program(process):
    for _ in range(2):
        lines: list[int | None] = []
        process.execute_sync(
            ExecutionRequest("x = 1\ny = 2", trace=True),
            on_event=lambda event: lines.append(event.line) if event.kind == "line" else None,
        )
        assert lines == [1, 2]
