"""Diagnosis of AttributeError: unknown names, None, attributes that cannot be set.

The hints of the failure list the attributes that the object has; the diagnosis looks for a misspelt one, for a method
of another language or type, and for the place where a variable became None. No attribute of an object is read here: the
names were collected when the exception was captured, and an object from another process is not there to be asked.

Names that a library has removed are a matter of `removed_names`, which `libraries` asks before this module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from resilience.report._diagnosis.ast_utils import code_of
from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.line_edits import rename_in_line, rename_text, replace_line
from resilience.report._diagnosis.other_languages import METHODS, MODULE_ATTRIBUTES, SYNONYMS
from resilience.report._diagnosis.rules import diagnose_by_rules, rule
from resilience.report._diagnosis.text import clear_match, join_words, near_matches, single_line, with_article
from resilience.report._diagnosis.variable_origins import origin_of, reason_for_none, variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["attribute_error"]

_OBJECT = re.compile(r"'([^']+)' object has no attribute '([^']+)'")
_MODULE = re.compile(r"module '([^']+)' has no attribute '([^']+)'")
_TYPE = re.compile(r"type object '([^']+)' has no attribute '([^']+)'")
_FUNCTIONS = ("function", "method", "builtin_function_or_method", "method_descriptor", "staticmethod")
_OLD_OF_PYDANTIC = frozenset(
    {
        "dict",
        "json",
        "copy",
        "construct",
        "parse_obj",
        "parse_raw",
        "parse_file",
        "from_orm",
        "schema",
        "schema_json",
        "validate",
        "update_forward_refs",
    }
)
# What cannot be set, by what Python says: cause, advice.
_CANNOT_SET = (
    rule(
        r"property '?(?P<name>\w+)'? of '(?P<owner>[\w.]+)' object has no (?:setter|deleter)"
        r"|can't (?:set|delete) attribute '(?P<other>\w+)'",
        "the property <name> can be read only",
        "Set what the property is computed from, or add a setter with @<name>.setter.",
    ),
    rule(
        r"'(?P<owner>[\w.]+)' object attribute '(?P<name>\w+)' is read-only",
        "the attribute <name> of <a owner> can be read only",
        "Keep the value in a variable of your own, or make a new object.",
    ),
    rule(
        r"cannot (?:set|assign to) (?:field )?'(?P<name>\w+)'(?: attribute of immutable type '(?P<owner>[\w.]+)')?",
        "<name> cannot be assigned: what it belongs to is immutable",
        "Make a new object with the other value, with dataclasses.replace() for a dataclass.",
    ),
    rule(
        r"'(?P<owner>[\w.]+)' object has no attribute '(?P<name>\w+)' and no __dict__",
        "<a owner> cannot be given an attribute <name>: its class fixes what it has (__slots__)",
        "Add <name> to __slots__ of <owner>.",
    ),
)


def attribute_error(context: FailureContext) -> Diagnosis | None:
    """Diagnose an attribute that an object, a class or a module does not have, or does not let be set.

    The message names the type and the attribute, ``'list' object has no attribute 'push'``. Where a class has a message
    of its own, both are taken from the hints; None where these lack the name, too.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="AttributeError",
    ...     message="'list' object has no attribute 'push'",
    ...     source="values.push(3)",
    ...     line=1,
    ... )
    >>> attribute_error(FailureContext(failure)).suggested_fix
    'values.append(3)'
    """
    refused = diagnose_by_rules(context, _CANNOT_SET)
    if refused is not None:
        return refused
    module = _MODULE.search(context.message)
    if module is not None:
        return _of_module(context, module[1], module[2])
    found = _OBJECT.search(context.message) or _TYPE.search(context.message)
    if found is None:
        name, owner = context.hint("name"), context.hint("owner")
        return _of_object(context, owner or "object", name) if name else None
    if found[1] == "NoneType":
        return _of_none(context, found[2])
    return _of_object(context, found[1], found[2])


def _of_none(context: FailureContext, name: str) -> Diagnosis:
    """Diagnose ``'NoneType' object has no attribute 'group'``: look for the line or the call that gave None."""
    target = _target(context, name)
    shown = single_line(code_of(target)) or "the object"
    facts, why = variable_factors(context), ""
    if isinstance(target, ast.Name):
        origin = origin_of(context, target.id)
        why = reason_for_none(context, origin.value) if origin is not None else ""
    else:
        why = reason_for_none(context, target)
    tips = [f"Test it first: `if {shown} is not None:`." if target is not None else "Test for None first."]
    if why:
        tips.insert(0, f"Look at where {shown} comes from: {why}.")
        facts.append(why)
    elif isinstance(target, ast.Name) and (origin := origin_of(context, target.id)) is not None:
        tips.insert(0, f"Look at line {origin.line}, where {shown} got its value: {single_line(origin.code)}")
    return Diagnosis(
        immediate_cause=f"{shown} is None, which has no attribute '{name}'",
        contributing_factors=tuple(facts),
        suggestions=tuple(tips),
        specifics={
            "attribute": name,
            "owner": "NoneType",
            **({"none_expression": shown} if target is not None else {}),
        },
    )


def _of_module(context: FailureContext, module: str, name: str) -> Diagnosis:
    """Diagnose ``module 'math' has no attribute 'squareroot'``.

    The name is misspelt, the module is imported in a circle, or a file of the program hides it.
    """
    tips: list[str] = []
    fix: str | None = None
    known = MODULE_ATTRIBUTES.get((module, name))
    if known is not None:
        tips.append(known[0])
        fix = replace_line(context, context.raw_line.replace(f"{module}.{name}", known[1])) if known[1] else None
    if "circular import" in context.message or "partially initialized" in context.message:
        tips.append(
            f"{module} is still being imported when {name} is asked for: two modules import each other. "
            "Move one of the imports into the function that needs it."
        )
        tips.append(f"Look whether a file of yours is called {module.partition('.')[0]}.py: it hides the real module.")
    elif "consider renaming" in context.message:
        tips.append(f"Rename your file {module}.py: it is imported in place of the library of the same name.")
    synonym = _synonym(name, context.names)
    near = [synonym] if synonym else near_matches(name, context.names)
    if near and not known:
        tips.append(f"Did you mean {join_words([f'{module}.{each}' for each in near], last='or')}?")
        meant = synonym or clear_match(name, context.names) or (near[0] if len(near) == 1 and name in near[0] else None)
        if meant is not None:
            tips[-1] = f"Write {module}.{meant} instead of {module}.{name}."
            fix = rename_in_line(context, name, meant)
    tips.append(f"Look up what {module} offers: dir({module.rpartition('.')[2]}) lists it.")
    return Diagnosis(
        immediate_cause=f"the module {module} has nothing called '{name}'",
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics={"attribute": name, "owner": module},
    )


def _of_object(context: FailureContext, owner: str, name: str) -> Diagnosis | None:
    """Diagnose an attribute that an object of the type *owner* lacks.

    None where the object has it and its library refuses it: the message of the library says why.

    The first tip is the row of another language's method, or else a clearly near name. The names that the object has
    are listed only where nothing else is known.
    """
    if name in context.names and context.library_function:
        return None  # the object has it, and its library refuses it: its message says why
    target = _target(context, name)
    shown = single_line(code_of(target))
    tips: list[str] = []
    fix: str | None = None
    known = METHODS.get((owner, name))
    if known is not None:
        tips.append(known[0].format(target=shown or "value"))
        fix = rename_in_line(context, name, known[1]) if known[1] else None
    if owner in _FUNCTIONS and shown:
        tips.append(f"{shown} is a function: call it first, as in {shown}().{name}.")
    if owner in ("coroutine", "async_generator"):
        tips.append(f"Await it first: (await {shown or 'call(...)'}).{name}.")
    if owner == "dict" and _has_key(context, target, name):
        tips.append(f"Read the key instead: {shown}[{name!r}].")
        fix = (
            replace_line(context, context.raw_line.replace(f"{shown}.{name}", f"{shown}[{name!r}]")) if shown else None
        )
    elif owner == "dict" and known is None and not hasattr(dict, name):
        tips.append(f"A dict is read by key: {shown or 'value'}[{name!r}].")
    if owner in ("list", "tuple", "set", "generator") and (hasattr(str, name) or hasattr(dict, name)) and known is None:
        tips.append(f"Take one element first, or do it for each: [each.{name}(...) for each in {shown or 'values'}].")
    meant = _synonym(name, context.names) or clear_match(name, _current(context))
    near = near_matches(name, _current(context))
    if known is None and meant is not None:
        tips.insert(0, f"Write {meant} instead of {name}: {with_article(owner)} has {meant}.")
        fix = fix or rename_in_line(context, name, meant) or rename_text(context, name, meant)
    elif known is None and near:
        tips.insert(0, f"Did you mean {join_words(near, last='or')}? These {with_article(owner)} has.")
    if not tips:
        own = [each for each in context.names if not each.startswith("_")]
        tips.append(
            f"{with_article(owner)[:1].upper()}{with_article(owner)[1:]} has {join_words(own, 8)}."
            if own
            else f"Set {name} before it is read, in __init__ of {owner}."
        )
        tips.append(
            f"Check the type of {shown or 'the object'}: it is {with_article(owner)}; was something else expected?"
        )
    subject = f"{shown} is {with_article(owner)}, which" if shown else with_article(owner)
    return Diagnosis(
        immediate_cause=f"{subject} has no attribute '{name}'",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics={"attribute": name, "owner": owner},
    )


def _synonym(name: str, names: Sequence[str]) -> str | None:
    """Return the method that an object has under another word for the same: ``mean`` for ``average``."""
    return next((each for each in SYNONYMS.get(name, ()) if each in names), None)


def _current(context: FailureContext) -> Sequence[str]:
    """Return the names of an object, without those that its library keeps for programs of an earlier version.

    Pydantic 2 has ``dict`` and ``json`` still, but warns: to propose them for ``to_dict`` would be bad advice.
    """
    if context.hint("library") == "pydantic" and "model_dump" in context.names:
        return [each for each in context.names if each not in _OLD_OF_PYDANTIC]
    return context.names


def _target(context: FailureContext, name: str) -> ast.expr | None:
    """Return what was asked for the attribute; None where the line asks for that attribute twice."""
    node = context.expression or context.line_tree
    if node is None:
        return None
    found = [each.value for each in ast.walk(node) if isinstance(each, ast.Attribute) and each.attr == name]
    return found[0] if len(found) == 1 else None


def _has_key(context: FailureContext, target: ast.expr | None, name: str) -> bool:
    """Whether the captured repr of a variable shows a dict with that key."""
    shown = str(context.value_of(target.id)) if isinstance(target, ast.Name) else ""
    return f"{name!r}:" in shown
