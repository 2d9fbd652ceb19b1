"""Output of a program in a kernel: streams and displayed data, without ANSI sequences."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Mapping
from typing import Any

from resilience.execution._artifact_collector import ArtifactCollector
from resilience.execution._framing import MALFORMED
from resilience.execution._jupyter.event_bridge import EventBridge
from resilience.execution._jupyter.kernel import Message, object_at
from resilience.execution._output_capture import MAX_OUTPUT, OutputCapture
from resilience.execution.events import EventKind

__all__ = ["KernelOutput", "without_ansi"]

_NO_PIPE = -1
_RICH = {"image/png": "png", "image/jpeg": "jpg", "image/svg+xml": "svg", "text/html": "html"}
"""MIME types that are kept as figures, the richest first, with file endings."""
_BASE64 = ("image/png", "image/jpeg")
# Control sequences, and the strings that set a terminal's title.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")


def without_ansi(text: str) -> str:
    r"""Return *text* without ANSI control sequences.

    >>> without_ansi("\x1b[0;31mNameError\x1b[0m: no")
    'NameError: no'
    """
    return _ANSI.sub("", text) if "\x1b" in text else text


class KernelOutput:
    """Captures output within bounds and emits it as events by *bridge*.

    A kernel displays a value in several forms at once. The text goes to stdout, where a script would have printed it,
    and the richest of the other forms is kept as a figure.
    """

    def __init__(self, bridge: EventBridge) -> None:
        self._bridge = bridge
        self._stdout = OutputCapture(_NO_PIPE)
        self._stderr = OutputCapture(_NO_PIPE)
        self.collector: ArtifactCollector = ArtifactCollector()
        """Images and HTML that the program has displayed."""
        self.error: tuple[str, str] | None = None
        """Name and message of an exception that the kernel itself reports; None if it has reported none."""

    @property
    def stdout(self) -> str:
        """Captured stdout and displayed data."""
        return without_ansi(self._stdout.text())

    @property
    def stderr(self) -> str:
        """Captured stderr."""
        return without_ansi(self._stderr.text())

    def handle(self, message: Message) -> None:
        """Capture the output in one message. Other messages are ignored."""
        content = message.content
        if message.kind == "stream":
            self._add(str(content.get("text", "")), to_stderr=content.get("name") == "stderr")
        elif message.kind in ("display_data", "execute_result"):
            data = object_at(content, "data")
            self._keep_richest(data)
            shown = data.get("text/plain", "")
            self._add(f"{shown}\n" if shown else "", to_stderr=False)
        elif message.kind == "error":
            self.error = str(content.get("ename", "")), without_ansi(str(content.get("evalue", "")))

    def _keep_richest(self, data: Mapping[str, Any]) -> None:
        for mime, ending in _RICH.items():
            shown = data.get(mime)
            if isinstance(shown, str):
                name = f"display-{len(self.collector.artifacts) + 1}.{ending}"
                text = "".join(shown.split())
                if mime not in _BASE64:
                    text = base64.b64encode(shown.encode("utf-8", "replace")).decode("ascii")
                found = {"kind": "artifact", "type": "figure", "name": name, "mime": mime, "data": text}
                with contextlib.suppress(*MALFORMED):  # no base64: whatever the program has displayed as an image
                    self.collector.take(found)
                return

    def _add(self, text: str, *, to_stderr: bool) -> None:
        kept = self._stderr if to_stderr else self._stdout
        was_cut = kept.is_cut
        kept.add(text.encode("utf-8", "replace"))
        name: EventKind = "stderr" if to_stderr else "stdout"
        if kept.is_cut and not was_cut:
            self._bridge.emit(
                "warning", f"{name} is longer than {MAX_OUTPUT} bytes: its middle is left out of the report"
            )
        if text:
            self._bridge.emit(name, without_ansi(text))
