"""Tracebacks, debuggers and what counts lines show the original, behind one frame of ours."""

from __future__ import annotations

import asyncio
import bdb
import contextlib
import dataclasses
import doctest
import io
import pdb  # noqa: T100  # it is what is tested
import re
import sys
import trace
import traceback
import types
from collections.abc import Callable, Iterator

import pytest

from resilience import circuit_breaker, fallback, retry_on_category

retry = retry_on_category(attempts=2, base_delay=0)
circuit = circuit_breaker("debugging", failure_threshold=10**9)


def broken() -> None:
    raise LookupError("no such thing")


async def abroken() -> None:
    raise LookupError("no such thing")


def doubled(number: int) -> int:
    """Double a number.

    >>> doubled(4)
    8
    """
    twice = number * 2
    return twice


# -- tracebacks -----------------------------------------------------------------------------------------------------


def shown(function: Callable[[], object]) -> list[str]:
    """Return the frames of the traceback of what *function* raises, as Python prints them, but for the first."""
    try:
        function()
    except LookupError:
        lines = traceback.format_exc().splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("  File ")]
        return ["\n".join(lines[number : number + 2]) for number in starts[1:]]
    raise AssertionError


@pytest.mark.parametrize(
    "guard",
    [retry, circuit, lambda function: circuit(retry(fallback(default=1, on="timeout")(function)))],
    ids=["retry", "circuit", "three"],
)
def test_a_printed_traceback_has_one_frame_of_ours_and_the_lines_of_the_original(guard: Callable[..., object]):
    ours, theirs = shown(guard(broken))
    assert theirs == shown(broken)[0]
    assert ours.splitlines()[0].startswith('  File "<resilience wrapper ')
    assert "raise " in ours.splitlines()[1]


def test_a_printed_traceback_of_an_async_function_has_one_frame_of_ours_too():
    ours, theirs = shown(lambda: asyncio.run(circuit(retry(abroken))()))[-2:]
    assert theirs == shown(lambda: asyncio.run(abroken()))[-1]
    assert ours.splitlines()[0].startswith('  File "<resilience wrapper ')


def chained() -> None:
    try:
        broken()
    except LookupError:
        raise ValueError


def caused() -> None:
    try:
        broken()
    except LookupError as error:
        raise ValueError from error


def alone() -> None:
    raise ValueError from None


@dataclasses.dataclass(frozen=True)
class Unchangeable(ValueError):
    code: int = 1


def frozen() -> None:
    try:
        broken()
    except LookupError:
        raise Unchangeable


def links(function: Callable[[], None]) -> list[tuple]:
    """Return the errors that lead to what *function* raises, called while another one is handled."""
    found = []
    try:
        raise OSError
    except OSError:
        with pytest.raises((LookupError, ValueError)) as caught:
            function()
    error = caught.value
    while error is not None:
        found.append((type(error), type(error.__cause__), error.__suppress_context__))
        error = error.__context__
    return found


@pytest.mark.parametrize(
    "function",
    [broken, alone, chained, caused, frozen],
    ids=lambda function: function.__name__,
)
def test_the_context_of_an_error_is_the_same_while_another_one_is_handled(function: Callable[[], None]):
    async def later() -> None:
        function()

    assert links(circuit(retry(function))) == links(function)
    assert links(lambda: retry.call(function)) == links(function)
    assert links(lambda: asyncio.run(circuit(retry(later))())) == links(lambda: asyncio.run(later()))


# -- debuggers and tracers ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def trace_function_kept() -> Iterator[None]:
    """Put back what a debugger takes away: coverage, perhaps."""
    kept = sys.gettrace()
    try:
        yield
    finally:
        sys.settrace(kept)


BODY = [doubled.__code__.co_firstlineno + 6, doubled.__code__.co_firstlineno + 7]


class Steps(bdb.Bdb):
    """Steps through everything, and notes where it was."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, list[int]] = {}

    def user_line(self, frame: types.FrameType) -> None:
        self.files.setdefault(frame.f_code.co_filename, []).append(frame.f_lineno)
        self.set_step()


def test_a_debugger_steps_through_one_frame_of_ours_into_the_original():
    steps = Steps()
    with trace_function_kept():
        assert steps.runcall(retry(doubled), 4) == 8
    ours, theirs, *_ = steps.files
    assert ours.startswith("<resilience wrapper ")
    assert theirs == __file__
    assert steps.files[__file__] == BODY


@pytest.mark.parametrize("where", [f"{__file__}:{BODY[0]}", "guarded"], ids=["line", "function"])
def test_pdb_stops_at_a_breakpoint_and_shows_the_stack(where: str):
    guarded = retry(doubled)
    out = io.StringIO()
    typed = io.StringIO(f"break {where}\ncontinue\nstep\nstep\nstep\nstep\nwhere\ncontinue\n")
    debugger = pdb.Pdb(stdin=typed, stdout=out, nosigint=True, readrc=False)
    with trace_function_kept():
        assert debugger.runcall(lambda: guarded(4)) == 8
    debugger.clear_all_breaks()
    for expected in (r"Breakpoint \d+ at ", r"-> return function\(", "-> twice = number"):
        assert re.search(expected, out.getvalue())


def test_a_tracer_counts_the_lines_of_the_original_and_asks_for_no_file_of_ours(tmp_path):
    tracer = trace.Trace(count=1, trace=0)
    guarded = retry(doubled)
    with trace_function_kept():
        assert tracer.runfunc(guarded, 4) == 8
    results = tracer.results()
    assert [line for (file, line) in results.counts if file == __file__] == BODY
    results.write_results(coverdir=tmp_path)
    assert not [file.name for file in tmp_path.iterdir() if "wrapper" in file.name]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
def test_monitoring_sees_the_lines_of_the_original():
    seen: list[int] = []
    guarded, monitoring = retry(doubled), sys.monitoring
    tool = next(number for number in range(6) if monitoring.get_tool(number) is None)
    monitoring.use_tool_id(tool, "test")
    try:
        monitoring.register_callback(tool, monitoring.events.LINE, lambda code, line: seen.append(line))
        monitoring.set_local_events(tool, doubled.__code__, monitoring.events.LINE)
        assert guarded(4) == 8
    finally:
        monitoring.set_local_events(tool, doubled.__code__, 0)
        monitoring.register_callback(tool, monitoring.events.LINE, None)
        monitoring.free_tool_id(tool)
    assert seen == BODY


def test_doctest_finds_the_examples_of_a_guarded_function_and_their_lines(monkeypatch: pytest.MonkeyPatch):
    guarded = retry(doubled)
    monkeypatch.setattr(sys.modules[__name__], "doubled", guarded)
    tests = doctest.DocTestFinder(exclude_empty=True).find(sys.modules[__name__])
    (found,) = [test for test in tests if test.name.endswith("doubled")]
    if sys.version_info >= (3, 13):  # before, doctest alone does not look behind a decorator; pytest's always does
        assert found.lineno + found.examples[0].lineno == guarded.__wrapped__.__code__.co_firstlineno + 2
    assert doctest.DocTestRunner(verbose=False).run(found) == (0, 1)
