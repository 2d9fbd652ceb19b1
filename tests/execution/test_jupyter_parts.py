"""The parts of the Jupyter executor that need no kernel."""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import subprocess
import sys
import threading

import pytest

from resilience.contrib.executor import WorkflowError
from resilience.execution._jupyter import bootstrap
from resilience.execution._jupyter import event_bridge as relays
from resilience.execution._jupyter.event_bridge import EventBridge
from resilience.execution._jupyter.loop_thread import BackgroundLoop
from resilience.execution._jupyter.result_decoder import KernelResult
from resilience.execution.events import StreamEvent


def bare_python(*lines: str) -> list[str]:
    """What a Python prints that has nothing installed."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-"], input="\n".join(lines), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_helper_works_where_nothing_is_installed():
    code = "items = [1, 2]\nprint('hello')\n\n\ndef third(items):\n    return items[2]\n\n\nthird(items)\n"
    printed, answer, modules = bare_python(
        bootstrap.install_code(),
        bootstrap.call_expression("run", "one", {"code": code}),
        f"print({bootstrap.call_expression('take_result', 'one')})",
        "import sys",
        "print([name for name in sys.modules if name.startswith('resilience')])",
    )
    found = json.loads(answer)
    assert (printed, modules) == ("hello", "[]")
    assert [frame["line"] for frame in found["exception"]["frames"]] == [9, 6]
    assert found["exception"]["hints"] is not None
    assert found["variables"] == {"items": "[1, 2]"}
    assert (found["exit_code"], found["progress"]) == (1, [4, 6, 19])


def test_a_program_finds_the_toolkit_that_is_installed_there_and_not_the_helpers():
    code = "import resilience\nresilience.__name__"
    (answer,) = bare_python(
        "import sys, types",
        "installed = sys.modules['resilience'] = types.ModuleType('installed')",
        bootstrap.install_code(),
        bootstrap.call_expression("run", "one", {"code": code}),
        f"print({bootstrap.call_expression('take_result', 'one')})",
        "assert sys.modules['resilience'] is installed",
    )
    assert json.loads(answer)["value"] == "installed"


def test_a_missing_helper_is_recognised_by_the_error_of_the_kernel():
    with pytest.raises(AttributeError) as raised:
        eval(bootstrap.call_expression("run", "one", {"code": "1"}))
    assert bootstrap.is_helper_missing(type(raised.value).__name__, str(raised.value))
    assert not bootstrap.is_helper_missing("AttributeError", "module 'math' has no attribute 'sqr'")


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"user_expressions": None},
        {"user_expressions": {"answer": {"status": "error", "ename": "KeyError"}}},
        {"user_expressions": {"answer": {"data": {"text/plain": "no literal"}}}},
        {"user_expressions": {"answer": {"data": {"text/plain": "'no json'"}}}},
        {"user_expressions": {"answer": {"data": {"text/plain": "'{}'"}}}},
        {"user_expressions": {"answer": {"data": {"text/plain": "'[]'"}}}},
        {"user_expressions": {"answer": {"data": {"text/plain": "'{\"progress\": [-1, 0, 0]}'"}}}},
        {"user_expressions": {"answer": {"data": {"text/plain": '\'{"progress": [0, 0, 0], "stage": 7}\''}}}},
        {"user_expressions": {"answer": {"data": {"text/plain": "(" * 1000}}}},
    ],
    ids=range(10),
)
def test_an_answer_that_is_none_is_never_taken_for_a_success(reply: dict):
    with pytest.raises(WorkflowError, match="result cannot be decoded") as raised:
        KernelResult.of(reply, timed_out=False)
    assert raised.value.stage == "execution"


# -- events ---------------------------------------------------------------------------------------------------------


def done(value: object = "over") -> concurrent.futures.Future[object]:
    future: concurrent.futures.Future[object] = concurrent.futures.Future()
    future.set_result(value)
    return future


def test_events_are_handed_out_in_order_in_the_thread_that_waits():
    events: list[StreamEvent] = []
    relay = EventBridge(events.append)
    future: concurrent.futures.Future[str] = concurrent.futures.Future()

    def work() -> None:
        relay.emit("stdout", "a")
        relay.emit("error", "b", 3)
        future.set_result("over")

    thread = threading.Thread(target=work)
    thread.start()
    assert relay.wait(future) == "over"
    thread.join()
    assert [(event.kind, event.text, event.line) for event in events] == [("stdout", "a", None), ("error", "b", 3)]
    assert events[0].timestamp.tzinfo is datetime.UTC


def test_output_that_a_slow_listener_cannot_take_is_dropped_with_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relays, "_MAX_QUEUED", 2)
    events: list[StreamEvent] = []
    relay = EventBridge(events.append)
    for number in range(5):
        relay.emit("stdout", str(number))
    relay.emit("result", "6")
    assert relay.wait(done()) == "over"
    assert [(event.kind, event.text) for event in events] == [
        ("stdout", "0"),
        ("stdout", "1"),
        ("warning", "3 pieces of output were dropped here"),
        ("result", "6"),
    ]


def test_without_a_listener_nothing_is_kept():
    relay = EventBridge(None)
    relay.emit("stdout", "a")
    assert relay.wait(done(1)) == 1


def test_who_is_interrupted_while_waiting_cancels_the_work():
    def interrupt(event: StreamEvent) -> None:
        raise KeyboardInterrupt

    relay = EventBridge(interrupt)
    relay.emit("stdout", "a")
    future: concurrent.futures.Future[object] = concurrent.futures.Future()
    with pytest.raises(KeyboardInterrupt):
        relay.wait(future)
    assert future.cancelled()


def test_a_closed_loop_has_cancelled_its_tasks_and_done_what_was_to_be_done_last():
    import asyncio

    story: list[str] = []

    async def hang() -> None:
        try:
            started.set()
            await asyncio.sleep(3600)
        finally:
            story.append("cancelled")

    async def finish() -> None:
        story.append("finished")

    started = threading.Event()
    loop = BackgroundLoop("test")
    future = loop.submit(hang())
    assert started.wait(10)
    loop.close(finish)
    assert story == ["cancelled", "finished"]
    assert future.cancelled()
