"""Frames of a child: valid, invalid and missing ones."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience import ErrorCategory
from resilience.execution import ExecutionReport, ExecutionRequest, SubprocessExecutor, _session
from resilience.execution._framing import FrameReader
from resilience.execution._result_decoder import InvalidResultError, WorkerResult
from resilience.execution._session import Session
from resilience.execution._worker import framing
from resilience.execution._worker.framing import (
    HEADER,
    TOKEN,
    Channel,
    ChannelClosed,
    decode_length,
    encode_frame,
)
from resilience.execution._worker.messages import Request
from resilience.execution._worker.recorder import Recording
from resilience.execution._worker_process import Interpreter, WorkerProcess, wait_readable
from resilience.execution.security import SecurityPolicy

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
FIND = """
import os, socket
def sockets():
    for fd in range(3, 256):
        try:
            if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                yield fd
        except OSError:
            continue
"""


@pytest.fixture(scope="module")
def executor() -> Iterator[SubprocessExecutor]:
    with SubprocessExecutor() as executor:
        yield executor


def run(executor: SubprocessExecutor, code: str, **options: object) -> ExecutionReport:
    return executor.execute_sync(ExecutionRequest(code, **{"security_level": "permissive", "timeout": 5, **options}))


def test_frames_are_written_and_read_without_the_package_json():
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); sys.exit('json' in sys.modules)"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, framing.__file__], check=True, timeout=60)


@given(JSON)
def test_frames_hold_what_json_holds(value: object):
    frame = encode_frame(b"t" * TOKEN, {"value": value})
    assert decode_length(frame[:HEADER]) == len(frame) - HEADER
    assert json.loads(frame[HEADER + TOKEN :]) == {"value": value}


@pytest.mark.slow  # a hundred conversations
@given(st.dictionaries(st.text(), JSON))
def test_what_one_side_sends_the_other_receives(message: dict[str, object]):
    reading, writing = os.pipe()
    try:
        Channel(writing).send({"kind": "x"})
        other = Channel(writing)
        other.token = b"0123456789abcdef"
        other.send(message)
        receiver = Channel(reading)
        assert receiver.receive() == {"kind": "x"}
        assert (receiver.receive(), receiver.token) == (message, b"0123456789abcdef")
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"x"])
def test_what_json_does_not_have_is_not_sent(value):
    with pytest.raises((ValueError, TypeError)):
        encode_frame(bytes(TOKEN), {"value": value})


@pytest.mark.parametrize("length", [0, TOKEN, 1 << 31, (1 << 32) - 1])
def test_no_frame_is_that_long(length):
    with pytest.raises(ValueError, match="bytes"):
        decode_length(length.to_bytes(HEADER, "big"))


def test_a_channel_whose_peer_has_gone_raises_channel_closed():
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(ChannelClosed):
        Channel(reading).receive()
    os.close(reading)


FORGERIES = {
    "rubbish": "os.write(fd, b'rubbish' * 100)",
    "a huge length": "os.write(fd, b'\\xff\\xff\\xff\\xff' * 10)",
    "zeros": "os.write(fd, bytes(100))",
    "a result without the token": (
        'body = b\'{"kind": "result", "value": "forged"}\'\n'
        "    os.write(fd, (len(body) + 16).to_bytes(4, 'big') + bytes(16) + body)"
    ),
    "half a frame": "os.write(fd, b'\\x00\\x00\\x10\\x00abc')",
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_what_a_program_writes_to_the_socket_is_never_a_result(executor, kind):
    report = run(executor, f"{FIND}\nfor fd in sockets():\n    {FORGERIES[kind]}\n'honest'")
    assert not report.success
    assert (report.category, report.error.error_type) == (ErrorCategory.INTERNAL, "WorkflowError")
    assert report.error.specifics["stage"] == "execution"


def test_text_that_looks_like_the_protocol_is_text(executor):
    code = (
        """import os\nbody = b'{"kind": "result", "value": 666}'\n"""
        "frame = (len(body) + 16).to_bytes(4, 'big') + bytes(16) + body\n"
    )
    report = run(executor, f"{code}for fd in (1, 2):\n    os.write(fd, frame * 10)\n'honest'")
    assert report.execution_result.return_value == "honest"


@pytest.mark.parametrize("ends", ["1", "os._exit(0)", "raise ValueError"])
def test_a_program_that_closes_everything_has_no_result(executor, ends):
    report = run(executor, f"import os\nos.closerange(3, 256)\n{ends}")
    assert not report.success and report.to_json(4)


def test_a_program_that_closes_everything_and_goes_on_is_stopped(executor):
    report = run(executor, "import os\nos.closerange(0, 256)\nwhile True: pass", timeout=0.3)
    assert report.category is ErrorCategory.EXECUTION_TIMEOUT


def test_a_flood_on_the_socket_ends(executor):
    report = run(executor, f"{FIND}\nfor fd in sockets():\n    while True: os.write(fd, bytes(1000))", timeout=1)
    assert not report.success


def test_a_program_that_breaks_the_reporting_is_no_success(executor):
    report = run(executor, "import builtins\nbuiltins.isinstance = None\nbuiltins.dict = None\n1 / 0")
    assert not report.success and report.to_json(4)


def request(code: str, *, checked: bool) -> Request:
    return {
        "kind": "run", "code": code, "timeout": 20.0, "memory": 1 << 30, "checked": checked,
        "policy": SecurityPolicy.of("strict").to_dict(),
    }  # fmt: skip


@pytest.fixture
def child() -> Iterator[WorkerProcess]:
    child = WorkerProcess(Interpreter(sys.executable))
    yield child
    child.reap()


def test_a_program_that_was_not_checked_is_compiled_and_not_run_before_it_may(child):
    conversation = Session(child, request("print('ran')", checked=False), None)
    child.control.shutdown(socket.SHUT_WR)  # no start message can arrive
    assert child.wait(20)
    conversation.stdout.read_rest()
    recording = Recording(child.read_recorder())
    assert (recording.begun, recording.completed_lines, conversation.stdout.text()) == (True, 0, "")


@pytest.mark.parametrize("checked", [False, True])
def test_a_program_runs_once_it_may(child, checked):
    ending = Session(child, request("6 * 7", checked=checked), None).wait(lambda: None)
    assert ending.kind == "result" and ending.result is not None and ending.result["value"] == 42


def test_the_parent_counts_no_less_time_than_the_child_which_begins_when_it_has_the_program(child):
    conversation = Session(child, request("1", checked=False), None)
    sent = time.monotonic()
    assert wait_readable(child.control.fileno(), 20)  # some 10 ms later it sends its ready message, and compiles
    heard = time.monotonic()
    assert conversation.wait(lambda: None).seconds > heard - sent


def test_a_program_that_ends_at_once_is_not_slow_though_the_ready_message_is_read_first(child, monkeypatch):
    monkeypatch.setattr(_session, "_SLOW_AFTER", 10.0)
    child.prepare(SecurityPolicy.of("strict").to_dict())
    assert wait_readable(child.control.fileno(), 20)
    slow: list[str] = []
    ending = Session(child, request("1", checked=True), None).wait(lambda: slow.append("slow"))
    assert (ending.kind, slow) == ("result", [])


def test_a_prepared_worker_has_recorded_no_program_of_its_own(child):
    child.prepare(SecurityPolicy.of("strict").to_dict())
    assert wait_readable(child.control.fileno(), 20)
    assert child.read_recorder().strip(b"\0") == b""


def test_a_request_that_is_longer_than_what_a_socket_holds_arrives_as_a_whole(child):
    ending = Session(child, request(f"len({'x' * 3_000_000!r})", checked=False), None).wait(lambda: None)
    assert ending.result is not None and ending.result["value"] == 3_000_000


@pytest.mark.slow  # a hundred conversations
@given(st.lists(st.dictionaries(st.text(), JSON), max_size=5), st.data())
def test_frames_come_out_as_they_went_in_however_they_are_cut(messages: list[dict[str, object]], data: st.DataObject):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        frames, taken = FrameReader(ours, b"t" * TOKEN), []
        sent = b"".join(encode_frame(b"t" * TOKEN, message) for message in messages)
        while sent:
            size = data.draw(st.integers(1, min(len(sent), 50_000)))
            theirs.sendall(sent[:size])
            sent = sent[size:]
            while frames.receive():
                pass
            while (message := frames.next_message()) is not None:
                taken.append(message)
        theirs.close()
        frames.receive()
    assert taken == messages and frames.is_closed


RIGHT = {
    "kind": "result", "stage": "run", "exit_code": 0, "seconds": 0.1, "peak": 1, "timed_out": False,
    "timed_out_at": None, "violation": None, "variables": {"a": [1]}, "value": None, "exception": None,
}  # fmt: skip


def test_a_right_answer_is_one():
    assert WorkerResult.of({**RIGHT, "seconds": 1}).variables == {"a": [1]}


OPTIONAL = ("peak", "timed_out_at", "violation", "value", "exception")


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_there_is_not_may_be_left_out_of_an_answer(name):
    assert getattr(WorkerResult.of({each: value for each, value in RIGHT.items() if each != name}), name) is None


@pytest.mark.parametrize("name", sorted(set(RIGHT) - {"kind"}))
def test_an_answer_in_which_something_is_missing_or_wrong_is_none(name):
    if name not in OPTIONAL:
        with pytest.raises(InvalidResultError):
            WorkerResult.of({each: value for each, value in RIGHT.items() if each != name})
    if name != "value":
        with pytest.raises(InvalidResultError):
            WorkerResult.of({**RIGHT, name: object()})


@given(st.sampled_from(sorted(RIGHT)), JSON)
def test_any_answer_is_taken_or_refused_and_can_be_sent_on(name: str, value: object):
    try:
        answer = WorkerResult.of({**RIGHT, name: value})
    except InvalidResultError:
        return
    json.dumps([answer.variables, answer.value, answer.exception]).encode()


def test_lone_surrogates_are_replaced():
    assert WorkerResult.of({**RIGHT, "value": {"\ud800": ["\udfff"]}}).value == {"?": ["?"]}
