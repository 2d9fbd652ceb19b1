"""Processes that wait for code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from resilience.contrib.executor import ContainerConfigurationError
from resilience.execution import ExecutionRequest, SubprocessExecutor
from resilience.execution._worker_pool import WarmPool
from resilience.execution._worker_process import Interpreter, wait_readable
from tests.execution.processes import has_ended, open_files


@pytest.fixture
def pool():
    pool = WarmPool(Interpreter(sys.executable), 2)
    yield pool
    pool.close()


def test_a_warm_worker_is_there_before_it_is_asked_for(pool):
    assert pool.wait_until_warm()
    first, second = pool.acquire(), pool.acquire()
    assert first.pid != second.pid
    assert (first.is_ready or wait_readable(first.control.fileno(), 0)) and first.is_alive()
    pool.release(first)
    pool.release(second)


def test_the_ready_message_of_a_worker_that_takes_its_time_is_read_while_it_is_idle(tmp_path_factory):
    script = tmp_path_factory.mktemp("interpreter") / "python"
    script.write_text(f'#!/bin/sh\nsleep 0.5\nexec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    with SubprocessExecutor(python=script) as executor:
        executor.warm()
        (spare,) = executor._pool._idle
        assert spare.is_ready


def test_a_warm_worker_that_has_died_is_replaced():
    with SubprocessExecutor() as executor:
        executor.warm()
        (victim,) = executor._pool._idle
        os.kill(victim.pid, signal.SIGKILL)
        wait_readable(victim.pidfd, 10)
        assert executor.execute_sync("1 + 1").execution_result.return_value == 2


def test_a_warm_worker_that_dies_when_it_is_given_code_is_no_failure():
    with SubprocessExecutor() as executor:
        executor.warm()
        (spare,) = executor._pool._idle
        os.kill(spare.pid, signal.SIGSTOP)  # alive, when it is asked
        timer = threading.Timer(0.2, os.kill, (spare.pid, signal.SIGKILL))
        timer.start()
        assert executor.execute_sync("1 + 1").execution_result.return_value == 2
        timer.join()


@pytest.mark.parametrize("spares", [0, 1])
def test_an_interpreter_that_breaks_the_protocol_is_a_configuration_error(tmp_path_factory, spares, kept):
    code = "import os, sys, time; os.write(int(sys.argv[-2]), b'rubbish' * 9); time.sleep(99)"
    script = tmp_path_factory.mktemp("interpreter") / "python"
    script.write_text(f"#!{sys.executable}\n{code}\n")
    script.chmod(0o755)
    with SubprocessExecutor(python=script, spares=spares) as executor:
        executor.warm()
        with pytest.raises(ContainerConfigurationError, match="does not speak the protocol of a worker"):
            executor.execute_sync("1 + 1")
    assert kept() == []


def test_closing_leaves_nothing_also_while_workers_start(kept):
    before = open_files()
    for number in range(5):
        pool = WarmPool(Interpreter(sys.executable), number)
        pool.replenish()
        if number % 2:
            child = pool.acquire()
            pool.release(child)
        pool.close()
        pool.close()
        pool.replenish()
        assert not pool._workers
    assert (open_files(), kept()) == (before, [])


def test_threads_do_not_get_the_same_worker():
    with SubprocessExecutor(spares=4) as executor:
        found: list[object] = []

        def work(number: int) -> None:
            for _ in range(3):
                found.append(executor.execute_sync(f"{number}").execution_result.return_value == number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True] * 48


@pytest.mark.slow  # two hundred processes
def test_two_hundred_executions_leave_no_process_no_file_and_no_directory(kept):
    with SubprocessExecutor() as executor:  # whatever is opened once
        executor.execute_sync("1")
    files = open_files()
    pids = set()
    with SubprocessExecutor() as executor:
        for number in range(200):
            report = executor.execute_sync(ExecutionRequest("import os\nos.getpid()", security_level="permissive"))
            assert report.success, (number, report)
            pids.add(report.execution_result.return_value)
    assert len(pids) == 200
    assert all(has_ended(pid) for pid in pids)
    assert (open_files(), kept()) == (files, [])


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )


def test_an_executor_that_was_not_closed_is_closed_when_the_program_ends():
    ended = python("""
        from resilience.execution import SubprocessExecutor
        executor = SubprocessExecutor()
        executor.execute_sync("1")
        executor.warm()
        (child,) = executor._pool._idle
        print(child.pid, child.directory)
    """)
    assert (ended.returncode, ended.stderr) == (0, "")
    pid, directory = ended.stdout.split()
    assert has_ended(int(pid)) and not Path(directory).exists()


def test_warm_workers_end_with_a_program_that_is_killed():
    ended = python("""
        import os
        from resilience.execution import SubprocessExecutor
        executor = SubprocessExecutor()
        executor.warm()
        (child,) = executor._pool._idle
        print(child.pid, child.directory, flush=True)
        os.kill(os.getpid(), 9)
    """)
    pid, directory = ended.stdout.split()
    assert has_ended(int(pid)) and not Path(directory).exists()


def test_a_fork_has_spares_of_its_own_and_leaves_those_of_its_parent_alone():
    ended = python("""
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        from resilience.execution import SubprocessExecutor
        executor = SubprocessExecutor()
        executor.warm()
        (child,) = executor._pool._idle
        pid = os.fork()
        if not pid:
            assert not executor._pool._idle
            assert executor.execute_sync("1 + 1").execution_result.return_value == 2
            executor.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert child.is_alive() and os.path.isdir(child.directory)
        assert executor.execute_sync("2 + 2").execution_result.return_value == 4
        print("fine")
    """)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "fine\n", "")
