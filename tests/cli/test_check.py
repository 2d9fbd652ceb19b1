"""`resilience check`, on configurations written to a directory."""

from __future__ import annotations

import json
import pathlib

import pytest

from resilience.cli.main import main
from resilience.config import Policies

GOOD = """
[policies.catalogue]
retry = {on = ["timeout", "network"], attempts = 3}
timeout = "400ms"
"""
BAD_STACK = GOOD + 'deadline = "200ms"\n'
SHOP = """
from resilience import circuit_breaker, retry_on_category

@circuit_breaker("checked shop")
@retry_on_category(attempts=2)
def charge(card): ...
"""


@pytest.fixture
def file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "resilience.toml"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["check", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_it_prints_each_stack_with_its_worst_case(file: pathlib.Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(GOOD)
    code, out, _ = run(capsys, "resilience.toml")
    assert code == 0
    assert out.splitlines()[0] == "catalogue"
    assert "  timeout(0.4)" in out.splitlines()
    assert "worst case: 3 calls" in out
    assert out.endswith("1 stack, nothing wrong\n")


def test_a_rule_that_a_stack_breaks_is_printed_and_fails(file: pathlib.Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(BAD_STACK)
    code, out, _ = run(capsys, "resilience.toml")
    assert code == 1
    assert "catalogue: timeout-over-deadline: timeout(0.4) never passes" in out


def test_what_cannot_be_meant_is_one_line_and_fails(file: pathlib.Path, capsys: pytest.CaptureFixture[str]):
    file.write_text("[policies.shop]\nretry = 0\n")
    code, out, _ = run(capsys, "resilience.toml")
    assert (code, out) == (
        1,
        "resilience.toml: policies.shop.retry.attempts: attempts=0: give a whole number of 1 or more\n",
    )


def test_json_has_the_options_with_their_origins(
    file: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    file.write_text(BAD_STACK)
    monkeypatch.setenv("RESILIENCE__POLICIES__CATALOGUE__RETRY__ATTEMPTS", "2")
    code, out, _ = run(capsys, "resilience.toml", "--json")
    document = json.loads(out)
    catalogue = document["policies"]["catalogue"]
    assert code == 1
    assert catalogue["options"] == {
        "retry.on": {"value": "timeout|network", "origin": "resilience.toml"},
        "retry.attempts": {"value": 2, "origin": "environment RESILIENCE__POLICIES__CATALOGUE__RETRY__ATTEMPTS"},
        "timeout.limit": {"value": 0.4, "origin": "resilience.toml"},
        "deadline.limit": {"value": 0.2, "origin": "resilience.toml"},
    }
    assert (catalogue["calls"], catalogue["seconds"]) == (2, 0.2)
    assert [each["rule"] for each in document["findings"]["catalogue"]] == ["timeout-over-deadline"]


def test_json_of_what_cannot_be_meant_has_the_error(file: pathlib.Path, capsys: pytest.CaptureFixture[str]):
    file.write_text("[policies")
    code, out, _ = run(capsys, "resilience.toml", "--json")
    assert code == 1
    assert "no TOML" in json.loads(out)["error"]


@pytest.mark.parametrize("text", [BAD_STACK, "[policies.shop]\nretry = 0\n"])
def test_errors_can_be_annotations_beside_the_file(file: pathlib.Path, capsys: pytest.CaptureFixture[str], text: str):
    file.write_text(text)
    code, out, _ = run(capsys, "resilience.toml", "--github")
    assert code == 1
    (line,) = out.splitlines()
    assert line.startswith("::error file=resilience.toml::")


def test_an_application_is_looked_at_as_well(file: pathlib.Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(GOOD)
    (file.parent / "checked_shop.py").write_text(SHOP)
    code, out, _ = run(capsys, "resilience.toml", "checked_shop")
    assert code == 1
    assert "checked_shop:charge: retry-inside-breaker" in out


def test_the_schema_is_that_of_the_file(capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "--schema")
    assert code == 0
    assert json.loads(out) == json.loads(json.dumps(Policies.schema()))


def test_without_a_file_it_says_what_to_give(capsys: pytest.CaptureFixture[str]):
    code, _, err = run(capsys)
    assert code == 2
    assert "give the FILE to check, or --schema" in err
