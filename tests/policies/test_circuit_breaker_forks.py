"""A circuit's process forks at any point of a program of overlapping calls, while another thread holds every lock.

`tests.forking_player` plays programs of the model: 26 of 40 steps here, each with a fork between two steps and one
within a step, where the clock is read; and 78 of 60 steps with four forks each in the deep run. Parent and child, which
forks again, have to go on as the model predicts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
ROOT = Path(__file__).parent.parent.parent


def forking(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"from tests import forking_player\n{program}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_parent_and_child_go_on_as_the_model_predicts():
    done = forking("forking_player.main(1, 40, 1)")
    assert done.stdout.startswith("30 programs, 60 forks in them"), done.stderr


@pytest.mark.slow  # a thousand processes and more
def test_parents_and_children_of_many_forks_go_on_as_the_model_predicts():
    done = forking("forking_player.main(3, 60, 2)")
    assert done.stdout.startswith("90 programs, 360 forks in them"), done.stderr


CIRCUIT = "from resilience.policies import circuit_breaker, _circuit_state_machine as machine\n"
FAULTS = {
    "it stays taken": CIRCUIT + "circuit_breaker.CircuitBreakerPolicy._renew_lock = lambda self: None",
    "it is taken from the code that a fork has interrupted": (
        CIRCUIT + "machine.release_in_child = lambda lock: lock._at_fork_reinit()"
    ),
}


@pytest.mark.slow  # about the model, not the circuit: once is enough
@pytest.mark.parametrize("fault", FAULTS)
def test_the_model_finds_a_lock_that_is_wrong_in_the_child(fault: str):
    done = forking(f"{FAULTS[fault]}\nforking_player.STUCK = 1\nforking_player.main(1, 40, 1)")
    assert done.returncode == 1
    assert "AssertionError: the child has ended with" in done.stderr
