"""Output of programs: bounded, never mixed up with results, and never an obstacle to the program."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.execution import ExecutionRequest, StreamEvent, SubprocessExecutor
from resilience.execution._output_capture import MAX_OUTPUT, OutputCapture


@pytest.fixture(scope="module")
def executor() -> Iterator[SubprocessExecutor]:
    with SubprocessExecutor() as executor:
        yield executor


@given(st.lists(st.binary(max_size=30)), st.integers(1, 20))
def test_the_beginning_and_the_end_are_kept_with_the_number_of_missing_bytes(pieces: list[bytes], half: int):
    output = OutputCapture(-1, limit=2 * half)
    for piece in pieces:
        output.add(piece)
    whole = b"".join(pieces)
    if len(whole) <= 2 * half:
        assert not output.is_cut and output.text() == whole.decode("utf-8", "replace")
    else:
        head, tail = whole[:half].decode("utf-8", "replace"), whole[-half:].decode("utf-8", "replace")
        assert output.is_cut and output.text() == f"{head}\n[... {len(whole) - 2 * half} bytes left out ...]\n{tail}"


@given(st.text(max_size=50), st.integers(1, 5))
def test_texts_arrive_whole_whatever_pieces_the_bytes_come_in(text: str, size: int):
    whole, emitted = text.encode("utf-8", "replace"), []
    reading, writing = os.pipe()
    try:
        output = OutputCapture(reading, emit=emitted.append)
        os.write(writing, whole)
        os.close(writing)
        for at in range(0, len(whole), size):
            output.add(os.read(reading, size))
        assert not output.read()
    finally:
        os.close(reading)
    assert "".join(emitted) == whole.decode()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_is_cut_and_costs_the_parent_no_memory(executor, stream):
    code = (
        f"import sys\nsys.{stream}.write('begin')\nfor _ in range(3000):\n    sys.{stream}.write('x' * 100_000)\n"
        f"sys.{stream}.write('end')"
    )
    executor.execute_sync("1")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = executor.execute_sync(ExecutionRequest(code, security_level="permissive"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    text = getattr(report.execution_result, stream)
    assert report.success
    assert text.startswith("begin") and text.endswith("end") and "298951432 bytes left out" in text.replace(",", "")
    assert len(text) < MAX_OUTPUT + 100


def test_an_endless_flood_ends_with_the_time(executor):
    began = time.monotonic()
    report = executor.execute_sync(ExecutionRequest("while True: print('y' * 1000)", timeout=0.5))
    assert report.error.error_type == "ExecutionTimeout" and time.monotonic() - began < 10
    assert "bytes left out" in report.execution_result.stdout
    assert len(report.to_json()) < 10 * MAX_OUTPUT


def test_a_flood_that_is_cut_is_warned_of(executor):
    events: list[StreamEvent] = []
    executor.execute_sync("print('x' * 3_000_000)", on_event=events.append)
    assert [event.text for event in events if event.kind == "warning"] == [
        "stdout was too long: its middle is left out of the report"
    ]
    assert sum(len(event.text) for event in events if event.kind == "stdout") == 3_000_001


def test_bytes_that_are_no_text_are_replaced(executor):
    code = "import os\nos.write(1, b'a\\xffb\\xc3')\nos.write(2, bytes(range(256)))"
    report = executor.execute_sync(ExecutionRequest(code, security_level="permissive"))
    assert report.execution_result.stdout == "a\ufffdb\ufffd"
    assert report.to_json()


def test_both_streams_and_a_big_answer_do_not_block_each_other(executor):
    code = (
        "import sys\nfor _ in range(500):\n    print('o' * 1000)\n    print('e' * 1000, file=sys.stderr)\n"
        "['x' * 50_000]"
    )
    report = executor.execute_sync(ExecutionRequest(code, security_level="permissive"))
    assert len(report.execution_result.stdout) == len(report.execution_result.stderr) == 500 * 1001
    assert report.execution_result.return_value == ["x" * 50_000]


def test_events_come_while_the_program_runs(executor, tmp_path):
    """The program goes on only when its first words have been heard."""
    heard: list[StreamEvent] = []

    def listen(event: StreamEvent) -> None:
        heard.append(event)
        if event.text == "first":
            (tmp_path / "go").touch()

    code = "import os\nos.write(1, b'first')\nwhile not os.path.exists('go'): pass\nprint('second')\n'done'"
    executor.execute_sync(
        ExecutionRequest(code, security_level="permissive", working_directory=tmp_path), on_event=listen
    )
    assert [event.kind for event in heard][0] == "start" and heard[-1].kind == "result" and heard[-1].text == "done"
    assert "".join(event.text for event in heard if event.kind == "stdout") == "firstsecond\n"
    moments = [event.timestamp for event in heard]
    assert moments == sorted(moments)


def test_lines_are_reported_when_they_are_first_reached(executor):
    heard: list[StreamEvent] = []
    code = "x = 1\nfor _ in range(1000):\n    x += 1\nx"
    executor.execute_sync(ExecutionRequest(code, trace=True), on_event=heard.append)
    lines = [(event.line, event.text) for event in heard if event.kind == "line"]
    assert lines in ([(1, "x = 1"), (2, "for _ in range(1000):"), (4, "x")], [*enumerate(code.splitlines(), 1)])


def test_warnings_and_errors_are_reported_with_their_lines(executor):
    heard: list[StreamEvent] = []
    code = "import warnings\nwarnings.warn('old')\nwarnings.warn('old', DeprecationWarning)\nnope"
    executor.execute_sync(ExecutionRequest(code, security_level="permissive"), on_event=heard.append)
    emitted = [(event.level, event.text, event.line) for event in heard if event.level != "info"]
    assert emitted == [
        ("warning", "UserWarning: old", 2),
        ("warning", "DeprecationWarning: old", 3),
        ("error", "NameError on line 4: undefined variable", 4),
    ]


def test_a_listener_that_raises_changes_nothing(executor):
    def broken(event: StreamEvent) -> None:
        raise ValueError

    assert executor.execute_sync("print(1)\n2", on_event=broken).execution_result.return_value == 2
