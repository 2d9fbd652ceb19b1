"""Simulation of a function's own policies in virtual time, against the model of a server in trouble.

``simulate(function, Scenario(...))`` calls a guarded function some hundred thousand times, with the real policies and
without its body, and says whether it comes back when the trouble is over, how soon, and at what load.

    _scenario       `Scenario` and the disturbances
    _latency        `Latency`, the distribution of the server's work
    _server         the model of the server, whose queue keeps requests that their callers have left
    _copies         fresh copies of policies, one set for each client
    _virtual_loop   the asyncio loop whose time jumps
    _engine         `simulate`, and `simulate_wrapped` for other policies than ours
    _layers         `simulate_layers`, functions whose servers call the next one
    _result         `Simulation`, the numbers of a run
    _text           the same in words
    _plot           the same as a picture, in SVG
    _parse          a scenario from the texts of the command line
    _screen         the analytic screen: the loads at which the system can stay; `_screening`, `_callers` read a stack
    _sweep          `sweep`, many simulations as a map: `_axes`, `_variants`, `_judgement`, `_map`, `_map_page`
    _trigger        `find_trigger`, the smallest trouble that a function does not come back from
    _advice         `advise`, limits, budgets and pools with reasons
    _trace          `CallTrace`, a record of calls; `_replay` makes them once more, in virtual time

Nothing else in the toolkit imports this package.
"""

from resilience.simulation._advice import Advice, advise
from resilience.simulation._axes import Axis, parse_axes
from resilience.simulation._engine import simulate, simulate_wrapped
from resilience.simulation._latency import Latency
from resilience.simulation._layers import LayeredSimulation, simulate_layers
from resilience.simulation._map import Cell, PlanMap
from resilience.simulation._replay import Replay, Tally, replay
from resilience.simulation._result import Part, Series, Simulation
from resilience.simulation._scenario import (
    Disturbance,
    Failures,
    Outage,
    Pause,
    Resize,
    Scenario,
    Slowdown,
    Surge,
)
from resilience.simulation._screen import Screening
from resilience.simulation._screening import screen_function
from resilience.simulation._sweep import sweep
from resilience.simulation._trace import CallTrace, TracedAttempt, TracedCall, read_trace
from resilience.simulation._trigger import Trigger, find_trigger
from resilience.simulation._variants import variant

__all__ = [
    "Advice",
    "Axis",
    "CallTrace",
    "Cell",
    "Disturbance",
    "Failures",
    "Latency",
    "LayeredSimulation",
    "Outage",
    "Part",
    "Pause",
    "PlanMap",
    "Replay",
    "Resize",
    "Scenario",
    "Screening",
    "Series",
    "Simulation",
    "Slowdown",
    "Surge",
    "Tally",
    "TracedAttempt",
    "TracedCall",
    "Trigger",
    "advise",
    "find_trigger",
    "parse_axes",
    "read_trace",
    "replay",
    "screen_function",
    "simulate",
    "simulate_layers",
    "simulate_wrapped",
    "sweep",
    "variant",
]
