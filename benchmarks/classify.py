"""Cost of classifying, by the kind of work an exception makes: ``python -m benchmarks.classify [--quick]``.

Known types are one lookup. For the others something on the instance decides: a code, a response, what it was made of.
Many of the errors are those of real clients, raised against a port where no server listens. Each row is the median in
microseconds of processor time, less those of calling an empty function, and its ratio to a dictionary lookup by type.
The exit status is 1 if a row is over the limit of its group.
"""

from __future__ import annotations

import argparse
import functools
import platform
import socket
import statistics
import sys
import urllib.error
from collections.abc import Callable, Iterator
from email.message import Message
from time import thread_time
from types import SimpleNamespace
from typing import Any

import botocore.exceptions  # type: ignore[import-untyped]
import groq
import httpx
import httpx2
import openai
import redis
import requests
import sqlalchemy.exc
import tenacity
import urllib3
from redis.backoff import NoBackoff
from redis.retry import Retry

from benchmarks.measure import Sampler, Settings, sample_in_turn
from resilience import classify

__all__ = ["LIMITS", "measured"]

#: The limit of each group, in microseconds. The members of an exception group are classified one by one.
LIMITS = {"known": 1.0, "code": 10.0, "response": 10.0, "cause": 10.0, "group": 15.0, "nothing": 10.0}

_EMPTY, _LOOKUP = "an empty function", "a dictionary lookup"
_REQUEST = httpx.Request("POST", "http://localhost/")
_REQUEST2 = httpx2.Request("POST", "http://localhost/")


class AppError(Exception):
    """An error of the application's own, with whatever attributes it is given."""

    def __init__(self, **attributes: object) -> None:
        super().__init__("secret")
        vars(self).update(attributes)


def _raised(function: Callable[..., object], *arguments: object) -> Exception:
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError(f"{function!r} raised nothing")


def _made_of(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def _response(status: int, *, headers: dict[str, str] | None = None, body: object = None) -> httpx.Response:
    return httpx.Response(status, headers=headers, json=body, request=_REQUEST)


def _headers() -> Message:
    headers = Message()
    headers["Content-Type"] = "text/html"
    return headers


def _known() -> Iterator[Exception]:
    yield ConnectionResetError()
    yield TimeoutError()
    yield KeyError("lamp")
    yield ValueError("secret")
    yield httpx.ReadTimeout("late")
    yield requests.exceptions.InvalidURL("secret")
    yield redis.ConnectionError("secret")
    yield redis.exceptions.ReadOnlyError("secret")
    yield sqlalchemy.exc.NoResultFound("secret")


def _code() -> Iterator[Exception]:
    yield OSError(113, "No route to host")
    yield AppError(status_code=503)
    yield AppError(status=503, headers={})
    yield AppError(sqlstate="40001")
    yield AppError(code=lambda: SimpleNamespace(name="UNAVAILABLE"))
    yield AppError(retryable=True)
    yield AppError(retry_after=3)
    yield Exception("08S01", "[08S01] [Microsoft][ODBC Driver 18 for SQL Server] secret")
    yield botocore.exceptions.ClientError({"Error": {"Code": "ThrottlingException"}}, "Get")
    yield openai.APIError("secret", _REQUEST2, body={"code": 502, "message": "m"})
    yield groq.APIError("secret", _REQUEST, body={"error": {"type": "overloaded_error"}})
    yield groq.APITimeoutError(_REQUEST)


def _responses() -> Iterator[Exception]:
    for status in (503, 404):
        yield httpx.HTTPStatusError("secret", request=_REQUEST, response=_response(status))
    yield AppError(response=_response(403, headers={"x-ratelimit-remaining": "0"}))
    yield AppError(response=SimpleNamespace(status_code=502, headers={}))
    yield urllib.error.HTTPError("http://localhost/", 503, "busy", _headers(), None)
    yield openai.RateLimitError("secret", response=httpx2.Response(429, json={}, request=_REQUEST2), body=None)
    yield groq.InternalServerError("secret", response=_response(503), body=None)


def _causes(port: int) -> Iterator[Exception]:
    """Yield what clients raise where nothing listens: the failure of the socket, wrapped several times."""
    url = f"http://127.0.0.1:{port}/"
    yield _raised(requests.get, url)
    yield _raised(httpx.get, url)
    yield _raised(urllib3.PoolManager(retries=False).request, "GET", url)
    yield _raised(redis.Redis(port=port, retry=Retry(NoBackoff(), 0)).ping)
    client = groq.Groq(api_key="k", base_url=url, max_retries=0)
    yield _raised(client.models.list)
    yield sqlalchemy.exc.OperationalError("select 1", {}, ConnectionRefusedError())
    yield _made_of(sqlalchemy.exc.SQLAlchemyError("secret"), TimeoutError())
    yield tenacity.RetryError(tenacity.Future.construct(3, TimeoutError(), has_exception=True))


def _groups() -> Iterator[Exception]:
    yield ExceptionGroup("two", [TimeoutError(), ConnectionResetError()])
    yield ExceptionGroup("nested", [ExceptionGroup("one", [TimeoutError()]), OSError(113, "No route to host")])
    yield ExceptionGroup("responses", [httpx.HTTPStatusError("", request=_REQUEST, response=_response(503))])


def _nothing() -> Iterator[Exception]:
    yield ValueError("secret", 1)
    yield AppError(detail="secret")
    yield _made_of(AppError(), ValueError())
    yield sqlalchemy.exc.SQLAlchemyError("secret")


def _corpus() -> dict[str, tuple[str, Exception]]:
    """Return the exceptions by their names, each with its group."""
    with socket.socket() as taken:  # bound and not listened on: it refuses
        taken.bind(("127.0.0.1", 0))
        causes = list(_causes(taken.getsockname()[1]))
    groups: dict[str, Any] = {
        "known": _known(),
        "code": _code(),
        "response": _responses(),
        "cause": causes,
        "group": _groups(),
        "nothing": _nothing(),
    }
    found = [(group, error) for group, errors in groups.items() for error in errors]
    return {f"{number:2} {group:<9}{_shown(error)}": (group, error) for number, (group, error) in enumerate(found, 1)}


def _shown(error: Exception) -> str:
    kind = type(error)
    carried = ", ".join(sorted(vars(error)))[:40]
    library = kind.__module__.partition(".")[0]
    return f"{library}.{kind.__qualname__}({carried}) is {classify(error).label}"


def _sampler(work: Callable[[], object], times: int) -> Sampler:
    def sample() -> float:
        began = thread_time()
        for _ in range(times):
            work()
        return (thread_time() - began) / times * 1e6

    return sample


def measured(settings: Settings) -> dict[str, tuple[float, float]]:
    """Return of each exception the microseconds, and the ratio to a dictionary lookup."""
    times = max(1, round(settings.loop / 1e-5))
    corpus = _corpus()
    answers: dict[type, str] = {type(error): group for group, error in corpus.values()}
    samplers = {_EMPTY: _sampler(lambda: None, times), _LOOKUP: _sampler(lambda: answers.get(KeyError), times)}
    samplers |= {name: _sampler(functools.partial(classify, error), times) for name, (_, error) in corpus.items()}
    measurements, failed = sample_in_turn(samplers, _EMPTY, settings.rounds, lambda _: None)
    if failed:
        raise RuntimeError(f"failed: {failed}")
    nothing = statistics.median(measurements[_EMPTY].samples)
    lookup = measurements[_LOOKUP].value
    taken = {name: measurements[name].value for name in corpus}
    return {name: (max(0.0, microseconds - nothing), microseconds / lookup) for name, microseconds in taken.items()}


def main() -> int:
    """Measure and print. Return 1 if a row is over the limit of its group."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classify", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only see that everything works")
    settings = Settings.quick() if parser.parse_args().quick else Settings()
    print(f"CPython {platform.python_version()}; microseconds, ratio to a dictionary lookup")
    rows = measured(settings)
    width = max(map(len, rows))
    failed = False
    for name, (microseconds, ratio) in rows.items():
        limit = LIMITS[name.split()[1]]
        over = f"  over the limit of {limit:g}" if microseconds > limit else ""
        failed = failed or bool(over)
        print(f"{name:<{width}} {microseconds:7.2f} {ratio:7.1f}{over}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
