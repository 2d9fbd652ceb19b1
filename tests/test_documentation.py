"""The examples teach calls that work with a real client: an error response is raised, and so it is a failure."""

from __future__ import annotations

import ast
import doctest
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resilience import (
    ErrorCategory,
    adaptive_limit,
    bulkhead,
    circuit_breaker,
    deadline,
    fallback,
    hedge,
    rate_limit,
    standard,
    throttle,
    timeout,
    unless_post,
)
from resilience.policies._retry_config import RetryConfig
from tests.docs_server import serving

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [*sorted((ROOT / "resilience").rglob("*.py")), *sorted((ROOT / "examples").rglob("*.py"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

CLIENT = r"(?:\w*client|httpx|requests|session|aiohttp|warehouse|payments|model)"
VERB = r"(?:get|post|put|patch|delete|head|options|request|send|stream)"
CALL = re.compile(rf"(?:^|\.){CLIENT}\.{VERB}$")
CALL_IN_COMMENT = re.compile(rf"#.*\b{CLIENT}\.{VERB}\(")
JUDGED = re.compile(r"raise_for_status|raise_for_problem|retry_if_result=|failure_if=")

OPTIONS: dict[str, Callable[..., object]] = {
    "retry.md": RetryConfig,
    "circuit-breaker.md": circuit_breaker,
    "timeout.md": timeout,
    "deadline.md": deadline,
    "fallback.md": fallback,
    "bulkhead.md": bulkhead,
    "adaptive-limit.md": adaptive_limit,
    "throttle.md": throttle,
    "rate-limit.md": rate_limit,
    "hedge.md": hedge,
    "standard.md": standard,
}


def blocks(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text("utf-8"))


def code_of(block: str) -> str:
    return doctest.script_from_examples(block) if ">>>" in block else block


def unjudged(code: str) -> Iterator[str]:
    """Each function that sends a request, and neither raises an error response nor has a policy judge it."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        calls = [ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)]
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        text = "\n".join(code.splitlines()[first - 1 : node.end_lineno])
        if any(CALL.search(call) for call in calls) and not JUDGED.search(text):
            yield node.name


def run_readme(program: str, environment: dict[str, str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "search.py"
    script.write_text(program, "utf-8")
    command = [sys.executable, str(script)]
    given = {**os.environ, **environment}
    return subprocess.run(command, env=given, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_the_first_program_of_the_readme_retries_a_503_of_a_real_server(loop: str, tmp_path: Path) -> None:
    shown, run = blocks(ROOT / "README.md")[:2]
    # The README says what comes of it by an assert; here it is printed.
    main = re.sub(r"^assert .*\n", f"print(anyio.run(main, backend={loop!r}))\n", run, flags=re.MULTILINE)
    with serving() as server:
        done = run_readme(f"{shown}\n{main}", server.environment(), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "('brass lamp', 'desk lamp')\n"
    assert server.requests == {"GET http://catalogue:8000/search?q=lamp": 2}


def test_without_the_line_that_raises_it_a_503_is_no_failure(tmp_path: Path) -> None:
    """What the box in the README says, of the README's own function."""
    shown = re.sub(r" +response\.raise_for_status\(\).*\n", "", blocks(ROOT / "README.md")[0])
    shown = re.sub(r"return tuple\(.*", "return response.status_code", shown)
    end = """
import anyio
import resilience.circuits
print(anyio.run(search, "lamp"), resilience.circuits.get("catalogue").current_state, resilience.last_call())
"""
    with serving() as server:
        done = run_readme(shown + end, server.environment(), tmp_path)
    assert (done.stdout, done.stderr) == ("503 closed None\n", "")
    assert server.requests == {"GET http://catalogue:8000/search?q=lamp": 1}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_on_a_page_that_sends_a_request_raises_or_judges_the_response(page: Path) -> None:
    assert [name for block in blocks(page) for name in unjudged(code_of(block))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_comment_on_a_page_stands_for_a_request(page: Path) -> None:
    """A reader writes what the comment says in place of the line, and nothing raises the response."""
    assert [line for block in blocks(page) for line in block.splitlines() if CALL_IN_COMMENT.search(line)] == []


def test_every_example_in_a_docstring_and_every_example_program_raises_or_judges_the_response() -> None:
    found = {}
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        docstrings = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
        examples = [doctest.script_from_examples(text) for text in docstrings if ">>>" in text]
        programs = [path.read_text("utf-8")] if ROOT / "examples" in path.parents else []
        for name in [name for code in [*examples, *programs] for name in unjudged(code)]:
            found[name] = path.name
    assert found == {}


def test_an_example_that_returns_an_error_response_is_found() -> None:
    wrong = "@retry_on_category\ndef f():\n    return client.get('/')\n"
    right = "@retry_on_category\ndef f():\n    client.get('/').raise_for_status()\n"
    by_result = "@retry_on_category(retry_if_result=bad)\ndef f():\n    return self.client.post('/')\n"
    assert [list(unjudged(code)) for code in (wrong, right, by_result)] == [["f"], [], []]
    assert CALL_IN_COMMENT.search("answer = next(answers)  # in real life: await client.get(...)")
    assert not CALL_IN_COMMENT.search("client.get('/')  # the answer is a 503")


def test_the_two_commands_of_the_readme_stay_as_scripts_look_for_them() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    for command in ("pip install uv && uv run resilience demo", "pip install uv && uv run pytest"):
        assert lines.count(command) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_row_of_a_table_is_cut_off_from_it_by_an_empty_line(page: Path) -> None:
    text = page.read_text("utf-8")
    first_rows = re.findall(r"(?<=\n\n)(\|.*)\n(.*)", text)
    assert [row for row, below in first_rows if not re.match(r"\| ?:?--", below)] == []


def rows_of_options(page: Path) -> Iterator[tuple[str, str]]:
    """Each option in the table of a policy's page, with the default that its row says."""
    _, _, table = page.read_text("utf-8").partition("\n| option | meaning | default |\n")
    table, _, _ = table.partition("\n\n")
    for line in table.splitlines():
        options, _, default = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:4])
        for option in re.findall(r"`\*?(\w+)`", options):
            yield option, default.replace("\\|", "|").strip("`")


def in_the_signature(parameter: inspect.Parameter) -> object:
    return None if parameter.default in (inspect.Parameter.empty, ...) else parameter.default


def on_the_page(default: str) -> object:
    if default == "" or default.startswith("required"):
        return None
    if default == "unless_post":
        return unless_post
    try:
        return ast.literal_eval(default)
    except (SyntaxError, ValueError):
        return ErrorCategory(default)


@pytest.mark.parametrize("page", OPTIONS)
def test_each_option_of_a_policy_has_a_row_with_its_default_on_its_page(page: str) -> None:
    found = {option: on_the_page(default) for option, default in rows_of_options(ROOT / "docs" / page)}
    parameters = inspect.signature(OPTIONS[page]).parameters.values()
    assert found == {parameter.name: in_the_signature(parameter) for parameter in parameters}
