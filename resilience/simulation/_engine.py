"""`simulate`: the calls of a function, through its own policies, to the model of a server, in virtual time.

The function's body is replaced by a request to the server; the policies around it are the real ones, fresh copies for
each client. All of it runs on one asyncio loop whose time jumps. Sync functions are simulated as async ones: a policy
is the same generator for both, and a thread would have to wait in real time.

Everything runs in an empty context and without the listeners of events, so that a run leaves no trace in the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import math
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from resilience._runtime.callables import name_of
from resilience._runtime.decorate import Guarded, guarded
from resilience.categories import ErrorCategory
from resilience.classification.classifier import classify
from resilience.classification.registry import current_rules, settle_hintless
from resilience.errors.base import CallTimeoutError, DeadlineExceededError, ResilienceError
from resilience.metrics.tracking import Tracked
from resilience.policies.deadline import Deadline
from resilience.settings import MUTED, Switched
from resilience.simulation._copies import Copies
from resilience.simulation._result import Series, Simulation
from resilience.simulation._scenario import Scenario, Surge
from resilience.simulation._server import ANSWER, Below, Server
from resilience.simulation._virtual_loop import VirtualLoop, in_own_context, run_virtually

__all__ = [
    "Arguments",
    "Layer",
    "Progress",
    "Request",
    "Run",
    "find_guarded",
    "layer_of",
    "simulate",
    "simulate_wrapped",
]

T = TypeVar("T")

Progress: TypeAlias = Callable[[float], object]
"""Called each simulated second with the share of the run that is done."""
Arguments: TypeAlias = Callable[[random.Random], tuple[object, ...]]
"""Returns the positional arguments of a call."""

Request: TypeAlias = Callable[..., Awaitable[object]]
"""Makes a request to the simulated server, whatever arguments it is given."""

_QUANTILES = (0.5, 0.9, 0.99)
_COLLECTED = 500_000
_MAX_CHAIN = 10


def simulate(
    function: Callable[..., object],
    scenario: Scenario,
    *,
    arguments: Arguments | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Simulate the calls of *function* in *scenario*, and return what happens.

    The body of the function is not called: in its place the simulated server answers. Its policies are the real ones,
    as fresh copies for each client; those of the program, and its listeners, see nothing of it. Your own policies run
    on a copy of what they hold. Functions that answer in place of a call (``factory=``, ``chain=``, ``to=``) are not
    called either, and count as an answer; callbacks that only observe, such as ``on_retry``, are left out; functions
    that decide, such as ``retry_if_result``, see the server's answer.

    A sync function is simulated as an async one, without the limits of threads. The circuits of a fleet are those of
    single processes, one for each client: the store, its delays, and what processes learn by it are left out.

    Args:
        function: A function that is guarded by policies, sync or async; one without any is simulated as it is.
        scenario: The calls, the server and the disturbances.
        arguments: Returns the positional arguments of a call, for policies that have a ``key=``. None: no arguments.
        progress: Called each simulated second with the share of the run that is done.

    Raises TypeError for a function that cannot be simulated, and RuntimeError where the calls fail by a mistake of
    their own: an error that neither the server nor a policy has made.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=3)
    ... def search(query: str) -> list[str]:
    ...     raise AssertionError("never called")
    >>> result = simulate(search, Scenario(rps=50, capacity=100, duration=20))
    >>> result.verdict, result.amplification
    ('safe', 1.0)
    """
    if not callable(function):
        raise TypeError(f"simulate({function!r}): give a function, guarded by policies or not")
    run = Run([layer_of(function, scenario, arguments=arguments)], progress)
    return in_own_context(run.run)[0]


def simulate_wrapped(
    wrap: Callable[[Request], Callable[..., Any]],
    scenario: Scenario,
    *,
    name: str = "request",
    arguments: Arguments | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Simulate what *wrap* makes of a request: policies of any library, or a function that makes several requests.

    *wrap* is called once for each client, in virtual time, with an async function that takes any arguments and makes a
    request. It returns the async function that is called then. What it uses is not copied: make circuits, budgets and
    limits in it. The rest is as in `simulate`, under this *name*.

    >>> from resilience import RetryBudget, retry_on_category
    >>> def with_budget(request):
    ...     return retry_on_category(budget=RetryBudget("catalogue"))(request)
    >>> simulate_wrapped(with_budget, Scenario(rps=20, capacity=50, duration=20, failing=0.2)).verdict
    'safe'
    """
    run = Run([Layer(name, (), wrap, scenario, arguments)], progress)
    return in_own_context(run.run)[0]


def layer_of(function: Callable[..., object], scenario: Scenario, **options: Any) -> Layer:
    """Return the layer of *function*, with its policies and the other *options* of `Layer`."""
    record = find_guarded(function)
    stack: tuple[str, ...] = ()
    if record is not None:
        stack = tuple(str(policy) for policy in record.policies if not isinstance(policy, Tracked))
    return Layer(name_of(function), stack, functools.partial(_with_copies, record), scenario, **options)


def _with_copies(record: Guarded | None, request: Request) -> Callable[..., Any]:
    """Return the function of one client: *request*, with fresh copies of the policies around it."""
    if record is None:
        return request
    stack = Copies().of_stack(record.policies)
    if not stack:
        return request
    return Guarded(record.target, request, stack).wrap()


def find_guarded(function: Callable[..., object]) -> Guarded | None:
    """Return the record of *function*, or of the guarded one that other decorators have wrapped; None: none is."""
    each: Any = function
    while each is not None:
        found = guarded(each)
        if found is not None:
            return found
        each = getattr(each, "__wrapped__", None)
    return None


class Layer:
    """A function and its server in a run: the policies of each client, and the counts. *depth* is 0 for the first.

    Without a *below* the server answers by itself; with one it calls that layer. With *deadlines* the requests of each
    layer carry those of their callers.
    """

    def __init__(
        self,
        target: str,
        stack: tuple[str, ...],
        wrap: Callable[[Request], Callable[..., Any]],
        scenario: Scenario,
        arguments: Arguments | None = None,
        below: Layer | None = None,
        *,
        depth: int = 0,
        deadlines: bool = False,
    ) -> None:
        assert scenario.batch is not None
        self.scenario = scenario
        self.batch: int = scenario.batch
        self.clients: int = max(1, round(scenario.clients / self.batch))
        self.target = target
        self.stack = stack
        self.wrap = wrap
        self.arguments = arguments
        self.below = below
        self.deadlines = deadlines
        self.series = Series.empty(math.ceil(scenario.duration))
        self.durations: list[float] = []
        self.bugs: list[Exception] = []
        self.stacks: dict[int, Callable[..., Any]] = {}
        # A generator for each purpose: with another policy the same calls come at the same moments.
        number = f" {depth}" * bool(depth)
        self.chances = {name: random.Random(f"{scenario.seed} {name}{number}") for name in ("calls", "server")}

    def begin(self, loop: VirtualLoop) -> None:
        """Begin a run in *loop*, with a server in which nothing has happened yet."""
        below: Below | None = None
        if self.below is not None:
            self.below.begin(loop)
            below = self._call_below
        self.loop = loop
        self.server = Server(self.scenario, loop, self.chances["server"], below, deadlines=self.deadlines)

    def end_second(self, second: int) -> None:
        """Count the requests that wait."""
        self.series.queue[second] = self.server.queue_length * self.batch

    async def _call_below(self, moment: float) -> bool:
        """Call the next layer until *moment*, as one of the processes that the server consists of."""
        assert self.below is not None
        client = self.below.chances["calls"].randrange(self.below.clients)
        return await self.below.make_call(client, moment - self.loop.now)

    async def make_call(self, client: int, seconds: float = math.inf) -> bool:
        """Call the function as *client*, under a deadline of *seconds*; return whether it has returned anything."""
        series, began = self.series, self.loop.now
        second = int(began)
        series.arrivals[second] += self.batch
        stack = self.stacks.get(client)
        if stack is None:
            stack = self.stacks[client] = self.wrap(self._request)
        arguments: tuple[object, ...] = ()
        if self.arguments is not None:
            arguments = self.arguments(self.chances["calls"])
        try:
            if seconds == math.inf:
                value = await stack(*arguments)
            else:
                value = await Deadline(seconds).acall(stack, *arguments)
        except Exception as error:
            if ErrorCategory.REJECTED & classify(error):
                series.rejected[second] += self.batch
            else:
                series.failed[second] += self.batch
                if not self._is_expected(error):
                    self.bugs.append(error)
            return False
        if value is not ANSWER:
            series.substituted[second] += self.batch
            return True
        took = self.loop.now - began
        self.durations.append(took)
        if took <= cast("float", self.scenario.in_time):
            series.answered[second] += self.batch
        else:
            series.late[second] += self.batch
        return True

    def _is_expected(self, error: BaseException | None) -> bool:
        """Whether the server or a policy has made *error*, or what it was raised from."""
        for _ in range(_MAX_CHAIN):
            if error is None:
                return False
            if isinstance(error, ResilienceError) or type(error) in self.server.kinds_of_failures:
                return True
            error = error.__cause__ or error.__context__
        return False

    async def _request(self, *_arguments: object, **_keywords: object) -> object:
        """Make a request: what stands in the place of the function's body."""
        second = int(self.loop.now)
        if second < len(self.series):
            self.series.sent[second] += self.batch
        return await self.server.request()

    def result(self) -> Simulation:
        """Return the result of the run."""
        durations = sorted(self.durations)
        quantiles: dict[float, float] = {}
        mean: float | None = None
        if durations:
            quantiles = {share: durations[int(share * len(durations))] for share in _QUANTILES}
            mean = math.fsum(durations) / len(durations)
        wasted = self.server.wasted * self.batch
        return Simulation(self.target, self.stack, self.scenario, self.series, quantiles, mean, wasted)


class Run:
    """One run of a simulation: the calls of the first of *layers*, each of which calls the next one."""

    def __init__(self, layers: Sequence[Layer], progress: Progress | None) -> None:
        self.layers = layers
        self.first: Layer = layers[0]
        self.progress = progress
        scenario = self.first.scenario
        self.scenario = scenario
        self.policies_chance = random.Random(f"{scenario.seed} policies")

    def run(self) -> tuple[Simulation, ...]:
        """Return the result of each layer."""
        for kind in (CallTimeoutError, DeadlineExceededError):
            settle_hintless(kind, current_rules())  # no server has made them: in a storm each is searched for a hint
        self.loop = VirtualLoop()
        self.first.begin(self.loop)
        with _rare_collection(), Switched(MUTED, everywhere=False):
            run_virtually(self._main(), self.scenario.seed, loop=self.loop, chance=self.policies_chance)
        for layer in self.layers:
            if layer.bugs:
                raise RuntimeError(
                    f"calls of {layer.target} fail by themselves, first by {layer.bugs[0]!r}: where a policy has key="
                    " or cost=, give simulate() arguments=, a function that returns those of a call"
                ) from layer.bugs[0]
        return tuple(layer.result() for layer in self.layers)

    async def _main(self) -> None:
        done: asyncio.Future[None] = self.loop.create_future()
        for layer in self.layers:
            layer.server.schedule()
        self._schedule_arrivals()
        for second in range(len(self.first.series)):
            self.loop.at(second + 1.0, self._end_second, second)
        self.loop.at(self.scenario.duration, lambda _: done.set_result(None))
        await done
        self.loop.clear()
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        if calls:
            await asyncio.wait(calls)

    def _end_second(self, second: int) -> None:
        for layer in self.layers:
            layer.end_second(second)
        if self.progress is not None:
            self.progress((second + 1) / len(self.first.series))

    # -- calls --------------------------------------------------------------------------------------------------------

    def _schedule_arrivals(self) -> None:
        scenario = self.scenario
        self.rate = scenario.rps / self.first.batch
        self.surges = [event for event in scenario.events if isinstance(event, Surge)]
        self.highest_factor: float = math.prod(surge.times for surge in self.surges if surge.times > 1)
        if scenario.arrivals == "closed":
            users = max(1, round(self.rate * (scenario.think + scenario.latency.mean)))
            for user in range(users):
                self.loop.at(self._think(), self._call_of_user, user)
        elif scenario.arrivals == "regular":
            self.loop.at(0.0, self._schedule_second, 0)
        else:
            self._schedule_next()

    def _think(self) -> float:
        if not self.scenario.think:
            return 0.0
        return self.first.chances["calls"].expovariate(1 / self.scenario.think)

    def _factor(self, moment: float) -> float:
        factor = 1.0
        for surge in self.surges:
            if surge.at <= moment < surge.ends:
                factor *= surge.times
        return factor

    def _schedule_second(self, second: int) -> None:
        """Put the calls of a second into the agenda: a whole number of them, at random moments."""
        chance = self.first.chances["calls"]
        before = round(second * self.rate)
        number = round((round((second + 1) * self.rate) - before) * self._factor(second))
        for place in range(number):
            moment = second + chance.random()
            if moment < self.scenario.duration:
                self.loop.at(moment, self._call, (before + place) % self.first.clients)
        if second + 1 < self.scenario.duration:
            self.loop.at(second + 1.0, self._schedule_second, second + 1)

    def _schedule_next(self) -> None:
        """Put the next call of a Poisson process into the agenda; while the rate is higher, by thinning."""
        chance, most, moment = self.first.chances["calls"], self.highest_factor, self.loop.now
        while True:
            moment += chance.expovariate(self.rate * most)
            if moment >= self.scenario.duration:
                return
            if not self.surges or chance.random() * most < self._factor(moment):
                break
        self.loop.at(moment, self._call_and_schedule)

    def _call_and_schedule(self, _: object) -> None:
        self._call(self.first.chances["calls"].randrange(self.first.clients))
        self._schedule_next()

    def _call(self, client: int) -> None:
        self._start(self.first.make_call(client))

    def _call_of_user(self, user: int) -> None:
        self._start(self._use(user))

    def _start(self, call: Coroutine[Any, Any, object]) -> None:
        self.loop.create_task(call)  # the loop's agenda, or the server's queue, leads to it

    async def _use(self, user: int) -> None:
        await self.first.make_call(user % self.first.clients)
        self.loop.at(self.loop.now + self._think(), self._call_of_user, user)


@contextlib.contextmanager
def _rare_collection() -> Generator[None]:
    """Have the garbage collector run rarely: with ten thousands of calls in flight it would take most of the time."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECTED, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
