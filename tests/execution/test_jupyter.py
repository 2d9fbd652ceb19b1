"""A real ipykernel, one for most tests of a worker."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import anyio
import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import AsyncKernelManager, KernelManager

from resilience import ErrorCategory, classify
from resilience.contrib.executor import ContainerConfigurationError, ContainerConnectivityError, WorkflowError
from resilience.execution._jupyter import JupyterExecutor
from resilience.execution._jupyter.kernel import Kernel, Message
from resilience.execution._jupyter.output import without_ansi
from resilience.execution._jupyter.session import KernelRequest
from resilience.execution.events import StreamEvent
from resilience.execution.executor import ExecutionReport, Listener
from resilience.execution.request import ExecutionRequest
from tests.runners import Runner

pytestmark = pytest.mark.slow  # kernels are processes that take a second to start

FREE = functools.partial(ExecutionRequest, security_level="permissive")
"""Code that may do what it likes."""
STUBBORN = """
import time
print('here', flush=True)
while True:
    try:
        time.sleep(1)
    except BaseException:
        pass
"""


@pytest.fixture(scope="module")
def executor() -> Iterator[JupyterExecutor]:
    """A kernel for many tests: a program leaves nothing for the next."""
    with JupyterExecutor(grace=20) as executor:
        yield executor


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[KernelManager]:
    """A kernel that was not started by an executor."""
    manager = KernelManager()
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield manager
    finally:
        manager.shutdown_kernel(now=True)
        manager.context.destroy(linger=0)


def run(
    executor: JupyterExecutor, runner: Runner, request: ExecutionRequest | str, listener: Listener | None = None
) -> ExecutionReport:
    return runner.run(
        lambda: executor.execute_sync(request, on_event=listener),
        functools.partial(executor.execute, request, on_event=listener),
    )


# -- what comes back ------------------------------------------------------------------------------------------------


def test_the_result_has_output_last_value_and_variables(executor: JupyterExecutor, runner: Runner):
    report = run(executor, runner, "import math\nprint('hello')\nroot = math.isqrt(17)\n[root, 'four']")
    result = report.execution_result
    assert report.success
    assert (result.stdout, result.stderr, result.return_value, result.exit_code) == ("hello\n", "", [4, "four"], 0)
    assert result.variables == {"root": 4}
    assert 0 < result.execution_time < 5


def test_a_failure_is_reported_as_well_as_that_of_a_process_of_ours(executor: JupyterExecutor, runner: Runner):
    code = "print('begin')\ntotal = 3\n\ndef half(numbers):\n    size = len(numbers)\n    return total / size\n"
    code += "\nhalf([])\n"
    report = run(executor, runner, code)
    error = report.error
    assert error is not None
    assert report.category is ErrorCategory.RUNTIME
    assert error.error_summary == "ZeroDivisionError on line 6: division by zero"
    assert (error.line_number, error.column_number, error.code_line) == (6, 11, "return total / size")
    assert error.function_name == "half"
    assert error.local_variables == {"numbers": "[]", "size": 0}
    assert [frame.line_number for frame in error.exception.traceback] == [8, 6]
    assert error.suggestions
    assert error.partial_results["completed_lines"] == 5
    assert error.partial_results["variables_before_error"]["total"] == 3
    assert (report.execution_result.stdout, report.execution_result.exit_code) == ("begin\n", 1)
    assert report.execution_result.stderr.rstrip() == error.exception.full_traceback.rstrip()
    assert "<string>" in report.execution_result.stderr
    assert "ipykernel" not in json.dumps(report.to_dict(4))


@pytest.mark.parametrize(
    ("code", "category", "summary"),
    [
        ("x = 1\nif x = 2:\n    pass", "syntax_error", "SyntaxError on line 2: invalid syntax"),
        ("return 1", "syntax_error", "SyntaxError on line 1: 'return' outside function"),
        ("import maths", "import_error", "ModuleNotFoundError on line 1: No module named 'maths'"),
        ("x = 1\nfoo", "runtime_error", "NameError on line 2: undefined variable"),
        ("import sys\nsys.exit(3)", "runtime_error", "SystemExit on line 2: 3"),
        ("exec('1 +')", "runtime_error", "SyntaxError on line 1: invalid syntax"),
        ("raise MemoryError('too much')", "memory_error", "MemoryError on line 1"),
        ("raise KeyboardInterrupt", "runtime_error", "KeyboardInterrupt on line 1"),
        ("input()", "runtime_error", "StdinNotImplementedError on line 1"),
        ("class Odd(BaseException): pass\nraise Odd('no')", "runtime_error", "Odd on line 2: no"),
    ],
)
def test_each_failure_has_its_category_and_its_line(executor: JupyterExecutor, code: str, category: str, summary: str):
    report = executor.execute_sync(FREE(code))
    assert report.category.label == category
    assert report.error.error_summary.startswith(summary)


def test_leaving_with_zero_is_a_success(executor: JupyterExecutor):
    report = executor.execute_sync(FREE("import sys\nprint(1)\nsys.exit()\nprint(2)"))
    assert report.success
    assert report.execution_result.stdout == "1\n"


def test_nothing_is_left_for_the_next_program(executor: JupyterExecutor):
    assert executor.execute_sync("leftover = 1").success
    assert executor.execute_sync("leftover").error.error_type == "NameError"
    first = executor.execute_sync(FREE("import os\nopen('f', 'w').close()\n(os.getcwd(), os.listdir())"))
    second = executor.execute_sync(FREE("import os\n(os.getcwd(), os.listdir())"))
    assert first.execution_result.return_value != second.execution_result.return_value
    assert "'f'" not in second.execution_result.return_value


def test_a_program_finds_itself_as_main(executor: JupyterExecutor):
    code = "import sys, pickle\nclass A: pass\n(__name__, type(pickle.loads(pickle.dumps(A()))) is A)"
    assert executor.execute_sync(FREE(code)).execution_result.return_value == ["__main__", True]


def test_it_runs_in_the_directory_it_is_given(executor: JupyterExecutor, tmp_path: pathlib.Path):
    request = FREE("open('f', 'w').write('x')", working_directory=tmp_path)
    assert executor.execute_sync(request).success
    assert (tmp_path / "f").read_text() == "x"


def test_only_the_requested_variables_are_returned(executor: JupyterExecutor):
    request = ExecutionRequest("a = 1\nb = 2\nc = 3", return_variables=["b", "z"])
    assert executor.execute_sync(request).execution_result.variables == {"b": 2}


def test_secrets_do_not_leave_the_kernel(executor: JupyterExecutor):
    report = executor.execute_sync("api_key = 'sk-12345678901234'\nfoo")
    assert "sk-123" not in json.dumps(report.to_dict(4)).replace("api_key = 'sk-12345678901234'", "")


def test_the_environment_of_this_process_stays_here(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_TOKEN", "sesame")
    with JupyterExecutor() as executor:
        report = executor.execute_sync(FREE("import os\nos.environ.get('SHOP_TOKEN')"))
    assert report.success
    assert report.execution_result.return_value is None


def test_displayed_data_is_text_without_colours(executor: JupyterExecutor):
    code = "from IPython.display import display\nclass Shown:\n    def __repr__(self): return '\\x1b[31mred\\x1b[0m'\n"
    report = executor.execute_sync(FREE(code + "display(Shown())\nprint('\\x1b[1mbold\\x1b[0m')"))
    assert report.execution_result.stdout == "red\nbold\n"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("plain", "plain"),
        ("\x1b[0;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x1bMb", "ab"),
        ("\x1b", "\x1b"),
    ],
)
def test_colours_are_taken_out(text: str, plain: str):
    assert without_ansi(text) == plain


def test_a_flood_of_output_is_kept_within_bounds(executor: JupyterExecutor):
    events: list[StreamEvent] = []
    report = executor.execute_sync("for _ in range(3000):\n    print('x' * 1000)\n'over'", on_event=events.append)
    assert report.execution_result.return_value == "over"
    assert len(report.execution_result.stdout) < 1_100_000
    assert "left out" in report.execution_result.stdout
    assert [event.kind for event in events].count("warning") == 1


def test_a_report_says_what_does_not_hold_in_a_kernel(executor: JupyterExecutor):
    state = executor.execute_sync("foo").error.system_state
    assert state["kernel"] == "kernel python3"
    assert state["memory_limit"] == "none: a kernel has only the limits of its host"
    assert state["security_level"] == "strict: checked in the source only, not enforced in the kernel"


def test_what_the_source_shows_of_forbidden_things_is_refused_before_there_is_a_kernel():
    with JupyterExecutor("there is no such kernel") as executor:
        report = executor.execute_sync("import os")
    assert report.category is ErrorCategory.SECURITY
    assert report.error.security_violation["blocked_code"] == "import os"


# -- while it runs --------------------------------------------------------------------------------------------------


def test_events_come_while_it_runs_to_where_it_was_called(executor: JupyterExecutor, runner: Runner):
    events, threads = [], set()

    def listen(event: StreamEvent) -> None:
        events.append((event.kind, event.text))
        threads.add(threading.get_ident())

    run(
        executor, runner, FREE("import sys\nprint('a', flush=True)\nprint('b', file=sys.stderr, flush=True)\n7"), listen
    )
    assert (events[0], events[-1]) == (("start", ""), ("result", "7"))
    # A kernel sends texts in pieces as it likes.
    assert "".join(text for kind, text in events if kind == "stdout") == "a\n"
    assert "".join(text for kind, text in events if kind == "stderr") == "b\n"
    assert threads == {threading.get_ident()}
    events.clear()
    report = run(executor, runner, "foo", listen)
    assert (events[0], events[-1]) == (("start", ""), ("error", "NameError on line 1: undefined variable"))
    assert "".join(text for kind, text in events if kind == "stderr") == report.execution_result.stderr


def test_a_listener_that_raises_changes_nothing(executor: JupyterExecutor, runner: Runner):
    def listen(event: StreamEvent) -> None:
        raise RuntimeError("not my day")

    assert run(executor, runner, "1 + 1", listen).execution_result.return_value == 2


def test_several_at_once_wait_for_each_other(executor: JupyterExecutor, backend: str):
    values: list[object] = []

    async def one(number: int) -> None:
        values.append((await executor.execute(f"number = {number}\nnumber")).execution_result.return_value)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(one, number)

    anyio.run(main, backend=backend)
    assert sorted(values) == list(range(8))


# -- time limits ----------------------------------------------------------------------------------------------------


def test_a_program_that_takes_too_long_is_interrupted_where_it_is(executor: JupyterExecutor, runner: Runner):
    report = run(executor, runner, ExecutionRequest("print('on')\nn = 5\nwhile n:\n    n += 1\n", timeout=0.3))
    error = report.error
    assert report.category is ErrorCategory.EXECUTION_TIMEOUT
    assert error.error_message == "Code execution exceeded 0.3 second timeout"
    assert error.line_number in (3, 4)
    assert error.specifics["last_executed_line"] == error.line_number
    assert error.local_variables["n"] >= 5
    assert report.execution_result.stdout == "on\n"
    assert executor.execute_sync("1").success


def test_a_program_that_cannot_be_interrupted_costs_the_kernel_and_not_the_executor(runner: Runner):
    with JupyterExecutor(grace=0.2) as executor:
        first = run(executor, runner, FREE("import os\nos.getpid()")).execution_result.return_value
        report = run(executor, runner, FREE(STUBBORN, timeout=0.5))
        assert report.category is ErrorCategory.EXECUTION_TIMEOUT
        assert report.execution_result.stdout == "here\n"
        second = run(executor, runner, FREE("import os\nos.getpid()")).execution_result.return_value
    assert first != second
    for process in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_cancelling_interrupts_the_program_and_leaves_the_kernel(executor: JupyterExecutor, backend: str):
    async def main() -> tuple[object, object, bool]:
        before = (await executor.execute(FREE("import os\nos.getpid()"))).execution_result.return_value
        running = anyio.Event()

        def listen(event: StreamEvent) -> None:
            if event.kind == "stdout":
                running.set()

        async with anyio.create_task_group() as tasks:
            code = "print('on', flush=True)\nwhile True:\n    pass"
            tasks.start_soon(functools.partial(executor.execute, code, on_event=listen))
            await running.wait()
            tasks.cancel_scope.cancel()
        after = (await executor.execute(FREE("import os\nos.getpid()"))).execution_result.return_value
        return before, after, tasks.cancel_scope.cancelled_caught

    before, after, cancelled = anyio.run(main, backend=backend)
    assert cancelled
    assert before == after


# -- the end of a kernel --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import os\nos._exit(3)",
            "ProcessExit: the process exited with status 3 before the program had ended",
        ),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
            "SIGSEGV: the process was killed by signal SIGSEGV",
        ),
    ],
)
def test_a_program_that_ends_the_kernel_fails_and_the_kernel_is_replaced(code: str, said: str):
    with JupyterExecutor() as executor:
        report = executor.execute_sync(FREE(code))
        assert report.category is ErrorCategory.RUNTIME
        assert report.error.error_summary == said
        assert executor.execute_sync("1 + 1").execution_result.return_value == 2


def test_a_kernel_that_died_between_two_programs_is_replaced():
    with JupyterExecutor() as executor:
        process = executor.execute_sync(FREE("import os\nos.getpid()")).execution_result.return_value
        os.kill(process, signal.SIGKILL)
        wait_for_the_end(process)
        assert executor.execute_sync("1 + 1").execution_result.return_value == 2


def wait_for_the_end(process: int) -> None:
    status = pathlib.Path(f"/proc/{process}/status")
    while status.exists() and "zombie" not in status.read_text():
        pass


def test_a_closed_executor_begins_anew(backend: str):
    executor = JupyterExecutor()

    async def main() -> tuple[object, object]:
        async with executor:
            first = (await executor.execute(FREE("import os\nos.getpid()"))).execution_result.return_value
        async with executor:
            second = (await executor.execute(FREE("import os\nos.getpid()"))).execution_result.return_value
        return first, second

    first, second = anyio.run(main, backend=backend)
    assert first != second
    executor.close()


def test_closing_ends_what_runs():
    executor = JupyterExecutor(grace=0.2)
    running = threading.Event()
    ended: list[BaseException] = []

    def work() -> None:
        try:
            executor.execute_sync(FREE(STUBBORN), on_event=lambda event: event.kind == "stdout" and running.set())
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert running.wait(30)
    executor.close()
    thread.join()
    (error,) = ended
    assert classify(error) is ErrorCategory.CANCELLED


# -- kernels that cannot be had -------------------------------------------------------------------------------------


def test_an_unknown_kernel_name_is_a_configuration_error(runner: Runner):
    with JupyterExecutor("pithon3") as executor, pytest.raises(ContainerConfigurationError, match="python3") as raised:
        run(executor, runner, "1")
    assert "there is no kernel named 'pithon3'" in str(raised.value)


def kernel_that_runs(*command: str, tmp_path: pathlib.Path) -> Callable[[], AsyncKernelManager]:
    """A manager of a kernel that is started by *command*."""
    folder = tmp_path / "kernels" / "odd"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "odd", "language": "python"}))

    def manager() -> AsyncKernelManager:
        from jupyter_client.kernelspec import KernelSpecManager

        return AsyncKernelManager(
            kernel_name="odd", kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")])
        )

    return manager


def test_a_kernel_that_ends_at_once_cannot_be_reached_and_its_stderr_is_shown(tmp_path: pathlib.Path):
    odd = kernel_that_runs(sys.executable, "-c", "raise SystemExit('no such luck')", tmp_path=tmp_path)
    with JupyterExecutor(manager=odd) as executor, pytest.raises(ContainerConnectivityError) as raised:
        executor.execute_sync("1")
    assert "kernel odd: it ended before it was ready" in str(raised.value)
    assert raised.value.technical_details["stderr"] == "no such luck"
    assert (raised.value.host, raised.value.port > 0) == ("127.0.0.1", True)


def test_a_kernel_that_never_answers_is_waited_for_as_long_as_it_may_take(tmp_path: pathlib.Path):
    odd = kernel_that_runs(sys.executable, "-c", "import time; time.sleep(600)", tmp_path=tmp_path)
    with (
        JupyterExecutor(manager=odd, startup_timeout=0.3) as executor,
        pytest.raises(ContainerConnectivityError, match="kernel odd: no reply in 0.3 s"),
    ):
        executor.execute_sync("1")


def test_a_kernel_whose_program_is_not_there_is_a_matter_of_configuration(tmp_path: pathlib.Path):
    odd = kernel_that_runs("/nowhere/python", tmp_path=tmp_path)
    with (
        JupyterExecutor(manager=odd) as executor,
        pytest.raises(ContainerConfigurationError, match="kernel odd cannot be started"),
    ):
        executor.execute_sync("1")


def test_a_manager_that_is_handed_in_starts_its_kernel_its_own_way(tmp_path: pathlib.Path):
    ours = kernel_that_runs(sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", tmp_path=tmp_path)
    with JupyterExecutor(manager=ours) as executor:
        report = executor.execute_sync("foo")
    assert report.error.system_state["kernel"] == "kernel odd"


@pytest.mark.parametrize("taken_ports", [1, 3])
def test_a_kernel_that_lost_its_port_to_another_process_is_started_again(tmp_path: pathlib.Path, taken_ports: int):
    ours = kernel_that_runs(sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", tmp_path=tmp_path)
    started: list[AsyncKernelManager] = []

    def manager() -> AsyncKernelManager:
        started.append(ours())
        if len(started) <= taken_ports:
            started[-1].cache_ports = False
            started[-1].shell_port = another.getsockname()[1]
        return started[-1]

    with socket.create_server(("127.0.0.1", 0)) as another, JupyterExecutor(manager=manager) as executor:
        if taken_ports == 1:
            assert executor.execute_sync("6 * 7").execution_result.return_value == 42
        else:
            with pytest.raises(ContainerConnectivityError) as raised:
                executor.execute_sync("1")
            assert "Address already in use" in raised.value.technical_details["stderr"]
    assert len(started) == min(taken_ports + 1, 3)


# -- kernels of others ----------------------------------------------------------------------------------------------


def test_a_kernel_that_runs_already_is_used_and_left_running(elsewhere: KernelManager, runner: Runner):
    for _ in range(2):
        with JupyterExecutor(connection_file=elsewhere.connection_file, grace=20) as executor:
            assert run(executor, runner, "6 * 7").execution_result.return_value == 42
            report = run(executor, runner, ExecutionRequest("while True:\n    pass", timeout=0.3))
            assert report.category is ErrorCategory.EXECUTION_TIMEOUT
            assert report.error.line_number in (1, 2)
    assert elsewhere.is_alive()


def test_a_connected_kernel_without_a_heartbeat_cannot_be_reached(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("resilience.execution._jupyter.channels._HEARTBEAT_TIMEOUT", 0.1)
    manager = KernelManager()
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with JupyterExecutor(connection_file=manager.connection_file, startup_timeout=20) as executor:
            assert executor.execute_sync("1").success
            code = "import time\nstart = time.monotonic()\nwhile time.monotonic() - start < 0.5: pass\n"
            with pytest.raises(ContainerConnectivityError, match="no heartbeat"):
                executor.execute_sync(FREE(f"{code}import os\nos._exit(3)"))
    finally:
        manager.shutdown_kernel(now=True)
        manager.context.destroy(linger=0)


def test_replies_to_other_requests_are_ignored(elsewhere: KernelManager):
    other = elsewhere.client()
    assert isinstance(other, BlockingKernelClient)
    other.start_channels()
    try:
        with JupyterExecutor(connection_file=elsewhere.connection_file) as executor:
            executor.execute_sync("1")
            for number in range(10):
                other.execute(f"print('of another client {number}'); 1 / 0", stop_on_error=False)
            report = executor.execute_sync("print('mine')\n'mine'")
    finally:
        other.stop_channels()
    assert report.success
    assert (report.execution_result.stdout, report.execution_result.return_value) == ("mine\n", "mine")


def test_the_helper_is_found_by_no_program_and_put_back_when_it_is_lost(elsewhere: KernelManager):
    with JupyterExecutor(connection_file=elsewhere.connection_file) as executor:
        assert executor.execute_sync("1").success
        code = "import sys\n[name for name in sys.modules if name.startswith('resilience')]"
        assert executor.execute_sync(FREE(code)).execution_result.return_value == []
        lose = "import builtins\nfor name in [each for each in vars(builtins) if 'resilience' in each]:\n"
        lose += "    delattr(builtins, name)"
        with pytest.raises(WorkflowError):  # it cannot even be asked how that went
            executor.execute_sync(FREE(lose))
        assert executor.execute_sync("foo").error.error_type == "NameError"


def test_a_connection_file_that_is_not_there_is_a_matter_of_configuration(tmp_path: pathlib.Path):
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "empty.json").write_text("{}")
    for name in ("missing.json", "broken.json", "empty.json"):
        with JupyterExecutor(connection_file=tmp_path / name) as executor:
            with pytest.raises(ContainerConfigurationError, match=f"{name}' cannot be read"):
                executor.execute_sync("1")


def test_a_kernel_that_is_gone_cannot_be_reached(tmp_path: pathlib.Path):
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(5)]
        ports = [each.getsockname()[1] for each in taken]
    names = ("shell_port", "iopub_port", "stdin_port", "hb_port", "control_port")
    info = {**dict(zip(names, ports, strict=True)), "ip": "127.0.0.1", "transport": "tcp", "key": "k"}
    path = tmp_path / "gone.json"
    path.write_text(json.dumps({**info, "signature_scheme": "hmac-sha256"}))
    with (
        JupyterExecutor(connection_file=path, startup_timeout=0.3) as executor,
        pytest.raises(ContainerConnectivityError) as raised,
    ):
        executor.execute_sync("1")
    assert "no reply in 0.3 s" in str(raised.value)
    assert classify(raised.value) is ErrorCategory.NETWORK
    assert (raised.value.host, raised.value.port) == ("127.0.0.1", ports[0])


# -- parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"connection_file": "a", "gateway_url": "http://b"}, TypeError, "connection_file and gateway_url: give one"),
        ({"token": "t"}, TypeError, "token: give it with gateway_url="),
        ({"gateway_url": "ftp://x"}, ValueError, "gateway_url='ftp://x': give a URL such as"),
        ({"gateway_url": "http://"}, ValueError, "give a URL such as"),
        ({"startup_timeout": 0}, ValueError, "startup_timeout=0"),
        ({"grace": -1}, ValueError, "grace=-1"),
    ],
)
def test_wrong_parameters_are_refused_where_they_are_written(given: dict, error: type[Exception], said: str):
    with pytest.raises(error, match=said):
        JupyterExecutor(**given)


def test_without_jupyter_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jupyter_client", None)
    with pytest.raises(ImportError, match=r"pip install 'category-resilience\[jupyter\]'"):
        JupyterExecutor()


# -- conversations --------------------------------------------------------------------------------------------------


class Scripted(Kernel):
    """A kernel that sends scripted messages, and then none."""

    name, host, port = "kernel scripted", "localhost", 1

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def interrupt(self) -> None: ...

    async def send(self, kind: str, content: object) -> str:
        return "mine"

    async def receive(self) -> Message:
        if not self._messages:
            await anyio.sleep_forever()
        return self._messages.pop(0)


def said(kind: str, parent: str = "mine", **content: object) -> Message:
    return Message(kind, parent, content)


IDLE, REPLY = said("status", execution_state="idle"), said("execute_reply", status="ok")


@pytest.mark.parametrize(
    "messages", [(IDLE, REPLY), (REPLY, IDLE), (said("status", "other", execution_state="idle"), REPLY, IDLE)]
)
def test_a_request_is_over_when_the_reply_has_come_and_all_output(messages: tuple[Message, ...], backend: str):
    heard: list[Message] = []

    async def main() -> bool:
        talk = KernelRequest(
            Scripted(said("stream", text="a"), said("stream", "other", text="b"), *messages), heard.append
        )
        await talk.send("execute_request", {})
        return await talk.wait()

    assert anyio.run(main, backend=backend)
    assert [message.content["text"] for message in heard] == ["a"]


def test_a_request_whose_end_was_washed_away_is_over_some_time_after_the_reply(
    monkeypatch: pytest.MonkeyPatch, backend: str
):
    monkeypatch.setattr("resilience.execution._jupyter.session._OUTPUT_DELAY", 0.01)

    async def main() -> tuple[bool, bool]:
        lost, silent = KernelRequest(Scripted(REPLY)), KernelRequest(Scripted(IDLE))
        await lost.send("execute_request", {})
        await silent.send("execute_request", {})
        return await lost.wait(), await silent.wait(0.05)

    assert anyio.run(main, backend=backend) == (True, False)


def test_a_message_may_be_anything():
    assert Message.of({}) == Message("", "", {})
    assert Message.of({"header": None, "msg_type": "status", "content": None}) == Message("status", "", {})
