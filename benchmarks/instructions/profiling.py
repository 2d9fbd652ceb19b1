"""The instructions of a call, function by function."""

from __future__ import annotations

import cProfile
import io
import pstats

from benchmarks.instructions.cases import Case
from benchmarks.instructions.driving import looped

__all__ = ["profile"]

_ROUNDS = 20
_SHOWN = 25


def profile(case: Case) -> str:
    """Return what Python's profiler says of ours. The numbers of calls are exact; the times are a hint."""
    profiler = cProfile.Profile()
    calls = case.calls * _ROUNDS
    with looped(case.drive, case.made("ours")) as loop:
        loop(case.calls)
        profiler.enable()
        loop(calls)
        profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(_SHOWN)
    return f"{case.name}: {case.title}, {calls} calls\n{text.getvalue()}"
