"""Diagnosis of what libraries refuse: names they have removed, keywords they do not take, labels they have not.

What a library itself says comes before a guess: where no table knows its message, the message is the cause, and its own
advice the suggestion. Libraries are never imported for that: tables say what they have removed, the hints what their
functions and objects have in the version that is installed. A removed name that this version has again is no fault, and
the row of the table is passed over.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from resilience.report._diagnosis.context import FailureContext, as_texts
from resilience.report._diagnosis.labels import missing_label, shown_objects
from resilience.report._diagnosis.library_rules import RULES
from resilience.report._diagnosis.line_edits import (
    rename_in_line,
    rename_text,
    replace_in_line,
    replace_line,
    segment_of,
)
from resilience.report._diagnosis.network import network_error
from resilience.report._diagnosis.removed_names import (
    REMOVED_KEYWORDS,
    Removed,
    moved_import,
    moved_names,
    removed_name,
)
from resilience.report._diagnosis.rules import diagnose_by_rules, expression_parts, fill_template
from resilience.report._diagnosis.text import clear_match, join_words, near_matches, single_line
from resilience.report._diagnosis.variable_origins import variable_factors
from resilience.report._path_redaction import is_library
from resilience.report.diagnosis import Diagnosis

__all__ = ["diagnose_library", "own_message"]

_KEYWORD = re.compile(
    r"(?:(?P<function>[\w.<>]+)\(\) )?(?:got an )?unexpected keyword argument '(?P<name>\w+)'"
    r"|'(?P<other>\w+)' is an invalid keyword argument for (?P<class>[\w.]+)"
    r"|`(?P<gone>\w+)` is removed"
)
_OF_IMPORT = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'|^\s*`(?P<bare>\w+)` has been ")
_ADVISES = re.compile(
    r"\b(?:use|try|did you mean|perhaps|instead|consider|please|reshape|call|pass|specify|set|must|should|replace|"
    r"you may|you can|you might|make sure|valid)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.?!:])\s+(?=[A-Z`'\"\d-])|\n+")
_MAX_ADVICE = 2
_MAX_MESSAGE = 220
# Exceptions of Python's own that have better diagnosers than the words of the library that raised them.
_OWN = frozenset(
    {"SyntaxError", "NameError", "ModuleNotFoundError", "ZeroDivisionError", "RecursionError", "SystemExit"}
)


def diagnose_library(context: FailureContext) -> Diagnosis | None:
    """Explain what a table knows of a library's refusal, with the shapes and columns of the failing line; else None.

    The order is that of certainty: a row for exactly this name, then a near name, then the sentence of the message.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="AttributeError",
    ...     message="'DataFrame' object has no attribute 'iteritems'",
    ...     exception={"hints": {"name": "iteritems", "owner": "DataFrame", "library": "pandas"}},
    ...     source="pairs = table.iteritems()",
    ...     line=1,
    ... )
    >>> found = diagnose_library(FailureContext(failure))
    >>> found.immediate_cause, found.suggested_fix
    ('DataFrame has no iteritems since pandas 2.0', 'pairs = table.items()')
    """
    found = (
        _removed(context)
        or _moved_name(context)
        or _keyword(context)
        or missing_label(context)
        or network_error(context)
        or _by_message(context)
        or _alternative(context)
    )
    return None if found is None else _with_objects(context, found)


def own_message(context: FailureContext) -> Diagnosis | None:
    """Quote a library that raised an exception with a sentence of its own, and the advice in it.

    The first sentence is the cause; those that advise, ``use ... instead``, ``must be ...``, are the suggestions, at
    most `_MAX_ADVICE`, without links. None where the program itself raised the exception, and of a message of one word.
    """
    if not _is_of_library(context) or " " not in context.message.strip():
        return None
    sentences = [single_line(each, _MAX_MESSAGE) for each in _SENTENCE.split(context.message[:2000]) if each.strip()]
    advice = [each for each in sentences if _ADVISES.search(each) and "http" not in each][:_MAX_ADVICE]
    known = expression_parts(context)
    called = _called(context)
    if not advice:
        advice = [
            f"Check the arguments of {called}, which raised it inside a library."
            if called
            else f"Look at {known['line'] or 'the failing line'}."
        ]
    return _with_objects(
        context,
        Diagnosis(
            immediate_cause=sentences[0],
            contributing_factors=tuple(variable_factors(context)),
            suggestions=tuple(advice),
        ),
    )


def _with_objects(context: FailureContext, found: Diagnosis) -> Diagnosis:
    """Add the facts of the tables and arrays on the failing line, two at most, where no suggestion has them already."""
    facts = [each for each in shown_objects(context) if not any(each in tip for tip in found.suggestions)]
    return replace(found, contributing_factors=(*facts[:2], *found.contributing_factors))


def _is_of_library(context: FailureContext) -> bool:
    """Whether a library raised the exception, or owns its class and the program does not raise it by itself."""
    if context.type in _OWN or not context.frames:
        return False
    module = context.bases[0].rpartition(".")[0]
    own_class = module not in ("builtins", "__main__", "") and not any(
        frame.filename == context.failure.filename and frame.code.startswith("raise ") for frame in context.frames[-1:]
    )
    return is_library(context.frames[-1].filename) or own_class


def _called(context: FailureContext) -> str:
    """Return the function that the failing expression calls, as the program writes it: ``pd.read_csv()``."""
    node = context.expression
    return f"{single_line(ast.unparse(node.func), 60)}()" if isinstance(node, ast.Call) else ""


def _removed(context: FailureContext) -> Diagnosis | None:
    """Recognise a name that the library had in an earlier version, such as ``iteritems``, gone since pandas 2.0."""
    row = _removed_attribute(context) or _removed_import(context)
    if row is None:
        return None
    values = expression_parts(context)
    since = f" since {row.library} {row.version}" if row.version else f" in {row.library}"
    advice = fill_template(row.advice, values) or f"Write {row.replacement} instead of {row.name}."
    fix = _moved(context, row)
    if fix is None and row.replacement:
        fix = rename_in_line(context, row.name, row.replacement)
    elif fix is None:
        fix = _rewritten(context, row)
    return Diagnosis(
        immediate_cause=f"{row.owner.strip('*') or row.library} has no {row.name}{since}",
        suggestions=(advice,),
        suggested_fix=fix,
        specifics={"attribute": row.name, "removed_in": f"{row.library} {row.version}"},
    )


def _removed_attribute(context: FailureContext) -> Removed | None:
    """Return the row of an attribute that was asked for; the hint of its owner is a class or ``module x``."""
    name, owner, library = context.hint("name"), context.hint("owner"), context.hint("library")
    if context.type != "AttributeError" or not name or not library or owner == "NoneType":
        return None
    if owner.startswith("module "):
        owner = owner.removeprefix("module ").rpartition(".")[2]
        owner = "" if owner == library else owner
    owner = owner.removeprefix("class ")
    row = removed_name(library, owner, name)
    # What has come back under its name is not removed.
    return None if row is None or name in context.names else row


def _removed_import(context: FailureContext) -> Removed | None:
    """Return the row of a name that is imported: ``cannot import name 'Imputer' from 'sklearn.preprocessing'``."""
    found = _OF_IMPORT.search(context.message)
    if found is None:
        return None
    module = found["module"] or context.hint("from") or _imported_from(context)
    library, _, rest = module.partition(".")
    return removed_name(library, rest.rpartition(".")[2], found["name"] or found["bare"])


def _moved(context: FailureContext, row: Removed) -> str | None:
    """Return the statement that imports a name from the module where it is now; or a call that says as much.

    A name that only got another one is imported under its old one,
    ``from jinja2 import pass_context as contextfunction``, where the program uses it on further lines: one corrected
    line has to be enough.
    """
    statement, marked = context.statement, context.marked
    if isinstance(statement, ast.ImportFrom) and len(statement.names) == 1:
        module = moved_import(statement.module or "", row.name)
        if module:
            return replace_line(context, f"from {module} import {ast.unparse(statement.names[0])}")
        is_used = len(re.findall(rf"(?<![\w.]){row.name}(?!\w)", context.source)) > 1
        if row.replacement.isidentifier() and statement.names[0].asname is None and is_used:
            return replace_line(context, f"from {statement.module} import {row.replacement} as {row.name}")
        return None
    node = context.line_tree
    axis = {"xticks": "x", "yticks": "y"}.get(row.name)
    for call in ast.walk(node) if node is not None and axis is not None else ():
        if isinstance(call, ast.Call) and call.keywords and not call.args and marked in ast.unparse(call.func):
            return replace_in_line(context, f".{row.name}(", f'.tick_params(axis="{axis}", ')
    return None


def _moved_name(context: FailureContext) -> Diagnosis | None:
    """Recognise a name that is misspelt, and is in another module now: both corrections are made in one import."""
    found = _OF_IMPORT.search(context.message)
    module = (found["module"] or _imported_from(context)) if found is not None else ""
    name = (found["name"] or found["bare"]) if found is not None else ""
    meant = clear_match(name, moved_names(module))
    place = moved_import(module, meant) if meant is not None else None
    if meant is None or place is None:
        return None
    written = f"from {place} import {meant}"
    return Diagnosis(
        immediate_cause=f"{module} has no {name}",
        suggestions=(f"Write {meant} instead of {name}, and import it from where it is now: {written}.",),
        suggested_fix=replace_line(context, written),
        specifics={"attribute": name},
    )


def _imported_from(context: FailureContext) -> str:
    return context.statement.module or "" if isinstance(context.statement, ast.ImportFrom) else ""


def _rewritten(context: FailureContext, row: Removed) -> str | None:
    """Return the failing line with `concat` for the `append` of a table that pandas had."""
    if (row.library, row.name) != ("pandas", "append"):
        return None
    tree = context.line_tree
    calls = [
        each
        for each in (ast.walk(tree) if tree is not None else ())
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "append"
    ]
    alias = next((each for each in re.findall(r"import pandas as (\w+)", context.source)), "")
    if len(calls) != 1 or not calls[0].args or not alias:
        return None
    call = calls[0]
    assert isinstance(call.func, ast.Attribute)
    target, other = ast.unparse(call.func.value), call.args[0]
    added = f"{alias}.DataFrame([{ast.unparse(other)}])" if isinstance(other, ast.Dict) else ast.unparse(other)
    rest = "".join(f", {ast.unparse(each)}" for each in call.keywords if each.arg == "ignore_index")
    written = ast.get_source_segment(context.code, call) or ""
    return replace_in_line(context, written, f"{alias}.concat([{target}, {added}]{rest})") if written else None


def _keyword(context: FailureContext) -> Diagnosis | None:
    """Recognise a keyword that a function does not take: misspelt, of another library, or of an earlier version.

    ``read_csv() got an unexpected keyword argument 'error_bad_lines'`` is looked up in `REMOVED_KEYWORDS`; else a near
    parameter of the function, which the hints list, is meant. None where they list none.
    """
    found = _KEYWORD.search(context.message)
    if found is None:
        return None
    name = found["name"] or found["other"] or found["gone"]
    named = found["function"] or found["class"] or ""
    if named in ("", "__new__", "__init__"):
        named = _called(context).strip("()")
    function = named.removesuffix(".__init__")
    parameters, required = (list(as_texts(context.hints.get(each))) for each in ("parameters", "required"))
    if not parameters and not found["gone"]:
        return None  # a function of the program, which `arguments` knows by its source
    replacement = _replacement(context, function, name, parameters)
    meant = replacement if replacement is not None else _parameter(context, name, parameters, required)
    near = near_matches(name, parameters)
    bare = function.rpartition(".")[2]
    tips: list[str] = []
    fix: str | None = None
    if meant == "":
        tips.append(f"Leave {name} out: {bare}() does not take it any more.")
        fix = _without_keyword(context, name)
    elif meant:
        written = f"{meant}=" if "=" not in meant else meant
        tips.append(f"Write {written} instead of {name}=.")
        fix = _with_keyword(context, name, meant)
    elif near:
        tips.append(f"Did you mean {join_words([f'{each}=' for each in near], last='or')}?")
    if parameters and meant is None:
        tips.append(f"{bare}() takes {join_words(parameters, 20)}.")
    return Diagnosis(
        immediate_cause=f"{bare}() has no parameter called '{name}'",
        suggestions=tuple(tips or [f"Leave {name} out."]),
        suggested_fix=fix,
        specifics={"function": function, "unexpected_argument": name},
    )


def _alternative(context: FailureContext) -> Diagnosis | None:
    """Name what the library has in place of a word that it refused: a colour, a method, a column of a model.

    ``refused`` and ``alternatives`` are hints that were captured from the exception. Nothing is added where the message
    itself asks "Did you mean".
    """
    word, near = context.hint("refused"), list(as_texts(context.hints.get("alternatives")))
    if not word or not near or "Did you mean" in context.message:
        return None
    meant = clear_match(word, near) or (near[0] if len(near) == 1 else None)
    said = f"Write {meant!r} instead of {word!r}." if meant else f"Did you mean {join_words(near, last='or')}?"
    fix = None
    if meant is not None:
        fix = rename_text(context, word, meant) or rename_in_line(context, word, meant)
    return Diagnosis(
        immediate_cause=single_line(context.message, _MAX_MESSAGE),
        suggestions=(said,),
        suggested_fix=fix,
        specifics={"refused": word, "alternatives": [*near]},
    )


def _replacement(context: FailureContext, function: str, name: str, parameters: list[str]) -> str | None:
    """Return what a table has in place of a keyword; None where it has none that this version takes.

    An empty text means that the keyword is to be left out; one with ``=`` replaces the value, too. A table has rows for
    a function, or for all functions of a library, ``*``; they count where the program names that library.
    """
    parts = set(re.split(r"\W+", f"{function} {_called(context)}"))
    for row in REMOVED_KEYWORDS:
        if row.name == name and row.library in context.source and (row.function == "*" or row.function in parts):
            keyword = row.replacement.partition("=")[0]
            if not parameters or not keyword or keyword in parameters:
                return row.replacement
    opposite = _OPPOSITES.get(name)
    return opposite if opposite in parameters else None


_OPPOSITES = {"descending": "ascending", "ascending": "descending"}


def _parameter(context: FailureContext, name: str, parameters: list[str], required: list[str]) -> str | None:
    """Return the parameter that a keyword was meant for: the near one, else the one that is needed and not given."""
    meant = clear_match(name, parameters)
    if meant is not None:
        return meant
    short = [each for each in parameters if len(each) > 1 and (name.startswith(each) or each.startswith(name))]
    if len(short) == 1:
        return short[0]
    node = context.expression
    if isinstance(node, ast.Call) and not any(isinstance(each, ast.Starred) for each in node.args):
        given = {each.arg for each in node.keywords}
        missing = [each for each in required[len(node.args) :] if each not in given]
        if len(missing) == 1 and len(required) > 1:
            return missing[0]
    return None


def _value_of(context: FailureContext, name: str) -> tuple[str, ast.expr] | None:
    """Return the value of a keyword in the failing expression: as it is written, and its node."""
    node = context.expression
    for call in ast.walk(node) if node is not None else ():
        for each in call.keywords if isinstance(call, ast.Call) else ():
            if each.arg == name:
                return segment_of(context, each.value), each.value
    return None


def _with_keyword(context: FailureContext, name: str, meant: str) -> str | None:
    """Return the failing line with the keyword *meant* for *name*.

    Of an opposite, ``descending=True``, the value is negated: ``ascending=False``.
    """
    found = _value_of(context, name)
    if "=" in meant:
        return replace_in_line(context, f"{name}={found[0]}", meant) if found is not None else None
    if found is not None and _OPPOSITES.get(name) == meant and isinstance(found[1], ast.Constant):
        return replace_in_line(context, f"{name}={found[0]}", f"{meant}={not found[1].value}")
    return rename_in_line(context, name, meant)


def _without_keyword(context: FailureContext, name: str) -> str | None:
    """Return the failing line without a keyword and its value, and without the comma that goes with it."""
    found = _value_of(context, name)
    if found is None:
        return None
    for written in (f", {name}={found[0]}", f"{name}={found[0]}, ", f"{name}={found[0]}"):
        if (fix := replace_in_line(context, written, "")) is not None:
            return fix
    return None


def _by_message(context: FailureContext) -> Diagnosis | None:
    return next(_answers(context), None)


def _answers(context: FailureContext) -> Iterator[Diagnosis]:
    """Yield what the tables of messages say, those of the failure's own libraries alone.

    A library counts where the exception's class, a frame, the hints or the source name it: its words in the message of
    another library mean something else.
    """
    libraries = {base.partition(".")[0] for base in context.bases} | {
        frame.filename.replace("\\", "/") for frame in context.frames if is_library(frame.filename)
    }
    text = f"{' '.join(sorted(libraries))} {context.hint('library')} {context.source}"
    for library, rules in RULES.items():
        if library in text:
            found = diagnose_by_rules(context, rules)
            if found is not None:
                yield found
