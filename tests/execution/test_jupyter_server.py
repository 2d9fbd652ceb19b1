"""Programs behind a real Jupyter server, as one runs in a container."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from resilience import ErrorCategory
from resilience.contrib.executor import ContainerConfigurationError
from resilience.execution import ExecutionRequest, JupyterExecutor

pytest.importorskip("jupyter_server")
pytestmark = pytest.mark.slow  # a server, and kernels

TOKEN = "sesame"  # noqa: S105
LISTENS = re.compile(r"http://127\.0\.0\.1:\d+(?=/)")


def wait_until_it_accepts(port: int) -> None:
    """Wait for a server that has said its port, and may not listen yet on a busy machine."""
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            threading.Event().wait(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on port {port}")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that has chosen its port itself, and says it once it listens."""
    home = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += ["--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={home}"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    environment |= {"JUPYTER_CONFIG_DIR": str(home / "config"), "IPYTHONDIR": str(home / "ipython")}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True
    ) as server:
        assert server.stderr is not None
        found = next(filter(None, map(LISTENS.search, server.stderr)))
        rest = threading.Thread(target=server.stderr.read)  # or the pipe would be full at some time
        rest.start()
        try:
            wait_until_it_accepts(int(found[0].rpartition(":")[2]))
            yield found[0]
        finally:
            server.terminate()
            rest.join()


@pytest.fixture(scope="module")
def executor(url: str) -> Iterator[JupyterExecutor]:
    with JupyterExecutor(gateway_url=url, token=TOKEN, grace=20) as executor:
        yield executor


def test_a_program_runs_there(executor: JupyterExecutor):
    report = executor.execute_sync("print('hello')\nsum(prices)", variables={"prices": [3, 4]})
    assert report.success, report.error
    assert (report.execution_result.stdout, report.execution_result.return_value) == ("hello\n", 7)


def test_a_program_that_fails_is_reported(executor: JupyterExecutor):
    report = executor.execute_sync("x = 1\nx + y")
    assert (report.category, report.error.line_number) == (ErrorCategory.RUNTIME, 2)


def test_a_time_limit_is_kept_there(executor: JupyterExecutor):
    report = executor.execute_sync(ExecutionRequest("while True:\n    pass", timeout=0.5))
    assert report.category is ErrorCategory.EXECUTION_TIMEOUT


def test_files_come_back(executor: JupyterExecutor):
    code = "with open('a.txt', 'w') as file:\n    file.write('a')"
    report = executor.execute_sync(ExecutionRequest(code, security_level="permissive"))
    assert [(each.name, each.data) for each in report.artifacts] == [("a.txt", b"a")]


def test_a_session_keeps_its_state_there(executor: JupyterExecutor):
    with executor.session() as session:
        session.execute_sync("x = 5")
        assert session.execute_sync("x + 1").execution_result.return_value == 6


def test_a_wrong_token_is_a_wrong_configuration(url: str):
    with JupyterExecutor(gateway_url=url, token="wrong") as executor, pytest.raises(ContainerConfigurationError):
        executor.execute_sync("1")
