"""The worker of a sync limit has the state that libraries keep for each thread: the loop, the task, the request."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from resilience import CallTimeoutError, timeout
from resilience._runtime import carried_thread_state, worker_threads
from resilience._runtime.carried_thread_state import ThreadState


@pytest.fixture(autouse=True)
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one call after the other run in one worker, so that it shows what a call leaves behind."""
    monkeypatch.setattr(worker_threads, "_idle", type(worker_threads._idle)())


async def thread_of_the_loop() -> int:
    await anyio.sleep(0)
    return threading.get_ident()


# -- anyio -----------------------------------------------------------------------------------------------------------


@timeout(60)
def call_back() -> tuple[int, int]:
    anyio.from_thread.check_cancelled()
    return anyio.from_thread.run(thread_of_the_loop), anyio.from_thread.run_sync(threading.get_ident)


@pytest.mark.parametrize("guard", [lambda f: f, timeout(60), lambda f: timeout(60)(timeout(60)(f))])
def test_a_limited_function_in_a_thread_of_anyio_calls_back_into_the_loop(backend: str, guard: Callable):
    async def main() -> None:
        here = threading.get_ident()
        assert await anyio.to_thread.run_sync(guard(call_back)) == (here, here)

    anyio.run(main, backend=backend)


def test_a_worker_keeps_no_loop_for_its_next_call(backend: str):
    async def main() -> None:
        await anyio.to_thread.run_sync(call_back)

    anyio.run(main, backend=backend)
    with pytest.raises(RuntimeError):
        call_back()


def test_a_call_that_its_caller_has_left_still_reaches_the_loop_and_harms_no_task(backend: str):
    """trio would hand the function to the task that waits for the thread, which it no longer does."""
    gate, answered = threading.Event(), threading.Event()
    answers: list[object] = []

    @timeout(0.05)
    def late() -> None:
        gate.wait(60)
        answers.append(anyio.from_thread.run(thread_of_the_loop))
        answered.set()

    async def main() -> None:
        with pytest.raises(CallTimeoutError):
            await anyio.to_thread.run_sync(late)
        gate.set()
        await anyio.to_thread.run_sync(answered.wait)
        assert answers == [threading.get_ident()]

    anyio.run(main, backend=backend)


def test_a_fastapi_endpoint_under_a_limit_calls_back_into_the_loop():
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    app = FastAPI()

    @app.get("/")
    @timeout(60)
    def endpoint() -> bool:
        return anyio.from_thread.run(thread_of_the_loop) != threading.get_ident()

    assert TestClient(app).get("/").json() is True


# -- asgiref ---------------------------------------------------------------------------------------------------------


def test_async_to_sync_reaches_the_loop_that_the_function_was_called_from():
    from asgiref.sync import async_to_sync, sync_to_async

    limited = timeout(60)(lambda: async_to_sync(thread_of_the_loop)())

    async def main() -> None:
        assert await sync_to_async(limited)() == threading.get_ident()

    anyio.run(main)


# -- Celery ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def app() -> Iterator[object]:
    celery = pytest.importorskip("celery")
    app = celery.Celery("shop", set_as_current=False)
    app.conf.task_always_eager = True
    yield app
    app.close()


def test_a_celery_task_under_a_limit_is_tried_again(app):
    attempts: list[int] = []

    @app.task(bind=True, max_retries=2)
    @timeout(60)
    def flaky(self):
        attempts.append(self.request.retries)
        if self.request.retries < 2:
            raise self.retry(countdown=0)
        return self.request.id

    result = flaky.apply_async(task_id="r-17")
    assert (result.get(), attempts) == ("r-17", [0, 1, 2])


def test_a_task_and_the_one_that_calls_it_are_known_in_the_worker_and_not_after_it(app):
    from celery import current_task

    names = timeout(60)(lambda: (current_task.name, inner.request.id, outer.request.id))
    after = timeout(60)(lambda: current_task._get_current_object())

    @app.task(name="inner")
    def inner():
        return names()

    @app.task(name="outer")
    def outer():
        return inner.apply(task_id="i").get(disable_sync_subtasks=False)

    assert outer.apply(task_id="o").get() == ("inner", "i", "o")
    assert after() is None


def test_the_current_app_is_that_of_the_caller(app):
    from celery import _state

    before = _state._tls.current_app
    app.set_current()
    try:
        assert timeout(60)(lambda: _state.get_current_app())() is app
    finally:
        _state._set_current_app(before)


TASKS = """
import sys
from celery import Celery
from resilience import timeout
app = Celery("shop", broker="filesystem://", backend="file://{place}/results")
app.conf.broker_transport_options = {{
    "data_folder_in": "{place}/queue", "data_folder_out": "{place}/queue", "control_folder": "{place}/control",
}}

@app.task(bind=True, max_retries=1, name="flaky")
@timeout(30)
def flaky(self):
    if not self.request.retries:
        self.retry(countdown=0)
    return [self.request.id, self.request.retries, self.request.hostname]

if __name__ == "__main__":
    print(flaky.apply_async(task_id="r-17").get(timeout=50))
"""


def test_a_real_worker_of_celery_tries_a_task_under_a_limit_again(tmp_path: pathlib.Path):
    pytest.importorskip("celery")
    for folder in ("queue", "control", "results"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tasks.py").write_text(TASKS.format(place=tmp_path))
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-P", "prefork", "-c", "1", "-n", "shop@here"]
    with subprocess.Popen(
        [*command, "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as worker:
        try:
            sent = subprocess.run(
                [sys.executable, "tasks.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
            )
        finally:
            worker.terminate()
        said = worker.communicate()[0]
    assert sent.stdout == "['r-17', 1, 'shop@here']\n", sent.stderr + said


# -- other versions of these libraries -------------------------------------------------------------------------------


def in_a_thread(function: Callable[[], object]) -> object:
    """Return the result of *function* in a thread that no library has anything to keep for."""
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(function()))
    thread.start()
    thread.join(60)
    return answers[0]


def test_a_thread_without_any_such_state_carries_nothing():
    assert in_a_thread(lambda: ThreadState()._parts) == []


@pytest.mark.parametrize("module", sorted(carried_thread_state._SOURCES))
def test_a_library_that_keeps_its_state_elsewhere_is_left_alone(monkeypatch: pytest.MonkeyPatch, module: str):
    monkeypatch.setitem(sys.modules, module, type(sys)(module))
    assert in_a_thread(lambda: ThreadState()._parts) == []
    assert in_a_thread(timeout(60)(lambda: "made")) == "made"
