"""Feedback to a code generator about its last code."""

from __future__ import annotations

from dataclasses import dataclass

from resilience.execution.history import Advice
from resilience.report._llm import estimated_tokens
from resilience.report.model import ErrorReport

__all__ = ["Feedback"]

_MAX_ADVICE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """Failures of the code generated so far; none at the first *generation*, which is number 1.

    >>> Feedback(generation=1).to_llm()
    ''
    """

    generation: int
    code: str = ""
    """The code that was generated last."""
    reports: tuple[ErrorReport, ...] = ()
    """The last three failures caused by the code, in order."""
    advice: tuple[Advice, ...] = ()
    """Resolutions of earlier failures like the last one, from the history."""

    @property
    def errors(self) -> tuple[str, ...]:
        """The failures, one line each."""
        return tuple(each.error_summary for each in self.reports)

    def to_llm(self, max_tokens: int = 1000) -> str:
        """Return it as a part of a prompt: the last failure in full, the ones before in a line, in *max_tokens*.

        The code itself is not in it.
        """
        if not self.reports:
            return ""
        *before, last = self.reports
        lines: list[str] = []
        if before:
            lines += ["Before that:", *(f"- {each.error_summary}" for each in before)]
        if self.advice:
            lines += ["What helped with this before:", *(f"- {each}" for each in self.advice[:_MAX_ADVICE])]
        more = "\n".join(lines)
        left = max_tokens - estimated_tokens(more)
        if not more or left < max_tokens // 2:  # the last failure matters most
            return last.to_llm(max_tokens)
        return f"{last.to_llm(left - 2)}\n\n{more}"
