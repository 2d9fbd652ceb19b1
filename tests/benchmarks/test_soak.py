"""The soak test: a short one runs, and a resource that grows is found, whatever the noise."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak.__main__ import main, soak
from benchmarks.soak.trends import Sample, Trend, sample, trends
from benchmarks.soak.workloads import WORKLOADS, RoundFailedError, Workload

pytestmark = pytest.mark.slow  # a command for developers, and each soak takes a while

ROOT = Path(__file__).parents[2]


def samples(rss: Callable[[int], float]) -> list[Sample]:
    """An hour of samples, a minute apart, of a process whose memory is *rss* of the minute."""
    return [Sample(60.0 * minute, rss(minute), threads=3, descriptors=6, objects=60_000) for minute in range(61)]


def trend(resource: str, found: list[Trend]) -> Trend:
    (only,) = [one for one in found if one.resource == resource]
    return only


def workload(make_round: Callable[[], int]) -> Workload:
    return Workload("leaking", "Leak.", make_round)


class Ticks:
    """A clock on which each look takes a second."""

    def __init__(self) -> None:
        self.numbers = itertools.count()

    def __call__(self) -> float:
        return next(self.numbers)


# -- the command ------------------------------------------------------------------------------------------------------


def run(names: Collection[str], minutes: str) -> tuple[dict[str, Any], int]:
    """Soak in a process of its own, since a soak looks at all that its process holds; return document and status."""
    only = [argument for name in names for argument in ("--only", name)]
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", minutes, "--json", *only]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.stderr == ""
    return json.loads(done.stdout), done.returncode


def test_a_short_soak_finds_no_growth():
    names = {one.name for one in WORKLOADS} - {"forks"}
    found, status = run(names, "0.1")
    assert found["seconds"] >= 6
    assert {one["name"] for one in found["workloads"]} == names
    assert all(one["rounds"] and one["calls"] for one in found["workloads"])
    assert found["failed"] == {}
    verdicts = {one["resource"]: one["verdict"] for one in found["trends"]}
    # Of memory a few seconds say nothing.
    assert verdicts | {"rss": "flat"} == dict.fromkeys(["rss", "threads", "descriptors", "objects"], "flat")
    assert status == (found["verdict"] != "flat")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_forked_while_threads_make_calls_makes_calls_of_its_own():
    found, _ = run(["forks"], "0.02")
    assert found["failed"] == {}


def test_the_table_has_a_row_for_each_workload_and_each_resource(capsys: pytest.CaptureFixture[str]):
    assert main(["--minutes", "0.001", "--only", "failures", "--only", "k*"]) in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3:5]] == ["failures", "keys"]
    assert [line.split()[0] for line in lines[7:11]] == ["rss", "threads", "descriptors", "objects"]


def test_the_workloads_are_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(WORKLOADS)


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--minutes", "0"], ["--minutes", "-1"]])
def test_invalid_arguments_are_refused(arguments: list[str]):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


# -- the verdict ------------------------------------------------------------------------------------------------------


def test_memory_that_stays_is_flat():
    assert trend("rss", trends(samples(lambda minute: 64.0))).verdict == "flat"


def test_memory_that_goes_up_and_down_is_flat():
    assert not trend("rss", trends(samples(lambda minute: 64.0 + 8 * (minute % 2)))).growing


def test_one_high_sample_is_no_growth():
    assert not trend("rss", trends(samples(lambda minute: 64.0 + 100 * (minute == 60)))).growing


def test_memory_that_grows_slowly_under_noise_is_found():
    found = trend("rss", trends(samples(lambda minute: 64.0 + 0.1 * minute + minute % 2)))
    assert found.growing
    assert found.per_hour == pytest.approx(6, abs=0.5)


def test_what_shrinks_is_flat():
    assert not trend("rss", trends(samples(lambda minute: 100.0 - minute))).growing


# -- what it finds ----------------------------------------------------------------------------------------------------


def test_objects_that_are_kept_are_found_and_named():
    kept: list[object] = []

    class Leak:
        pass

    def leak() -> int:
        kept.extend(Leak() for _ in range(1000))
        return 1

    found = soak([workload(leak)], 60, Ticks())
    assert trend("objects", found.trends).growing
    assert found.grown_types[0][0].endswith("Leak")
    assert found.document()["verdict"] == "growing"


def test_threads_that_stay_are_found():
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def leak() -> int:
        threads.append(threading.Thread(target=stop.wait))
        threads[-1].start()
        return 1

    try:
        assert trend("threads", soak([workload(leak)], 30, Ticks()).trends).growing
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
def test_descriptors_that_stay_open_are_found(tmp_path: Path):
    files = []

    def leak() -> int:
        files.append((tmp_path / "file").open("w"))
        return 1

    try:
        assert trend("descriptors", soak([workload(leak)], 30, Ticks()).trends).growing
    finally:
        for file in files:
            file.close()


def test_a_round_that_leaves_nothing_grows_nothing():
    found = soak([workload(lambda: 1)], 60, Ticks())
    assert [one.resource for one in found.trends if one.growing] == []
    assert trend("objects", found.trends).growth < 5  # the samples do not count themselves
    assert found.calls == found.rounds


def test_samples_begin_after_the_warm_up():
    found = soak([workload(lambda: 1)], 100, Ticks())
    assert found.samples[0].seconds >= 25
    assert len(found.samples) >= 5


def test_a_round_that_fails_is_counted_and_is_the_verdict():
    turns = itertools.count()

    def fail_at_times() -> int:
        if next(turns) % 4 == 0:
            raise RoundFailedError("3 of 4 slots are free")
        return 1

    found = soak([workload(fail_at_times)], 40, Ticks())
    (failures,) = found.failed.values()
    assert list(found.failed) == ["leaking: 3 of 4 slots are free"]
    assert found.rounds["leaking"] == failures + found.calls["leaking"]
    assert found.verdict == found.document()["verdict"] == "failed"


def test_a_sample_says_what_the_process_holds():
    one = sample(5)
    assert one.seconds == 5
    assert one.rss > 10
    assert one.threads >= 1
    kept = [[] for _ in range(10_000)]
    assert sample(6).objects - one.objects == pytest.approx(len(kept), rel=0.01)
