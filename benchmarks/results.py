"""Results as JSON: a document for each run, a file for each interpreter. No paths, no host names."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.candidate import candidates
from benchmarks.measure import Settings
from benchmarks.outcome import CaseResult

__all__ = ["document", "interpreter", "load_all", "write"]

_RESULTS = Path(__file__).parent / "results"
#: The version of the document. Files of another version are ignored until a run on their interpreter replaces them.
_FORMAT = 2


def interpreter() -> str:
    """Return the name of this interpreter in results, such as ``cpython-3.11``."""
    return f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"


def document(cases: Iterable[CaseResult], settings: Settings, *, complete: bool) -> dict[str, Any]:
    """Return the results of *cases*, with the versions and the machine they were measured on."""
    versions = {name: version for candidate in candidates() for name, version in candidate.versions.items()}
    return {
        "format": _FORMAT,
        "interpreter": interpreter(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rounds": settings.rounds,
        "complete": complete,
        "peers": [candidate.name for candidate in candidates()[1:]],
        "versions": dict(sorted(versions.items())),
        "cases": [case.to_dict() for case in cases],
    }


def write(found: dict[str, Any]) -> Path:
    """Write the document *found* to the file of its interpreter."""
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{found['interpreter']}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return path


def load_all() -> list[dict[str, Any]]:
    """Return the results of every interpreter that has some, older ones first."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in _RESULTS.glob("*.json")]
    known = [result for result in found if result["format"] == _FORMAT]
    return sorted(known, key=lambda result: (len(result["interpreter"]), result["interpreter"]))
