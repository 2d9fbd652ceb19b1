"""The pytest plugin, in runs of pytest of their own: fixtures, markers, and the plugins that it works with.

Each run is a process, in a directory without any configuration but what a test writes, and warnings are errors.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow  # each test is a run of pytest in a process of its own

SHOP = """
import pytest
from resilience import circuit_breaker, fallback, retry_on_category

calls = []
billing = circuit_breaker("billing", failure_threshold=3, reset_timeout=3600)

@fallback(default=None, on="rejected")
@retry_on_category(attempts=3, base_delay=20, jitter="none")
@billing
def balance():
    calls.append("balance")
    return 12.5

@retry_on_category(attempts=3, base_delay=20, jitter="none")
async def balance_async():
    calls.append("async")
    return 12.5
"""


class Run:
    """A finished run of pytest: its exit code, its output, and how many tests ended in which way."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        last = done.stdout.rstrip().rpartition("\n")[2]
        self.outcomes = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?)", last)}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write test files, and run pytest on them."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_PLUGINS"):
        monkeypatch.delenv(name, raising=False)

    def run(*options: str, environment: dict[str, str] | None = None, **files: str) -> Run:
        (tmp_path / "pytest.ini").touch()
        (tmp_path / "shop.py").write_text(SHOP)
        for name, text in files.items():
            name = {"ini": "pytest.ini"}.get(name, f"{name}.py")
            (tmp_path / name).write_text(textwrap.dedent(text))
        done = subprocess.run(
            [sys.executable, "-W", "error", *(options or pytest_with())],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "PYTHONPATH": str(tmp_path), **(environment or {})},
        )
        return Run(done)

    return run


def pytest_with(*options: str) -> tuple[str, ...]:
    return ("-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:langsmith_plugin", *options)


# -- off unless used -------------------------------------------------------------------------------------------------


def test_a_run_that_uses_nothing_of_it_imports_nothing_of_the_core_and_prints_nothing(project):
    run = project(
        test_nothing="""
        import sys

        def test_nothing(request):
            ours = {name for name in sys.modules if name.partition(".")[0] == "resilience"}
            assert ours == {
                "resilience", "resilience._decorators", "resilience._keywords", "resilience._lazy",
                "resilience.categories", "resilience.testing", "resilience.testing._pytest_plugin",
            }
            assert not {"pybreaker", "structlog", "tenacity"} & set(sys.modules)
            assert not [name for name in request.fixturenames if name != "request"]
        """
    )
    assert run.outcomes == {"passed": 1}, run.output
    assert "resilience" not in run.output


def test_it_can_be_left_out_and_be_named_where_plugins_are_not_loaded_by_themselves(project):
    uses = {"test_uses": "def test_uses(virtual_clock): assert virtual_clock.now() == 0", "ini": ""}
    assert project(**uses).outcomes == {"passed": 1}
    left_out = project(*pytest_with("-p", "no:resilience"), **uses)
    assert "fixture 'virtual_clock' not found" in left_out.output
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert "fixture 'virtual_clock' not found" in project(environment=alone, **uses).output
    assert project(*pytest_with("-p", "resilience"), environment=alone, **uses).outcomes == {"passed": 1}


def test_fixtures_and_markers_explain_themselves(project):
    fixtures = project(*pytest_with("--fixtures")).output
    for name in ("virtual_clock", "recorded_events", "faults", "fresh_circuits"):
        described = re.search(rf"^{name} -- .*\n    (\S.*)", fixtures, re.MULTILINE)
        assert described is not None, fixtures
        assert "no docstring" not in described[1]
    markers = project(*pytest_with("--markers")).output
    assert "@pytest.mark.no_resilience: " in markers
    assert "@pytest.mark.virtual_clock(patience=1.0, seed=0): " in markers


# -- fixtures and markers --------------------------------------------------------------------------------------------


def test_fixtures_hold_for_the_test_that_asks_for_them_and_for_no_other(project):
    run = project(
        test_fixtures="""
        from shop import *
        from resilience.clock import SYSTEM, current_clock

        def test_a_failure_is_retried_in_virtual_time(virtual_clock, faults, recorded_events):
            faults.fail_next(balance, ConnectionResetError, times=2)
            assert balance() == 12.5
            assert virtual_clock.now() == 20 + 40
            assert recorded_events.names == ["attempt.failed", "retry.scheduled"] * 2
            faults.fail_next(balance, "network", times=5)  # most of them are left

        def test_time_is_real_again_and_the_function_works_again(recorded_events):
            assert current_clock() is SYSTEM
            assert balance() == 12.5
            assert not recorded_events

        def test_an_open_circuit_rejects_and_probes_in_virtual_time(virtual_clock, faults):
            faults.open("billing")
            before = len(calls)
            assert balance() is None
            assert len(calls) == before
            virtual_clock.advance(3600)
            assert balance() == 12.5

        def test_the_circuit_is_closed_again():
            assert billing.current_state == "closed"

        @pytest.mark.virtual_clock(patience=0.02, seed=7)
        def test_the_marker_has_the_options(virtual_clock):
            assert virtual_clock.patience == 0.02
            from resilience.testing import VirtualClock
            assert virtual_clock.random() == VirtualClock(seed=7).random()

        @pytest.mark.virtual_clock(patience=0.02)
        class TestOfAClass:
            def test_the_marker_of_a_class_counts(self, virtual_clock):
                assert virtual_clock.patience == 0.02

        def test_a_fixture_that_is_asked_for_late_is_in_force(request):
            assert request.getfixturevalue("virtual_clock") is current_clock()
        """
    )
    assert run.outcomes == {"passed": 7}, run.output


def test_circuits_are_reset_between_tests_that_ask_for_it_or_by_one_line_for_all(project):
    opens = """
    from shop import *

    def test_one():
        assert billing.current_state == "closed"
        billing.open()

    def test_two():
        assert billing.current_state == "closed"
        billing.isolate()

    class Test:
        def test_three(self, fresh_circuits):
            assert (billing.current_state, billing.mode.value) == ("closed", "normal")
            billing.open()

        def test_four(self, virtual_clock):
            assert billing.current_state == "closed"
            billing.open()

    def test_five():
        assert billing.current_state == "closed"
    """
    run = project(*pytest_with("--tb=line"), test_opens=opens)
    assert run.outcomes == {"passed": 4, "failed": 1}, run.output  # the second has nothing that resets
    run = project(test_opens=opens, ini="[pytest]\nusefixtures = fresh_circuits\n")
    assert run.outcomes == {"passed": 5}, run.output


def test_a_marker_switches_policies_off_in_the_test_its_threads_and_its_loops_alone(project):
    run = project(
        test_marker="""
        import concurrent.futures, threading, unittest
        import anyio
        from shop import *

        @pytest.fixture(scope="session", autouse=True)
        def pool():
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                pool.submit(threading.get_ident).result()  # its thread is there before any test
                yield pool

        def once(call):
            del calls[:]
            with pytest.raises(ConnectionResetError):
                call()

        @pytest.mark.no_resilience
        def test_a_call_is_made_once(faults, pool):
            faults.fail_next(balance, ConnectionResetError, times=3)
            faults.fail_next(balance_async, ConnectionResetError)
            once(balance)
            once(lambda: pool.submit(balance).result())
            once(lambda: anyio.run(balance_async))
            billing.open()
            once(balance)
            assert balance() == 12.5  # the circuit is not asked

        @pytest.mark.no_resilience
        class TestOfAClass(unittest.TestCase):
            def test_of_unittest(self):
                billing.open()
                assert balance() == 12.5

        def test_another_test_has_its_policies(fresh_circuits, virtual_clock, faults, pool):
            faults.fail_next(balance, ConnectionResetError)
            assert balance() == 12.5
            assert virtual_clock.now() == 20
        """
    )
    assert run.outcomes == {"passed": 3}, run.output


def test_a_wrong_option_of_the_marker_fails_the_test_with_a_sentence(project):
    run = project(
        test_wrong="""
        import pytest

        @pytest.mark.virtual_clock(patience=-1)
        def test_wrong(virtual_clock): ...
        """
    )
    assert run.outcomes == {"error": 1}
    assert "ValueError: patience=-1: give real seconds of more than 0" in run.output


# -- with other plugins ----------------------------------------------------------------------------------------------

ASYNC = """
from shop import *
from resilience.clock import current_clock

{module_mark}

@{outer}
async def outer():  # keeps the loop, and its context, from before the tests
    yield "outer"

@{inner}
async def inner(virtual_clock, faults):
    faults.fail_next(balance_async, "network")
    yield await balance_async(), virtual_clock.now()
    faults.fail_next(balance_async, "network")
    assert await balance_async() == 12.5
    assert virtual_clock.now() == 40

@pytest.mark.parametrize("again", [False, True])
async def test_pauses_are_virtual(outer, again, virtual_clock, faults, recorded_events):
    assert current_clock() is virtual_clock
    assert virtual_clock.now() == 0
    faults.fail_next(balance_async, "network", times=2)
    assert await balance_async() == 12.5
    assert virtual_clock.now() == 60
    assert recorded_events.names == ["attempt.failed", "retry.scheduled"] * 2

class TestOfAClass:
    async def test_a_method(self, virtual_clock, faults):
        faults.fail_next(balance_async, "network")
        assert await balance_async() == 12.5
        assert virtual_clock.now() == 20

async def test_a_fixture_of_the_loop(outer, inner, virtual_clock):
    assert inner == (12.5, 20)

async def test_time_is_real_again():
    assert current_clock() is not None and type(current_clock()).__name__ == "SystemClock"

@pytest.mark.no_resilience
async def test_without_policies(outer, faults):
    faults.fail_next(balance_async, ConnectionResetError)
    with pytest.raises(ConnectionResetError):
        await balance_async()
    assert await balance_async() == 12.5
"""


def test_async_tests_of_anyio_s_plugin_on_both_loops(project):
    text = ASYNC.format(
        module_mark="pytestmark = pytest.mark.anyio",
        outer='pytest.fixture(scope="module")',
        inner="pytest.fixture",
    )
    run = project(test_anyio=text)
    assert run.outcomes == {"passed": 12}, run.output


@pytest.mark.parametrize(("loop_scope", "outer_scope"), [("function", "module"), ("module",) * 2, ("session",) * 2])
def test_async_tests_of_pytest_asyncio_in_loops_of_any_scope(project, loop_scope, outer_scope):
    text = ASYNC.format(
        module_mark=f"import pytest_asyncio\npytestmark = pytest.mark.asyncio(loop_scope={loop_scope!r})",
        outer=f'pytest_asyncio.fixture(scope="module", loop_scope={outer_scope!r})',
        inner=f"pytest_asyncio.fixture(loop_scope={loop_scope!r})",
    )
    ini = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
    run = project("-m", "pytest", "-q", test_asyncio=text, ini=ini)
    assert run.outcomes == {"passed": 6}, run.output


def test_async_tests_of_hypothesis(project):
    run = project(
        test_examples="""
        from shop import *
        from hypothesis import HealthCheck, given, settings, strategies
        from resilience.clock import current_clock

        @pytest.mark.anyio
        @given(number=strategies.integers(0, 2))
        @settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
        async def test_each_example_is_in_virtual_time(virtual_clock, faults, number):
            before = virtual_clock.now()
            for _ in range(number):
                faults.fail_next(balance_async, "network")
            assert await balance_async() == 12.5
            assert virtual_clock.now() - before == [0, 20, 60][number]
            assert current_clock() is virtual_clock
        """,
    )
    assert run.outcomes == {"passed": 2}, run.output


def test_in_threads_that_the_test_starts_faults_hold_and_time_is_carried_by_the_context(project):
    run = project(
        test_threads="""
        import asyncio, contextvars, threading
        from concurrent.futures import ThreadPoolExecutor
        from shop import *

        def test_threads(virtual_clock, faults, recorded_events):
            faults.fail_next(balance, "network", times=2)
            results = []
            threads = [
                threading.Thread(target=contextvars.copy_context().run, args=(lambda: results.append(balance()),))
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert results == [12.5] * 4
            assert virtual_clock.now() in (20, 40, 60)
            assert len(recorded_events) == 4

        def test_threads_of_an_event_loop(virtual_clock, faults):
            faults.fail_next(balance, "network")
            assert asyncio.run(asyncio.to_thread(balance)) == 12.5
            assert virtual_clock.now() == 20

        def test_threads_of_a_pool_fail_without_time(faults):
            faults.fail_next(balance, "validation", times=3)  # is not retried
            with ThreadPoolExecutor(3) as pool:
                failed = [pool.submit(balance).exception() is not None for _ in range(5)]
            assert failed.count(True) == 3
        """
    )
    assert run.outcomes == {"passed": 3}, run.output


def test_under_xdist_each_worker_has_its_own(project):
    run = project(
        *pytest_with("-n", "2"),
        test_workers="""
        from shop import *

        @pytest.mark.parametrize("number", range(12))
        def test_in_each_worker(number, virtual_clock, faults, recorded_events):
            if number % 2:
                faults.open("billing")
                assert balance() is None
            else:
                faults.fail_next(balance, "network")
                assert balance() == 12.5
                assert virtual_clock.now() == 20

        @pytest.mark.no_resilience
        @pytest.mark.parametrize("number", range(4))
        def test_off_in_each_worker(number):
            billing.open()
            assert balance() == 12.5
        """,
    )
    assert run.outcomes == {"passed": 16}, run.output


def test_coverage_counts_each_line_and_branch_of_guarded_functions(project, tmp_path: pathlib.Path):
    run = project(
        *("-m", "coverage", "run", "--branch", "--source", ".", *pytest_with()),
        test_covered="""
        from shop import *
        import anyio

        @pytest.mark.virtual_clock(patience=0.5)
        def test_covered(virtual_clock, faults, recorded_events):
            faults.fail_next(balance, "network")
            assert balance() == 12.5
            assert anyio.run(balance_async) == 12.5

        @pytest.mark.no_resilience
        def test_off():
            assert balance() == 12.5
        """,
    )
    assert run.outcomes == {"passed": 2}, run.output
    command = [sys.executable, "-m", "coverage", "report", "--show-missing", "--fail-under=100"]
    reported = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert reported.returncode == 0, reported.stdout
    assert "shop.py" in reported.stdout
