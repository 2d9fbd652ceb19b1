"""Tools that explain a failure: each makes of one run the text that a model would be given."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import io
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.diagnosis.running import Run
from resilience.report import ErrorReport, explain
from resilience.report._from_exception import failure_of
from resilience.report._llm import estimated_tokens

__all__ = ["TOOLS", "count_tokens", "report_of", "tokenizer_name"]

_MAX_TOKENS = 400


def report_of(run: Run) -> ErrorReport:
    """Return our report of a run that failed, with what it wrote to standard error, as an executor has it."""
    assert run.error is not None
    return explain(replace(failure_of(run.error), stderr=run.stderr))


def _ours(run: Run) -> str:
    return report_of(run).to_llm(max_tokens=_MAX_TOKENS)


def _plain(run: Run) -> str:
    error = run.error
    if isinstance(error, SystemExit):
        return run.stderr + (error.code if isinstance(error.code, str) else "")
    assert error is not None
    return run.stderr + "".join(traceback.format_exception(error))


def _friendly(run: Run) -> str:
    core: Any = importlib.import_module("friendly_traceback.core")
    error = run.error
    assert error is not None
    explained = core.FriendlyTraceback(type(error), error, error.__traceback__)
    explained.compile_info()
    return run.stderr + "\n".join(str(explained.info[part]) for part in _FRIENDLY if explained.info.get(part))


_FRIENDLY = (
    "shortened_traceback",
    "suggest",
    "generic",
    "parsing_error",
    "cause",
    "last_call_header",
    "last_call_source",
    "last_call_variables",
    "exception_raised_header",
    "exception_raised_source",
    "exception_raised_variables",
)


def _rich(run: Run) -> str:
    from rich.console import Console
    from rich.traceback import Traceback

    error = run.error
    assert error is not None
    shown = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True, width=100)
    printed = io.StringIO()
    Console(file=printed, width=100, color_system=None).print(shown)
    return run.stderr + printed.getvalue()


def _stack_data(run: Run) -> str:
    stack_data: Any = importlib.import_module("stack_data")
    formatter = stack_data.Formatter(show_variables=True)
    return run.stderr + "".join(formatter.format_exception(run.error))


TOOLS: Mapping[str, Callable[[Run], str]] = {
    "resilience": _ours,
    "traceback": _plain,
    "friendly_traceback": _friendly,
    "rich": _rich,
    "stack_data": _stack_data,
}
"""By name: what each tool says of a run."""


@functools.cache
def _encoder() -> Callable[[str], int]:
    """Return a real tokenizer, by the vocabulary that litellm brings: nothing is loaded from the network."""
    directory = _vocabulary()
    if directory is None:
        return estimated_tokens
    os.environ["TIKTOKEN_CACHE_DIR"] = str(directory)
    encoding: Any = importlib.import_module("tiktoken").get_encoding("o200k_base")
    return lambda text: len(encoding.encode(text, disallowed_special=()))


def _vocabulary() -> Path | None:
    litellm = importlib.util.find_spec("litellm")  # importing it would ask the network for prices
    if litellm is None or litellm.origin is None or importlib.util.find_spec("tiktoken") is None:
        return None
    return Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers"


def tokenizer_name() -> str:
    """Return the name of the tokenizer that counts: o200k_base, or our estimate where tiktoken is not installed."""
    return "our estimate" if _vocabulary() is None else "o200k_base"


def count_tokens(text: str) -> int:
    """Return the number of tokens of a text."""
    return _encoder()(text)
