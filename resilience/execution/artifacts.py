"""Artifacts of an execution: the figures, tables and files that a program has made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from resilience.errors._json_safe import Json

__all__ = ["Artifact", "ArtifactKind"]

ArtifactKind: TypeAlias = Literal["figure", "file", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One thing that a program has made, apart from its output.

    The data were made by the program: treat them as input of a user. HTML may hold scripts.

    >>> Artifact(kind="table", name="result.csv", mime="text/csv", data=b"id,price")
    <Artifact: table 'result.csv', text/csv, 8 bytes>
    """

    kind: ArtifactKind
    """``figure``: an image, or the HTML of an interactive one. ``table``: a dataframe as CSV. ``file``: a file that the
    program has written into its working directory."""
    name: str
    """A file name, such as ``figure-1.png`` and ``result.csv``; of a file its path below the working directory."""
    mime: str
    data: bytes

    def to_dict(self) -> dict[str, Json]:
        """Return what it is, without its data, as JSON takes it."""
        return {"kind": self.kind, "name": self.name, "mime": self.mime, "size": len(self.data)}

    def __repr__(self) -> str:
        return f"<Artifact: {self.kind} {self.name!r}, {self.mime}, {len(self.data)} bytes>"
