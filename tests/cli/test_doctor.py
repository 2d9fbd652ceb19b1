"""`resilience doctor` on applications written to a directory."""

from __future__ import annotations

import json
import pathlib
import sys
import textwrap

import pytest

from resilience.cli.main import main

SHOP = """
    import httpx
    import openai

    from resilience import deadline, retry_on_category
    from resilience.clients import protect

    model = openai.OpenAI(api_key="k", base_url="http://127.0.0.1:1")
    protected = protect(model, deadline(30), retry_on_category(attempts=2))
    endless = httpx.Client(timeout=None, verify=False)
    number = 5

    @retry_on_category(attempts=3)
    def answer(question):
        return model.responses.create(model="m", input=question)

    @retry_on_category(attempts=3)
    def once(question):
        return number

    def plain(question, client=protected):
        return client.responses.create(model="m", input=question)
"""


@pytest.fixture
def shop(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"shop_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(SHOP))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def test_a_client_that_is_protected_has_no_problem(shop: str, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", f"{shop}:protected"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{shop}:protected: openai.OpenAI\n")
    assert "  protection  deadline(30) > retry_on_category(" in out
    assert err == ""


def test_retries_that_multiply_are_a_problem(shop: str, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", f"{shop}:answer"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{shop}:answer uses model: openai.OpenAI\n")
    assert "! retries     3 attempts here x 3 of the client = 9 calls\n" in out
    assert err == "1 problem\n"


def test_a_function_uses_the_clients_among_its_defaults(shop: str, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", f"{shop}:plain"]) == 0
    assert f"{shop}:plain uses client: openai.OpenAI\n" in capsys.readouterr().out


def test_a_function_without_clients(shop: str, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", f"{shop}:once"]) == 0
    assert capsys.readouterr().out == f"{shop}:once: no client\n"


def test_a_module_as_a_document(shop: str, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", shop, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert {client["name"]: client["calls"] for client in document["clients"]} == {
        f"{shop}:model": 3,
        f"{shop}:protected": 2,
        f"{shop}:endless": 1,
        f"{shop}:answer uses model": 9,
    }
    problems = [
        finding["text"] for client in document["clients"] for finding in client["findings"] if finding["problem"]
    ]
    assert problems == [
        "no time limit for connect, read, write, pool",
        "3 attempts here x 3 of the client = 9 calls",
    ]


@pytest.mark.parametrize("client", ["requests.Session()", "urllib3.PoolManager(retries=False)"])
def test_a_client_whose_calls_may_have_time_limits_is_a_warning(
    client: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    name = f"shelf_of_{tmp_path.name.replace('-', '_')}"
    lines = [
        "import requests, urllib3",
        "from resilience import deadline",
        "from resilience.clients import protect",
        f"plain = {client}",
        f"protected = protect({client}, deadline(5))",
    ]
    (tmp_path / f"{name}.py").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["doctor", f"{name}:plain"]) == 0
    out, err = capsys.readouterr()
    assert "\n? time limit" in out and "waits for ever where a call has no timeout=" in out
    assert err == "1 warning\n"
    assert main(["doctor", f"{name}:plain", "--strict"]) == 1
    assert main(["doctor", f"{name}:protected", "--strict"]) == 0


@pytest.mark.parametrize(("name", "message"), [("number", "give a client"), ("nothing", "nothing")])
def test_what_is_no_client_is_a_usage_error(shop: str, name: str, message: str, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", f"{shop}:{name}"]) == 2
    assert message in capsys.readouterr().err
