"""Analytic screen: where the load of a dependency can settle, and whether a trouble takes it there.

A dependency that fails gets more requests: those of the retries. The load L on it is therefore a fixed point of

    L = l (1 + r(p(L)))

where l is the rate of calls, p(L) the share of attempts that fail under the load L, and r(p) the retries that a call
makes when that share fails: p + p^2 + ... for as many retries as the callers make, bounded by their budget. Between
the capacity of the server and infinity p is 1: the queue grows until every caller has left before the answer, and the
server works for callers that have left. So there may be two stable fixed points, one where nearly all calls are
answered and one where none is, and an unstable one between them. The names of what follows are those of Huang et al.:

* *safe*: there is the good one alone. Whatever happens, the dependency comes back when it is over;
* *vulnerable*: there are both. A trouble that lasts long enough leads from one to the other;
* *metastable*: the trouble at hand does: it is over, and the failure stays;
* *overloaded*: there is no good one. The calls alone are too much, or their time limit is too short.

`settle` finds the fixed points. `outlasts` follows the trouble at hand as a fluid, second by second, and says whether
the load is at the good point afterwards. `screen` puts both together.

The formula and the feedback: Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021; the names: Huang
et al., "Metastable Failures in the Wild", OSDI 2022; analysis before simulation: Isaacs et al., "Analyzing Metastable
Failures", HotOS 2025, and Alvaro et al., "Formal Analysis of Metastable Failures in Software Systems",
arXiv:2510.03551. The queue: M/G/c, with the waiting time of Erlang's formula C and the correction of Allen and Cunneen
for service times that are not exponential.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from statistics import NormalDist

from resilience.simulation._result import Verdict

__all__ = ["Callers", "Phase", "Screening", "Server", "outlasts", "screen", "settle"]

#: The share of calls that are answered where a dependency is well.
ANSWERED = 0.95
#: Loads that are looked at between that of the calls alone and that of all retries.
_STEPS = 200
#: Seconds of a step of the fluid, at most.
_STEP = 0.05
_NORMAL = NormalDist()


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """The dependency: *capacity* requests a second, *workers* at a time, with service times in seconds.

    Service times are lognormal with the median *p50* and the spread *sigma*, the standard deviation of their logarithm.
    At most *queue* requests wait; further ones are refused.
    """

    capacity: float
    p50: float
    sigma: float
    workers: int
    queue: float = math.inf

    @property
    def mean(self) -> float:
        """The mean service time, in seconds."""
        return self.p50 * math.exp(self.sigma**2 / 2)

    def served_within(self, seconds: float) -> float:
        """Return the share of requests that are served within *seconds* once a worker has begun them.

        >>> round(Server(capacity=100, p50=0.040, sigma=0.866, workers=6).served_within(0.300), 2)
        0.99
        """
        if seconds <= 0:
            return 0.0
        if seconds == math.inf or not self.sigma:
            return float(seconds >= self.p50)
        return _NORMAL.cdf(math.log(seconds / self.p50) / self.sigma)

    def fails(self, load: float, time_limit: float) -> float:
        """Return the share of attempts that fail within *time_limit* when *load* requests a second arrive for good."""
        if load >= self.capacity:
            return 1 - self.capacity / load * self.served_within(time_limit - self.queue / self.capacity)
        return 1 - self._answered_within(load, time_limit)

    def _answered_within(self, load: float, seconds: float) -> float:
        """Return the share that is answered within *seconds*: the wait for a worker and the service, M/G/c."""
        waiting = _erlang_c(self.workers, load / self.capacity * self.workers)
        # Allen and Cunneen: the mean wait grows with the variance of service times, (1 + cv^2) / 2.
        variance = math.exp(self.sigma**2) - 1
        rate = (self.capacity - load) * 2 / (1 + variance)
        if seconds == math.inf or waiting < 1e-6:
            return self.served_within(seconds)
        slices = 50
        middles = [(number + 0.5) / slices for number in range(slices)]
        delayed = sum(self.served_within(seconds + math.log(1 - share) / rate) for share in middles) / slices
        return (1 - waiting) * self.served_within(seconds) + waiting * delayed


def _erlang_c(workers: int, busy: float) -> float:
    """Return the probability that all *workers* are busy when *busy* of them are on the average: Erlang's formula C.

    >>> round(_erlang_c(1, 0.5), 3), round(_erlang_c(10, 5.0), 3)
    (0.5, 0.036)
    """
    blocked = 1.0
    for number in range(1, workers + 1):  # Erlang's formula B, by its recursion, which does not overflow
        blocked = busy * blocked / (number + busy * blocked)
    return blocked / (1 - busy / workers * (1 - blocked))


@dataclasses.dataclass(frozen=True, slots=True)
class Callers:
    """The callers, as far as they decide the load: *calls* a second, all *clients* together, and their policies.

    An attempt fails after *time_limit* seconds. A call makes up to *attempts*, with *waits* seconds between them, the
    last wait again and again; all of it ends after *deadline* seconds. The budget of each client holds *tokens*, a
    retry takes *cost* of them, and *reserve* retries a second are made without; infinite *tokens* are no budget. At
    most *limit* calls of a client are in flight. A client whose attempts fail makes no call for *reset_timeout* seconds
    where it has a circuit breaker; None: it has none.
    """

    calls: float
    clients: int = 1
    attempts: float = 1
    time_limit: float = math.inf
    deadline: float = math.inf
    waits: Sequence[float] = (0.0,)
    tokens: float = math.inf
    cost: float = 0.0
    reserve: float = 0.0
    limit: float = math.inf
    reset_timeout: float | None = None

    def wait_before(self, retry: int) -> float:
        """Return the seconds before retry number *retry*, from 1."""
        return self.waits[min(retry, len(self.waits)) - 1]

    @property
    def tries(self) -> int:
        """The attempts that a call makes where each one takes its whole time limit."""
        most = int(min(self.attempts, _MAX_ATTEMPTS))
        if self.deadline == math.inf:
            return most
        each = min(self.time_limit, self.deadline)
        seconds = (each + self.wait_before(retry) for retry in range(1, most))
        return sum(begin < self.deadline for begin in itertools.accumulate(seconds, initial=0.0))

    def retries(self, failing: float) -> float:
        """Return the retries that a call makes on the average where the share *failing* of all attempts fails.

        >>> Callers(calls=100, attempts=3).retries(1.0), round(Callers(calls=100, attempts=3).retries(0.1), 2)
        (2.0, 0.11)
        >>> round(Callers(calls=100, attempts=3, tokens=500, cost=14, reserve=1).retries(1.0), 2)
        0.01
        """
        wanted = sum(failing**retry for retry in range(1, self.tries))
        if self.tokens == math.inf or not failing:
            return wanted
        # Successes pay 1 each; a retry that fails has taken its cost for good.
        earned = (1 - failing) / self.cost if self.cost else math.inf
        return min(wanted, (earned + self.reserve * self.clients / self.calls) / failing)

    def load(self, failing: float, mean: float = 0.0) -> float:
        """Return the requests a second that the callers send where the share *failing* of all attempts fails.

        *mean* is how long an attempt takes that does not fail, in seconds.
        """
        most = math.inf
        if self.time_limit < math.inf:  # a slot is held until the time limit where the attempt fails
            most = self.limit * self.clients / max(_SHORTEST, mean + failing * (self.time_limit - mean))
        if self.reset_timeout is not None and failing >= _OPENS:
            most = min(most, self.clients / self.reset_timeout)  # a probe each
        return min(self.calls * (1 + self.retries(failing)), most)


#: More than any stack makes on purpose; a retry without a limit of attempts makes as many within the time of a screen.
_MAX_ATTEMPTS = 200
#: Seconds that a slot is held at least.
_SHORTEST = 1e-6
#: The share of failures at which a circuit breaker is open.
_OPENS = 0.9


@dataclasses.dataclass(frozen=True, slots=True)
class Phase:
    """Seconds from *begin* to *end* in which the server works at *speed*, with that share of its *workers*.

    In it *times* as many calls come as usual. A server that is *down* loses what it has, and answers no request: it
    *refuses* each at once, or lets it hang.
    """

    begin: float
    end: float
    speed: float = 1.0
    workers: float = 1.0
    times: float = 1.0
    down: bool = False
    refuses: bool = True

    @property
    def capacity(self) -> float:
        """The share of its capacity that the server has."""
        return self.speed * self.workers

    def beside(self, other: Phase) -> Phase:
        """Return what holds while both are in force."""
        return Phase(
            self.begin,
            self.end,
            self.speed * other.speed,
            self.workers * other.workers,
            self.times * other.times,
            self.down or other.down,
            self.refuses and other.refuses,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Screening:
    """The answer of the screen: the *verdict*, and the loads at which the system can stay, in requests a second.

    *good* is the one at which calls are answered, *bad* the one at which they are not, *tips* the load between them
    from which it goes to the bad one. Each is None where there is none.
    """

    verdict: Verdict
    good: float | None
    tips: float | None
    bad: float | None


def screen(server: Server, callers: Callers, phases: Sequence[Phase] = (), duration: float = 0.0) -> Screening:
    """Return where the load can settle, and whether it does so at the bad end after *phases* of trouble.

    *duration* is the time in seconds by which the dependency must have come back, from the beginning on.

    >>> server = Server(capacity=1500, p50=0.040, sigma=0.866, workers=87)
    >>> slow = [Phase(30, 60, speed=0.5)]
    >>> screen(server, Callers(1000, attempts=3, time_limit=1.0), slow, 120).verdict
    'metastable'
    >>> screen(server, Callers(1000, attempts=3, time_limit=1.0), [Phase(30, 31, speed=0.5)], 120).verdict
    'vulnerable'
    >>> screen(server, Callers(1000, attempts=3, time_limit=1.0, tokens=500, cost=10), slow, 120).verdict
    'safe'
    """
    good, tips, bad = settle(server, callers)
    if good is None:
        return Screening("overloaded", good, tips, bad)
    if bad is None:
        return Screening("safe", good, tips, bad)
    if phases and not outlasts(server, callers, phases, duration):
        return Screening("metastable", good, tips, bad)
    return Screening("vulnerable", good, tips, bad)


def settle(server: Server, callers: Callers) -> tuple[float | None, float | None, float | None]:
    """Return the loads, in requests a second, that are fixed points: the good, the unstable and the bad one.

    A load is stable where the callers send more at a little less load, and less at a little more.
    """
    if callers.calls * server.mean > callers.limit * callers.clients:  # Little's law: too few calls may be in flight
        return None, None, callers.calls
    most = max(callers.load(1.0, server.mean), callers.calls * callers.tries, server.capacity) * 1.01
    loads = [callers.calls * 0.99 + (most - callers.calls * 0.99) * step / _STEPS for step in range(_STEPS + 1)]
    surplus = [callers.load(server.fails(load, callers.time_limit), server.mean) - load for load in loads]
    good = tips = bad = None
    for load, before, after in zip(loads[1:], surplus, surplus[1:], strict=False):
        if before > 0 >= after and _is_good(server, callers, load):
            good = load if good is None else good
        elif before > 0 >= after:
            bad = load
        elif before <= 0 < after:
            tips = load
    return good, tips, bad


def _is_good(server: Server, callers: Callers, load: float) -> bool:
    """Whether enough calls are answered at *load*."""
    failing = server.fails(load, callers.time_limit)
    made = 1 + callers.retries(failing)
    return load < server.capacity and 1 - failing**made >= ANSWERED


# -- the trouble at hand ---------------------------------------------------------------------------------------------


def outlasts(server: Server, callers: Callers, phases: Sequence[Phase], duration: float) -> bool:
    """Return whether calls are answered again by the time *duration*, after the *phases* of trouble.

    Requests are a fluid: rates instead of single ones, without chance. Each step asks how long a request that arrives
    now has to wait for those before it, and sends the part of it that will have failed to its next attempt.
    """
    return _Fluid(server, callers, phases, duration).run()


class _Fluid:
    """The state of `outlasts`: the backlog of the server, the attempts to come, and what the policies hold."""

    def __init__(self, server: Server, callers: Callers, phases: Sequence[Phase], duration: float) -> None:
        self._server = server
        self._callers = callers
        self._step = min(_STEP, callers.time_limit / 5)
        self._steps = int(duration / self._step)
        self._phases: list[Phase] = [_at(phases, step * self._step) for step in range(self._steps)]
        #: The requests that the server can have served until each step.
        self._served: list[float] = list(
            itertools.accumulate((phase.capacity * server.capacity * self._step for phase in self._phases), initial=0.0)
        )
        tries = int(min(callers.attempts, _MAX_ATTEMPTS))
        #: By step and attempt: the attempts that begin then.
        self._begin: list[list[float]] = [[0.0] * tries for _ in range(self._steps)]
        self._freed: list[float] = [0.0] * self._steps
        self._answered: dict[tuple[float, float], float] = {}
        self._backlog = 0.0
        self._in_flight = 0.0
        self._tokens = callers.tokens * callers.clients
        self._closed_from = 0  # the step at which open circuits close again
        self._failing_for = 0.0  # calls of each client that have failed in a row

    def run(self) -> bool:
        """Return whether the last seconds are good."""
        callers, step = self._callers, self._step
        answered: list[float] = []
        for now in range(self._steps):
            begin = self._begin[now]
            begin[0] += callers.calls * self._phases[now].times * step
            self._in_flight -= self._freed[now]
            sent = self._admitted(now, sum(begin))
            share = sent / sum(begin)
            failing, seconds = self._arrive(now, sent)
            self._observe(now, sent, failing)
            self._retry(now, [each * share for each in begin], failing, seconds)
            answered.append((1 - failing) * share)
            self._backlog = max(0.0, self._backlog - (self._served[now + 1] - self._served[now]))
        last = answered[-max(1, int(2 / step)) :]
        return sum(last) / len(last) >= _HALF

    def _admitted(self, now: int, wanted: float) -> float:
        """Return how many attempts of the *wanted* ones the callers' own limit and circuits let through."""
        if now < self._closed_from:
            return 0.0
        return min(wanted, max(0.0, self._callers.limit * self._callers.clients - self._in_flight))

    def _arrive(self, now: int, sent: float) -> tuple[float, float]:
        """Return the share of the *sent* requests that will have failed, and after how many seconds."""
        server, limit = self._server, self._callers.time_limit
        phase = self._phases[now]
        if phase.down:
            self._backlog = 0.0
            return 1.0, {True: 0.0, False: limit}[phase.refuses]
        taken = min(sent, max(0.0, server.queue - self._backlog))
        self._backlog += taken
        wait = self._wait(now)
        answered = taken / sent * self._served_within(phase, sent, limit - wait) if sent else 1.0
        self._hold(now, sent, min(wait + server.mean, limit))
        return 1 - answered, limit * (taken >= sent / 2)  # those that are refused fail at once

    def _served_within(self, phase: Phase, sent: float, seconds: float) -> float:
        """Return the share of what the server takes now that it answers within *seconds* after their wait."""
        if not phase.capacity:
            return self._server.served_within(seconds)
        load = round(sent / self._step / (self._server.capacity * phase.capacity), 2)
        if load >= 1 or seconds < self._callers.time_limit:  # they wait for a backlog, which the fluid knows
            return self._server.served_within(seconds * phase.speed)
        if (load, phase.speed) not in self._answered:  # without one they wait by chance
            answered = 1 - self._server.fails(load * self._server.capacity, seconds * phase.speed)
            self._answered[load, phase.speed] = answered
        return self._answered[load, phase.speed]

    def _wait(self, now: int) -> float:
        """Return the seconds in which the server works off its backlog."""
        due = self._served[now] + self._backlog
        low, high = now, self._steps
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._served[middle] < due else (low, middle)
        if low == self._steps and self._served[low] < due:
            return (low - now) * self._step + (due - self._served[low]) / self._server.capacity
        return (
            (low - now) * self._step * (self._backlog > self._server.capacity * self._phases[now].capacity * self._step)
        )

    def _hold(self, now: int, sent: float, seconds: float) -> None:
        if self._callers.limit < math.inf:
            self._in_flight += sent
            end = min(now + max(1, round(seconds / self._step)), self._steps - 1)
            self._freed[end] += sent

    def _observe(self, now: int, sent: float, failing: float) -> None:
        """Pay the budgets for successes, and open the circuits after failures."""
        callers = self._callers
        self._tokens += (sent * (1 - failing) + callers.reserve * callers.clients * self._step * callers.cost) * (
            callers.tokens < math.inf
        )
        self._tokens = min(self._tokens, callers.tokens * callers.clients)
        if callers.reset_timeout is None or not sent:
            return
        self._failing_for = (self._failing_for + sent / callers.clients) * (failing >= _OPENS)
        if self._failing_for >= _FAILURES_IN_A_ROW:
            self._closed_from = now + 1 + round(callers.reset_timeout / self._step)

    def _retry(self, now: int, begin: Sequence[float], failing: float, seconds: float) -> None:
        """Schedule the next attempts of what fails, as far as the budget pays for them."""
        callers = self._callers
        wanted = failing * sum(begin[: callers.tries - 1] if seconds else begin[:-1])
        if not wanted or (seconds == math.inf):
            return
        paid = self._pay(wanted)
        for number, count in enumerate(begin[:-1]):
            if seconds and number >= callers.tries - 1:
                break
            when = now + max(1, round((seconds + callers.wait_before(number + 1)) / self._step))
            if when < self._steps:
                self._begin[when][number + 1] += count * failing * paid

    def _pay(self, wanted: float) -> float:
        """Take the cost of *wanted* retries out of the budgets; return the share of these that they pay for."""
        callers = self._callers
        if callers.tokens == math.inf or not callers.cost:
            return 1.0
        paid = min(1.0, self._tokens / callers.cost / wanted)
        self._tokens -= wanted * paid * callers.cost
        return paid


#: Failures of one client in a row at which its circuit opens, as `circuit_breaker` has it unless told otherwise.
_FAILURES_IN_A_ROW = 5
#: The share of answered attempts that tells the good point from the bad one, which lie far apart.
_HALF = 0.5


def _at(phases: Sequence[Phase], moment: float) -> Phase:
    """Return what is in force at *moment*, all *phases* together."""
    now = Phase(moment, moment)
    for phase in phases:
        if phase.begin <= moment < phase.end:
            now = now.beside(phase)
    return now
