"""Executions that are cancelled, and many at once."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Awaitable

import anyio
import anyio.lowlevel
import pytest

from resilience.contrib.executor import ContainerConfigurationError
from resilience.execution import ExecutionReport, ExecutionRequest, StreamEvent, SubprocessExecutor, _waiting, local
from resilience.execution._worker_process import wait_readable
from resilience.execution.streaming import EventStream
from tests.execution.processes import has_ended, open_files

ENDLESS = "import os\nos.write(1, str(os.getpid()).encode())\nwhile True: x = 1"


def permissive(code: str, **options: object) -> ExecutionRequest:
    return ExecutionRequest(code, security_level="permissive", **options)


def test_an_execution_does_not_hold_up_the_event_loop(backend: str, tmp_path):
    code = "import os\nprint('waiting')\nwhile not os.path.exists('go'):\n    pass\n'went on'"

    async def main() -> None:
        async with SubprocessExecutor() as executor, anyio.create_task_group() as tasks:

            async def let_it_go() -> None:
                (tmp_path / "go").touch()

            def listen(event: StreamEvent) -> None:
                if event.kind == "stdout":
                    tasks.start_soon(let_it_go)  # by a loop that turns while the program waits for it

            request = permissive(code, working_directory=tmp_path)
            report = await executor.execute(request, on_event=listen)
            assert report.execution_result.return_value == "went on"

    anyio.run(main, backend=backend)


def test_a_cancelled_execution_is_killed_before_the_cancellation_goes_on(backend: str, kept):
    async def main() -> None:
        async with SubprocessExecutor() as executor:
            pids: list[int] = []
            began = time.monotonic()
            with anyio.CancelScope() as scope:

                def listen(event: StreamEvent) -> None:
                    if event.kind == "stdout":
                        pids.append(int(event.text))
                        scope.cancel()

                await executor.execute(permissive(ENDLESS), on_event=listen)
            assert scope.cancelled_caught and time.monotonic() - began < 10
            assert has_ended(pids[0])
            assert (await executor.execute("1 + 1")).execution_result.return_value == 2

    anyio.run(main, backend=backend)
    assert kept() == []


def test_executions_are_cancelled_at_any_moment_without_a_trace(backend: str, kept):
    async def main() -> None:
        async with SubprocessExecutor() as executor:
            for number in range(20):
                with anyio.move_on_after(number / 400):
                    await executor.execute(permissive("sum(range(10**10))"))

    with SubprocessExecutor() as executor:
        executor.execute_sync("1")
    files = open_files()
    anyio.run(main, backend=backend)
    assert kept() == []
    assert open_files() <= files + 1  # an event loop may keep one for its next


def test_an_execution_that_is_cancelled_while_it_waits_for_a_thread_is_ended(backend: str, kept, monkeypatch):
    monkeypatch.setattr(_waiting, "_MAX_THREADS", 1)
    endless = "while True: x = 1"  # nothing to look for in this, so that it begins before there is a thread

    async def main() -> None:
        async with SubprocessExecutor(spares=2) as executor, anyio.create_task_group() as tasks:
            executor.warm()
            children = list(executor._pool._idle)
            tasks.start_soon(executor.execute, endless)
            tasks.start_soon(executor.execute, endless)
            with anyio.fail_after(20):
                while _waiting._thread_limiter().statistics().tasks_waiting == 0:
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert all(child.is_reaped for child in children)

    anyio.run(main, backend=backend)
    assert kept() == []


@pytest.mark.parametrize(
    "code", ["while True: x = 1", "import math\nwhile True: x = 1"]
)  # without a thread, and in one
def test_an_execution_that_is_cancelled_once_more_while_it_ends_is_ended(kept, code):
    async def main() -> None:
        async with SubprocessExecutor() as executor:
            for turns in range(10):
                executor.warm()
                (child,) = executor._pool._idle
                task = asyncio.create_task(executor.execute(code))
                async with asyncio.timeout(20):
                    while not child.is_ready or child in executor._pool._idle:
                        await asyncio.sleep(0)
                task.cancel()
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        assert not executor._pool._workers

    with SubprocessExecutor() as executor:
        executor.execute_sync("1")
    files = open_files()
    asyncio.run(main())
    assert (open_files(), kept()) == (files, [])


async def cancelled_three_times(waiting: Awaitable[object], may_end: threading.Event) -> None:
    """Cancel the task of *waiting* three times, and find it waiting until *may_end* is set."""
    task = asyncio.ensure_future(waiting)
    for _ in range(4):
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_work_in_a_thread_is_waited_for_however_often_its_task_is_cancelled():
    has_begun, may_end, is_over = threading.Event(), threading.Event(), threading.Event()

    def work(_listener: object, cancelled: int) -> None:
        has_begun.set()
        wait_readable(cancelled, 20)
        may_end.wait(20)
        is_over.set()

    async def main() -> None:
        task = asyncio.create_task(_waiting.run_in_thread(work, None))
        async with asyncio.timeout(20):
            while not has_begun.is_set():
                await asyncio.sleep(0)
        await cancelled_three_times(task, may_end)

    asyncio.run(main())
    assert is_over.is_set()


@pytest.mark.parametrize("turns", range(8))
def test_what_ends_in_a_thread_is_done_once_however_often_its_task_is_cancelled(turns: int):
    may_end = threading.Event()
    done: list[str] = []

    def close() -> None:
        may_end.wait(20)
        done.append("closed")

    async def main() -> None:
        task = asyncio.create_task(_waiting.finish_in_thread(close))
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns:  # else it has not begun
            task.cancel()
        await cancelled_three_times(task, may_end)

    asyncio.run(main())
    assert done == ["closed"]


def test_a_stream_whose_end_is_cancelled_three_times_keeps_no_descriptor(kept):
    may_end = threading.Event()

    def work(_listener: object, _cancelled: int) -> None:
        may_end.wait(20)

    async def main() -> None:
        stream = EventStream(work, 10)
        asking = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        asking.cancel()
        await cancelled_three_times(stream.aclose(), may_end)

    files = open_files()
    asyncio.run(main())
    assert (open_files(), kept()) == (files, [])


def test_what_is_over_at_once_needs_no_thread(backend: str, monkeypatch):
    def none(*_arguments: object) -> None:
        raise AssertionError("a thread")

    async def main() -> None:
        async with SubprocessExecutor() as executor:
            for code, value in (("1 + 1", 2), ("x = 'a'\nx * 3", "aaa"), ("print('said')", None)):
                executor.warm()
                with monkeypatch.context() as patch:
                    patch.setattr(local, "_QUICK_WAIT", 20.0)
                    patch.setattr(_waiting, "run_in_thread", none)
                    report = await executor.execute(code)
                assert report.execution_result.return_value == value

    anyio.run(main, backend=backend)


@pytest.mark.parametrize(
    "code", ["1 / 0", "print('a' * 300_000)", "'a' * 90_000", "import math", "import os", "raise SystemExit(3)", "("]
)
def test_what_is_executed_is_the_same_in_the_loop_and_in_a_thread(backend: str, code: str):
    def comparable(report: ExecutionReport) -> object:
        result, error = report.execution_result, report.error
        return report.success, result.stdout, result.exit_code, error and (error.error_type, error.line_number)

    async def main() -> None:
        async with SubprocessExecutor() as executor:
            executor.warm()
            awaited = await executor.execute(code)
            executor.warm()
            assert comparable(awaited) == comparable(executor.execute_sync(code))

    anyio.run(main, backend=backend)


ANSWERS_AND_STAYS = """
import json, os, sys, time
control = int(sys.argv[-2])
def receive():
    return os.read(control, int.from_bytes(os.read(control, 4), "big"))[:16]
def send(token, message):
    frame = token + json.dumps(message).encode()
    os.write(control, len(frame).to_bytes(4, "big") + frame)
send(receive(), {"kind": "ready", "python": "3.11", "pid": os.getpid()})
send(receive(), {"kind": "result", "exit_code": 0})
time.sleep(99)
"""


def test_a_child_that_answers_what_is_no_answer_does_not_hold_up_the_event_loop(backend: str, tmp_path, monkeypatch):
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}{ANSWERS_AND_STAYS}")
    script.chmod(0o755)
    monkeypatch.setattr(local, "_QUICK_WAIT", 20.0)  # however slow it is, the loop hears it

    async def main() -> None:
        async with SubprocessExecutor(python=script) as executor:
            executor.warm()
            (child,) = executor._pool._idle
            report = await executor.execute("1 + 1")
            assert (report.error.error_type, child.exit_status) == ("WorkflowError", -signal.SIGKILL)

    anyio.run(main, backend=backend)


def test_listeners_are_called_in_the_event_loop(backend: str):
    async def main() -> list[str]:
        heard: list[str] = []
        here = threading.get_ident()

        def listen(event: StreamEvent) -> None:
            assert threading.get_ident() == here
            heard.append(event.kind)

        async with SubprocessExecutor() as executor:
            await executor.execute("print('a')", on_event=listen)
        return heard

    heard = anyio.run(main, backend=backend)
    assert heard[0] == "start" and heard[-1] == "result" and "stdout" in heard


def test_sixteen_run_at_once(backend: str):
    async def main() -> list[object]:
        results: list[object] = []
        async with SubprocessExecutor() as executor, anyio.create_task_group() as tasks:

            async def one(number: int) -> None:
                report = await executor.execute(permissive(f"print('x' * 100_000)\n{number}", timeout=60))
                results.append(report.execution_result.return_value)

            for number in range(16):
                tasks.start_soon(one, number)
        return sorted(results)

    assert anyio.run(main, backend=backend) == list(range(16))


def test_what_cannot_be_executed_raises_its_own_error_and_no_group(backend: str):
    async def main() -> None:
        async with SubprocessExecutor(python="/nowhere/python") as executor:
            await executor.execute("1")

    with pytest.raises(ContainerConfigurationError):
        anyio.run(main, backend=backend)


def test_ctrl_c_kills_the_process():
    pids: list[int] = []

    def listen(event: StreamEvent) -> None:
        if event.kind == "stdout":
            pids.append(int(event.text))
            raise KeyboardInterrupt

    with SubprocessExecutor() as executor, pytest.raises(KeyboardInterrupt):
        executor.execute_sync(permissive(ENDLESS), on_event=listen)
    assert has_ended(pids[0])
