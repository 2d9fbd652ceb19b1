"""Several processes that answer a scrape as one: real ones, and what they really wrote."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from prometheus_client.parser import text_string_to_metric_families

ROOT = pathlib.Path(__file__).parents[2]
TARGET = "__main__.charge"

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="prometheus_client's files are for forking servers"),
    pytest.mark.slow,  # each process imports the package
]


def run(directory: pathlib.Path, *each: str) -> None:
    """Run a worker for each, at the same time."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory), "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.integrations.prometheus_worker", what],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for what in each
    ]
    for what, process in zip(each, running, strict=True):
        _, error = process.communicate(timeout=60)
        assert process.returncode == (1 if what.startswith("killed") else 0), error
        assert "Traceback" not in error


def read(directory: pathlib.Path) -> dict[tuple[str, ...], float]:
    """The samples in the files, by name and the values of their labels, sorted by label."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=str(directory))
    text = generate_latest(registry).decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_several_processes_counted_is_added_up(tmp_path: pathlib.Path):
    run(tmp_path, "serve", "serve", "killed")
    found = read(tmp_path)
    assert found["resilience_calls_total", "success", TARGET] == 15
    assert found["resilience_calls_total", "failure", TARGET] == 3
    assert found["resilience_attempts_total", TARGET] == 21
    assert found["resilience_errors_total", "network", "ConnectionResetError", "billing"] == 3
    assert found["resilience_retries_total", "network", TARGET] == 3
    assert found["resilience_circuit_transitions_total", "billing", "open"] == 3
    assert found["resilience_call_duration_seconds_count", "success", TARGET] == 15
    assert found["resilience_call_duration_seconds_bucket", "+Inf", "success", TARGET] == 15
    assert found["resilience_call_duration_seconds_sum", "success", TARGET] > 0
    assert found["resilience_circuit_state", "billing", "open"] == 3
    assert found["resilience_circuit_state", "billing", "closed"] == 0
    assert not any("pid" in name for name, *_ in found)


def test_a_dead_process_has_no_circuits_once_it_is_marked_dead(tmp_path: pathlib.Path):
    run(tmp_path, "serve")
    for file in tmp_path.glob("gauge_*.db"):
        multiprocess.mark_process_dead(int(file.stem.rpartition("_")[2]), path=str(tmp_path))
    found = read(tmp_path)
    assert ("resilience_circuit_state", "billing", "open") not in found
    assert found["resilience_calls_total", "success", TARGET] == 5


def test_a_forked_child_writes_what_it_counted_and_not_what_its_parent_did(tmp_path: pathlib.Path):
    run(tmp_path, "fork")
    found = read(tmp_path)
    assert found["resilience_calls_total", "success", TARGET] == 3 + 4
    assert found["resilience_call_duration_seconds_count", "success", TARGET] == 7


def test_children_of_multiprocessing_write_before_they_go(tmp_path: pathlib.Path):
    run(tmp_path, "multiprocessing")
    assert read(tmp_path)["resilience_calls_total", "success", TARGET] == 21


def test_installed_twice_it_writes_once(tmp_path: pathlib.Path):
    run(tmp_path, "twice")
    assert read(tmp_path)["resilience_calls_total", "success", TARGET] == 2


def test_a_process_that_is_killed_has_written_what_is_a_second_old_and_circuits_at_once(tmp_path: pathlib.Path):
    run(tmp_path, "killed later", "killed at once")
    found = read(tmp_path)
    assert found["resilience_calls_total", "success", TARGET] == 10
    assert found["resilience_circuit_state", "billing", "open"] == 1
    assert found["resilience_circuit_transitions_total", "billing", "open"] == 1


def test_a_collected_circuit_is_in_no_state(tmp_path: pathlib.Path):
    run(tmp_path, "forgets")
    assert read(tmp_path)["resilience_circuit_state", "short-lived", "open"] == 0
