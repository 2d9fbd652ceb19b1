"""The bucket of a rate limit: never more than burst + rate x t in any window, in turn, in few bytes."""

from __future__ import annotations

import contextlib
import gc
import itertools
import random
import threading
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilience.clock import using_clock
from resilience.policies._keyed_buckets import KeyedBuckets
from resilience.policies._token_bucket import Booking, Bucket, Ticket
from resilience.testing import VirtualClock, virtual_time

INTERVAL = 0.25  # with times in eighths of a second all sums are exact


def bucket(burst: int = 4, interval: float = INTERVAL) -> Bucket:
    return Bucket(interval, burst, threading.RLock())


# -- the property, over generated programs ----------------------------------------------------------------------------

eighths = st.integers(0, 40).map(lambda number: number / 8)
costs = st.sampled_from([0.5, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0])
steps = st.one_of(
    st.tuples(st.just("pass"), eighths),
    st.tuples(st.just("take"), costs),
    st.tuples(st.just("wait"), costs),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("settle"), st.integers(0, 5), costs),
    st.tuples(st.just("hold"), eighths),
    st.tuples(st.just("observe"), st.integers(0, 4)),
)
programs = st.lists(steps, max_size=30)


class Program:
    """Plays steps on a bucket, and notes what was admitted when, and in which order tickets were served."""

    def __init__(self, burst: int) -> None:
        self.clock = VirtualClock()
        self.bucket = bucket(burst)
        self.burst = burst
        self.waiting: list[Ticket] = []
        self.admitted: list[tuple[float, Ticket]] = []
        self.held_until = 0.0

    def play(self, program: list[tuple]) -> None:
        with using_clock(self.clock):
            for name, *arguments in program:
                getattr(self, f"do_{name}")(*arguments)
                assert self.bucket.queued == sum(self.bucket.queue.values())

    def do_pass(self, seconds: float) -> None:
        """Let time pass; the calls that wait wake at their turns, as their sleeps would have them."""
        end = self.clock.now() + seconds
        while self.waiting and (turn := min(ticket.turn for ticket in self.waiting)) <= end:
            self.clock.reach(turn)
            self.wake()
        self.clock.reach(end)

    def wake(self) -> None:
        for ticket in list(self.waiting):
            if ticket.turn <= self.clock.now() or ticket.rung:
                ticket.claim(self.clock.now()) or ticket.wait(self.clock.now())
            if ticket.granted:
                self.waiting.remove(ticket)
                self.admit(ticket)

    def admit(self, ticket: Ticket) -> None:
        assert self.clock.now() >= self.held_until
        self.admitted.append((self.clock.now(), ticket))

    def do_take(self, cost: float) -> None:
        if cost > self.burst:
            return
        was_waiting, available = bool(self.bucket.queue), self.bucket.available(self.clock.now())
        ticket = Ticket([Booking(self.bucket, cost)])
        if ticket.join(self.clock, self.clock.now()) and ticket.claim(self.clock.now()):
            assert not was_waiting or not self.bucket.queue
            assert available >= max(cost, 1.0)
            self.wake()
            self.admit(ticket)
        else:
            ticket.leave()
            assert was_waiting or available < max(cost, 1.0)

    def do_wait(self, cost: float) -> None:
        if cost > self.burst:
            return
        ticket = Ticket([Booking(self.bucket, cost)])
        assert ticket.join(self.clock, float("inf"))
        if ticket.granted:
            self.admit(ticket)
        else:
            self.waiting.append(ticket)

    def do_cancel(self, number: int) -> None:
        if number < len(self.waiting):
            self.waiting.pop(number).leave()
            self.wake()

    def do_settle(self, number: int, used: float) -> None:
        if number < len(self.admitted):
            _, ticket = self.admitted[number]
            ticket.settle([min(used, ticket.bookings[0].cost)])
            self.wake()

    def do_hold(self, seconds: float) -> None:
        self.held_until = max(self.held_until, self.clock.now() + seconds)
        self.bucket.hold(seconds)
        self.wake()

    def do_observe(self, tokens: int) -> None:
        self.bucket.keep_at_most(min(tokens, self.burst))
        self.wake()
        assert self.bucket.available(self.clock.now()) <= tokens

    def check(self) -> None:
        """In no window was more admitted than the burst and what the window brings."""
        events = [(moment, ticket.bookings[0].cost) for moment, ticket in self.admitted]
        for begin in range(len(events)):
            total = 0.0
            for moment, cost in events[begin:]:
                total += cost
                assert total <= self.burst + (moment - events[begin][0]) / INTERVAL


def never_more_than_the_burst_and_the_rate(program: list[tuple], burst: int) -> None:
    played = Program(burst)
    played.play(program)
    played.do_pass(1000.0)
    assert not played.waiting
    assert not played.bucket.queue
    assert played.bucket.queued == 0
    played.check()


@given(programs, st.integers(1, 4))
@settings(max_examples=300)
def test_in_no_window_is_more_admitted_than_the_burst_and_what_the_rate_brings(program: list[tuple], burst: int):
    never_more_than_the_burst_and_the_rate(program, burst)


@pytest.mark.slow  # ten thousand programs
@given(programs, st.integers(1, 4))
@settings(max_examples=10_000)
def test_in_no_window_is_more_admitted_in_ten_thousand_programs(program: list[tuple], burst: int):
    never_more_than_the_burst_and_the_rate(program, burst)


@given(st.lists(st.tuples(eighths, costs), max_size=60), st.integers(1, 4))
def test_a_bucket_admits_what_a_count_of_its_tokens_admits(calls: list[tuple[float, float]], burst: int):
    tokens, filling = float(burst), bucket(burst)
    with virtual_time() as clock:
        for pause, cost in calls:
            if cost > burst:
                continue
            clock.advance(pause)
            tokens = min(float(burst), tokens + pause / INTERVAL)
            assert filling.available(clock.now()) == tokens
            assert filling.try_acquire(cost) == (tokens >= max(cost, 1.0))
            if tokens >= max(cost, 1.0):
                tokens -= cost


# -- tickets ----------------------------------------------------------------------------------------------------------


def joined(place: Bucket, clock: VirtualClock, cost: float = 1.0) -> Ticket:
    ticket = Ticket([Booking(place, cost)])
    assert ticket.join(clock, float("inf"))
    return ticket


def test_a_ticket_knows_its_turn_behind_those_ahead():
    with virtual_time() as clock:
        place = bucket(burst=4)
        assert place.try_acquire(4.0)
        tickets = [joined(place, clock, cost) for cost in (1.0, 4.0, 1.0)]
        assert [ticket.turn for ticket in tickets] == [0.25, 1.25, 1.5]


def test_a_free_token_is_not_taken_by_a_call_that_comes_while_others_wait():
    with virtual_time() as clock:
        place = bucket(burst=4)
        assert place.try_acquire(2.0)
        large = joined(place, clock, 4.0)
        assert place.available(clock.now()) == 2.0
        assert not place.try_acquire()
        clock.advance(0.5)
        assert not place.try_acquire()
        assert large.claim(clock.now())
        clock.advance(0.25)
        assert place.try_acquire()


def test_a_call_at_its_turn_hands_the_tokens_to_those_ahead_that_do_not_wake():
    with virtual_time() as clock:
        place = bucket(burst=1)
        assert place.try_acquire()
        stuck, other = joined(place, clock), joined(place, clock)
        clock.advance(0.25)
        assert not other.claim(clock.now())
        assert stuck.granted
        assert stuck.rung
        clock.advance(0.25)
        assert other.claim(clock.now())


def test_when_a_ticket_leaves_the_next_one_is_rung_for_its_earlier_turn():
    with virtual_time() as clock:
        place = bucket(burst=4)
        assert place.try_acquire(4.0)
        large, small, last = joined(place, clock, 4.0), joined(place, clock), joined(place, clock)
        woken: list[str] = []
        with small.ringing(lambda: woken.append("small")), last.ringing(lambda: woken.append("last")):
            large.leave()
            assert woken == ["small"]
            assert small.wait(clock.now()) == 0.25
            clock.advance(0.25)
            assert small.claim(clock.now())
            assert woken == ["small", "last"]
        assert last.wait(clock.now()) == 0.25


def test_a_ring_before_the_sleep_ends_it_at_once():
    with virtual_time() as clock:
        place = bucket(burst=1)
        assert place.try_acquire()
        ticket = joined(place, clock)
        ticket.ring()
        woken: list[str] = []
        with ticket.ringing(lambda: woken.append("rung")):
            assert woken == ["rung"]
        ticket.ring()
        assert woken == ["rung"]


def test_a_ticket_whose_event_loop_is_closed_is_rung_in_vain():
    def closed() -> None:
        raise RuntimeError("Event loop is closed")

    with virtual_time() as clock:
        place = bucket(burst=1)
        ticket = joined(place, clock)
        with ticket.ringing(closed):
            ticket.ring()


def test_a_hold_tells_all_tickets_their_later_turns():
    with virtual_time() as clock:
        place = bucket(burst=2)
        assert place.try_acquire(2.0)
        first, second = joined(place, clock), joined(place, clock)
        place.hold(5.0)
        assert (first.turn, second.turn) == (5.0, 5.25)
        assert (first.rung, second.rung) == (True, True)


def test_tokens_are_not_given_back_to_a_bucket_that_was_full_or_held_since():
    with virtual_time() as clock:
        place = bucket(burst=4)
        early = joined(place, clock, 4.0)
        clock.advance(0.5)
        early.settle([2.0])
        assert place.available(clock.now()) == 4.0
        clock.advance(10.0)
        assert place.try_acquire(4.0)
        early.settle([0.0])
        assert place.available(clock.now()) == 0.0
        held = Ticket([Booking(place, 1.0)])
        clock.advance(1.0)
        assert held.join(clock, 11.5)
        place.hold(8.5)
        held.leave()
        assert place.available(clock.now()) == 0.0
        assert place.free_at(1.0) == 20.0


def test_tickets_of_several_buckets_take_from_all_or_none():
    with virtual_time() as clock:
        fast, slow = bucket(burst=2), bucket(burst=1, interval=1.0)
        both = Ticket([Booking(fast, 1.0), Booking(slow, 1.0)])
        assert both.join(clock, 0.0)
        assert both.granted
        again = Ticket([Booking(slow, 1.0), Booking(fast, 1.0)])
        assert not again.join(clock, 0.5)
        assert (fast.available(0.0), slow.available(0.0)) == (1.0, 0.0)
        assert again.join(clock, 1.0)
        assert again.turn == 1.0
        clock.advance(0.5)
        assert not again.claim(clock.now())
        assert fast.available(clock.now()) == 2.0
        assert not fast.try_acquire()  # it waits behind
        clock.advance(0.5)
        assert again.claim(clock.now())
        assert fast.try_acquire()


def test_a_ticket_behind_one_that_waits_for_another_bucket_looks_again_until_it_is_gone():
    with virtual_time() as clock:
        fast, slow = bucket(burst=1), bucket(burst=1, interval=8.0)
        assert slow.try_acquire()
        both = Ticket([Booking(fast, 1.0), Booking(slow, 1.0)])
        assert both.join(clock, 100.0)
        behind = joined(fast, clock)
        assert behind.turn == 0.25
        clock.advance(1.0)
        assert not behind.claim(clock.now())
        assert behind.wait(clock.now()) == 0.25
        both.leave()
        assert behind.rung
        assert behind.claim(clock.now())


def test_another_clock_begins_anew():
    place = bucket(burst=1)
    assert place.try_acquire()
    assert not place.try_acquire()
    with virtual_time() as clock:
        assert place.try_acquire()
        assert not place.try_acquire()
        clock.advance(0.25)
    with virtual_time() as clock:
        ticket = Ticket([Booking(place, 1.0)])
        assert ticket.join(clock, 0.0)


def test_a_forked_process_forgets_the_queue_of_its_parent(monkeypatch: pytest.MonkeyPatch):
    with virtual_time() as clock:
        place = bucket(burst=1)
        assert place.try_acquire()
        joined(place, clock)
        place.process += 1  # as it is in a child
        assert joined(place, clock).turn == 0.25
        assert place.waiting == 1


def test_a_hundred_thousand_tickets_that_leave_from_anywhere_leave_nothing_behind():
    with virtual_time() as clock:
        place = bucket(burst=1, interval=3600.0)
        assert place.try_acquire()
        tickets = [joined(place, clock) for _ in range(100_000)]
        for ticket in itertools.chain(tickets[::2], reversed(tickets[1::2])):
            ticket.leave()
        assert (place.waiting, place.queued, place.available(clock.now())) == (0, 0.0, 0.0)


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow  # a hundred thousand keys
def test_a_hundred_thousand_keys_take_at_most_120_bytes_each_and_none_once_they_are_full():
    keys = [f"tenant-{number}" for number in range(100_000)]
    with virtual_time() as clock:
        buckets = KeyedBuckets(1.0, 1, 200_000)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for key in keys:
            assert buckets.of(key).try_acquire()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(buckets) == 100_000
        assert (after - before) / 100_000 <= 120
        clock.advance(2.0)
        for number in range(40_000):
            buckets.of(number).try_acquire()
        assert len(buckets) == 40_000


def test_of_too_many_keys_those_nearest_to_full_are_forgotten():
    with virtual_time() as clock:
        buckets = KeyedBuckets(1.0, 4, max_keys=4)
        for key, cost in [("a", 4.0), ("b", 1.0), ("c", 3.0), ("d", 2.0), ("e", 4.0)]:
            assert buckets.of(key).try_acquire(cost)
        assert len(buckets) == 3
        assert [buckets.of(key).available(clock.now()) for key in "abcde"] == [0.0, 4.0, 1.0, 4.0, 0.0]


def test_a_bucket_that_is_in_use_is_one_object_and_its_queue_is_shared():
    with virtual_time() as clock:
        buckets = KeyedBuckets(1.0, 1, 100)
        assert buckets.of("a").try_acquire()
        ticket = joined(buckets.of("a"), clock)
        assert not buckets.of("a").try_acquire()
        clock.advance(1.0)
        assert not buckets.of("a").try_acquire()
        assert [each.waiting for each in buckets.in_use()] == [1]
        assert ticket.claim(clock.now())
        del ticket
        gc.collect()
        assert buckets.in_use() == []
        assert not buckets.of("a").try_acquire()


@pytest.mark.parametrize(("rate", "burst"), [(3600.0, 1), (1 / 3, 7), (0.1, 3), (86400 / 1000, 1000)])
def test_a_full_bucket_lets_a_call_go_at_once_however_times_are_rounded(rate: float, burst: int):
    chance = random.Random(7)
    for _ in range(2000):
        now = chance.uniform(0, 10**6)
        bucket = Bucket(rate, burst, contextlib.nullcontext())
        bucket.take(0.0, now)
        for cost in (1.0, float(burst)):
            assert bucket.turn(cost, now) <= now
            assert bucket.free_at(cost) <= now
