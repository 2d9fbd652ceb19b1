from __future__ import annotations

import io
import tempfile

import pytest

from resilience import classify
from resilience.cli.demo.phases import CIRCUIT, PHASES, Settings
from resilience.cli.demo.shared_counters import SuccessCounter
from resilience.cli.demo.stats import Board, Ending, Numbers
from resilience.cli.demo.table import table_of
from resilience.cli.demo.text import causes, summary
from resilience.events import AttemptFailed, CircuitClosed, CircuitHalfOpened, CircuitOpened
from resilience.testing import virtual_time


@pytest.fixture
def time():
    with virtual_time() as clock:
        yield clock


@pytest.fixture
def board(time):
    with tempfile.TemporaryFile() as file, SuccessCounter(file.fileno()) as tally:
        for _ in range(7):
            tally.add("bare", 0)
        yield Board(Settings(), tally)


def drawn(board: Board) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=80)
    console.print(table_of(board))
    return console.file.getvalue()


def test_the_table_fits_80_columns_and_shows_what_is_known(board):
    board.enter(0)
    for ending, count in {Ending.SUCCEEDED: 1201, Ending.DEGRADED: 1202, Ending.FAILED: 1203}.items():
        for _ in range(count):
            board.over(board.protected, 0, ending, 0.01)
    shown = drawn(board)
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    row = next(line for line in shown.splitlines() if "healthy" in line)
    assert row.split() == [">", "healthy", "1201", "1202", "1203", "0", "0", "0", "0", "0", "7"]
    assert "circuit   closed" in shown
    for phase in PHASES:
        assert phase.name in shown


def test_a_phase_that_has_not_begun_shows_no_numbers(board):
    board.enter(0)
    assert next(line for line in drawn(board).splitlines() if "process back" in line).strip() == "process back"


def test_the_circuit_is_told_with_its_probes_counted(board, time):
    board.enter(0)

    def told(kind, **more):
        time.advance(1)
        board.heard(kind(target="f", policy=CIRCUIT, **more))

    told(CircuitOpened, failures=5, retry_after=1)
    for _ in range(2):
        told(CircuitHalfOpened)
        told(CircuitOpened, failures=5, retry_after=1)
    assert board.circuit == "open"
    assert causes(board).endswith("circuit: open at 1.0 s, 2 probes")
    told(CircuitHalfOpened)
    told(CircuitClosed)
    assert causes(board).endswith("circuit: open at 1.0 s, 3 probes, closed at 7.0 s")


def test_the_circuit_of_somebody_else_is_not_told(board):
    board.heard(CircuitOpened(target="f", policy="another", failures=5, retry_after=1))
    assert board.transitions == []


def test_failed_attempts_are_counted_by_category(board):
    for error in (TimeoutError(), ConnectionResetError(), TimeoutError()):
        board.heard(AttemptFailed(target="f", policy="retry", attempt=1, category=classify(error), error=error))
    assert "protected  timeout 2, network 1\n  bare       none\n" in causes(board)


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
    assert Numbers(took=took).percentile(percent) == expected


def test_recovery_is_counted_from_the_process_being_back_to_the_first_direct_answer(board, time):
    board.enter(0)
    board.over(board.protected, 0, Ending.SUCCEEDED, 0.1)
    assert board.time_to_recover(board.protected) is None
    time.advance(5)
    board.back_at = board.now()
    time.advance(0.5)
    board.over(board.protected, 0, Ending.DEGRADED, 0.1)
    assert board.time_to_recover(board.protected) is None
    time.advance(0.25)
    board.over(board.protected, 0, Ending.SUCCEEDED, 0.1)
    time.advance(1)
    board.over(board.protected, 0, Ending.SUCCEEDED, 0.1)
    assert board.time_to_recover(board.protected) == 0.75
    assert "time to recover             750 ms           -" in summary(board)
