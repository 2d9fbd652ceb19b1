"""Real child processes that run code under a policy, with no more around it than that."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from resilience.execution.security import SecurityPolicy

ROOT = Path(__file__).parents[2]

# What the parent does without importing `resilience`, which takes long.
BOOT = """
import json, os, sys, types
root, policy, code, warning = json.loads(sys.stdin.readline())
for name in ("resilience", "resilience.execution", "resilience.execution._worker"):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [os.path.join(root, *name.split("."))]
from resilience.execution._worker.guard import SecurityViolation, install
main = sys.modules["__main__"] = types.ModuleType("__main__")
warnings, result = [], {}
guard = install(policy, main.__dict__, source=code, warn=warnings.append if warning else None)
for name in [name for name in sys.modules if name.startswith("resilience")]:
    del sys.modules[name]
try:
    exec(compile(code, "<string>", "exec", dont_inherit=True), main.__dict__)
except BaseException as error:
    result = {"error": type(error).__name__, "message": str(error), "violation": getattr(error, "violation", None)}
guard.off()
value = main.__dict__.get("result")
value = value if isinstance(value, (str, int, float, bool, list)) else repr(value)
result.update(result=value, violations=guard.violations, warnings=warnings, bytecode=sys.dont_write_bytecode)
open(os.path.join(root, "pyproject.toml")).close()  # the policy is off
sys.stdout.write("\\n" + json.dumps(result))
"""


@dataclass(frozen=True)
class Ran:
    """The outcome of code in a child process."""

    error: str | None
    message: str
    violation: dict | None
    violations: list[dict]
    warnings: list[dict]
    result: object
    output: str


def run(code: str, policy: SecurityPolicy, directory: Path, *, warn: bool = False) -> Ran:
    """Run *code* in a child of its own, in *directory*; what it leaves in ``result`` comes back."""
    order = json.dumps([str(ROOT), policy.to_dict(), code, warn])
    done = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "-c", BOOT],
        input=f"{order}\n",
        capture_output=True,
        encoding="utf-8",
        cwd=directory,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    output, _, last = done.stdout.rpartition("\n")
    found = json.loads(last)
    return Ran(
        error=found.get("error"),
        message=found.get("message", ""),
        violation=found.get("violation"),
        violations=found["violations"],
        warnings=found["warnings"],
        result=found["result"],
        output=output,
    )
