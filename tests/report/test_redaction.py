"""Secrets and the host's own paths are taken out of every text, and little else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.report._path_redaction import is_library, short_name, without_paths
from resilience.report._redaction import Redaction

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_123"


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ('password = "canary"', 'password = "[redacted]"'),
        ("password: str = 'canary'", "password: str = '[redacted]'"),
        ("connect(user='ada', api_key='canary')", "connect(user='ada', api_key='[redacted]')"),
        ('headers["Authorization"] = "canary"', 'headers["Authorization"] = "[redacted]"'),
        ("{'db_password': b'canary', 'port': 1}", "{'db_password': b'[redacted]', 'port': 1}"),
        ('os.environ.setdefault("API_KEY", "canary")', 'os.environ.setdefault("API_KEY", "[redacted]")'),
        ("if password == 'canary':", "if password == '[redacted]':"),
        ("secret = '''canary\ncanary'''", "secret = '''[redacted]'''"),
        ("url = 'https://ada:canary@example.org/'", "url = 'https://[redacted]@example.org/'"),
        (f"x = '{JWT}'", "x = '[redacted]'"),
    ],
    ids=range(10),
)
def test_literals_under_secret_names_leave_source_code(code: str, left: str):
    assert Redaction().code(code) == left


@pytest.mark.parametrize(
    "code",
    [
        "token = get_token(user)",
        "password = os.environ['DB_PASSWORD']",
        "def login(user, password):",
        "client.login(password=password)",
        "max_tokens = 4096",
        "if not token: raise ValueError('no token: give one')",
        "tokens = text.split()",
        "name: str = 'ada'",
    ],
)
def test_names_and_calls_stay_in_source_code(code: str):
    assert Redaction().code(code) == code


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Client(user='ada', api_key=canary)", "Client(user='ada', api_key=[redacted])"),
        ("login failed: password=canary", "login failed: password=[redacted]"),
        ("Authorization: Bearer canary-canary", "Authorization: [redacted] [redacted]"),
        ("sk-proj-abcdefghijklmnopqrst", "[redacted]"),
        ("AKIAABCDEFGHIJKLMNOP is no key", "[redacted] is no key"),
        ("-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----\n", "[redacted]\n"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted]"),
    ],
    ids=range(7),
)
def test_credentials_leave_other_texts(text: str, left: str):
    assert "canary" not in Redaction().text(text)
    if "Bearer" not in text:
        assert Redaction().text(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "name 'token' is not defined",
        "login() missing 1 required positional argument: 'password'",
        "TokenError: expired",
        "max_tokens=4096, temperature=0.5",
        "invalid literal for int() with base 10: 'abc'",
        "[Errno 2] No such file or directory: '/data/x.csv'",
    ],
)
def test_what_is_no_secret_stays(text: str):
    assert Redaction().text(text) == text


def test_a_literal_of_the_source_is_found_wherever_it_turns_up():
    redaction = Redaction(['db_password = "canary-1"\nother = "harmless-1"\n'])
    assert redaction.text("refused canary-1 but took harmless-1") == "refused [redacted] but took harmless-1"
    assert redaction.mapping({"log": ["canary-1", 3, None]}) == {"log": ["[redacted]", 3, None]}


def test_values_go_by_the_key_they_stand_under():
    assert Redaction().mapping({"password": "x", "max_tokens": 3, "auth": {"user": "ada"}}) == {
        "password": "[redacted]",
        "max_tokens": 3,
        "auth": "[redacted]",
    }


def test_a_traceback_keeps_its_source_lines_and_loses_its_secrets():
    text = (
        "Traceback (most recent call last):\n"
        '  File "/home/ada/shop/main.py", line 3, in <module>\n'
        "    login(token=read_token())\n"
        '  File "/usr/lib/python3.12/json/decoder.py", line 1, in decode\n'
        "ValueError: token=canary\n"
    )
    assert Redaction().traceback(text) == (
        "Traceback (most recent call last):\n"
        '  File "~/shop/main.py", line 3, in <module>\n'
        "    login(token=read_token())\n"
        '  File "json/decoder.py", line 1, in decode\n'
        "ValueError: token=[redacted]\n"
    )


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("/usr/lib/python3.11/json/decoder.py", "json/decoder.py"),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", "yaml/__init__.py"),
        ("/srv/venv/lib/python3.13t/site-packages/a/b.py", "a/b.py"),
        ("/home/ada/.pyenv/versions/3.11.7/lib/python3.11/asyncio/runners.py", "asyncio/runners.py"),
        (r"C:\Python312\Lib\json\decoder.py", "json/decoder.py"),
        (r"C:\Users\Ada Smith\venv\Lib\site-packages\a\b.py", "a/b.py"),
    ],
)
def test_files_of_libraries_go_by_their_module(name: str, short: str):
    assert is_library(name)
    assert short_name(name) == short
    assert without_paths(f'  File "{name}", line 1') == f'  File "{short}", line 1'


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("<string>", "<string>"),
        ("/home/ada/shop/main.py", "~/shop/main.py"),
        ("/Users/ada/shop/main.py", "~/shop/main.py"),
        ("/srv/shop/main.py", "/srv/shop/main.py"),
        (r"C:\Users\ada\main.py", r"~\main.py"),
    ],
)
def test_files_of_the_program_keep_their_names_but_for_the_home_directory(name: str, short: str):
    assert not is_library(name)
    assert short_name(name) == short


@given(st.text())
def test_any_text_is_taken(text: str):
    redaction = Redaction([text])
    for cleaned in (redaction.text(text), redaction.code(text), redaction.traceback(text)):
        cleaned.encode()


@pytest.mark.parametrize("piece", ["a", "/", "/a", "a='", "key: ", "password='", "-----BEGIN PRIVATE KEY-----", "\\'"])
def test_a_long_hostile_text_takes_no_time(piece: str):
    text = piece * (100_000 // len(piece))
    assert len(Redaction([text]).text(text)) < 300_000


def test_a_path_is_no_key():
    redaction = Redaction(["open('/etc/passwd', 'w')"])
    assert redaction.code("open('/etc/passwd', 'w')") == "open('/etc/passwd', 'w')"
    assert redaction.code("connect('passwd', 'hunter2')") == "connect('passwd', '[redacted]')"
