"""`resilience fleet` and `resilience circuits --fleet`, with a real server."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from resilience.fleet import Fleet
from resilience.fleet._protocol import Beat, Stamp, Vote
from resilience.fleet._redis_store import RedisStore
from tests.cli.conftest import HEEDING_CTRL_C
from tests.redis_server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def url(server: Server) -> str:
    server.client().flushall()
    return f"redis://127.0.0.1:{server.port}/0"


def opened(url: str, name: str = "shop") -> None:
    store = Fleet(url, name=name)._asked()
    assert isinstance(store, RedisStore)
    for node in ("one", "two"):
        store.beat(Stamp(node), Beat(names=["payments"]))
        store.vote(Stamp(node), Vote("payments", "payments", 600.0, 0.5, failures=5, category="network"))
    store.close()


def test_it_prints_the_circuits_of_the_only_fleet_of_a_server(resilience, url: str):
    opened(url)
    run = resilience("circuits", "--fleet", url)
    assert run.code == 0
    assert "fleet shop: 2 live nodes" in run.out
    assert "payments  open" in run.out
    assert "network" in run.out


def test_it_prints_one_document(resilience, url: str):
    opened(url)
    document = resilience("circuits", "--fleet", url, "--name", "shop", "--json").document
    assert [(each["name"], each["state"]) for each in document["circuits"]] == [("payments", "open")]


def test_it_isolates_and_releases(resilience, url: str):
    opened(url)
    run = resilience(
        "fleet", "isolate", "payments", "--fleet", url, "--until", "600", "--by", "ada", "--why", "the bank asks"
    )
    assert (run.code, run.out) == (0, "isolate 'payments' in fleet 'shop' for 600 s, by ada\n")
    shown = resilience("circuits", "--fleet", url).out
    assert "isolated for" in shown
    assert "ada set payments to isolated: the bank asks" in shown
    assert resilience("fleet", "release", "payments", "--fleet", url, "--by", "ada", "--json").document["by"] == "ada"
    assert "isolated for" not in resilience("circuits", "--fleet", url).out


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("circuits",), 2, "give a module"),
        (("circuits", "shop.main", "--fleet", "redis://cache"), 2, "one of them"),
        (("circuits", "shop.main", "--watch"), 2, "goes with --fleet"),
        (("circuits", "shop.main", "--name", "shop"), 2, "goes with --fleet"),
        (("circuits", "--fleet", "http://cache", "--name", "shop"), 2, "give a redis.Redis"),
        (("circuits", "--fleet", "redis://127.0.0.1:1/0", "--name", "shop"), 1, "cannot be asked: ConnectionError"),
        (("circuits", "--fleet", "redis://127.0.0.1:1/0"), 1, "cannot be asked: ConnectionError"),
        (("fleet", "isolate", "payments"), 2, "--fleet"),
        (("fleet", "close", "payments", "--fleet", "redis://cache"), 2, "not one of isolate, shadow, release"),
        (("fleet", "isolate", " ", "--fleet", "redis://cache", "--name", "shop"), 2, "circuit=' '"),
    ],
)
def test_what_cannot_be_done_is_one_line(resilience, arguments: tuple[str, ...], code: int, problem: str):
    run = resilience(*arguments)
    assert run.code == code
    assert problem in run.complaint


def test_a_server_with_several_fleets_wants_a_name(resilience, url: str):
    assert "no fleet" in resilience("circuits", "--fleet", url).complaint
    opened(url)
    opened(url, "bank")
    assert "give --name with one of bank, shop" in resilience("circuits", "--fleet", url).complaint


@pytest.mark.slow
def test_it_watches_until_ctrl_c(url: str):
    opened(url)
    command = [sys.executable, "-c", HEEDING_CTRL_C, "circuits", "--fleet", url, "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        tables = 0
        for line in process.stdout:
            tables += line.startswith("fleet shop")
            if tables == 2:
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
    assert process.returncode == 130
