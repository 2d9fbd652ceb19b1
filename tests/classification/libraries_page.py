"""Write `docs/reference/libraries.md` from the tables: ``uv run python -m tests.classification.libraries_page``."""

from __future__ import annotations

import importlib
from pathlib import Path

from resilience.classification.libraries import known_libraries, library_named

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "libraries.md"

BY_GENERAL_RULES = {
    "aiobotocore, boto3 resources": "botocore's table: they raise its exceptions",
    "aiosqlite, databases, tortoise-orm over a known driver": "the driver's table: its exceptions pass through",
    "atlassian, jira, tweepy, python-http-client (sendgrid)": "status: `status_code`, or `response`",
    "cohere, mistralai, ollama, together": "status: `status_code`; refused connections are httpx's own",
    "groq, cerebras and other clients made by Stainless": "their shape, also in the middle of a stream",
    "huggingface_hub": "status of the response; refused connections are httpx's own",
    "imapclient": "imaplib's table",
    "kubernetes": "status: `status` beside `headers`; refused connections are urllib3's own",
    "litellm": "openai's table: its classes are subclasses of openai's",
    "minio": "status: `response`; refused connections are urllib3's own",
    "motor": "pymongo's table: it raises its exceptions",
    "notion-client": "status: `status` beside `headers`",
    "paho-mqtt": "refused connections are Python's own; results are return codes",
    "replicate": "status: `status`, from the body of the problem",
    "requests-oauthlib, authlib": "oauthlib's and requests' tables; authlib: `status_code`",
    "twilio": "status: `status` beside `uri`",
    "zeep": "requests' table; a `Fault` is unknown, since each service has codes of its own",
}
"""Libraries without a table, and the rule that knows their exceptions."""

UNKNOWN_ON_PURPOSE = {
    "subprocess.CalledProcessError": "an exit status means something else in every program",
    "xmlrpc.client.Fault, zeep.exceptions.Fault": "each server defines its own codes",
    "imaplib.IMAP4.error": "NO and BAD to any command; only the text tells which",
    "ValueError, KeyError, RuntimeError": "they may mean anything",
    "dagster.Failure, celery.exceptions.TaskError": "only the task knows why it failed",
    "grpc status UNKNOWN": "the handler of the server raised; nothing more is said",
    "base classes of libraries (RequestException, PsycopgError, AzureError ...) raised bare": "nothing is said by them",
}
"""What no rule can tell, and why."""

_TOP = """# Libraries

What the toolkit knows of client libraries and frameworks. This page is made from the tables in
`resilience/classification/clients/`, and each table is held against the real library in the tests: no exception is
missing, and no row is of a class that does not exist. `resilience explain --list` prints the same names.

An exception is looked up by the names of its module and class, so a library need not be installed, and none is
imported. A library that is not here is mostly known all the same, by [general rules](#general-rules).

## Tables

| module | exceptions | what decides |
|---|---|---|
"""

_RULES = """
## General rules

For a class that no table knows, in this order:

1. **Status**: `status_code`, `http_status`, `http_code`, or `status`, `code`, `response_code`, `errcode` beside what
   belongs to HTTP (headers, a URL, a response), of the exception or of its `response`, `resp` or `meta`. A 403 by which
   the server asks to slow down is `rate_limit`.
2. **Codes** of gRPC, AWS, databases (SQLSTATE, also ODBC's), and the shape of clients that Stainless has made.
3. **Python's own classes** that it derives from.
4. **What it says of itself**: `retryable`, `retriable`, `is_retryable()`, `should_retry`, where that is true.
5. **Its cause**: an exception of an installed library stands for the exception it was raised from, or holds in an
   attribute. Your own classes keep their meaning; `register(OwnError, "cause")` asks for the same.
6. **A wait and nothing else**: `retry_after` alone means `rate_limit`.

No rule reads words in class names or messages of libraries it does not know. In a frozen application no distribution
has metadata, so there rule 5 holds for registered classes only.

| library | rule |
|---|---|
"""

_UNKNOWN = """
## Unknown on purpose

| exception | why |
|---|---|
"""


def page() -> str:
    """Return the text of the page."""
    rows = [f"| `{name}` | {len(library_named(name).categories)} | {_summary(name)} |\n" for name in known_libraries()]
    rules = [f"| {name} | {rule} |\n" for name, rule in BY_GENERAL_RULES.items()]
    unknown = [f"| {name} | {why} |\n" for name, why in UNKNOWN_ON_PURPOSE.items()]
    return "".join([_TOP, *rows, _RULES, *rules, _UNKNOWN, *unknown])


def _summary(name: str) -> str:
    """Return the first paragraph of a table's docstring, without the name of the library that it begins with."""
    text = importlib.import_module(f"resilience.classification.clients.{name}").__doc__ or ""
    first = " ".join(text.strip().split("\n\n")[0].split())
    return first.partition(": ")[2] or first


if __name__ == "__main__":
    PAGE.write_text(page())
