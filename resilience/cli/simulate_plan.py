"""`resilience simulate` with many simulations or a trace: maps, smallest triggers, advice and replays.

Each is one option, which stands in place of the single simulation: ``--sweep``, ``--find-trigger``, ``--advice`` and
``--replay``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from resilience._runtime.protocol import Policy
from resilience.cli.output import ExitCode, UserError, counted, print_json
from resilience.config import ConfigurationError, ConfiguredPolicies, Policies
from resilience.simulation._advice import advise
from resilience.simulation._map import VERDICTS, PlanMap
from resilience.simulation._replay import replay
from resilience.simulation._scenario import Scenario, Slowdown
from resilience.simulation._screening import scenario_with
from resilience.simulation._sweep import sweep
from resilience.simulation._trace import TracingPolicy, read_trace
from resilience.simulation._trigger import TRIGGERS, Trigger, find_trigger
from resilience.simulation._variants import record_of

__all__ = ["plan_command"]

_Function = Callable[..., object]
_Run = Callable[[argparse.Namespace, _Function, Scenario], int]

_SPEED = 0.5
_TROUBLE = Slowdown(at=30.0, lasts=30.0, speed=_SPEED)
_AFTER = 60.0


def plan_command(arguments: argparse.Namespace) -> _Run | None:
    """Return what does the chosen thing; None where it is one simulation.

    Raises UserError for an option that belongs to another.
    """
    for option, name, owner in _BELONGS:
        if getattr(arguments, option) is not None and not getattr(arguments, owner):
            raise UserError(f"{name} belongs to --{owner.replace('other', 'with')}: give it too")
    for option, run in _COMMANDS.items():
        if getattr(arguments, option):
            return run
    return None


_BELONGS = (
    ("html", "--html", "sweep"),
    ("jobs", "--jobs", "sweep"),
    ("other", "--with", "replay"),
    ("policies", "--policies", "other"),
)


# -- sweeps -----------------------------------------------------------------------------------------------------------


def _run_sweep(arguments: argparse.Namespace, function: _Function, scenario: Scenario) -> int:
    """Print the map, and write its page; FAILED where the function as it is does not come back."""
    try:
        plan = sweep(function, _with_trouble(scenario), arguments.sweep, jobs=arguments.jobs, progress=_progress)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(str(error)) from error
    finally:
        _clear_progress()
    if arguments.html is not None:
        _write(Path(arguments.html), plan.to_html())
    if arguments.json:
        print_json(plan.to_dict())
    else:
        sys.stdout.write(_text_of(plan, arguments.html))
    if plan.current is not None and plan.current.verdict in ("metastable", "overloaded"):
        return ExitCode.FAILED
    return ExitCode.OK


def _with_trouble(scenario: Scenario) -> Scenario:
    """Return *scenario* with some trouble: half the speed for 30 s where none was given."""
    if scenario.events:
        return scenario
    return scenario_with(scenario, events=(_TROUBLE,), duration=max(scenario.duration, _TROUBLE.ends + _AFTER))


def _text_of(plan: PlanMap, page: str | None) -> str:
    """Return the map for a terminal: a letter for each cell, with a key."""
    lines = [plan.conclusion, ""]
    columns = plan.axes[0]
    width = max(6, *(len(f"{value:g}") + 1 for axis in plan.axes for value in axis.values))
    lines.append(" " * width + "".join(f"{value:>{width}g}" for value in columns.values) + f"   {columns.label}")
    heads: Sequence[str] = [""]
    if len(plan.axes) > 1:
        heads = [f"{value:g}" for value in plan.axes[1].values]
    size = len(columns.values)
    for place, head in reversed(list(enumerate(heads))):
        cells = plan.cells[place * size : (place + 1) * size]
        lines.append(f"{head:>{width}}" + "".join(f"{_LETTERS[cell.verdict]:>{width}}" for cell in cells))
    lines += [f"{'':{width}}{axis.label}: rows" for axis in plan.axes[1:]]
    key = ", ".join(f"{letter} {verdict}" for verdict, letter in _LETTERS.items())
    lines += ["", f"{key}; after {plan.trouble}.", f"The analytic screen agrees on {plan.agreement:.0%}."]
    lines += [f"The map with all numbers: {page}"] * (page is not None)
    return "\n".join(lines) + "\n"


_LETTERS: Mapping[str, str] = dict(zip(VERDICTS, "SVMO", strict=True))


# -- triggers and advice ----------------------------------------------------------------------------------------------


def _run_find_trigger(arguments: argparse.Namespace, function: _Function, scenario: Scenario) -> int:
    """Print the smallest trouble of each kind; FAILED where there is one."""
    speeds = [event.speed for event in scenario.events if isinstance(event, Slowdown)] or [_SPEED]
    found: list[Trigger] = []
    try:
        for kind in TRIGGERS:
            _show(f"{kind} ...")
            found.append(find_trigger(function, scenario, kind, speed=min(speeds)))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(str(error)) from error
    finally:
        _clear_progress()
    if arguments.json:
        print_json({"format": "triggers", "triggers": [trigger.to_dict() for trigger in found]})
    else:
        sys.stdout.write("".join(f"{trigger}\n" for trigger in found))
    if any(trigger.seconds is not None for trigger in found):
        return ExitCode.FAILED
    return ExitCode.OK


def _run_advice(arguments: argparse.Namespace, function: _Function, scenario: Scenario) -> int:
    try:
        advice = advise(function, scenario)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error
    if arguments.json:
        print_json({"format": "advice", "advice": [each.to_dict() for each in advice]})
        return ExitCode.OK
    for each in advice:
        sys.stdout.write(f"{each.subject}\n  now  {each.now}\n  set  {each.set}\n  why  {each.reason}\n")
    return ExitCode.OK


# -- replays ----------------------------------------------------------------------------------------------------------


def _run_replay(arguments: argparse.Namespace, function: _Function, scenario: Scenario) -> int:
    """Print what the policies decide about the calls of a trace; FAILED where the same ones decide otherwise."""
    stack: Sequence[Policy] | None = None
    try:
        calls = read_trace(arguments.replay)
        if arguments.other is not None:
            stack = _stack_of(function, arguments.other, arguments.policies)
        result = replay(function, calls, stack, seed=scenario.seed)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error
    except (TypeError, ValueError, ConfigurationError) as error:
        raise UserError(str(error)) from error
    if arguments.json:
        print_json(result.to_dict())
    else:
        sys.stdout.write(f"{result}\n")
    if stack is None and result.differing:
        return ExitCode.FAILED
    return ExitCode.OK


def _stack_of(function: _Function, path: str, name: str | None) -> Sequence[Policy]:
    """Return the policies that *function* has with the configuration at *path* in the place of its own.

    A function that is guarded by configured policies keeps its others. Raises ValueError where *name* is missing.
    """
    record = record_of(function)
    policies = Policies.load(path, environment={})
    keepers = [keeper for keeper in record.keepers if isinstance(keeper, ConfiguredPolicies)]
    chosen = name or _only_name(policies, [keeper.name for keeper in keepers])
    if chosen not in policies:
        raise ValueError(f"--policies {chosen}: {path} has none of that name; it has {', '.join(policies)}")
    new = policies[chosen].policies(record.function)
    if not keepers:
        return new
    old = keepers[0].policies(record.function)
    own = [policy for policy in record.policies if not isinstance(policy, TracingPolicy)]
    place = min((own.index(policy) for policy in old if policy in own), default=0)
    others = [policy for policy in own if policy not in old]
    return (*others[:place], *new, *others[place:])


def _only_name(policies: Policies, configured: Sequence[str]) -> str:
    """Return the name of the policies that are meant: the function's own, or the only one."""
    for name in configured:
        if name in policies:
            return name
    if len(policies) != 1:
        raise ValueError(
            f"the file has {counted(len(policies), 'name')}, {', '.join(policies)}: choose one by --policies"
        )
    return next(iter(policies))


_COMMANDS: Mapping[str, _Run] = {
    "sweep": _run_sweep,
    "find_trigger": _run_find_trigger,
    "advice": _run_advice,
    "replay": _run_replay,
}


# -- the terminal -----------------------------------------------------------------------------------------------------


def _progress(done: int, total: int) -> None:
    _show(f"{done} of {total} combinations")


def _show(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _clear_progress() -> None:
    _show("")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}", ExitCode.FAILED) from error
