"""Tables of the results, as Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks.diagnosis.verdicts import VERDICTS

__all__ = ["markdown"]


def markdown(document: dict[str, Any]) -> str:
    """Return the table of the tools, and a sentence of the reader."""
    head = ["tool", *VERDICTS, "fix, standard library", "fix, libraries", "tokens: median", "largest"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for tool, figures in document["tools"].items():
        every = figures["all"]
        cells = [
            tool,
            *(str(every[name]) for name in VERDICTS),
            f"{figures['standard']['fix_share']:.0%}",
            f"{figures['libraries']['fix_share']:.0%}",
            f"{every['median_tokens']:g}",
            str(every["max_tokens"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    reader = document["reader"]
    lines.append(
        f"\n{document['programs']} programs, {document['libraries']} of them with libraries. A reader that does what"
        f" the first suggestion says repairs {reader['works']} ({reader['works_share']:.0%}), and loops in"
        f" {reader['loops']}."
    )
    if "generations" in document:
        lines.append("")
        lines += [f"{way}: {figures}" for way, figures in document["generations"].items()]
    return "\n".join(lines)
