"""A fleet in servers that fork their workers: gunicorn with and without --preload, uvicorn, celery."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import pathlib
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator

import pytest

from tests.redis_server import executable

pytestmark = pytest.mark.slow  # each test starts a server and its workers

LONG = 90.0

SHOP = """
    import json, os
    from resilience import circuit_breaker
    from resilience.fleet import Fleet

    fleet = Fleet({url!r}, name="shop", timeout=5.0)
    payments = circuit_breaker("payments", fleet=fleet, failure_threshold=1, reset_timeout=600)

    def reset():
        raise ConnectionResetError

    def answer(path):
        try:
            payments.call(reset if path == "/fail" else int)
            made = True
        except ConnectionResetError:
            made = True
        except Exception:
            made = False
        return json.dumps({{"pid": os.getpid(), "node": fleet._lane.node, "held": payments.circuit.held, "made": made}})

    def wsgi(environ, start):
        start("200 OK", [("Content-Type", "application/json")])
        return [answer(environ["PATH_INFO"]).encode()]

    async def asgi(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError
        body = answer(scope["path"]).encode()
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": body}})
"""

TASKS = """
    import time
    from celery import Celery
    from shop import answer

    app = Celery("tasks", broker={broker!r}, backend={broker!r})
    app.conf.worker_hijack_root_logger = False

    @app.task
    def do(path):
        time.sleep(0.05)  # so that both workers have some
        return answer(path)
"""


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory with a Redis server on a socket, and a program that uses it."""
    path = tmp_path / "redis"
    command = [executable(), "--port", "0", "--unixsocket", str(path), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP.format(url=f"unix://{path}")))
        (tmp_path / "tasks.py").write_text(textwrap.dedent(TASKS.format(broker=f"redis+socket://{path}")))
        yield tmp_path
        server.terminate()


@contextlib.contextmanager
def running(directory: pathlib.Path, *command: str) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-m", *command], cwd=directory, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def asked(path: pathlib.Path, target: str) -> dict[str, object]:
    """Ask the server at a socket, once it is there."""
    ends = time.monotonic() + LONG
    while True:
        connection = http.client.HTTPConnection("shop")
        connection.sock = plug = socket.socket(socket.AF_UNIX)
        try:
            plug.connect(str(path))
            connection.request("GET", target)
            return json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < ends, "the server does not start"
            time.sleep(0.05)
        finally:
            plug.close()


def workers_share_a_circuit(ask: Callable[[str], dict[str, object]]) -> None:
    """Have each of two workers fail once; then the circuit is open in both."""
    ends = time.monotonic() + LONG
    seen: dict[object, dict[str, object]] = {}
    while len(seen) < 2 or not all(answer["held"] for answer in seen.values()):
        assert time.monotonic() < ends, seen
        answer = ask("/" if len(seen) < 2 else "/fail")
        seen[answer["pid"]] = answer
    assert len({answer["node"] for answer in seen.values()}) == 2
    assert ask("/")["made"] is False


@pytest.mark.skipif(importlib.util.find_spec("gunicorn") is None, reason="needs gunicorn")
@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["forks", "preloads"])
def test_the_workers_of_gunicorn_share_a_circuit(directory: pathlib.Path, options: tuple[str, ...]):
    path = directory / "shop.sock"
    with running(directory, "gunicorn", "-w", "2", *options, "--bind", f"unix:{path}", "shop:wsgi"):
        workers_share_a_circuit(lambda target: asked(path, target))


def test_the_workers_of_uvicorn_share_a_circuit(directory: pathlib.Path):
    path = directory / "shop.sock"
    with running(directory, "uvicorn", "--workers", "2", "--uds", str(path), "--log-level", "error", "shop:asgi"):
        workers_share_a_circuit(lambda target: asked(path, target))


@pytest.mark.skipif(importlib.util.find_spec("celery") is None, reason="needs celery")
def test_the_workers_of_celery_share_a_circuit(directory: pathlib.Path):
    def ask(target: str) -> dict[str, object]:
        many = "import json, sys, tasks; found = [tasks.do.delay(sys.argv[1]) for _ in range(6)]"
        many += "; [print(each.get(timeout=60)) for each in found]"
        done = subprocess.run(
            [sys.executable, "-c", many, target], cwd=directory, capture_output=True, text=True, check=True
        )
        answers.extend(json.loads(line) for line in done.stdout.splitlines())
        return answers.pop()

    answers: list[dict[str, object]] = []

    def next_answer(target: str) -> dict[str, object]:
        return answers.pop() if answers else ask(target)

    options = ("-c", "2", "-P", "prefork", "--without-gossip", "-l", "ERROR")
    with running(directory, "celery", "-A", "tasks", "worker", *options):
        workers_share_a_circuit(next_answer)
