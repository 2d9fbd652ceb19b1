"""The modules and names that an import brings, in a fresh interpreter."""

from __future__ import annotations

import ast
import json
import pathlib
import subprocess
import sys

import pytest

import resilience

CLIENTS = ["redis", "tornado", "rich", "httpx", "requests", "aiohttp", "opentelemetry", "openai", "grpc", "pybreaker"]
# What runs in the process of a program that is executed: there is no clock of ours there.
ELSEWHERE = {
    ("simulation", "_engine.py"),  # a simulation draws from generators of its own, made from its seed
    ("simulation", "_latency.py"),
    ("simulation", "_replay.py"),
    ("simulation", "_server.py"),
    ("simulation", "_virtual_loop.py"),
    ("_worker", "timer.py"),
    ("_jupyter", "helper.py"),
}
ROOT = pathlib.Path(resilience.__file__).parent


def loaded_by(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_toolkit_imports_no_client_and_nothing_that_is_not_needed_yet():
    loaded = loaded_by("import resilience")
    assert loaded.isdisjoint(
        [*CLIENTS, "structlog", "tenacity", "anyio", "asyncio", "trio", "logging", "resilience.events"]
    )


def test_guarding_and_failing_imports_only_what_the_policies_need():
    loaded = loaded_by(
        "from resilience import fallback, retry_on_category\n"
        "@fallback(default=1)\n@retry_on_category(base_delay=0)\ndef fail(): raise ConnectionResetError\n"
        "assert fail() == 1"
    )
    assert loaded.isdisjoint([*CLIENTS, "structlog", "tenacity", "asyncio", "trio", "resilience.events"])


def test_a_policy_of_ones_own_imports_no_client_no_circuit_and_no_event_loop():
    loaded = loaded_by(
        "import resilience\n"
        "class Nothing(resilience.policies.Policy):\n"
        "    def run(self, call): return (yield resilience.policies.Proceed())\n"
        "assert Nothing().call(int, '7') == 7"
    )
    assert "resilience.policies.base" in loaded
    assert loaded.isdisjoint([*CLIENTS, "structlog", "tenacity", "asyncio", "trio", "resilience.events"])
    assert loaded.isdisjoint(["resilience.circuits", "resilience.guards"])


def test_every_public_name_of_the_protocol_is_there_and_listed():
    names = resilience.policies.__all__
    assert list(names) == sorted(names)
    for name in names:
        assert getattr(resilience.policies, name) is not None


def test_every_public_name_is_there_and_listed():
    for name in resilience.__all__:
        assert getattr(resilience, name) is not None
    assert set(dir(resilience)) == set(resilience.__all__)
    with pytest.raises(AttributeError, match="no attribute 'retry_on_categroy'"):
        _ = resilience.retry_on_categroy


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_outside_of_the_clock_asks_the_time_or_chance(file: pathlib.Path):
    if file.name == "clock.py" or "testing" in file.parts or "cli" in file.parts:
        return
    if file.parts[-2:] in ELSEWHERE:
        return
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }
    assert imported.isdisjoint({"time", "random"})


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("resilience.integrations.prometheus", "prometheus_client", "prometheus"),
        ("resilience.integrations.opentelemetry", "opentelemetry", "opentelemetry"),
    ],
)
def test_an_integration_whose_library_is_missing_says_how_to_install_it(module: str, library: str, extra: str):
    program = (
        "import importlib.abc, sys\n"
        "class Missing(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name.partition('.')[0] == {library!r}: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        f"import {module}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last == (
        f"ModuleNotFoundError: {library} is missing; install it with: pip install 'category-resilience[{extra}]'"
    )
    assert "During handling" not in done.stderr
