from __future__ import annotations

import io
import tempfile

import pytest

from resilience import classify
from resilience.cli.demo.phases import CIRCUIT, PHASES, Settings
from resilience.cli.demo.shared_counters import RequestCounter
from resilience.cli.demo.stats import DemoStats, Outcome, PhaseStats
from resilience.cli.demo.table import table_of
from resilience.cli.demo.text import causes, summary
from resilience.events import AttemptFailed, CircuitClosed, CircuitHalfOpened, CircuitOpened
from resilience.testing import virtual_time


@pytest.fixture
def time():
    with virtual_time() as clock:
        yield clock


@pytest.fixture
def stats(time):
    with tempfile.TemporaryFile() as file, RequestCounter(file.fileno()) as counter:
        for _ in range(7):
            counter.add("bare", 0)
        yield DemoStats(Settings(), counter)


def drawn(stats: DemoStats) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=80)
    console.print(table_of(stats))
    return console.file.getvalue()


def test_the_table_fits_80_columns_and_shows_what_is_known(stats):
    stats.begin_phase(0)
    for ending, count in {Outcome.SUCCEEDED: 1201, Outcome.DEGRADED: 1202, Outcome.FAILED: 1203}.items():
        for _ in range(count):
            stats.record_call(stats.protected, 0, ending, 0.01)
    shown = drawn(stats)
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    row = next(line for line in shown.splitlines() if "healthy" in line)
    assert row.split() == [">", "healthy", "1201", "1202", "1203", "0", "0", "0", "0", "0", "7"]
    assert "circuit   closed" in shown
    for phase in PHASES:
        assert phase.name in shown


def test_a_phase_that_has_not_begun_shows_no_numbers(stats):
    stats.begin_phase(0)
    assert next(line for line in drawn(stats).splitlines() if "process back" in line).strip() == "process back"


def test_the_story_of_the_circuit_counts_its_probes(stats, time):
    stats.begin_phase(0)

    def emit(kind, **more):
        time.advance(1)
        stats.on_event(kind(target="f", policy=CIRCUIT, **more))

    emit(CircuitOpened, failures=5, retry_after=1)
    for _ in range(2):
        emit(CircuitHalfOpened)
        emit(CircuitOpened, failures=5, retry_after=1)
    assert stats.circuit == "open"
    assert causes(stats).endswith("circuit: open at 1.0 s, 2 probes")
    emit(CircuitHalfOpened)
    emit(CircuitClosed)
    assert causes(stats).endswith("circuit: open at 1.0 s, 3 probes, closed at 7.0 s")


def test_transitions_of_other_circuits_are_ignored(stats):
    stats.on_event(CircuitOpened(target="f", policy="another", failures=5, retry_after=1))
    assert stats.transitions == []


def test_failed_attempts_are_counted_by_category(stats):
    for error in (TimeoutError(), ConnectionResetError(), TimeoutError()):
        stats.on_event(AttemptFailed(target="f", policy="retry", attempt=1, category=classify(error), error=error))
    assert "protected  timeout 2, network 1\n  bare       none\n" in causes(stats)


@pytest.mark.parametrize(
    ("took", "percent", "expected"),
    [
        ([], 50, None),
        ([3.0], 99, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),
        (list(range(1, 101)), 99, 99),
        ([1.0, 2.0], 100, 2.0),
    ],
)
def test_percentiles_are_by_nearest_rank(took, percent, expected):
    assert PhaseStats(durations=took).percentile(percent) == expected


def test_recovery_is_counted_from_the_process_being_back_to_the_first_direct_answer(stats, time):
    stats.begin_phase(0)
    stats.record_call(stats.protected, 0, Outcome.SUCCEEDED, 0.1)
    assert stats.time_to_recover(stats.protected) is None
    time.advance(5)
    stats.server_back_at = stats.now()
    time.advance(0.5)
    stats.record_call(stats.protected, 0, Outcome.DEGRADED, 0.1)
    assert stats.time_to_recover(stats.protected) is None
    time.advance(0.25)
    stats.record_call(stats.protected, 0, Outcome.SUCCEEDED, 0.1)
    time.advance(1)
    stats.record_call(stats.protected, 0, Outcome.SUCCEEDED, 0.1)
    assert stats.time_to_recover(stats.protected) == 0.75
    assert "time to recover             750 ms           -" in summary(stats)


def test_the_summary_explains_its_words_and_why_the_protected_p99_is_longer(stats):
    stats.begin_phase(0)
    shown = summary(stats)
    assert "degraded   the fallback answered: the caller got a default value in place of an error" in shown
    assert "A protected call makes up to 3 attempts of 0.25 s and waits between them" in shown
    assert max(map(len, shown.splitlines())) <= 100
