"""Kernels behind HTTP and a websocket."""

from __future__ import annotations

import functools
import socket
from collections.abc import Iterator

import anyio
import pytest

from resilience import ErrorCategory
from resilience.contrib.executor import ContainerConfigurationError, ContainerConnectivityError
from resilience.execution._jupyter import JupyterExecutor
from resilience.execution.events import StreamEvent
from resilience.execution.request import ExecutionRequest
from tests.execution.gateway import TOKEN, Gateway, serving
from tests.runners import Runner

pytestmark = pytest.mark.slow  # kernels are processes that take a second to start

FREE = functools.partial(ExecutionRequest, security_level="permissive")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Gateway]]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def executor(server: tuple[str, Gateway]) -> Iterator[JupyterExecutor]:
    with JupyterExecutor(gateway_url=server[0], token=TOKEN, grace=20) as executor:
        yield executor


def run(executor: JupyterExecutor, runner: Runner, request: ExecutionRequest | str):
    return runner.run(lambda: executor.execute_sync(request), functools.partial(executor.execute, request))


def test_a_program_runs_there_as_anywhere(executor: JupyterExecutor, runner: Runner):
    report = run(executor, runner, "print('hello')\n6 * 7")
    assert (report.execution_result.stdout, report.execution_result.return_value) == ("hello\n", 42)
    error = run(executor, runner, "x = 1\ntotal = x + y\n").error
    assert (error.error_summary, error.column_number) == ("NameError on line 2: undefined variable", 12)
    assert error.system_state["host"] == "127.0.0.1"


def test_a_program_that_takes_too_long_is_interrupted(executor: JupyterExecutor):
    report = executor.execute_sync(ExecutionRequest("while True:\n    pass", timeout=0.3))
    assert report.category is ErrorCategory.EXECUTION_TIMEOUT
    assert report.error.line_number in (1, 2)
    assert executor.execute_sync("1").success


def test_cancelling_interrupts_it(executor: JupyterExecutor, server: tuple[str, Gateway], backend: str):
    async def main() -> None:
        running = anyio.Event()

        def listen(event: StreamEvent) -> None:
            if event.kind == "stdout":
                running.set()

        async with anyio.create_task_group() as tasks:
            code = "print('on', flush=True)\nwhile True:\n    pass"
            tasks.start_soon(functools.partial(executor.execute, code, on_event=listen))
            await running.wait()
            tasks.cancel_scope.cancel()

    before = server[1].asked.count("POST interrupt")
    anyio.run(main, backend=backend)
    assert server[1].asked.count("POST interrupt") == before + 1
    assert executor.execute_sync("1").success


def test_a_program_that_ends_the_kernel_fails(executor: JupyterExecutor):
    report = executor.execute_sync(FREE("import os\nos._exit(3)"))
    assert report.category is ErrorCategory.RUNTIME
    assert report.error.error_summary == "ProcessExit: the process of the kernel exited before the program had ended"
    assert executor.execute_sync("1").success


def test_a_kernel_that_is_left_is_ended_there():
    with serving() as (url, gateway):
        with JupyterExecutor(gateway_url=url, token=TOKEN) as executor:
            assert executor.execute_sync("1").success
            assert len(gateway.kernels) == 1
        assert gateway.kernels == {}


def test_a_connection_that_is_cut_is_no_fault_of_the_program():
    with serving() as (url, gateway), JupyterExecutor(gateway_url=url + "/", token=TOKEN) as executor:

        def cut(event: StreamEvent) -> None:
            if event.kind == "stdout":
                gateway.cut_off()

        with pytest.raises(ContainerConnectivityError, match="kernel python3: the connection was closed"):
            executor.execute_sync("print('on', flush=True)\nwhile True:\n    pass", on_event=cut)
        assert executor.execute_sync("1").success
        assert len(gateway.kernels) == 1


def test_a_server_that_refuses_the_token_or_does_not_know_the_kernel_is_a_matter_of_configuration(
    server: tuple[str, Gateway],
):
    with JupyterExecutor(gateway_url=server[0], token="wrong") as executor:  # noqa: S106
        with pytest.raises(ContainerConfigurationError, match="answers GET /api/kernelspecs with 403 Forbidden"):
            executor.execute_sync("1")
    with JupyterExecutor("julia", gateway_url=server[0], token=TOKEN) as executor:
        with pytest.raises(
            ContainerConfigurationError, match="there is no kernel named 'julia' .* available kernels: python3"
        ):
            executor.execute_sync("1")


def test_a_server_in_trouble_and_one_that_is_not_there_cannot_be_reached(server: tuple[str, Gateway]):
    url, gateway = server
    gateway.failing = 1
    with JupyterExecutor(gateway_url=url, token=TOKEN) as executor:
        with pytest.raises(ContainerConnectivityError, match="503") as raised:
            executor.execute_sync("1")
        assert raised.value.technical_details["status"] == 503
        assert executor.execute_sync("1").success
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with JupyterExecutor(gateway_url=f"http://127.0.0.1:{port}") as executor:
        with pytest.raises(ContainerConnectivityError, match="Connection refused") as raised:
            executor.execute_sync("1")
        assert (raised.value.host, raised.value.port) == ("127.0.0.1", port)
        assert raised.value.get_user_message() == f"Python execution environment is not reachable at 127.0.0.1:{port}"


def test_a_server_that_speaks_no_json_cannot_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        import threading

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

        thread = threading.Thread(target=answer)
        thread.start()
        with JupyterExecutor(gateway_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as executor:
            with pytest.raises(ContainerConnectivityError, match="GET /api/kernelspecs"):
                executor.execute_sync("1")
        thread.join()
