"""The same scripts for other libraries whose circuits are shared through Redis, each in an environment of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.fleet.rival import RIVALS
from benchmarks.fleet.stage import Dependency, RedisServer

__all__ = ["rivals"]

REQUIRES = {
    "interlock-cb": ["interlock-cb[redis]==2.8.2"],
    "nopanic-redis": ["nopanic-redis==0.1.0"],
    "pybreaker": ["pybreaker==1.4.1", "redis==8.1.0"],
    "grelmicro": ["grelmicro[redis]==0.41.1"],
}
PROCESSES = 4
PATIENCE = 20.0
"""Seconds after which a fleet whose probe was killed counts as stuck."""


class Troupe:
    """The processes of one library, with their server and their dependency."""

    def __init__(self, name: str, python: str, directory: Path) -> None:
        self._name = name
        self._python = python
        self._directory = directory
        self.server = RedisServer()
        self.dependency = Dependency()
        self._processes: list[subprocess.Popen[bytes]] = []
        for _ in range(PROCESSES):
            self.spawn()
        seen: set[int] = set()
        ends = time.monotonic() + 60
        while len(seen) < PROCESSES and time.monotonic() < ends:
            seen |= self.drain(0.2)

    def spawn(self) -> None:
        """Start a process."""
        path = self._directory / f"{self._name} {len(self._processes)} {time.monotonic()}"
        script = str(Path(__file__).with_name("rival.py"))
        command = [self._python, script, self._name, self.server.url, str(self.dependency.port), str(path)]
        self._processes.append(subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL))

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def kill(self, pid: int) -> None:
        """SIGKILL a process, and start another one."""
        process = next(each for each in self._processes if each.pid == pid)
        self.dependency.dead.add(pid)
        process.kill()
        process.wait()
        self._processes.remove(process)
        self.spawn()

    def probing(self, patience: float) -> int | None:
        """Return a process whose call is in flight, once there is one; None where there is none for so long."""
        ends = time.monotonic() + patience
        while time.monotonic() < ends:
            for pid, _ in list(self.dependency.in_flight.values()):
                if pid not in self.dependency.dead:
                    return pid
            time.sleep(0.01)
        return None

    def drain(self, seconds: float) -> set[int]:
        """Wait; return the processes that have called meanwhile."""
        while not self.dependency.began.empty():
            self.dependency.began.get()
        time.sleep(seconds)
        found: set[int] = set()
        while not self.dependency.began.empty():
            found.add(self.dependency.began.get().pid)
        return found

    def calls(self, since: float, until: float) -> list[tuple[float, str]]:
        """Return how long the calls took that began meanwhile, and what they answered."""
        found: list[tuple[float, str]] = []
        for file in self._directory.glob(f"{self._name} *"):
            for line in file.read_text().splitlines():
                began, took, _, answer = line.split()
                if since <= float(began) < until:
                    found.append((float(took), answer))
        return found

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self.server.close()


def python_of(name: str, directory: Path) -> str:
    """Return the interpreter of an environment that has the library, made here."""
    if name not in REQUIRES:
        return sys.executable
    home = directory / name
    found = [*Path.home().glob(".pyenv/versions/3.1[234]*/bin/python"), Path(sys.executable)]
    subprocess.run(["uv", "venv", "--quiet", "--no-project", "--python", str(found[0]), str(home)], check=True)
    python = str(home / "bin" / "python")
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, *REQUIRES[name]], check=True)
    return python


def killed(troupe: Troupe, rounds: int) -> str:
    """Kill the holder of the probe again and again; return how long it took until the next probe."""
    dependency = troupe.dependency
    dependency.mode = "bad"
    troupe.drain(3.0)
    dependency.mode, dependency.max_in_flight = "hang", 0
    took: list[str] = []
    holder = troupe.probing(PATIENCE)
    while holder is not None and len(took) < rounds:
        time.sleep(0.2)
        troupe.kill(holder)
        began = time.monotonic()
        holder = troupe.probing(PATIENCE)
        took.append(f"stuck for {PATIENCE:g}" if holder is None else f"{time.monotonic() - began:.1f}")
    return f"{', '.join(took)}; at most {dependency.max_in_flight} in flight"


def cut_off(troupe: Troupe) -> str:
    """Have one process of all see nothing but failures; return how many of the others still call."""
    troupe.dependency.bad_for = {troupe.pids[0]}
    troupe.drain(3.0)
    others = set(troupe.pids[1:])
    # Half a second, of an open time of a second, from a moment when that has just begun.
    least = min(len(troupe.drain(0.4) & others) for _ in range(4))
    return f"{least} of {len(others)}"


def server_stopped(troupe: Troupe) -> str:
    """SIGSTOP the server for three seconds; return what calls noticed of it."""
    began = time.monotonic()
    troupe.server.signal(signal.SIGSTOP)
    time.sleep(3.0)
    stopped = time.monotonic()
    troupe.server.signal(signal.SIGCONT)
    time.sleep(1.5)
    calls = troupe.calls(began, stopped)
    failed = sum(answer not in ("ok", "bad") for _, answer in calls)
    return f"slowest {max((took for took, _ in calls), default=0.0):.2f} s, {failed} of {len(calls)} failed"


def server_killed(troupe: Troupe) -> str:
    """Kill the server for two seconds; return what calls noticed of it."""
    began = time.monotonic()
    troupe.server.kill()
    time.sleep(2.0)
    calls = troupe.calls(began, time.monotonic())
    troupe.server.start()
    failed = sum(answer not in ("ok", "bad") for _, answer in calls)
    return f"slowest {max((took for took, _ in calls), default=0.0):.2f} s, {failed} of {len(calls)} failed"


def rivals(directory: Path, rounds: int) -> dict[str, object]:
    """Play the scripts with each library that can be installed here."""
    rows: dict[str, object] = {}
    for name in RIVALS:
        try:
            python = python_of(name, directory)
        except (OSError, subprocess.CalledProcessError) as error:
            rows[name] = f"cannot be installed here: {type(error).__name__}"
            continue
        for title, script in (
            ("server stopped for 3 s", server_stopped),
            ("server killed for 2 s", server_killed),
            ("one of 4 cut off: others that call", cut_off),
            ("holder of the probe killed: s to the next", lambda troupe: killed(troupe, rounds)),
        ):
            troupe = Troupe(name, python, directory)
            try:
                rows[f"{name}: {title}"] = script(troupe)
            finally:
                troupe.close()
    return rows
