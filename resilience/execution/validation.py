"""Look at code before it is run: whether it is Python, whether its policy allows it, whether its modules are there."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice

from resilience.errors._json_safe import Json
from resilience.execution._analysis import would_forbid
from resilience.execution._analysis.parsing import MOST_CODE, UNPARSABLE, check, parse
from resilience.execution._installed_modules import missing_modules
from resilience.execution._lint import recommend
from resilience.execution._worker.source import Source
from resilience.execution.diagnostic import Finding
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityLevel, SecurityPolicy
from resilience.report.failure import Violation

__all__ = ["Validation", "validate"]

_MOST = 50  # of each kind
_TOO_LONG = (
    f"only {MOST_CODE:,} characters are looked at beforehand: what longer code may not do is refused while it runs"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What can be said of code without running it."""

    valid: bool
    """Whether nothing stands in its way: it is Python, its policy allows it, and the modules it imports are there."""
    syntax_errors: tuple[Finding, ...] = ()
    security_warnings: tuple[Violation, ...] = ()
    """What its policy forbids. At level permissive: what strict would; it is allowed."""
    import_issues: tuple[Finding, ...] = ()
    """Modules that are not installed for this interpreter, and names that they do not have."""
    recommendations: tuple[Finding, ...] = ()
    """What will not do what it seems to be meant for. None of it makes the code invalid."""

    def to_dict(self) -> dict[str, Json]:
        """Return it as JSON takes it.

        >>> validate("total = 1 +").to_dict()["syntax_errors"]
        [{'message': 'invalid syntax', 'line': 1, 'column': 11, 'code': 'total = 1 +'}]
        """
        return {
            "valid": self.valid,
            "syntax_errors": [each.to_dict() for each in self.syntax_errors],
            "security_warnings": [
                {**asdict(each), "alternatives": list(each.alternatives)} for each in self.security_warnings
            ],
            "import_issues": [each.to_dict() for each in self.import_issues],
            "recommendations": [each.to_dict() for each in self.recommendations],
        }


def validate(
    code: str | ExecutionRequest,
    *,
    security_level: SecurityPolicy | SecurityLevel | str | None = None,
    allowed_imports: Iterable[str] | None = None,
) -> Validation:
    """Return what can be said of *code* without running any of it.

    Level and imports are those of a request, unless they are given here; of a text, strict and none. Raises TypeError
    and ValueError for wrong parameters, and nothing for wrong code.

    >>> found = validate("import os; import maths")
    >>> found.valid, found.security_warnings[0].attempted_operation
    (False, 'import os')
    >>> print(found.import_issues[0])
    line 1: there is no module 'maths' here; did you mean 'math'?
    """
    request = ExecutionRequest.of(code)
    level = request.security_level if security_level is None else security_level
    policy = SecurityPolicy.of(level, request.allowed_imports if allowed_imports is None else allowed_imports)
    error = check(request.code)
    if error is not None:
        return Validation(valid=False, syntax_errors=(error,))
    if len(request.code) > MOST_CODE:
        return Validation(valid=True, recommendations=(Finding(_TOO_LONG),))
    try:
        tree = parse(request.code)
    except UNPARSABLE as trouble:  # it was compiled, so this can be no more than a lack of memory
        return Validation(valid=False, syntax_errors=(Finding(str(trouble) or type(trouble).__name__),))
    return _judged(tree, request, policy)


def _judged(tree: ast.Module, request: ExecutionRequest, policy: SecurityPolicy) -> Validation:
    source = Source(request.code.removeprefix("\ufeff"))
    violations = tuple(would_forbid(request.code, tree, policy))
    given = request.working_directory
    directory = None if given is None or policy.files == "write" else os.fspath(given)
    issues = tuple(islice(missing_modules(tree, source, policy, directory), _MOST))
    allowed = not violations or policy.level is SecurityLevel.PERMISSIVE
    return Validation(
        valid=allowed and not issues,
        security_warnings=violations,
        import_issues=issues,
        recommendations=tuple(islice(recommend(tree, source, request.seconds), _MOST)),
    )
