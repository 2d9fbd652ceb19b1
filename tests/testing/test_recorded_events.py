"""`testing.record_events`: the events of guarded calls, in order."""

from __future__ import annotations

import threading

import pytest

from resilience import retry_on_category
from resilience.events import AttemptFailed, RetryScheduled
from resilience.testing import RecordedEvents, record_events


@retry_on_category(attempts=3, base_delay=0)
def down() -> None:
    raise ConnectionRefusedError


def call_down() -> None:
    with pytest.raises(ConnectionRefusedError):
        down()


def test_events_are_recorded_in_order_until_the_end_of_the_block():
    call_down()
    with record_events() as events:
        call_down()
    call_down()
    assert events.names == ["attempt.failed", "retry.scheduled"] * 2 + ["attempt.failed", "retry.exhausted"]
    assert [event.attempt for event in events.of(AttemptFailed)] == [1, 2, 3]
    assert [type(event) for event in events[1:4:2]] == [RetryScheduled, AttemptFailed][:1] * 2
    assert events[-1].name == "retry.exhausted"
    assert len(events) == 6


def test_it_records_by_hand_too_and_forgets_on_demand():
    events = record_events()
    assert isinstance(events, RecordedEvents)
    call_down()
    events.clear()
    assert not events
    call_down()
    events()
    events()
    call_down()
    assert len(events) == 6


def test_events_of_other_threads_are_recorded():
    with record_events() as events:
        thread = threading.Thread(target=call_down)
        thread.start()
        thread.join()
    assert len(events) == 6


def test_two_recordings_do_not_disturb_each_other():
    with record_events() as outer:
        call_down()
        with record_events() as inner:
            call_down()
    assert (len(outer), len(inner)) == (12, 6)


def test_its_repr_shows_the_events_and_no_message_of_an_error():
    with record_events() as events:
        call_down()
    assert repr(events).startswith("RecordedEvents([AttemptFailed(target=")
    assert "error" not in repr(events)
