from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from resilience.report._llm import estimated_tokens
from resilience.report.schema import report_schema
from tests.cli.conftest import in_own_process

TRACEBACK = """\
12:00 INFO starting
Traceback (most recent call last):
  File "shop.py", line 12, in <module>
    main()
  File "shop.py", line 7, in main
    print(totl)
          ^^^^
NameError: name 'totl' is not defined. Did you mean: 'total'?
12:01 INFO going on
"""


@pytest.fixture
def saved(tmp_path):
    file = tmp_path / "traceback.txt"
    file.write_text(TRACEBACK)
    return str(file)


def test_a_saved_traceback_is_explained_to_a_person(resilience, saved):
    run = resilience("report", saved)
    assert run.code == 0
    assert run.err == ""
    for words in ("NameError on line 7", "print(totl)", "'totl' is not defined", "Write total instead of totl"):
        assert words in run.out


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_each_level_of_the_document_is_what_its_schema_says(resilience, saved, level):
    jsonschema = pytest.importorskip("jsonschema")
    document = resilience("report", saved, "--json", "--level", str(level)).document
    jsonschema.validate(document, report_schema(level))
    jsonschema.validate(document, resilience("schema", "report").document)


def test_each_level_tells_more(resilience, saved):
    texts = [resilience("report", saved, "--level", str(level)).out for level in (1, 2, 3, 4)]
    assert [len(text) for text in texts] == sorted({len(text) for text in texts})
    assert texts[0].count("\n") == 1
    assert "Write total" not in texts[1]
    assert "Traceback (most recent call last):" in texts[3]


def test_for_a_model_it_is_as_short_as_asked(resilience, saved):
    run = resilience("report", saved, "--llm", "80")
    assert run.code == 0
    assert estimated_tokens(run.out) <= 80
    assert "NameError" in run.out
    assert len(resilience("report", saved, "--llm").out) > len(run.out)


def test_a_traceback_comes_through_a_pipe(resilience, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TRACEBACK.encode())))
    assert resilience("report", "-", "--json").document["error_summary"] == "NameError on line 7: undefined variable"


def test_what_a_real_python_prints_is_explained_through_a_real_pipe():
    failed = subprocess.run([sys.executable, "-c", "1/0"], capture_output=True, timeout=60, check=False)
    done = subprocess.run(
        [sys.executable, "-m", "resilience.cli", "report", "-", "--level", "1"],
        input=failed.stderr,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith(b"ZeroDivisionError on line 1: division by zero")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_files_of_other_encodings_are_read(resilience, tmp_path, encoding):
    file = tmp_path / "traceback.txt"
    file.write_text(TRACEBACK.replace("starting", "größer"), encoding)
    assert resilience("report", str(file), "--json").document["error_details"]["error_type"] == "NameError"


def test_no_such_file_is_one_line(resilience, tmp_path):
    run = resilience("report", str(tmp_path / "nothing.txt"))
    assert run.code == 2
    assert "nothing.txt cannot be read: No such file or directory" in run.complaint


def test_a_directory_is_one_line(resilience, tmp_path):
    run = resilience("report", str(tmp_path))
    assert run.code == 2
    assert run.complaint


def test_a_file_without_a_traceback_is_one_line(resilience, tmp_path):
    file = tmp_path / "log.txt"
    file.write_text("all is well\n")
    run = resilience("report", str(file))
    assert run.code == 2
    assert "there is no traceback in" in run.complaint
    assert "resilience explain" in run.complaint


def test_with_json_a_file_without_a_traceback_is_a_document(resilience, tmp_path):
    file = tmp_path / "log.txt"
    file.write_text("")
    run = resilience("report", str(file), "--json")
    assert run.code == run.document["exit_code"] == 2


@pytest.mark.parametrize("options", [["--level", "5"], ["--llm", "3"], ["--llm", "many"], ["--json", "--llm"]])
def test_invalid_options_are_one_line(resilience, saved, options):
    run = resilience("report", saved, *options)
    assert run.code == 2
    assert run.complaint.startswith("resilience report: ")


def test_secrets_are_not_shown(resilience, tmp_path):
    file = tmp_path / "traceback.txt"
    file.write_text(TRACEBACK.replace("print(totl)", "connect('https://ada:hunter2@example.org')"))
    assert "hunter2" not in resilience("report", str(file), "--level", "4").out


def test_the_schema_is_printed(resilience):
    run = resilience("schema", "report")
    assert run.code == 0
    assert run.document == json.loads(json.dumps(report_schema()))
    assert resilience("schema", "report", "--level", "1").document == json.loads(json.dumps(report_schema(1)))


def test_there_is_no_other_schema(resilience):
    run = resilience("schema", "lamp")
    assert run.code == 2
    assert "report" in run.complaint


def test_help_has_examples():
    for command in ("report", "schema"):
        run = in_own_process(command, "--help")
        assert run.code == 0
        assert f"resilience {command} " in run.out
