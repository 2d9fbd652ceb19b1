"""`resilience simulate`: what would happen to a function in an outage, on its own policies."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from resilience.cli.application import import_application
from resilience.cli.output import ExitCode, UserError, print_json
from resilience.cli.simulate_plan import plan_command
from resilience.simulation import Disturbance, Resize, Scenario, Simulation, Slowdown, Surge, simulate
from resilience.simulation._parse import parse_factor, parse_latency, parse_outage, parse_pause, parse_seconds
from resilience.simulation._plot import svg

__all__ = ["function_of", "run_simulate", "scenario_of"]

T = TypeVar("T")

_AFTER = 60.0
_WITHOUT_TROUBLE = 60.0
_BAR = 30


def run_simulate(arguments: argparse.Namespace) -> int:
    """Simulate a function, and print what happens; return FAILED where it does not come back."""
    function = function_of(arguments.application)
    scenario = scenario_of(arguments)
    plan = plan_command(arguments)
    if plan is not None:
        return plan(arguments, function, scenario)
    try:
        result = simulate(function, scenario, progress=_progress(arguments.application))
    except (TypeError, RuntimeError) as error:
        raise UserError(str(error)) from error
    finally:
        _clear_progress()
    if arguments.plot is not None:
        _write(Path(arguments.plot), svg(result))
    if arguments.json:
        print_json(result.to_dict())
    else:
        sys.stdout.write(f"{result}\n")
    return _exit_code(result)


def _exit_code(result: Simulation) -> ExitCode:
    if result.verdict in ("safe", "vulnerable"):
        return ExitCode.OK
    return ExitCode.FAILED


def function_of(text: str) -> Callable[..., object]:
    """Return the function of ``MODULE:FUNCTION``. Raises UserError for anything else."""
    if ":" not in text:
        raise UserError(f"{text}: give a function of it, as {text}:search")
    _, value = import_application(text)
    if not callable(value) or isinstance(value, type):
        raise UserError(f"{text} is {value!r}: give a function that is guarded by policies")
    return value


def scenario_of(arguments: argparse.Namespace) -> Scenario:
    """Return the scenario that the options describe. Raises UserError for what cannot be meant."""
    try:
        events = tuple(_events(arguments))
        capacity = arguments.capacity
        if capacity is None and arguments.workers is None:
            capacity = 2 * arguments.rps
        return Scenario(
            rps=arguments.rps,
            capacity=capacity,
            workers=arguments.workers,
            latency=parse_latency(arguments.latency),
            queue=arguments.queue,
            clients=arguments.clients,
            duration=_duration(arguments.duration, events),
            events=events,
            seed=arguments.seed,
            client_timeout=_optional(parse_seconds, arguments.client_timeout),
            in_time=_optional(parse_seconds, arguments.in_time),
            failing=arguments.failing,
            arrivals=arguments.arrivals,
        )
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error


def _events(arguments: argparse.Namespace) -> Iterator[Disturbance]:
    at = parse_seconds(arguments.at)
    parsers: dict[str, Callable[[str, float], Disturbance]] = {
        "outage": parse_outage,
        "slow": parse_factor(Slowdown),
        "resize": parse_factor(Resize),
        "pause": parse_pause,
        "surge": parse_factor(Surge),
    }
    for name, parse in parsers.items():
        for text in getattr(arguments, name):
            yield parse(text, at)


def _duration(text: str | None, events: tuple[Disturbance, ...]) -> float:
    if text is not None:
        return parse_seconds(text)
    ends = [event.ends for event in events if event.ends < math.inf]
    return max(ends, default=_WITHOUT_TROUBLE - _AFTER) + _AFTER


def _optional(parse: Callable[[str], T], text: str | None) -> T | None:
    if text is None:
        return None
    return parse(text)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}", ExitCode.FAILED) from error


def _progress(name: str) -> Callable[[float], object] | None:
    """Return what shows the progress on a terminal; None elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(share: float) -> None:
        done = round(_BAR * share)
        sys.stderr.write(f"\r{name} [{'#' * done}{'.' * (_BAR - done)}] {share:.0%}")
        sys.stderr.flush()

    return show


def _clear_progress() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
