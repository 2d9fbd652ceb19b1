"""Prints what a fleet of real processes does when its probes die, its server does, and its votes travel.

The part "rivals" plays the same with other libraries, for which it makes environments of their own.

`--quick` does it in a minute, with fewer processes and rounds. `--only` does one of the parts.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.fleet.rivals import rivals
from benchmarks.fleet.stage import Dependency, RedisServer, Zygote
from resilience.fleet import Fleet
from resilience.fleet._protocol import Ask, Beat, FleetStore, Result, Stamp, Vote


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def killed_probes(server: RedisServer, zygote: Zygote, nodes: int, rounds: int) -> dict[str, object]:
    """SIGKILL the process that holds the probe, again and again."""
    lease, reset = 1.0, 0.3
    dependency = Dependency()
    options = {"url": server.url, "port": dependency.port, "reset": reset, "lease": lease, "pause": 0.05}
    for _ in range(nodes):
        zygote.spawn("caller", **options)
    time.sleep(1.0 + nodes / 25)
    dependency.mode = "bad"
    time.sleep(2.0)
    while not dependency.began.empty():
        dependency.began.get()
    dependency.mode, dependency.max_in_flight = "hang", 0
    dependency.others.clear()
    dependency.others_late.clear()
    holder = dependency.began.get(timeout=60).pid
    chance, worst = random.Random(1), 0
    recoveries: list[float] = []
    #: By how much each recovery was too long, and how late the process of its probe was scheduled.
    starved: list[tuple[float, float]] = []
    asked: list[float] = []
    late: list[float] = []
    for _ in range(rounds):
        time.sleep(chance.random() * lease * 0.3)
        dependency.dead.add(holder)
        zygote.kill(holder)
        killed = time.monotonic()
        zygote.spawn("caller", **options)
        probe = dependency.began.get(timeout=60)
        holder = probe.pid
        recoveries.append(probe.began - killed)
        asked.append(probe.asked - killed)
        late.append(probe.late)
        worst = max(worst, dependency.max_in_flight)
        if recoveries[-1] > lease + 1:
            starved.append((round(recoveries[-1] - lease - 1, 2), round(max(probe.late, probe.began - probe.asked), 2)))
    others, others_late = dict(dependency.others), dependency.others_late or [0.0]
    dependency.mode = "ok"
    time.sleep(2.5)
    closed = all(each["state"] == "closed" for each in Fleet(server.url, name="bench").snapshot()["circuits"])
    for pid in list(zygote.pids):
        zygote.kill(pid)
    return {
        "rounds": rounds,
        "most probes in flight whose lease held": worst,
        "calls that were no probes": others,
        "their processes were late by p50, max s": f"{statistics.median(others_late):.2f}, {max(others_late):.2f}",
        "recovery p50 s": round(statistics.median(recoveries), 2),
        "recovery p99, max s": f"{percentile(recoveries, 0.99):.2f}, {max(recoveries):.2f}",
        "allowed s": lease + 1,
        "asked for the next lease after, max s": round(max(asked), 2),
        "processes of probes were late by p50, max s": f"{statistics.median(late):.3f}, {max(late):.2f}",
        "recoveries above, by s, with how late": starved,
        "closed in the end": closed,
    }


def one_cut_off(server: RedisServer, zygote: Zygote, nodes: int, _: int) -> dict[str, object]:
    """Have one process of all see nothing but failures."""
    dependency = Dependency()
    options = {"url": server.url, "port": dependency.port, "reset": 1.0, "lease": 1.0, "pause": 0.05}
    pids = [zygote.spawn("caller", **options) for _ in range(nodes)]
    time.sleep(1.0 + nodes / 25)
    dependency.bad_for = {pids[0]}
    time.sleep(3.0)
    found = Fleet(server.url, name="bench").snapshot()
    opened = [each for each in found["circuits"] if each["name"] == "payments" and each["state"] != "closed"]
    while not dependency.began.empty():
        dependency.began.get()
    time.sleep(1.0)
    calling = set()
    while not dependency.began.empty():
        calling.add(dependency.began.get().pid)
    for pid in pids:
        zygote.kill(pid)
    return {"open in the fleet": bool(opened), "others that call": len(calling - {pids[0]}), "of": nodes - 1}


def trouble(server: RedisServer, zygote: Zygote, nodes: int, seconds: int) -> dict[str, object]:
    """Kill, stop and flush the server, while calls are made that do nothing."""
    phases: dict[str, Callable[[], object]] = {
        "calm": lambda: None,
        "flushed": lambda: server.client().flushall(),
        "stopped": lambda: server.signal(signal.SIGSTOP),
        "goes on": lambda: server.signal(signal.SIGCONT),
        "killed": server.kill,
        "back": server.start,
    }
    count = min(nodes, 4)
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory, str(number)) for number in range(count + 1)]
        for number, file in enumerate(files):
            url = server.url if number else None  # the first has no fleet
            zygote.spawn("timer", url=url, path=str(file), seconds=seconds * len(phases) + 1)
        time.sleep(1.0)
        for phase in phases.values():
            phase()
            time.sleep(seconds)
        ends = time.monotonic() + 60
        while not all(file.exists() for file in files) and time.monotonic() < ends:
            time.sleep(0.5)
        time.sleep(1.0)
        found = [json.loads(file.read_text()) for file in files]
    rows: dict[str, object] = {"calls failed": sum(each["failed"] for each in found)}
    for number, name in enumerate(phases):
        part = slice(1 + number * seconds, 1 + (number + 1) * seconds)
        local = [took / 1000 for second in found[0]["took"][part] for took in second]
        fleet = [took / 1000 for each in found[1:] for second in each["took"][part] for took in second]
        rows[f"{name}: p99 us without, with a fleet"] = f"{percentile(local, 0.99):.1f}, {percentile(fleet, 0.99):.1f}"
    return rows


def propagation(server: RedisServer, zygote: Zygote, nodes: int, rounds: int) -> dict[str, object]:
    """Measure how long after the vote that makes the quorum the circuit is open in each process."""
    rows: dict[str, object] = {}
    for deaf in (False, True):
        server.client().flushall()
        store = Fleet(server.url, name="bench")._asked()
        took: list[float] = []
        with tempfile.TemporaryDirectory() as directory:
            for number in range(nodes):
                path = str(Path(directory, str(number)))
                zygote.spawn("listener", url=server.url, path=path, seconds=3600.0, deaf=deaf)
            time.sleep(2.0 + nodes / 25)
            for _ in range(rounds):
                began = vote_until_open(store)
                time.sleep(2.5)
                for file in Path(directory).iterdir():
                    times = [float(line.split()[1]) for line in file.read_text().splitlines() if "opened" in line]
                    took += [at - began for at in times if 0 <= at - began < 2.5][:1]
                probe(store)
            for pid in list(zygote.pids):
                zygote.kill(pid)
        what = "without news" if deaf else "with news"
        rows[f"{what}: openings seen"] = f"{len(took)} of {nodes * rounds}"
        rows[f"{what}: p50, p99 ms"] = f"{percentile(took, 0.5) * 1000:.1f}, {percentile(took, 0.99) * 1000:.1f}"
    return rows


def vote_until_open(store: FleetStore) -> float:
    """Let processes vote until the circuit opens; return when the last one began to."""
    for voter in range(1000):
        stamp = Stamp(f"voter {voter}")
        began = time.monotonic()
        reply = store.vote(stamp, Vote("heard", "heard", 1.0, 0.5))
        if reply.view.state == "open":
            return began
    raise RuntimeError("there is no quorum")


def probe(store: FleetStore) -> None:
    """Close the open circuit again, by a probe."""
    view = store.beat(Stamp("voter 0"), Beat()).views[-1]
    reply = store.lease(Stamp("voter 0"), Ask("heard", "nonce", 1.0, 1, view))
    store.result(Stamp("voter 0"), Result("heard", reply.token, "ok"))
    time.sleep(0.5)


def idle(server: RedisServer, zygote: Zygote, nodes: int, seconds: int) -> dict[str, object]:
    """Count the commands of processes that make no calls."""
    server.client().flushall()
    with tempfile.TemporaryDirectory() as directory:
        for number in range(nodes):
            path = str(Path(directory, str(number)))
            zygote.spawn("listener", url=server.url, path=path, seconds=3600.0, deaf=False)
        time.sleep(3.0 + nodes / 25)
        before = server.client().info("commandstats")
        time.sleep(seconds)
        after = server.client().info("commandstats")
        for pid in list(zygote.pids):
            zygote.kill(pid)
    # Of a script the server counts the commands within as well: they are no messages.
    sent = ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_subscribe", "cmdstat_ping")
    commands = sum(after.get(name, {}).get("calls", 0) - before.get(name, {}).get("calls", 0) for name in sent)
    return {"commands a second and process": round(commands / seconds / nodes, 2)}


def beside_rivals(_: RedisServer, __: Zygote, ___: int, rounds: int) -> dict[str, object]:
    """Play the scripts with other libraries, four processes each."""
    with tempfile.TemporaryDirectory() as directory:
        return rivals(Path(directory), rounds)


PARTS: dict[str, Callable[[RedisServer, Zygote, int, int], dict[str, object]]] = {
    "killed probes": killed_probes,
    "one cut off": one_cut_off,
    "trouble": trouble,
    "propagation": propagation,
    "idle": idle,
    "rivals": beside_rivals,
}
NUMBERS = {
    "killed probes": (1000, 15),
    "one cut off": (1, 1),
    "trouble": (30, 3),
    "propagation": (10, 2),
    "idle": (20, 5),
    "rivals": (5, 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer processes and rounds")
    parser.add_argument("--nodes", type=int, help="processes (default: 50, quick: 8)")
    parser.add_argument("--rounds", type=int, help="rounds of the part, or seconds")
    parser.add_argument("--only", choices=list(PARTS), help="this part alone")
    arguments = parser.parse_args()
    nodes = arguments.nodes or (8 if arguments.quick else 50)
    for name, part in PARTS.items():
        if arguments.only in (None, name):
            server, zygote = RedisServer(), Zygote()
            try:
                rows = part(server, zygote, nodes, arguments.rounds or NUMBERS[name][arguments.quick])
            finally:
                zygote.close()
                server.close()
            print(name if name == "rivals" else f"{name}, {nodes} processes")
            for row, value in rows.items():
                print(f"  {row:<45} {value}", flush=True)


if __name__ == "__main__":
    main()
