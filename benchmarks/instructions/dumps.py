"""Reader of the files that callgrind writes."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["MARK", "DumpError", "per_call", "total"]

#: The C function whose calls mark where a loop begins and ends. `os.getppid` calls it, and nothing else here does.
MARK = "getppid"

_FIELD = re.compile(r"^(events|desc: Trigger|totals): (.*)$", re.MULTILINE)


class DumpError(Exception):
    """A file of callgrind's is not what it should be."""


def total(path: Path) -> int:
    """Return the instructions counted from the mark before to the mark that made callgrind write *path*."""
    try:
        fields = dict(_FIELD.findall(path.read_text(encoding="utf-8", errors="replace")))
    except FileNotFoundError:
        raise DumpError(f"callgrind has not written {path.name}: it did not see the calls of {MARK}") from None
    expected = {"events": "Ir", "desc: Trigger": f"--dump-before={MARK}"}
    for name, value in expected.items():
        if fields.get(name) != value:
            raise DumpError(f"{path.name}: {name} is {fields.get(name)!r} instead of {value!r}")
    if not fields.get("totals", "").isdecimal():
        raise DumpError(f"{path.name}: no totals, it was cut off")
    return int(fields["totals"])


def per_call(directory: Path, pid: int, calls: int) -> float:
    """Return the instructions of one call: the second loop of process *pid* makes *calls* calls more than the first."""
    # Part 1 is what was before the loops.
    few, many = (total(directory / f"callgrind.{pid}.{part}") for part in (2, 3))
    if many <= few:
        raise DumpError(f"process {pid}: {calls} calls more took no more instructions")
    return (many - few) / calls
