"""Programs that await at the top level, and programs that run an event loop of their own."""

from __future__ import annotations

import asyncio
import os

import pytest

from resilience import ErrorCategory
from resilience.execution import ExecutionReport, ExecutionRequest, JupyterExecutor, SubprocessExecutor, validate
from resilience.execution._worker.event_loop import NoRunningLoop, ProgramLoop

pytestmark = pytest.mark.skipif(os.name != "posix", reason="executions need POSIX")


@pytest.fixture(scope="module", params=[SubprocessExecutor, JupyterExecutor], ids=["process", "kernel"])
def executor(request: pytest.FixtureRequest):
    if request.param is JupyterExecutor:
        pytest.importorskip("ipykernel")
    with request.param() as executor:
        yield executor


def run(executor: SubprocessExecutor | JupyterExecutor, code: str, **options: object) -> ExecutionReport:
    return executor.execute_sync(ExecutionRequest(code, **{"allowed_imports": ["asyncio"], **options}))


MAIN = "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    return 42\n"
NUMBERS = "async def numbers():\n    for each in range(3):\n        yield each\n"
PROGRAMS = {
    "asyncio.run": (f"{MAIN}asyncio.run(main())", 42),
    "asyncio.run twice": (f"{MAIN}asyncio.run(main()) + asyncio.run(main())", 84),
    "await at the end": (f"{MAIN}await main()", 42),
    "await in the middle": (f"{MAIN}value = await main()\nvalue + 1", 43),
    "both": (f"{MAIN}value = await main()\nvalue + asyncio.run(main())", 84),
    "a loop of its own": (f"{MAIN}loop = asyncio.new_event_loop()\nloop.run_until_complete(main())", 42),
    "async for": (f"{NUMBERS}found = []\nasync for each in numbers():\n    found.append(each)\nfound", [0, 1, 2]),
    "a comprehension": (f"{NUMBERS}[each async for each in numbers()]", [0, 1, 2]),
    "async with": ("import asyncio\nlock = asyncio.Lock()\nasync with lock:\n    held = lock.locked()\nheld", True),
    "a task between statements": (
        f"{MAIN}async def begin():\n    return asyncio.create_task(main())\ntask = await begin()\nawait task",
        42,
    ),
    "one line": ("[await each for each in ()]", []),
    "a text that is no docstring": ("'text'\n'last'", "last"),
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_async_code_runs(executor, kind):
    code, value = PROGRAMS[kind]
    report = run(executor, code)
    assert report.success, report.error
    assert report.execution_result.return_value == value


def test_awaiting_needs_no_import_and_is_allowed_at_every_level(executor):
    report = run(executor, "async def main():\n    return 42\nawait main()", allowed_imports=())
    assert report.execution_result.return_value == 42


def test_an_error_under_an_await_has_the_line_and_the_calls_of_the_program_alone(executor):
    report = run(
        executor, "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    1 / 0\nx = 5\nawait main()"
    )
    error = report.error
    assert (error.category, error.error_type, error.line_number) == (ErrorCategory.RUNTIME, "ZeroDivisionError", 4)
    assert [(frame.line_number, frame.function_name) for frame in error.exception.traceback] == [
        (6, "<module>"),
        (4, "main"),
    ]
    assert report.execution_result.variables["x"] == 5


def test_tasks_that_are_left_are_cancelled_and_clean_up(executor):
    report = run(
        executor,
        "import asyncio\n"
        "async def work():\n"
        "    try:\n        await asyncio.sleep(1e6)\n    finally:\n        print('cleaned up')\n"
        "async def begin():\n    task = asyncio.create_task(work())\n    await asyncio.sleep(0)\n    return None\n"
        "await begin()\nprint('end')",
    )
    assert report.success, report.error
    assert report.execution_result.stdout == "end\ncleaned up\n"


@pytest.mark.parametrize("body", ["while True: pass", "await asyncio.sleep(1e6)"])
def test_an_await_is_held_to_the_time_limit(executor, body):
    report = run(executor, f"import asyncio\nasync def main():\n    {body}\nawait main()", timeout=0.5)
    assert report.category is ErrorCategory.EXECUTION_TIMEOUT
    assert run(executor, "1 + 1").execution_result.return_value == 2


@pytest.mark.parametrize(("body", "line"), [("while True: pass", 3), ("await asyncio.sleep(1e6)", 4)])
def test_a_time_limit_names_the_running_line_or_the_statement_that_waits(body: str, line: int):
    with SubprocessExecutor() as executor:
        report = run(executor, f"import asyncio\nasync def main():\n    {body}\nawait main()", timeout=0.3)
    assert (report.category, report.error.line_number) == (ErrorCategory.EXECUTION_TIMEOUT, line)


def test_what_is_no_async_function_may_not_await(executor):
    report = run(executor, "def f():\n    await x\nprint(1)")
    assert (report.category, report.execution_result.stdout) == (ErrorCategory.SYNTAX, "")


def test_a_source_that_awaits_at_the_top_level_is_valid():
    assert validate("async def main():\n    return 1\nawait main()").valid


def test_the_policy_holds_under_an_await():
    with SubprocessExecutor() as executor:
        code = "import asyncio\nawait asyncio.open_connection('127.0.0.1', 9)"
        hidden = "import asyncio\nname = 'open_conn' + str('ection')\nawait getattr(asyncio, name)('127.0.0.1', 9)"
        shell = "import asyncio\nname = 'create_subprocess_' + str('shell')\nawait getattr(asyncio, name)('true')"
        for each in (code, hidden, shell):
            assert run(executor, each).category is ErrorCategory.SECURITY, each


def test_a_block_without_a_running_loop_gives_it_back():
    async def main() -> tuple[int, bool]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        with NoRunningLoop():
            value = asyncio.run(asyncio.sleep(0, 42))
        await asyncio.sleep(0)
        return value, (asyncio.get_running_loop(), asyncio.current_task()) == (loop, task)

    assert asyncio.run(main()) == (42, True)


def test_a_loop_that_nothing_awaited_on_has_nothing_to_close():
    ProgramLoop().close()
