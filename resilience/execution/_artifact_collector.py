"""Collector of an execution's artifacts, with bounds. What arrives was made by the program, so it is checked.

Figures and tables come as messages of the worker. Files are read from the working directory by this process, after the
program has ended: they need no memory of the worker, and a program that was killed has them, too.
"""

from __future__ import annotations

import base64
import mimetypes
from typing import TYPE_CHECKING, get_args

from resilience.execution._framing import Message, require_str
from resilience.execution._memory_size import format_size
from resilience.execution._worker.written_files import MAX_ENTRIES, MAX_SIZE, list_files, read_file
from resilience.execution.artifacts import Artifact, ArtifactKind

if TYPE_CHECKING:
    from resilience.execution._worker.written_files import Snapshot

__all__ = ["ArtifactCollector"]

_MAX_TOTAL = 50 << 20
_MAX_ARTIFACTS = 100
_MAX_NOTES = 20
_MAX_NAME = 200
_KINDS: tuple[str, ...] = get_args(ArtifactKind)


class ArtifactCollector:
    """Keeps the artifacts of one execution: at most 100, of 10 MB each and 50 MB together. A note names what is not."""

    def __init__(self) -> None:
        self.artifacts: list[Artifact] = []
        self.notes: list[str] = []
        self._left = _MAX_TOTAL

    def add_message(self, message: Message) -> None:
        """Take an artifact as a worker sends it. Raises one of `MALFORMED` if it is not valid."""
        kind = require_str(message["type"])
        if kind not in _KINDS:
            raise ValueError(f"an artifact of kind {kind!r}")
        name, mime = require_str(message["name"])[:_MAX_NAME], require_str(message["mime"])[:_MAX_NAME]
        data = base64.b64decode(require_str(message["data"]), validate=True)
        if self._accepts(name, len(data)):
            self._add(kind, name, mime, data)

    def take(self, message: Message) -> None:
        """Take an artifact or a note, by the kind of *message*. Raises one of `MALFORMED` for any other kind."""
        if message["kind"] == "artifact":
            self.add_message(message)
        elif message["kind"] == "note":
            self.add_note(require_str(message["text"]))
        else:
            raise ValueError(f"an artifact of kind {message['kind']!r}")

    def add_note(self, text: str) -> None:
        """Add a note on something that is missing or not whole."""
        if len(self.notes) < _MAX_NOTES:
            self.notes.append(text[:1000])

    def add_files(self, directory: str, before: Snapshot | None) -> None:
        """Add the files of *directory* that are not in *before*, or have changed since. Links are not followed."""
        if before is None:
            self.add_note(f"the working directory has more than {MAX_ENTRIES} files: those written are not listed")
            return
        now = list_files(directory)
        for path, marks in sorted((now or {}).items()):
            if before.get(path) != marks and self._accepts(path, marks[0]):
                data = read_file(directory, path)
                if data is not None:
                    self._add("file", path, mimetypes.guess_type(path)[0] or "application/octet-stream", data)
        if now is None:
            self.add_note(f"the program has left more than {MAX_ENTRIES} files: they are not listed")

    def _accepts(self, name: str, size: int) -> bool:
        if size > MAX_SIZE:
            self.add_note(f"{name} is left out: it has {format_size(size)}, more than {format_size(MAX_SIZE)}")
        elif len(self.artifacts) == _MAX_ARTIFACTS:
            self.add_note(f"{name} is left out: there are {_MAX_ARTIFACTS} artifacts already")
        elif size > self._left:
            self.add_note(f"{name} is left out: all artifacts together have more than {format_size(_MAX_TOTAL)}")
        else:
            return True
        return False

    def _add(self, kind: str, name: str, mime: str, data: bytes) -> None:
        self._left -= len(data)
        checked: ArtifactKind = "table" if kind == "table" else "file" if kind == "file" else "figure"
        self.artifacts.append(Artifact(kind=checked, name=name, mime=mime, data=data))
