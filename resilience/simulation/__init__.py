"""Simulation of a function's own policies in virtual time, against the model of a server in trouble.

``simulate(function, Scenario(...))`` calls a guarded function some hundred thousand times, with the real policies and
without its body, and says whether it comes back when the trouble is over, how soon, and at what load.

    _scenario       `Scenario` and the disturbances
    _latency        `Latency`, the distribution of the server's work
    _server         the model of the server, whose queue keeps requests that their callers have left
    _copies         fresh copies of policies, one set for each client
    _virtual_loop   the asyncio loop whose time jumps
    _engine         `simulate`, and `simulate_wrapped` for other policies than ours
    _result         `Simulation`, the numbers of a run
    _text           the same in words
    _plot           the same as a picture, in SVG
    _parse          a scenario from the texts of the command line

Nothing else in the toolkit imports this package.
"""

from resilience.simulation._engine import simulate, simulate_wrapped
from resilience.simulation._latency import Latency
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

__all__ = [
    "Disturbance",
    "Failures",
    "Latency",
    "Outage",
    "Part",
    "Pause",
    "Resize",
    "Scenario",
    "Series",
    "Simulation",
    "Slowdown",
    "Surge",
    "simulate",
    "simulate_wrapped",
]
