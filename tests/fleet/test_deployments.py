"""A fleet with the servers that there are: Redis and Valkey, behind TLS and in a cluster, by either client library."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import random
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
import redis.cluster
import trustme

from resilience import CircuitOpenError, circuit_breaker
from resilience.fleet import Fleet, _redis_store
from resilience.fleet._protocol import Beat, Command, Stamp, Vote
from resilience.fleet._redis_store import RedisStore
from tests.redis_server import executable, valkey_executable

LONG = 60.0
"""Seconds after which a test that waits for something has failed."""

SERVERS = {"redis": executable, "valkey": valkey_executable}


@contextlib.contextmanager
def running(command: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a server; go on when it is ready, or has failed."""
    with subprocess.Popen([command, *options, "--save", ""], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "eady to accept connections" in line:
                break
        # What it writes later must not fill the pipe.
        draining = threading.Thread(target=process.stdout.read)
        draining.start()
        try:
            yield process
        finally:
            process.kill()
            draining.join(LONG)


@pytest.fixture(params=list(SERVERS))
def path(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """The socket of a Redis, or Valkey, server."""
    path = tmp_path / "socket"
    with running(SERVERS[request.param](), "--port", "0", "--unixsocket", str(path)):
        yield path


def until(true: Callable[[], object]) -> None:
    """Wait until something is true, which other threads make so."""
    ends = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.005)


def share(name: str, make: Callable[[], object]) -> None:
    """Have two processes of a fleet open a circuit, and an operator isolate and release another one."""
    fleets = [Fleet(make(), name=name, timeout=5.0) for _ in range(2)]
    try:
        breakers = [circuit_breaker(name, fleet=fleet, failure_threshold=1, reset_timeout=600) for fleet in fleets]
        for breaker in breakers:
            breaker.call(int)
            until(breaker.circuit._lane.is_current)
        for breaker in breakers:
            with pytest.raises(ConnectionResetError):
                breaker.call(_reset)
        until(lambda: all(breaker.circuit.held for breaker in breakers))
        with pytest.raises(CircuitOpenError):
            breakers[0].call(int)
        fleets[0].isolate(name, by="ada")
        until(lambda: [breaker.mode.value for breaker in breakers] == ["isolated"] * 2)
        fleets[1].release(name, by="ada")
        until(lambda: [breaker.mode.value for breaker in breakers] == ["normal"] * 2)
        assert [each["state"] for each in fleets[0].snapshot()["circuits"]] == ["open"]
    finally:
        for fleet in fleets:
            listener = getattr(fleet._lane._stop_listening, "__self__", None)
            fleet._lane.close(LONG)
            if listener is not None:
                listener.join(LONG)
            if fleet._operator is not None:
                fleet._operator.close()


def _reset() -> None:
    raise ConnectionResetError


@pytest.mark.parametrize("library", ["redis", "valkey"])
def test_each_client_library_works_with_each_server(path: pathlib.Path, library: str):
    package = pytest.importorskip(library)
    client = package.from_url(f"unix://{path}", decode_responses=True)
    share(f"client of {library}", lambda: client)
    client.close()


def test_the_url_of_a_valkey_server_is_asked_by_its_own_library():
    pytest.importorskip("valkey")
    fleet = Fleet("valkey://cache:6379/0", name="shop")
    assert type(fleet._client).__module__.startswith("valkey")


def test_a_rolling_deploy_to_another_version_of_the_protocol_has_two_fleets_for_a_while(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    """Each has a quorum, probes and commands of its own, and the server is none the worse for it."""
    socket_path = tmp_path / "socket"
    with running(executable(), "--port", "0", "--unixsocket", str(socket_path)):
        url = f"unix://{socket_path}"
        previous = [RedisStore(redis.Redis.from_url(url), "shop", 5.0) for _ in range(2)]
        monkeypatch.setattr(_redis_store, "VERSION", _redis_store.VERSION + 1)
        following = [RedisStore(redis.Redis.from_url(url), "shop", 5.0) for _ in range(2)]
        stores = [*previous, *following]
        beats = [store.beat(Stamp(str(number)), Beat(names=["payments"])) for number, store in enumerate(stores)]
        assert [reply.nodes for reply in beats] == [1, 2, 1, 2]
        vote = Vote("payments", "payments", 60.0, 0.5)
        votes = [store.vote(Stamp(str(number)), vote) for number, store in enumerate(stores)]
        assert [reply.view.state for reply in votes] == ["", "open", "", "open"]
        previous[0].command(Stamp("operator:ada"), Command("hosts", "isolated", 60.0, "ada", ""))
        assert [len(store.read()["circuits"]) for store in stores] == [2, 2, 1, 1]
        for store in stores:
            store.close()


# -- TLS -----------------------------------------------------------------------------------------------------------


class Tunnel:
    """Ends TLS in front of the socket of a server, as stunnel does."""

    def __init__(self, path: pathlib.Path, certificate: trustme.LeafCert) -> None:
        self._path = path
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(self._context)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._server.accept()
                serving = threading.Thread(target=self._serve, args=(plain,))
                self._threads.append(serving)
                serving.start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            with self._context.wrap_socket(plain, server_side=True) as client, socket.socket(socket.AF_UNIX) as server:
                self._open += [client, server]
                server.connect(str(self._path))
                answering = threading.Thread(target=_copy, args=(server, client))
                answering.start()
                _copy(client, server)
                answering.join()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LONG)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Iterator[tuple[trustme.CA, str]]:
    made = trustme.CA()
    with made.cert_pem.tempfile(dir=str(tmp_path)) as file:
        yield made, file


@pytest.fixture
def tunnel(path: pathlib.Path, authority: tuple[trustme.CA, str]) -> Iterator[Tunnel]:
    made = Tunnel(path, authority[0].issue_cert("localhost", "127.0.0.1"))
    yield made
    made.close()


@pytest.mark.parametrize("path", ["redis"], indirect=True)
def test_tls_and_its_authority_are_those_of_the_client_or_the_url(tunnel: Tunnel, authority: tuple[trustme.CA, str]):
    url = f"rediss://localhost:{tunnel.port}?ssl_ca_certs={authority[1]}"
    share("by url over tls", lambda: url)
    client = redis.Redis("localhost", tunnel.port, ssl=True, ssl_ca_certs=authority[1])
    share("by client over tls", lambda: client)
    client.close()


@pytest.mark.parametrize("path", ["redis"], indirect=True)
def test_a_server_that_is_not_who_it_says_is_not_asked(tunnel: Tunnel, tmp_path: pathlib.Path):
    with trustme.CA().cert_pem.tempfile(dir=str(tmp_path)) as other:
        fleet = Fleet(f"rediss://localhost:{tunnel.port}?ssl_ca_certs={other}", name="shop", timeout=5.0)
        breaker = circuit_breaker("of an impostor", fleet=fleet)
        assert breaker.call(int) == 0
        until(lambda: fleet.lost)
        assert breaker.call(int) == 0
        fleet._lane.close(LONG)


def _speaks_tls() -> str | None:
    """Return a server on PATH that is built with TLS; those of the wheels are not."""
    for name, folder in itertools.product(("redis-server", "valkey-server"), os.get_exec_path()):
        found = shutil.which(name, path=folder)
        if found is not None and "libssl" in subprocess.run(["ldd", found], capture_output=True, text=True).stdout:
            return found
    return None


@pytest.mark.skipif(_speaks_tls() is None, reason="needs a redis-server or valkey-server with TLS on PATH")
def test_a_server_that_speaks_tls_itself_and_asks_for_certificates(
    tmp_path: pathlib.Path, authority: tuple[trustme.CA, str]
):
    certificate = authority[0].issue_cert("localhost", "127.0.0.1")
    pem, key = tmp_path / "server.pem", tmp_path / "server.key"
    certificate.cert_chain_pems[0].write_to_path(pem)
    certificate.private_key_pem.write_to_path(key)
    given = ("--tls-cert-file", str(pem), "--tls-key-file", str(key), "--tls-ca-cert-file", authority[1])
    command = _speaks_tls()
    assert command is not None
    with on_a_port(command, lambda port: ("--port", "0", "--tls-port", str(port), *given)) as port:
        own = {"ssl_ca_certs": authority[1], "ssl_certfile": str(pem), "ssl_keyfile": str(key)}
        client = redis.Redis("localhost", port, ssl=True, **own)
        share("of a server with tls", lambda: client)
        client.close()


# -- a cluster -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def on_a_port(command: str, options: Callable[[int], tuple[str, ...]]) -> Iterator[int]:
    """Start a server on a port that it can have; the one that a cluster adds 10000 to has to exist, too."""
    for _ in range(50):
        port = random.SystemRandom().randrange(20_000, 30_000)
        with running(command, "--bind", "127.0.0.1", *options(port)) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
                continue
            yield port
            return
    raise RuntimeError("no port is free")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SERVERS))
def test_the_keys_of_a_fleet_are_in_one_slot_of_a_cluster(name: str, tmp_path: pathlib.Path):
    with contextlib.ExitStack() as stack:
        ports = []
        for number in range(3):
            directory = tmp_path / str(number)
            directory.mkdir()
            options = ("--cluster-enabled", "yes", "--dir", str(directory))
            started = on_a_port(SERVERS[name](), lambda port, given=options: ("--port", str(port), *given))
            ports.append(stack.enter_context(started))
        nodes = [stack.enter_context(redis.Redis("127.0.0.1", port)) for port in ports]
        for number, node in enumerate(nodes):
            node.execute_command("CLUSTER ADDSLOTS", *range(number, 16384, 3))
            node.execute_command("CLUSTER MEET", "127.0.0.1", str(ports[0]))
        until(lambda: all(node.execute_command("CLUSTER INFO")["cluster_state"] == "ok" for node in nodes))
        until(lambda: all(node.execute_command("CLUSTER INFO")["cluster_known_nodes"] == "3" for node in nodes))
        client = redis.cluster.RedisCluster("127.0.0.1", ports[0], socket_timeout=5.0)
        share(f"in a cluster of {name}", lambda: client)
        keys = [len(node.keys("resilience:fleet:*")) for node in nodes]
        assert sorted(keys)[:2] == [0, 0]
        assert max(keys) > 5
        client.close()
