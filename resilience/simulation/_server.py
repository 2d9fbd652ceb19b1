"""The model of the server: workers, one queue, and requests that stay in it when their callers have left.

That last thing is what makes overload last: a server cannot know that a caller has given up, works on the request all
the same, and comes too late for the next one as well.

The server runs no tasks. It is a state machine on the loop's agenda: each step is an entry that the loop calls at its
moment, and costs no coroutine. Only callers are tasks, each of which waits for a future.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from resilience._deadline_context import deadline_or_inf
from resilience.clock import current_clock
from resilience.simulation._scenario import Disturbance, Outage, Pause, Resize, Scenario, Slowdown
from resilience.simulation._virtual_loop import VirtualLoop

__all__ = ["ANSWER", "Below", "Marker", "Server"]

E = TypeVar("E", bound=Disturbance)

Below: TypeAlias = Callable[[float], Awaitable[bool]]
"""Calls the next layer until a moment, or infinity, and returns whether it has answered."""


class Marker:
    """A value that means one thing, such as the answer of the simulated server.

    It is compared by identity. The user's code makes none, so no value of the user's can be taken for an answer.
    """

    __slots__ = ("_meaning",)

    def __init__(self, meaning: str) -> None:
        self._meaning = meaning

    def __repr__(self) -> str:
        return f"<{self._meaning}>"


ANSWER = Marker("answer of the simulated server")
"""The value that a request is answered with: the engine tells it from a substitute."""


class _Request:
    """A request that the server has taken, by the future of its *answer*.

    A future that is done before the work on it ends has been left by its caller, or has timed out at the client.
    """

    __slots__ = ("answer", "call_below", "deadline", "paused")

    def __init__(self, answer: asyncio.Future[object], deadline: float) -> None:
        self.answer = answer
        #: The moment of the deadline that the request carries.
        self.deadline = deadline
        #: The task in which the server calls the next layer.
        self.call_below: asyncio.Task[None] | None = None
        #: How long the server had stood still in all when it began to work on it.
        self.paused = 0.0


class Server:
    """*workers* that take requests from one queue, first come, first served.

    It is driven by the entries of its loop; a request is a future. It never looks whether the caller still waits.

    With *below*, its work on a request ends with a call of the next layer, which keeps the worker. With *deadlines*
    requests carry those of their callers: the server leaves a request whose deadline has passed when its turn comes.
    """

    def __init__(
        self,
        scenario: Scenario,
        loop: VirtualLoop,
        chance: random.Random,
        below: Below | None = None,
        *,
        deadlines: bool = False,
    ) -> None:
        assert scenario.workers is not None
        assert scenario.capacity is not None
        assert scenario.batch is not None
        self._loop = loop
        self._chance = chance
        self._scenario = scenario
        self._failures = scenario.failures
        self._below = below
        self._deadlines = deadlines
        self._all_workers = max(1, round(scenario.workers / scenario.batch))
        self.workers: int = self._all_workers
        # So many workers have just the capacity: what rounding took or gave is in how long they work.
        exact = scenario.capacity / scenario.batch * scenario.latency.mean
        self._draw = scenario.latency.sampler(chance, self._all_workers / exact)
        self._bound = None if scenario.queue is None else max(1, round(scenario.queue / scenario.batch))
        if scenario.queue == 0:
            self._bound = 0
        self._queue: deque[_Request] = deque()
        self._in_service: dict[_Request, None] = {}  # in order, so that the same seed gives the same run
        self._hung: list[asyncio.Future[object]] = []
        self._slowdown = 1.0
        self._outages: list[Outage] = []
        self._pauses = 0
        self._paused_total = 0.0
        self._pause_ends = 0.0
        #: Requests that have arrived, those that were refused included, and those done for a caller that had left.
        self.sent: int = 0
        self.wasted: int = 0
        #: The classes of the exceptions that requests have failed with.
        self.kinds_of_failures: set[type[Exception]] = set()

    @property
    def queue_length(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    # -- requests -----------------------------------------------------------------------------------------------------

    def request(self) -> asyncio.Future[object]:
        """Send a request; return the future of its answer.

        The order of the checks is the order in which a real system fails: at random on the network, by a server that is
        down, and by a queue that is full. Such a failure needs the time of the network, and no worker.
        """
        answer = self._loop.create_future()
        scenario, now = self._scenario, self._loop.now
        self.sent += 1
        if scenario.client_timeout is not None:
            self._loop.at(now + float(scenario.client_timeout), self._time_out, answer)  # type: ignore[arg-type]
        if scenario.failing and self._chance.random() < scenario.failing:
            self._answer_later(answer, self._failures.random)
        elif self._outages and self._outages[-1].mode == "hang":
            self._hung.append(answer)
        elif self._outages:
            self._answer_later(answer, self._failures.refused)
        elif len(self._in_service) < self.workers and not self._pauses and not self._queue:
            self._begin(_Request(answer, self._deadline()))
        elif self._bound is not None and len(self._queue) >= self._bound:
            self._answer_later(answer, self._failures.full)
        else:
            self._queue.append(_Request(answer, self._deadline()))
        return answer

    def _deadline(self) -> float:
        """Return the moment of the deadline of the caller, which calls in this context."""
        if not self._deadlines:
            return math.inf
        return deadline_or_inf(current_clock())

    def _begin(self, request: _Request) -> None:
        """Have a worker begin with *request*; its end is an entry in the agenda.

        The time of the work is drawn now, at the speed of this moment.
        """
        self._in_service[request] = None
        request.paused = self._paused_total
        self._loop.at(self._loop.now + self._draw() * self._slowdown, self._finish, request)

    def _finish(self, request: _Request) -> None:
        """End the work on *request*, or go on with it for as long as the server has stood still meanwhile."""
        owed = self._paused_total - request.paused
        if owed:
            request.paused = self._paused_total
            self._loop.at(self._loop.now + owed, self._finish, request)
            return
        if request not in self._in_service:  # lost in an outage
            return
        if self._below is not None:
            request.call_below = self._loop.create_task(self._call_below(request, self._below))
            return
        self._end(request)
        if self._scenario.network:
            self._loop.at(self._loop.now + self._scenario.network, _deliver, request.answer)
        else:
            _deliver(request.answer)
        self._serve()

    async def _call_below(self, request: _Request, below: Below) -> None:
        answered = await below(request.deadline)
        # A server that stands still gives no answer before it goes on.
        self._loop.at(max(self._loop.now, self._pause_ends), self._finish_above, (request, answered))

    def _finish_above(self, ended: tuple[_Request, bool]) -> None:
        """Answer *ended*, a request and whether the next layer has answered."""
        request, answered = ended
        if request not in self._in_service:  # lost in an outage
            return
        self._end(request)
        if answered:
            self._loop.at(self._loop.now + self._scenario.network, _deliver, request.answer)
        else:
            self._answer_later(request.answer, self._failures.below)
        self._serve()

    def _end(self, request: _Request) -> None:
        del self._in_service[request]
        self.wasted += request.answer.done()

    def _serve(self) -> None:
        """Begin with the requests that have waited longest, while workers are free and the server is not paused."""
        while self._queue and len(self._in_service) < self.workers and not self._pauses:
            request = self._queue.popleft()
            if request.deadline > self._loop.now:
                self._begin(request)
            else:
                self._answer_later(request.answer, self._failures.timed_out)

    def _answer_later(self, answer: asyncio.Future[object], failure: Callable[[], Exception]) -> None:
        self._loop.at(self._loop.now + self._scenario.network, self._fail, (answer, failure))

    def _time_out(self, answer: asyncio.Future[object]) -> None:
        """Fail a request that the client's own time limit has ended, unless it has been answered."""
        self._fail((answer, self._failures.timed_out))

    def _fail(self, failed: tuple[asyncio.Future[object], Callable[[], Exception]]) -> None:
        """Set the exception of a request, and note its class: the engine knows by it which errors are the server's."""
        answer, failure = failed
        if not answer.done():
            error = failure()
            self.kinds_of_failures.add(type(error))
            answer.set_exception(error)

    # -- disturbances -------------------------------------------------------------------------------------------------

    def schedule(self) -> None:
        """Put the disturbances of the scenario into the loop's agenda."""
        handlers: dict[type[object], tuple[Callable[..., object], Callable[..., object]]] = {
            Outage: (self._go_down, self._come_up),
            Slowdown: (self._change_speed, self._change_speed),
            Resize: (self._change_workers, self._change_workers),
            Pause: (self._pause, self._go_on),
        }
        for event in self._scenario.events:
            if type(event) in handlers:
                begin, end = handlers[type(event)]
                self._loop.at(event.at, begin, event)
                if not isinstance(event, Pause) and event.ends < self._scenario.duration:
                    self._loop.at(event.ends, end, event)

    def _go_down(self, event: Outage) -> None:
        """Lose all requests, those in service and those in the queue: they hang, or their connections are reset."""
        self._outages.append(event)
        lost = [*self._in_service, *self._queue]
        self._in_service.clear()
        self._queue.clear()
        for request in lost:
            if request.call_below is not None:
                request.call_below.cancel()
            if event.mode == "hang":
                self._hung.append(request.answer)
            else:
                self._answer_later(request.answer, self._failures.reset)

    def _come_up(self, event: Outage) -> None:
        """End an outage. Requests that hung have lost their connections: none of them is ever answered."""
        self._outages.remove(event)
        hung, self._hung = self._hung, []
        for answer in hung:
            self._answer_later(answer, self._failures.reset)

    def _change_speed(self, _: Slowdown) -> None:
        """Set the speed at which requests begin from now on, from all slowdowns that are in force."""
        self._slowdown = 1.0
        for event in self._in_force(Slowdown):
            self._slowdown /= event.speed

    def _change_workers(self, _: Resize) -> None:
        """Set the number of workers. Those that are taken away finish the request that they work on."""
        share = 1.0
        for event in self._in_force(Resize):
            share *= event.workers
        self.workers = round(self._all_workers * share)
        self._serve()

    def _in_force(self, kind: type[E]) -> list[E]:
        now = self._loop.now
        return [event for event in self._scenario.events if isinstance(event, kind) and event.at <= now < event.ends]

    def _pause(self, event: Pause) -> None:
        now = self._loop.now
        self._pauses += 1
        self._paused_total += event.lasts
        self._pause_ends = max(self._pause_ends, now + event.lasts)
        self._loop.at(now + event.lasts, self._go_on, event)
        if event.every is not None:
            self._loop.at(now + event.every, self._pause, event)

    def _go_on(self, _: Pause) -> None:
        """End a pause, and serve unless another one is in force."""
        self._pauses -= 1
        self._serve()


def _deliver(answer: asyncio.Future[object]) -> None:
    """Answer a request, unless its caller has left."""
    if not answer.done():
        answer.set_result(ANSWER)
