"""Events as an async iterator."""

from __future__ import annotations

import time

import anyio
import pytest

from resilience.contrib.executor import ContainerConfigurationError
from resilience.execution import ExecutionRequest, SubprocessExecutor
from tests.execution.processes import has_ended

ENDLESS = "import os\nos.write(1, str(os.getpid()).encode())\nwhile True: x = 1"


def permissive(code: str, **options: object) -> ExecutionRequest:
    return ExecutionRequest(code, security_level="permissive", **options)


def test_a_stream_has_all_events_and_then_the_report(backend: str):
    async def main() -> None:
        async with SubprocessExecutor() as executor, executor.stream("print('a')\n1 / 0") as stream:
            with pytest.raises(RuntimeError, match="has not ended"):
                _ = stream.report
            events = [event async for event in stream]
            assert [event.kind for event in events][0] == "start"
            assert "".join(event.text for event in events if event.kind == "stdout") == "a\n"
            assert (events[-1].kind, events[-1].line) == ("error", 2)
            assert stream.report.error.error_type == "ZeroDivisionError"
            assert [event async for event in stream] == []

    anyio.run(main, backend=backend)


def test_events_come_before_the_end(backend: str, tmp_path):
    async def main() -> str:
        code = "import os\nos.write(1, b'first')\nwhile not os.path.exists('go'): pass\n'went'"
        async with SubprocessExecutor() as executor:
            async with executor.stream(permissive(code, working_directory=tmp_path)) as stream:
                async for event in stream:
                    if event.text == "first":
                        (tmp_path / "go").touch()
            return stream.report.execution_result.return_value

    assert anyio.run(main, backend=backend) == "went"


@pytest.mark.parametrize("leave", ["break", "cancel", "aclose"])
def test_who_leaves_kills_the_process(backend: str, leave: str):
    async def main() -> int:
        pid = 0
        async with SubprocessExecutor() as executor:
            with anyio.CancelScope() as scope:
                async with executor.stream(permissive(ENDLESS)) as stream:
                    async for event in stream:
                        if event.kind != "stdout":
                            continue
                        pid = int(event.text)
                        if leave == "break":
                            break
                        if leave == "cancel":
                            scope.cancel()
                        else:
                            await stream.aclose()
            assert has_ended(pid)
        return pid

    began = time.monotonic()
    assert anyio.run(main, backend=backend)
    assert time.monotonic() - began < 10


def test_a_slow_reader_misses_output_and_gets_a_warning(backend: str):
    async def main() -> None:
        async with SubprocessExecutor() as executor:
            code = "print('x' * 3_000_000)\n'end'"
            async with executor.stream(code, most=10) as stream:
                events = [await anext(stream)]
                while not stream._waiting.is_over:  # the program never waits for its reader
                    await anyio.sleep(0.01)
                events += [event async for event in stream]
            assert len(events) <= 13
            assert any(event.kind == "warning" and "were dropped" in event.text for event in events)
            assert events[-1].kind == "result"
            assert "bytes left out" in stream.report.execution_result.stdout

    anyio.run(main, backend=backend)


def test_what_cannot_be_executed_is_raised_where_the_events_are_taken(backend: str):
    async def main() -> None:
        async with SubprocessExecutor(python="/nowhere/python") as executor:
            with pytest.raises(ContainerConfigurationError):
                async for _ in executor.stream("1"):
                    pass

    anyio.run(main, backend=backend)


def test_a_stream_that_is_never_read_costs_nothing(backend: str):
    async def main() -> None:
        async with SubprocessExecutor() as executor, executor.stream("1") as stream:
            pass
        assert [event async for event in stream] == []

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("most", [0, -1, "many"])
def test_a_wrong_bound_is_refused(most):
    with SubprocessExecutor() as executor, pytest.raises((TypeError, ValueError), match="most="):
        executor.stream("1", most=most)
