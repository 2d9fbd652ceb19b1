"""Markers of earlier requests: a refused request proves nothing where the client has sent another one before."""

from __future__ import annotations

import ast
import asyncio
import concurrent.futures
import inspect
import itertools
import pickle
import socket
import sys
import textwrap
import traceback
import types
import xmlrpc.client
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, cast

import aiohttp
import aiohttp.client
import anthropic
import anthropic._base_client
import backoff
import botocore.endpoint
import httpx
import httpx._client
import httpx2
import httpx2._client
import openai
import openai._base_client
import openai.lib._client_auth
import pytest
import redis
import redis.asyncio
import redis.asyncio.retry
import redis.retry
import requests
import requests.auth
import stamina
import tenacity
import urllib3
import urllib3.connectionpool
import urllib3.poolmanager
from botocore.config import Config
from botocore.session import Session

from resilience import ErrorCategory, classify, retry_on_category
from resilience.classification._delivery import never_connected
from resilience.classification.libraries import known_libraries, library_named
from tests.classification import test_delivery as known
from tests.classification import test_real_services as services
from tests.classification.peers import Peer
from tests.classification.test_delivery import _failure, _named

_GONE = "http://127.0.0.1:{}/"


@pytest.fixture
def moving(closed_port: int) -> Iterator[str]:
    """A server that answers a POST with a redirect to an address where no server listens."""
    server = Peer()
    server.answers["moved"] = (303, {"location": _GONE.format(closed_port)}, b"")
    yield f"http://127.0.0.1:{server.port}/moved"
    server.close()


def _done(value: object) -> object:
    return asyncio.run(value) if asyncio.iscoroutine(value) else value


# -- a client that renames its variables -----------------------------------------------------------------------------


def _renamed(code: CodeType, name: str, new: str) -> CodeType:
    """Return the code of a function whose local variable, also as an argument by name, is called something else."""

    def changed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if one == name else one for one in names)

    consts = [
        _renamed(one, name, new)
        if isinstance(one, CodeType)
        else changed(one)
        if isinstance(one, tuple) and all(isinstance(word, str) for word in one)
        else one
        for one in code.co_consts
    ]
    return code.replace(
        co_varnames=changed(code.co_varnames),
        co_cellvars=changed(code.co_cellvars),
        co_freevars=changed(code.co_freevars),
        co_consts=tuple(consts),
    )


def _plain(function: object) -> FunctionType:
    return cast("FunctionType", inspect.unwrap(cast("Any", function)))


def _rename(patch: pytest.MonkeyPatch, function: object, name: str) -> None:
    plain = _plain(function)
    assert name in (*plain.__code__.co_varnames, *plain.__code__.co_cellvars), f"{plain.__qualname__} has no {name}"
    patch.setattr(plain, "__code__", _renamed(plain.__code__, name, f"its_{name}"))


_REDIRECTS = {
    "httpx": (known._post_httpx, [(httpx._client.Client._send_handling_redirects, "history")]),
    "httpx_async": (known._post_httpx_async, [(httpx._client.AsyncClient._send_handling_redirects, "history")]),
    "httpx2": (known._post_httpx2, [(httpx2._client.Client._send_handling_redirects, "history")]),
    "requests": (known._post_requests, [(requests.Session.resolve_redirects, "hist")]),
    "requests_answer": (known._post_requests, [(requests.Session.send, "r")]),
    "urllib3": (known._post_urllib3, [(urllib3.connectionpool.HTTPConnectionPool.urlopen, "retries")]),
    "urllib3_answer": (known._post_urllib3, [(urllib3.poolmanager.PoolManager.urlopen, "response")]),
    "urllib": (known._post_urllib, [(known.urllib.request.HTTPRedirectHandler.http_error_302, "newurl")]),
    "urllib_answer": (known._post_urllib, [(known.urllib.request.OpenerDirector.open, "response")]),
    "aiohttp": (known._post_aiohttp, [(aiohttp.ClientSession._request, "history")]),
}
_CALLERS = {
    "httpx": httpx._client.Client._send_handling_auth,
    "httpx_async": httpx._client.AsyncClient._send_handling_auth,
    "httpx2": httpx2._client.Client._send_handling_auth,
}


@pytest.mark.parametrize("name", _REDIRECTS)
def test_a_redirect_is_not_forgotten_by_a_client_that_renames_a_variable(
    name: str, moving: str, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, variables = _REDIRECTS[name]
    assert never_connected(_failure(lambda: _done(post(_GONE.format(closed_port)))))
    for function, variable in variables:
        if name == "urllib3":  # an argument that callers give by name
            _recompile(monkeypatch, function, variable)
        else:
            _rename(monkeypatch, function, variable)
    if name in _CALLERS:
        plain = _plain(_CALLERS[name])
        consts = tuple(
            tuple("its_history" if word == "history" else word for word in one) if isinstance(one, tuple) else one
            for one in plain.__code__.co_consts
        )
        monkeypatch.setattr(plain, "__code__", plain.__code__.replace(co_consts=consts))
    assert not never_connected(_failure(lambda: _done(post(moving))))


def _recompile(patch: pytest.MonkeyPatch, function: object, name: str) -> None:
    """Have a function copy its argument to a variable of another name, and use that from then on."""
    plain = _plain(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(plain)))
    body = cast("ast.FunctionDef | ast.AsyncFunctionDef", tree.body[0])
    body.decorator_list = []
    body.returns = None
    for node in itertools.chain.from_iterable(map(ast.walk, body.body)):
        if isinstance(node, ast.Name) and node.id == name:
            node.id = f"its_{name}"
    body.body.insert(0, ast.parse(f"its_{name} = {name}").body[0])
    made: dict[str, FunctionType] = {}
    exec(compile(ast.fix_missing_locations(tree), "newer.py", "exec", 0x1000000), plain.__globals__, made)  # noqa: S102
    if plain.__closure__ is None:
        patch.setattr(plain, "__code__", made[body.name].__code__)


@pytest.mark.parametrize("name", ["httpx", "httpx_async", "httpx2"])
def test_an_argument_that_stays_empty_beside_the_new_variable_is_no_proof(
    name: str, moving: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, [(function, variable)] = _REDIRECTS[name]
    _recompile(monkeypatch, function, variable)
    assert not never_connected(_failure(lambda: _done(post(moving))))


def _twice_openai(port: int) -> object:
    with openai.OpenAI(api_key="x", base_url=_GONE.format(port), max_retries=1) as client:
        return client.models.list()


async def _twice_openai_async(port: int) -> object:
    async with openai.AsyncOpenAI(api_key="x", base_url=_GONE.format(port), max_retries=1) as client:
        return await client.models.list()


def _twice_anthropic(port: int) -> object:
    with anthropic.Anthropic(api_key="x", base_url=_GONE.format(port), max_retries=1) as client:
        return client.models.list()


def _twice_s3(port: int) -> object:
    session = Session()
    session.set_credentials("key", "secret")
    again = Config(retries={"max_attempts": 1}, proxies={}, s3={"addressing_style": "path"})
    client = session.create_client("s3", region_name="eu-central-1", endpoint_url=_GONE.format(port), config=again)
    try:
        return client.list_buckets()
    finally:
        client.close()


def _twice_redis(port: int) -> object:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    with redis.Redis(port=port, retry=Retry(NoBackoff(), 1)) as client:
        return client.get("x")


async def _twice_redis_async(port: int) -> object:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    async with redis.asyncio.Redis(port=port, retry=Retry(NoBackoff(), 1)) as client:
        return await client.get("x")


@pytest.mark.parametrize(
    ("call", "function", "variable"),
    [
        (_twice_openai, openai._base_client.SyncAPIClient.request, "retries_taken"),
        (_twice_openai_async, openai._base_client.AsyncAPIClient.request, "retries_taken"),
        (_twice_anthropic, anthropic._base_client.SyncAPIClient._request, "retries_taken"),
        (_twice_s3, botocore.endpoint.Endpoint._send_request, "attempts"),
        (_twice_redis, redis.retry.Retry.call_with_retry, "failures"),
        (_twice_redis_async, redis.asyncio.retry.Retry.call_with_retry, "failures"),
    ],
    ids=lambda value: _named(value) if callable(value) else "",
)
def test_a_retry_is_not_forgotten_by_a_client_that_renames_a_variable(
    call: Callable[[int], object],
    function: object,
    variable: str,
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    _rename(monkeypatch, function, variable)
    assert not never_connected(_failure(lambda: _done(call(closed_port))))


def test_a_function_of_the_client_that_is_not_known_is_no_proof(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that retries in a function of its own, above the one that is known."""
    send = httpx.Client.send
    space = {"__name__": "httpx._client", "send": send}
    exec("def send_with_retries(self, request, **kw):\n    return send(self, request, **kw)\n", space)  # noqa: S102
    monkeypatch.setattr(httpx.Client, "send", space["send_with_retries"])
    assert not never_connected(_failure(lambda: httpx.get(_GONE.format(closed_port))))


def test_a_frame_without_variables_is_no_proof(closed_port: int) -> None:
    """Compiled code has none, and `traceback.clear_frames` takes them away."""
    for call in (known._post_requests, known._post_httpx, known._post_urllib):
        error = _failure(lambda: call(_GONE.format(closed_port)))  # noqa: B023
        assert never_connected(error)
        traceback.clear_frames(error.__traceback__)
        assert not never_connected(error)


# -- other ways to send twice ----------------------------------------------------------------------------------------


def test_a_request_that_was_answered_with_a_demand_for_a_password_counts(closed_port: int) -> None:
    challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
    server = Peer()
    server.answers["door"] = (401, {"www-authenticate": challenge}, b"")
    url = f"http://127.0.0.1:{server.port}/door"

    def requests_twice() -> object:
        session = requests.Session()
        session.trust_env = False
        send = requests.adapters.HTTPAdapter.send

        def moves(self: Any, request: Any, **kw: Any) -> Any:
            if "Authorization" in request.headers:
                request.url = _GONE.format(closed_port)
            return send(self, request, **kw)

        adapter = requests.adapters.HTTPAdapter()
        adapter.send = types.MethodType(moves, adapter)  # type: ignore[method-assign]
        session.mount("http://", adapter)
        return session.post(url, auth=requests.auth.HTTPDigestAuth("a", "b"))

    def httpx_twice() -> object:
        class Moves(httpx.DigestAuth):
            def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
                yield request
                yield httpx.Request("POST", _GONE.format(closed_port))

        with httpx.Client(trust_env=False) as client:
            return client.post(url, auth=Moves("a", "b"))

    assert not never_connected(_failure(requests_twice))
    assert not never_connected(_failure(httpx_twice))
    server.close()


def test_a_helper_that_makes_several_requests_proves_nothing(closed_port: int) -> None:
    with openai.OpenAI(api_key="x", base_url=_GONE.format(closed_port), max_retries=0) as client:
        once = client.beta.threads.create
        several = client.beta.threads.create_and_run_poll
        with pytest.warns(DeprecationWarning):
            assert never_connected(_failure(once))
            assert not never_connected(_failure(lambda: several(assistant_id="x")))


def test_a_remote_procedure_that_was_called_over_a_cold_connection_counts(closed_port: int) -> None:
    proxy = xmlrpc.client.ServerProxy(_GONE.format(closed_port))
    assert never_connected(_failure(lambda: proxy.pay()))

    class Cold(xmlrpc.client.Transport):
        def single_request(self, *args: Any, **kw: Any) -> Any:
            if not hasattr(self, "sent"):
                self.sent = True
                raise ConnectionResetError  # what a server that is gone answers to a request
            return super().single_request(*args, **kw)

    proxy = xmlrpc.client.ServerProxy(_GONE.format(closed_port), transport=Cold())
    assert not never_connected(_failure(lambda: proxy.pay()))


def test_a_pool_without_a_free_connection_has_sent_nothing() -> None:
    pool = redis.ConnectionPool(max_connections=0)
    with redis.Redis(connection_pool=pool) as client:
        assert never_connected(_failure(lambda: client.get("x")))


# -- other libraries in between --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "again",
    [
        tenacity.retry(stop=tenacity.stop_after_attempt(1), reraise=True),
        backoff.on_exception(backoff.constant, OSError, max_tries=1),
        stamina.retry(on=OSError, attempts=1),
    ],
    ids=["tenacity", "backoff", "stamina"],
)
def test_what_a_library_that_retries_has_called_may_have_been_sent(
    again: Callable[[Callable[[], object]], Callable[[], object]], closed_port: int
) -> None:
    def pay() -> object:
        return socket.create_connection(("127.0.0.1", closed_port))

    assert never_connected(_failure(pay))
    assert not never_connected(_failure(again(pay)))
    assert not never_connected(_failure(again(lambda: httpx.post(_GONE.format(closed_port)))))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], types.ModuleType]]:
    """Install a library of one module; return it imported."""
    made: list[str] = []
    where = tmp_path / "var" / "task"  # as `pip install --target` leaves it
    where.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(where))

    def install(name: str, source: str) -> types.ModuleType:
        import importlib

        (where / f"{name}-1.0.dist-info").mkdir()
        (where / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        made.append(name)
        return importlib.import_module(name)

    yield install
    for name in made:
        sys.modules.pop(name, None)


_CALLS = "def call(pay):\n    return pay()\n"


def test_a_refusal_under_a_client_that_is_not_known_proves_nothing(
    installed: Callable[[str, str], types.ModuleType], closed_port: int
) -> None:
    library = installed("unknown_client", _CALLS)

    def pay() -> object:
        return socket.create_connection(("127.0.0.1", closed_port))

    assert not never_connected(_failure(lambda: library.call(pay)))
    assert not never_connected(_failure(lambda: library.call(lambda: httpx.post(_GONE.format(closed_port)))))


def test_an_application_that_is_installed_is_known_by_its_use_of_this_toolkit(
    installed: Callable[[str, str], types.ModuleType], closed_port: int
) -> None:
    application = installed("some_shop", f"from resilience import retry_on_category\n{_CALLS}")
    assert never_connected(
        _failure(lambda: application.call(lambda: socket.create_connection(("127.0.0.1", closed_port))))
    )


def test_a_guarded_call_to_an_unknown_client_is_not_repeated(
    installed: Callable[[str, str], types.ModuleType], closed_port: int
) -> None:
    library = installed("another_client", _CALLS)
    calls: list[int] = []

    @retry_on_category(attempts=3, base_delay=0, idempotent=False)
    def pay(through: Callable[[Callable[[], object]], object]) -> object:
        calls.append(1)
        return through(lambda: socket.create_connection(("127.0.0.1", closed_port)))

    with pytest.raises(ConnectionRefusedError):
        pay(library.call)
    assert len(calls) == 1
    with pytest.raises(ConnectionRefusedError):
        pay(lambda connect: connect())
    assert len(calls) == 4


# -- exceptions without their frames ---------------------------------------------------------------------------------


def _refused(port: int) -> object:
    return socket.create_connection(("127.0.0.1", port))


@pytest.mark.slow  # starts processes that import everything
def test_an_exception_of_another_process_left_its_frames_there(closed_port: int) -> None:
    import multiprocessing

    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        error = _failure(lambda: pool.submit(_refused, closed_port).result())
    assert isinstance(error, ConnectionRefusedError)
    assert not never_connected(error)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="interpreters of 3.14")
def test_an_exception_of_another_interpreter_left_its_frames_there(closed_port: int) -> None:
    with concurrent.futures.InterpreterPoolExecutor(1) as pool:
        error = _failure(lambda: pool.submit(socket.create_connection, ("127.0.0.1", closed_port)).result())
    assert isinstance(error, ConnectionRefusedError)
    assert not never_connected(error)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="interpreters of 3.14")
def test_an_exception_that_no_other_interpreter_can_be_given_is_unknown(capfd: pytest.CaptureFixture[str]) -> None:
    code = "class OutOfStock(Exception): pass\nraise OutOfStock"
    with concurrent.futures.InterpreterPoolExecutor(1) as pool:
        error = _failure(lambda: pool.submit(exec, code).result())
    assert type(error).__name__ == "ExecutionFailed"
    assert classify(error) is ErrorCategory.UNKNOWN
    assert not never_connected(error)
    capfd.readouterr()  # Python reports it on stderr


def test_an_exception_that_was_made_here_says_what_it_is() -> None:
    assert never_connected(httpx.ConnectError(""))
    assert never_connected(pickle.loads(pickle.dumps(ConnectionRefusedError())))  # noqa: S301

    def stub() -> object:
        raise httpx.ConnectError("")

    assert never_connected(_failure(stub))


# -- what real clients need ------------------------------------------------------------------------------------------


async def _stream_httpx(url: str) -> object:
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("POST", url) as response:
        return response


async def _socket_aiohttp(url: str) -> object:
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
        return ws


async def _await_aiohttp(url: str) -> object:
    async with aiohttp.ClientSession() as session:
        return await session.post(url)


def _parts_of_openai(url: str) -> Iterator[Callable[[], object]]:
    client = openai.OpenAI(api_key="x", base_url=url, max_retries=0)
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    yield lambda: client.chat.completions.create(**asked)
    yield lambda: client.chat.completions.with_raw_response.create(**asked)
    yield lambda: client.chat.completions.stream(**asked).__enter__()
    claude = anthropic.Anthropic(api_key="x", base_url=url, max_retries=0)
    yield lambda: claude.messages.create(max_tokens=1, **asked)
    yield lambda: claude.messages.stream(max_tokens=1, **asked).__enter__()

    async def both() -> None:
        async with openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0) as there:
            await there.chat.completions.create(**asked)

    async def stream() -> None:
        async with anthropic.AsyncAnthropic(api_key="x", base_url=url, max_retries=0) as there:
            async with there.messages.stream(max_tokens=1, **asked):
                pass

    yield lambda: asyncio.run(both())
    yield lambda: asyncio.run(stream())
    client.close()
    claude.close()


def test_the_usual_ways_to_call_a_client_prove_that_it_was_refused(closed_port: int) -> None:
    url = _GONE.format(closed_port)
    for post in (_stream_httpx, _socket_aiohttp, _await_aiohttp):
        assert never_connected(_failure(lambda: _done(post(url)))), post  # noqa: B023
    for verb in (httpx.post, requests.post, requests.Session().post):
        assert never_connected(_failure(lambda: verb(url))), verb  # noqa: B023
    for number, call in enumerate(_parts_of_openai(url)):
        assert never_connected(_failure(call)), number


def test_every_client_that_may_send_twice_is_tried_here_or_in_a_file_of_its_own() -> None:
    tried = {name.partition("_")[0] for name in _REDIRECTS}
    tried |= {"openai", "anthropic", "botocore", "redis", "xmlrpc"}
    own = {file.stem.removeprefix("test_client_") for file in Path(__file__).parent.glob("test_client_*.py")}
    several = {library for library in known_libraries() if library_named(library).prior_requests}
    assert several <= tried | own
    assert tried <= several


def test_a_call_within_a_guarded_call_is_a_call_of_its_own(closed_port: int) -> None:
    guarded = retry_on_category(attempts=1)(lambda: services._smtp(closed_port))
    assert never_connected(_failure(guarded))
