"""Generations to success: a loop that gets our report, against one that gets "it failed" and no more.

The generator is scripted, and its skill is stated. For each task it knows `_DRAFTS` programs that it takes for equally
likely: repairs of the failing line, one of which is right. Without a report it tries them in a random order. With one,
it does what a corrected line says; else it tries those first whose new words stand in the text, as a model prefers what
it reads. Both loops run by `run_generated_sync` and a real executor, with one seed.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.diagnosis.corpus import Program
from benchmarks.diagnosis.reader import obeyed
from benchmarks.diagnosis.running import directory, run
from resilience.contrib.executor import MaxAttemptsExceededError
from resilience.execution import ExecutionRequest, Feedback, SubprocessExecutor, run_generated_sync

__all__ = ["compare", "drafts_of"]

_TASKS = 40
_DRAFTS = 8
_GENERATIONS = 10
_SEED = 20261130
# Repairs that a generator may think of for any line, by what they do to it.
_REPAIRS: tuple[Callable[[str], str], ...] = (
    lambda line: line.replace('"', "'"),
    lambda line: line.replace("print(", "print(str(", 1) + ")" if "print(" in line else f"{line}  # again",
    lambda line: line.replace("[", ".get(", 1).replace("]", ")", 1),
    lambda line: line.replace(".", "._", 1),
    lambda line: line.replace("(", "(*", 1),
    lambda line: line.replace("=", "==", 1),
    lambda line: f"{line}  # unchanged",
)


def compare(chosen: Sequence[Program]) -> dict[str, dict[str, float]]:
    """Return the figures of both loops over the same tasks."""
    tasks = random.Random(_SEED).sample([each for each in chosen if each.is_standard and each.lines], _TASKS)
    reported, blind = ([_generations(each, with_report) for each in tasks] for with_report in (True, False))
    return {"with the report": _figures(reported), "only that it failed": _figures(blind)}


def _figures(counts: Sequence[int]) -> dict[str, float]:
    done = [each for each in counts if each]
    return {
        "tasks": len(counts),
        "succeeded": len(done),
        "mean_generations": round(statistics.mean(done or [0]), 2),
        "median_generations": statistics.median(done or [0]),
        "most_generations": max(done, default=0),
    }


def drafts_of(program: Program) -> list[str]:
    """Return the programs that the generator takes for possible, the right one among them."""
    lines = program.code.splitlines()
    number = min(min(program.lines), len(lines))
    found = [program.corrected]
    for repair in _REPAIRS:
        changed = [*lines]
        changed[number - 1] = repair(lines[number - 1])
        found.append("\n".join(changed) + "\n")
    return list(dict.fromkeys(found))[:_DRAFTS]


def _generations(program: Program, with_report: bool) -> int:
    """Return how many programs were generated until one printed what it should; 0 where none did."""
    drafts = drafts_of(program)
    random.Random(f"{_SEED} {program.name}").shuffle(drafts)
    tried: list[str] = []

    def generate(feedback: Feedback) -> str:
        draft = program.code if not tried else _next(feedback, drafts, tried, program, with_report)
        tried.append(draft)
        return draft

    executor: Any = SubprocessExecutor()
    request = ExecutionRequest("", security_level="permissive", timeout=10)
    with directory():
        try:
            run_generated_sync(
                generate, executor, request=request, max_generations=_GENERATIONS, max_executions=_GENERATIONS
            )
        except MaxAttemptsExceededError:
            return 0
    return len(tried) if _prints(tried[-1]) == _prints(program.corrected) else 0


def _prints(code: str) -> str:
    with directory():
        return run(code).stdout


def _next(feedback: Feedback, drafts: list[str], tried: list[str], program: Program, with_report: bool) -> str:
    left = [each for each in drafts if each not in tried] or [program.code]
    if not with_report:
        return left[0]
    text = feedback.reports[-1].to_llm() if feedback.reports else ""
    advised = obeyed(feedback.code, text)
    if advised is not None and advised not in tried:
        return advised
    return max(left, key=lambda draft: _match(draft, feedback.code, text))


def _match(draft: str, code: str, text: str) -> int:
    """Count the new words of a draft that stand in a text."""
    new = set(draft.replace("(", " ").replace(")", " ").split()) - set(code.replace("(", " ").replace(")", " ").split())
    return sum(word in text for word in new)
