"""Django, sync and async: each in a process of its own, since its settings are the process's."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # each process sets up Django

ROOT = pathlib.Path(__file__).parents[2]

PROGRAM = """
import asyncio, json, logging, sys
import django
from django.conf import settings

style, mode = sys.argv[1:]
settings.configure(
    DEBUG=False, SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__",
    MIDDLEWARE=["resilience.integrations.http.django.ProblemMiddleware"],
    RESILIENCE_HTTP={"format": style}, LOGGING_CONFIG=None,
)
django.setup()
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from resilience.errors import ResilienceError
from tests.integrations.http.serving import CANARY, hostile

logging.raiseExceptions = False
logged = []
class Keep(logging.Handler):
    def emit(self, record):
        logged.append([record.levelname, record.path, record.exc_info is not None])
logging.getLogger("resilience.integrations.http").addHandler(Keep())
logging.getLogger("django").addHandler(logging.NullHandler())

errors = {
    "locked": ResilienceError("row 7 is locked", category="conflict", retry_after=0.2),
    "bug": KeyError(CANARY), "missing": Http404(CANARY), "denied": PermissionDenied(CANARY), **hostile(),
}
def fail(request, what):
    raise errors[what]
async def afail(request, what):
    raise errors[what]
def fine(request):
    return HttpResponse("lamps")
urlpatterns = [path("fine", fine), path("sync/<what>", fail), path("async/<what>", afail)]

async def over_async(each):
    return await AsyncClient().get(each)
def get(each):
    return asyncio.run(over_async(each)) if mode == "async" else Client().get(each)

found = {}
for each in ["/fine"] + [f"/{view}/{what}" for view in ("sync", "async") for what in errors]:
    answer = get(each)
    found[each] = [answer.status_code, dict(answer.headers), answer.content.decode()]
print(json.dumps([found, logged]))
"""


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("style", ["problem", "service"])
def test_views_are_answered_for_in_both_kinds_of_stack(mode: str, style: str):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, style, mode], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found, logged = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("/fine")[::2] == [200, "lamps"]
    for view in ("sync", "async"):
        for kept in ("missing", "denied"):
            status, lines, _ = found.pop(f"/{view}/{kept}")
            assert status == {"missing": 404, "denied": 403}[kept]
            assert lines["Content-Type"].startswith("text/html")
        status, lines, text = found[f"/{view}/locked"]
        assert (status, lines["Retry-After"]) == (409, "1")
        body = json.loads(text)
        assert body["category" if style == "problem" else "message"] == (
            "conflict" if style == "problem" else "row 7 is locked"
        )
        assert ["ERROR", f"/{view}/bug", True] in logged
    for status, lines, text in found.values():
        assert 400 <= status <= 599
        assert "canary" not in text + str(lines)
        assert isinstance(json.loads(text), dict)
        assert "Set-Cookie" not in lines


def test_a_misspelt_setting_is_logged_at_start_up():
    program = (
        "from django.conf import settings; settings.configure(RESILIENCE_HTTP={'fromat': 'x'})\n"
        "from resilience.integrations.http.django import ProblemMiddleware; ProblemMiddleware(print)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert "ValueError: RESILIENCE_HTTP has 'fromat': give 'format' and 'public'" in done.stderr
