"""What a program in a kernel prints and shows, as it comes."""

from __future__ import annotations

import re

from resilience.execution._jupyter.event_bridge import Relay
from resilience.execution._jupyter.kernel import Message, inside
from resilience.execution._output_capture import MOST_OUTPUT, Output
from resilience.execution.events import EventKind

__all__ = ["KernelOutput", "without_ansi"]

_NO_PIPE = -1
# Control sequences, and the strings that set a terminal's title.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")


def without_ansi(text: str) -> str:
    r"""Return *text* without what colours it on a terminal.

    >>> without_ansi("\x1b[0;31mNameError\x1b[0m: no")
    'NameError: no'
    """
    return _ANSI.sub("", text) if "\x1b" in text else text


class KernelOutput:
    """Keeps what is printed, within bounds, and has *relay* tell of it while it comes."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._stdout = Output(_NO_PIPE)
        self._stderr = Output(_NO_PIPE)
        self.error: tuple[str, str] | None = None
        """What the kernel itself reports: the name and the message of an exception that nobody caught."""

    @property
    def stdout(self) -> str:
        """What was printed and displayed."""
        return without_ansi(self._stdout.text())

    @property
    def stderr(self) -> str:
        """What was written to the standard error."""
        return without_ansi(self._stderr.text())

    def hear(self, message: Message) -> None:
        """Take one message of a kernel for what it is."""
        content = message.content
        if message.kind == "stream":
            self._take(str(content.get("text", "")), to_stderr=content.get("name") == "stderr")
        elif message.kind in ("display_data", "execute_result"):
            shown = inside(content, "data").get("text/plain", "")
            self._take(f"{shown}\n" if shown else "", to_stderr=False)
        elif message.kind == "error":
            self.error = str(content.get("ename", "")), without_ansi(str(content.get("evalue", "")))

    def _take(self, text: str, *, to_stderr: bool) -> None:
        kept = self._stderr if to_stderr else self._stdout
        was_cut = kept.is_cut
        kept.add(text.encode("utf-8", "replace"))
        name: EventKind = "stderr" if to_stderr else "stdout"
        if kept.is_cut and not was_cut:
            self._relay.tell(
                "warning", f"{name} is longer than {MOST_OUTPUT} bytes: its middle is left out of the report"
            )
        if text:
            self._relay.tell(name, without_ansi(text))
