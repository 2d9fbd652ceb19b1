"""Judgement of a corpus: a verdict and the tokens of each tool, and the end of a reading, for each program."""

from __future__ import annotations

import contextlib
import gc
import io
import statistics
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.diagnosis.corpus import Program
from benchmarks.diagnosis.reader import Reading, read
from benchmarks.diagnosis.running import Run, directory, run
from benchmarks.diagnosis.tools import TOOLS, count_tokens, tokenizer_name
from benchmarks.diagnosis.verdicts import VERDICTS, leads_away, verdict

__all__ = ["Result", "document", "judge", "missed", "shown"]

OURS, PLAIN = "resilience", "traceback"
FIXED, READ, RATIO = 0.75, 0.6, 1.2
"""Targets: the fix is named, a reader ends with a program that works, median tokens over those of a traceback."""


@dataclass(slots=True)
class Result:
    """The judgement of one program."""

    program: Program
    texts: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    reading: Reading | None = None


def judge(chosen: Sequence[Program], tools: Sequence[str] | None = None) -> list[Result]:
    """Run the programs, let each tool explain their failures, and judge what it says.

    A program may leave a coroutine that it has not awaited. It is collected here: Python warns of it wherever that is.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = [_judged(each, tools or tuple(TOOLS)) for each in chosen]
        gc.collect()
    return results


def _judged(program: Program, tools: Sequence[str]) -> Result:
    result = Result(program)
    with directory():
        wanted = run(program.corrected)
        if not wanted.succeeded:
            raise AssertionError(f"{program.name}: the corrected program fails: {wanted.error!r}\n{program.corrected}")
    with directory():
        failed = run(program.code)
        if failed.succeeded:
            raise AssertionError(f"{program.name}: the program does not fail")
        for tool in tools:
            text = _explained(tool, failed)
            result.texts[tool] = text
            result.tokens[tool] = count_tokens(text)
            result.verdicts[tool] = verdict(program, text)
    if OURS in tools:
        result.reading = read(program.code, wanted.stdout, TOOLS[OURS])
        if result.reading.loops or (not result.reading.works and _ends(result.reading)):
            result.verdicts[OURS] = "away"
    return result


def _explained(tool: str, failed: Run) -> str:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return TOOLS[tool](failed)
    except (Exception, SystemExit):
        if tool == OURS:
            raise
        return ""  # a peer that fails on a failure says nothing of it


def _ends(reading: Reading) -> bool:
    """Whether a program that was corrected as advised ends without a failure, and with another output than wanted."""
    with directory():
        return reading.rounds > 0 and run(reading.program).succeeded


def document(results: Sequence[Result]) -> dict[str, Any]:
    """Return the figures of a corpus as plain JSON."""
    libraries = [each for each in results if not each.program.is_standard]
    standard = [each for each in results if each.program.is_standard]
    return {
        "programs": len(results),
        "tokenizer": tokenizer_name(),
        "libraries": len(libraries),
        "tools": {
            tool: {
                "all": _figures(results, tool),
                "standard": _figures(standard, tool),
                "libraries": _figures(libraries, tool),
            }
            for tool in (results[0].texts if results else ())
        },
        "reader": _reader(results),
        "verdicts": {each.program.name: each.verdicts for each in results},
        "tokens": {each.program.name: each.tokens for each in results},
        "repaired": {each.program.name: each.reading.works for each in results if each.reading is not None},
    }


def _figures(results: Sequence[Result], tool: str) -> dict[str, float]:
    counted = {name: sum(each.verdicts[tool] == name for each in results) for name in VERDICTS}
    tokens = [each.tokens[tool] for each in results]
    ratios = [each.tokens[tool] / max(1, each.tokens[PLAIN]) for each in results if PLAIN in each.tokens]
    return {
        **counted,
        "fix_share": round(counted["fix"] / max(1, len(results)), 3),
        "median_tokens": statistics.median(tokens or [0]),
        "max_tokens": max(tokens, default=0),
        "max_ratio": round(max(ratios, default=0), 2),
    }


def _reader(results: Iterable[Result]) -> dict[str, float]:
    readings = [each.reading for each in results if each.reading is not None]
    return {
        "works": sum(each.works for each in readings),
        "works_share": round(sum(each.works for each in readings) / max(1, len(readings)), 3),
        "loops": sum(each.loops for each in readings),
    }


def missed(found: dict[str, Any]) -> list[str]:
    """Return a sentence for each target that is missed."""
    ours, plain = (found["tools"].get(tool, {}).get("all") for tool in (OURS, PLAIN))
    if ours is None or plain is None:
        return []
    said: list[str] = []
    if ours["fix_share"] < FIXED:
        said.append(f"the fix is named in {ours['fix_share']:.0%} of the programs, not in {FIXED:.0%}")
    if ours["away"]:
        said.append(f"{ours['away']} reports lead away")
    if ours["median_tokens"] > RATIO * plain["median_tokens"]:
        said.append(f"the median of tokens is {ours['median_tokens']}, more than {RATIO} x {plain['median_tokens']}")
    if found["reader"]["works_share"] < READ:
        said.append(f"a reader repairs {found['reader']['works_share']:.0%} of the programs, not {READ:.0%}")
    if found["reader"]["loops"]:
        said.append(f"a reader comes back to a program it had {found['reader']['loops']} times")
    return said


def shown(result: Result, with_text: bool) -> str:
    """Return what was found of one program, for a person."""
    reading = result.reading
    lines = [f"=== {result.program.name}: {result.verdicts}, {result.tokens}"]
    if reading is not None:
        lines.append(f"reader: works {reading.works}, loops {reading.loops}, {reading.rounds} rounds")
    for tool, text in result.texts.items():
        lines += [f"--- {tool}: {away}" for away in leads_away(result.program, text)]
        if with_text:
            lines += [f"--- {tool}", text]
    return "\n".join(lines)
