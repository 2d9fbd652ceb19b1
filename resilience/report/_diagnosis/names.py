"""Diagnosis of NameError and UnboundLocalError.

A name may be misspelt, belong to a module that is not imported, lack its quotes or its ``self``, or have its value in
another scope. Each of these is looked for in the source and in the captured variables, never in the modules of the
running process: what a module has comes from the tables of `known_names`. A near name is advised only where no other
explanation was found, and is written into the line only if it is clearly the one that was meant.

A program of more than `_MAX_SIZE` characters is not searched for the name.
"""

from __future__ import annotations

import ast
import builtins
import re

from resilience.report._diagnosis.ast_utils import parsed
from resilience.report._diagnosis.context import FailureContext, as_list, as_mapping
from resilience.report._diagnosis.known_names import NOT_PYTHON, REPLACEMENTS, import_of
from resilience.report._diagnosis.line_edits import import_line, rename_in_line
from resilience.report._diagnosis.text import clear_among, join_words, near_matches, phrase, single_line
from resilience.report._diagnosis.variable_origins import walk_scope
from resilience.report.diagnosis import Diagnosis

__all__ = ["name_error", "unbound_local", "undefined_in_query"]

_NAME = re.compile(r"(?:name|variable) '([^']+)'")
# Functions whose names variables often have, too: they are meant where they are called.
_COMMON_WORDS = frozenset(
    {"product", "chain", "cycle", "count", "repeat", "reduce", "partial", "choice", "sample", "mean", "median", "mode"}
    | {"sleep", "sqrt", "log", "exp", "ceil", "groupby", "shuffle", "uniform", "accumulate", "permutations"}
)
_MAX_SIZE = 100_000  # characters of a program that is searched for a name


def name_error(context: FailureContext) -> Diagnosis | None:
    """Diagnose a name that nothing in reach has: ``name 'pritn' is not defined``.

    In order of what is surest: an attribute that lacks its ``self``, a word of another language (`known_names`), an
    import that is missing, a binding in another scope, a near name among those in reach.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="NameError",
    ...     message="name 'pd' is not defined",
    ...     source="table = pd.read_csv(path)",
    ...     line=1,
    ... )
    >>> name_error(FailureContext(failure)).suggested_fix
    'import pandas as pd'
    """
    name = _name(context)
    if not name:
        return None
    if "free variable" in context.message:
        return _free(name)
    owner = _owner(context, name)
    facts = [] if owner else _binding_elsewhere(context, name)
    tips = [f"{fact}: {what}." for fact, what in facts]
    fix: str | None = None
    if owner:
        tips.append(f"Write {owner}.{name}: {name} belongs to the object, and is not a variable of the method.")
        fix = rename_in_line(context, name, f"{owner}.{name}")
    if name in REPLACEMENTS and not owner:
        tips.append(f"Write {REPLACEMENTS[name]} instead of {name}.")
        fix = rename_in_line(context, name, REPLACEMENTS[name])
    if name in NOT_PYTHON and not owner:
        tips.append(NOT_PYTHON[name])
    if fix is None:
        fix = _with_import(context, name, tips)
    reach = [*_names_in_reach(context), *(each for each in dir(builtins) if not each.startswith("_"))]
    near = [] if tips else near_matches(name, reach, 4)
    if near:
        tips.append(f"Did you mean {join_words(near[:3], last='or')}? Names in reach that are written much the same.")
        meant = clear_among(name, near)
        if fix is None and meant is not None:
            tips[-1] = f"Write {meant} instead of {name}."
            fix = rename_in_line(context, name, meant)
    tips.append(f"Define {name} before line {context.line}." if context.line else f"Define {name} before it is used.")
    if _may_be_text(context, name):
        tips.append(f"If {name} is meant as text, put it in quotes: '{name}'.")
    where = phrase(" where line {} uses it", context.line)
    return Diagnosis(
        immediate_cause=f"the name '{name}' is not defined{where}",
        contributing_factors=tuple(fact[0] for fact in facts),
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics={"undefined_name": name},
    )


def undefined_in_query(context: FailureContext) -> Diagnosis | None:
    """Diagnose a name in an expression that a table evaluates: ``df.query("pric > 3")`` raises UndefinedVariableError.

    Such an expression sees the columns of the table, and variables of the program as ``@name`` alone. None where the
    program raised the exception itself.
    """
    name = _name(context)
    if not name or not context.library_function:
        return None
    columns = [str(each) for table in as_list(context.hints.get("objects")) for each in _columns_of(table)]
    near = near_matches(name, columns)
    tips = [f"Did you mean {join_words(near, last='or')}?"] if near else []
    if columns:
        tips.append(f"The table has the columns {join_words(columns, 12)}.")
    return Diagnosis(
        immediate_cause=f"the table has no column '{name}', and its expressions do not see the program's variables",
        suggestions=(*tips, f"A variable of the program stands in the expression as @{name}."),
        specifics={"undefined_name": name},
    )


def _columns_of(table: object) -> list[object]:
    return as_list(as_mapping(table).get("columns"))


def unbound_local(context: FailureContext) -> Diagnosis | None:
    """Diagnose a variable of a function that has no value yet: ``cannot access local variable 'total'``.

    An assignment anywhere in a function makes the name a variable of all of it, so the line that assigns is the fact to
    show. Of a variable of the module ``global`` is advised, of a built-in name another name.
    """
    name = _name(context)
    if not name:
        return None
    function = context.function
    called = f"{function.name}()" if function is not None else f"{context.frame.function or 'the function'}()"
    bound = _first_binding(function, name)
    facts: list[str] = []
    tips: list[str] = []
    in_module = name in context.globals or name in _bound_at_top(context)
    if bound is not None:
        code = single_line(context.line_at(bound.lineno).strip(), 80)
        facts.append(f"line {bound.lineno}, {code}, makes {name} a variable of all of {called}")
    if in_module:
        tips.append(
            f"Write `global {name}` as the first line of {called} if it is to change the variable of the module."
        )
        tips.append(f"Better: pass {name} to {called} as an argument and return the new value.")
    if function is not None and name in dir(builtins):
        tips.insert(0, f"Choose another name for the variable: {name} hides Python's own {name} in all of {called}.")
    if bound is not None and context.line is not None and bound.lineno < context.line:
        facts.append(f"line {bound.lineno} was not carried out, or {name} was deleted since")
        tips.insert(0, f"Give {name} a value at the beginning of {called}, whichever way the code takes from there.")
    if not tips:
        tips.append(f"Give {name} a value at the beginning of {called}, before line {context.line or 'that uses it'}.")
        tips.append(f"If {name} belongs to an outer function, write `nonlocal {name}` first.")
    return Diagnosis(
        immediate_cause=f"the local variable '{name}' is used in {called} before it has a value",
        contributing_factors=tuple(facts),
        suggestions=tuple(tips),
        specifics={"undefined_name": name},
    )


def _name(context: FailureContext) -> str:
    """Return the name that the message is about: the one captured with the exception, else the one in its message."""
    found = _NAME.search(context.message)
    return context.hint("name") or (found[1] if found else "")


def _free(name: str) -> Diagnosis:
    """Diagnose a closure that runs before its outer function has given the free variable a value."""
    return Diagnosis(
        immediate_cause=f"the variable '{name}' of the outer function has no value when the inner one uses it",
        suggestions=(
            f"Assign {name} in the outer function before the inner one is called.",
            f"Pass {name} to the inner function as an argument.",
        ),
        specifics={"undefined_name": name},
    )


def _names_in_reach(context: FailureContext) -> list[str]:
    return [*context.frame.locals, *context.globals, *context.names]


def _with_import(context: FailureContext, name: str, tips: list[str]) -> str | None:
    """Advise to import the name, and return the import; None where no table knows it or the module is not available.

    A word such as `_COMMON_WORDS` has is taken for the function only where the program calls it. *tips* is extended.
    """
    home = import_of(name, context.code)
    if home is None:
        return None
    module, statement = home
    if name in _COMMON_WORDS and not re.search(rf"(?<![\w.]){name}\(", context.source):
        return None  # a variable of the program, and not the function of that name
    allowed = context.specifics.get("available_modules")
    if isinstance(allowed, list) and allowed and module.partition(".")[0] not in allowed:
        tips.append(f"{name} belongs to the module {module}, which is not available here: do without it.")
        return None
    tips.append(f"Import it first: `{statement}` at the top of the program.")
    return import_line(statement)


def _owner(context: FailureContext, name: str) -> str:
    """Return ``self`` or ``cls`` where a method forgot it: its class has a method or attribute of that name."""
    function = context.function
    if function is None or not function.args.args or context.tree is None:
        return ""
    first = function.args.args[0].arg
    for node in ast.walk(context.tree):
        if isinstance(node, ast.ClassDef) and function in node.body:
            known = {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
            known |= {target.id for target in _targets(node.body)}
            known |= {
                each.attr
                for each in ast.walk(node)
                if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id == first
            }
            return first if name in known else ""
    return ""


def _targets(body: list[ast.stmt]) -> list[ast.Name]:
    """Return the names that the assignments of a body bind, without those in nested blocks."""
    found: list[ast.Name] = []
    for node in body:
        if isinstance(node, ast.Assign):
            found += [target for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append(node.target)
    return found


def _binding_elsewhere(context: FailureContext, name: str) -> list[tuple[str, str]]:
    """Return where the program gives this name a meaning that does not reach here, and what to do about it.

    The first that is found counts: an ``except ... as name`` that has ended, a comprehension, another function,
    ``del``, a line further down, a line that was skipped. At most one pair of a fact and an advice is returned.
    """
    if (
        context.line is None
        or len(context.source) > _MAX_SIZE
        or name not in context.source.replace(context.code, "", 1)
    ):
        return []
    tree = context.tree or parsed(context.source)
    if tree is None:
        return []
    here = context.function
    for scope in ast.walk(tree):
        if isinstance(scope, ast.ExceptHandler) and scope.name == name and (scope.end_lineno or 0) < context.line:
            return [
                (
                    f"Python deletes {name} at the end of the except block on line {scope.lineno}",
                    "keep it under another name",
                )
            ]
        if isinstance(scope, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            loops = [each.target.id for each in scope.generators if isinstance(each.target, ast.Name)]
            if name in loops and scope.lineno != context.line:
                return [
                    (
                        f"{name} exists only inside the comprehension on line {scope.lineno}",
                        "compute what you need there",
                    )
                ]
        if (
            isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef)
            and scope is not here
            and name in _locals_of(scope)
        ):
            inside = f"{name} exists only inside {scope.name}(), line {scope.lineno}"
            if not scope.lineno <= context.line <= (scope.end_lineno or 0):
                return [(inside, f"let {scope.name}() return it")]
        if isinstance(scope, ast.Delete) and any(
            isinstance(each, ast.Name) and each.id == name for each in scope.targets
        ):
            return [(f"line {scope.lineno} deletes {name}", "do not delete what is used later")]
    bound = [line for node in walk_scope(tree) if (line := _binds_at_top(node, name)) is not None]
    later = min(bound, default=None)
    if later is None:
        return []
    if later > context.line:
        return [(f"{name} is defined on line {later} only, further down", f"move that above line {context.line}")]
    if later < context.line:
        return [
            (
                f"line {later}, which defines {name}, was not carried out",
                f"give {name} a value on every way to line {context.line}",
            )
        ]
    return []


def _binds_at_top(node: ast.AST, name: str) -> int | None:
    """Return the line on which a node binds the name in its own scope: a definition, an assignment, an import."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == name:
        return node.lineno
    if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
        return node.lineno
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        bound = [(each.asname or each.name).partition(".")[0] for each in node.names]
        return node.lineno if name in bound else None
    return None


def _bound_at_top(context: FailureContext) -> set[str]:
    return {target.id for target in _targets(context.tree.body)} if context.tree is not None else set()


def _locals_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    given = {each.arg for each in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]}
    return given | {
        node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _first_binding(function: ast.FunctionDef | ast.AsyncFunctionDef | None, name: str) -> ast.stmt | ast.expr | None:
    """Return the first statement of a function that gives a name a value, by an assignment or an import."""
    if function is None:
        return None
    found = [
        node
        for node in ast.walk(function)
        if (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store))
        or (isinstance(node, (ast.Import, ast.ImportFrom)) and _binds_at_top(node, name) is not None)
    ]
    return min(found, key=lambda node: node.lineno, default=None)


def _may_be_text(context: FailureContext, name: str) -> bool:
    """Whether quotes may have been forgotten: a key, or one argument among texts."""
    return bool(re.search(rf"\[\s*{re.escape(name)}\s*\]|\(\s*{re.escape(name)}\s*\)", context.code))
