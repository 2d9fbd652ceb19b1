"""Classifying imports no client library."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import sys
from resilience.classification import classify, explain, explain_text, retry_after
fresh = type("ReadTimeout", (Exception,), {"__module__": "httpx"})
assert classify(fresh()).label == "timeout"
for exc in (ValueError(), OSError(28, ""), ConnectionResetError(), TimeoutError(), SystemExit(),
            ExceptionGroup("both", [ValueError(), TypeError()])):
    classify(exc), explain(exc), retry_after(exc)
early = set(sys.modules)
explain_text("requests.ReadTimeout")
clients = {"httpx", "httpx2", "httpcore", "requests", "urllib3", "aiohttp", "redis", "sqlalchemy",
           "psycopg", "asyncpg", "pymysql", "pymongo", "bson", "grpc", "botocore", "openai", "anthropic",
           "pydantic", "pydantic_core", "trio", "anyio"}
assert not clients & set(sys.modules), clients & set(sys.modules)
heavy = {"ssl", "asyncio", "email.utils", "importlib.metadata",
         "concurrent.futures", "smtplib", "urllib.error", "http.client", "json"}
print(sorted(heavy & early))
"""


def test_classifying_imports_no_client_library_and_little_else() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
