from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from resilience.cli import main
from resilience.cli.demo.phases import PHASES
from tests.cli.conftest import HEEDING_CTRL_C, Run, in_own_process

pytestmark = pytest.mark.slow  # each demonstration is a process

# Bounds here follow from how the demo is built, not from how fast the machine is: the circuit is open when the
# process is killed and then sends one probe per reset_timeout, a fifth of that phase's length.


@pytest.fixture(scope="module")
def demo(tmp_path_factory, worker_id) -> Run:
    """One real run, shared by all workers: two at once would be in each other's way."""
    base = tmp_path_factory.getbasetemp()
    path = (base if worker_id == "master" else base.parent) / "demo.json"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            run = in_own_process("demo", "--seconds", "5", "--rate", "100", "--json")
            path.write_text(json.dumps([run.code, run.out, run.err]))
    return Run(*json.loads(path.read_text()))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_prints_one_document_and_nothing_else(demo):
    assert (demo.code, demo.err) == (0, "")
    assert list(demo.document) == ["protected", "bare", "circuit", "phases", "settings", "server"]


def test_protected_calls_succeed_and_bare_ones_visibly_less(demo):
    protected, bare = demo.document["protected"], demo.document["bare"]
    assert protected["success_rate"] >= 0.99
    assert bare["success_rate"] < 0.8
    assert protected["failed"] == 0


def test_while_the_process_is_down_less_than_a_tenth_is_sent(demo):
    protected, bare = demo.document["protected"], demo.document["bare"]
    assert 0 < protected["sent_while_down"] < bare["sent_while_down"] / 10


def test_both_sides_get_the_same_load(demo):
    protected, bare = demo.document["protected"], demo.document["bare"]
    assert protected["calls"] == bare["calls"] > 100
    for side in (protected, bare):
        assert side["succeeded"] + side["degraded"] + side["failed"] == side["calls"]
        assert 0 <= side["p50"] <= side["p99"]
    assert bare["sent"] == bare["calls"]
    assert bare["degraded"] == 0


def test_the_circuit_opens_first_and_is_closed_in_the_end(demo):
    circuit = demo.document["circuit"]
    moves = circuit["transitions"]
    assert (moves[0]["from"], moves[0]["to"]) == ("closed", "open")
    assert (moves[-1]["from"], moves[-1]["to"]) == ("half_open", "closed")
    assert circuit["state"] == "closed"
    assert all(before["to"] == after["from"] for before, after in zip(moves, moves[1:], strict=False))
    assert [move["at"] for move in moves] == sorted(move["at"] for move in moves)


def test_every_phase_is_shown_with_the_requests_that_reached_the_server(demo):
    phases = demo.document["phases"]
    assert [phase["name"] for phase in phases] == [phase.name for phase in PHASES]
    healthy, slow, unavailable, reset, down, back = (phase["bare"] for phase in phases)
    assert healthy["reached"] == healthy["sent"] > 0
    assert down["reached"] == down["succeeded"] == 0
    assert reset["succeeded"] == 0
    assert reset["reached"] < reset["sent"]
    assert slow["failed"] > 0
    assert unavailable["failed"] > 0
    assert back["succeeded"] > 0
    for phase in phases:
        for side in ("protected", "bare"):
            assert phase[side]["reached"] <= phase[side]["sent"]
    for side in ("protected", "bare"):
        assert sum(phase[side]["sent"] for phase in phases) == demo.document[side]["sent"]


def test_attempts_are_shown_by_category(demo):
    assert {"timeout", "network", "unavailable", "rejected"} <= set(demo.document["protected"]["attempts_by_category"])
    assert {"timeout", "network", "unavailable"} == set(demo.document["bare"]["attempts_by_category"])


def test_both_sides_recover(demo):
    for side in ("protected", "bare"):
        assert demo.document[side]["time_to_recover"] >= 0


def test_no_server_is_left(demo):
    pids = demo.document["server"]["pids"]
    assert len(set(pids)) == 2, "the one that was killed, and the one that came after it"
    assert not any(map(is_alive, pids))


def test_it_runs_on_trio_and_in_plain_lines():
    run = in_own_process("demo", "--seconds", "3", "--backend", "trio")
    assert (run.code, run.err) == (0, "")
    lines = run.out.splitlines()
    assert [line.split("  ")[0] for line in lines[: len(PHASES)]] == [phase.name for phase in PHASES]
    assert "\x1b" not in run.out
    for words in ("success", "p99", "requests sent", "time to recover", "failed attempts by category", "circuit: "):
        assert words in run.out


def children_of(pid: int) -> list[int]:
    """Ask the kernel whose parent a process is."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the server's process in /proc")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_ends_it_and_its_server(backend):
    command = [sys.executable, "-c", HEEDING_CTRL_C, "demo", "--seconds", "6", "--backend", backend]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("healthy ")
    servers = children_of(process.pid)
    assert len(servers) == 1
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert not is_alive(servers[0])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the server's process in /proc")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_page_of_web_shows_the_demo_until_ctrl_c(backend):
    command = [sys.executable, "-c", HEEDING_CTRL_C, "demo", "--web", "--seconds", "3", "--backend", backend]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    url, token = (process.stdout.readline().split()[1] for _ in range(2))
    assert url.startswith("http://127.0.0.1:")
    assert len(token) >= 12
    lines = iter(process.stdout.readline, "")
    for _ in range(2):  # it goes on in turns
        assert any("process killed" in line for line in lines)
    with urllib.request.urlopen(f"{url}circuits", timeout=30) as answer:
        assert [each["name"] for each in json.load(answer)["circuits"]] == ["demo server"]
    with urllib.request.urlopen(f"{url}explain?target=resilience.cli.demo.clients.protected", timeout=30) as answer:
        assert "circuit_breaker('demo server'" in json.load(answer)["text"]
    servers = children_of(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert not any(map(is_alive, servers))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--web", "--json"), "--json does not go with --web"),
        (("--port", "8000"), "--port goes with --web"),
        (("--web", "--port", "x"), "is not a port"),
    ],
)
def test_what_cannot_be_meant_is_one_line(arguments, problem, capsys):
    assert main(["demo", *arguments]) == 2
    assert problem in capsys.readouterr().err
