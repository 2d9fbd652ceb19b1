"""Validation of code without running it: syntax, policy, imports, recommendations."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import islice

from resilience.errors._json_safe import Json
from resilience.execution._analysis import would_forbid
from resilience.execution._analysis.parsing import MAX_CODE, UNPARSABLE, parse, syntax_diagnostic
from resilience.execution._installed_modules import missing_modules
from resilience.execution._lint import lint
from resilience.execution._worker.source import Source
from resilience.execution.diagnostic import Diagnostic
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityLevel, SecurityPolicy
from resilience.report.failure import Violation

__all__ = ["Validation", "validate"]

_MAX_OF_EACH = 50  # of each kind
_TOO_LONG = (
    f"code of more than {MAX_CODE:,} characters is not analysed: violations of the policy are rejected while it runs"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Result of `validate`."""

    valid: bool
    """Whether it compiles, its policy allows it, and the modules it imports are installed."""
    syntax_errors: tuple[Diagnostic, ...] = ()
    security_warnings: tuple[Violation, ...] = ()
    """Violations of its policy. At level permissive: what strict would reject; the code is valid all the same."""
    import_issues: tuple[Diagnostic, ...] = ()
    """Imports of modules that are not installed for this interpreter, and of names that they do not have."""
    recommendations: tuple[Diagnostic, ...] = ()
    """Code that will not do what it seems meant to do. It is valid all the same."""

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
    """Validate *code* without running it.

    Level and imports are those of a request, unless they are given here; of a text, strict and none. Raises TypeError
    and ValueError for wrong parameters, and nothing for wrong code.

    >>> found = validate("import os; import maths")
    >>> found.valid, found.security_warnings[0].attempted_operation
    (False, 'import os')
    >>> print(found.import_issues[0])
    line 1: there is no module 'maths' here; did you mean 'math'?
    """
    request = ExecutionRequest.of(code)
    if security_level is not None:
        request = replace(request, security_level=security_level)
    if allowed_imports is not None:
        names = allowed_imports if isinstance(allowed_imports, str) else tuple(allowed_imports)
        request = replace(request, allowed_imports=names)
    policy = request.policy
    error = syntax_diagnostic(request.code)
    if error is not None:
        return Validation(valid=False, syntax_errors=(error,))
    if len(request.code) > MAX_CODE:
        return Validation(valid=True, recommendations=(Diagnostic(_TOO_LONG),))
    try:
        tree = parse(request.code)
    except UNPARSABLE as error:  # it compiles, so only memory can be lacking
        return Validation(valid=False, syntax_errors=(Diagnostic(str(error) or type(error).__name__),))
    return _validate_tree(tree, request, policy)


def _validate_tree(tree: ast.Module, request: ExecutionRequest, policy: SecurityPolicy) -> Validation:
    source = Source(request.code.removeprefix("\ufeff"))
    violations = tuple(would_forbid(request.code, tree, policy))
    given = request.working_directory
    directory = None if given is None or policy.files == "write" else os.fspath(given)
    issues = tuple(islice(missing_modules(tree, source, policy, directory), _MAX_OF_EACH))
    allowed = not violations or policy.level is SecurityLevel.PERMISSIVE
    return Validation(
        valid=allowed and not issues,
        security_warnings=violations,
        import_issues=issues,
        recommendations=tuple(islice(lint(tree, source, request.seconds), _MAX_OF_EACH)),
    )
