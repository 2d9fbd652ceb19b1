"""Diagnosis of KeyError, IndexError and StopIteration.

Keys and lengths come from the hints of the failure or from captured variables: no object of the program is examined. A
captured repr is read as a literal, and only where it shows all elements; one that was cut says nothing of what is
missing. Labels of tables are a matter of `labels`.
"""

from __future__ import annotations

import ast
import re

from resilience.report._diagnosis.ast_utils import parsed_expression
from resilience.report._diagnosis.context import FailureContext, as_int, as_list, known_facts
from resilience.report._diagnosis.line_edits import replace_line
from resilience.report._diagnosis.rules import expression_parts
from resilience.report._diagnosis.text import clear_match, format_value, join_words, near_matches, plural, single_line
from resilience.report._diagnosis.variable_origins import variable_factors
from resilience.report.diagnosis import Diagnosis

__all__ = ["index_error", "key_error", "stop_iteration"]


def key_error(context: FailureContext) -> Diagnosis | None:
    """Diagnose a mapping without a key: ``KeyError: 'nmae'``, by the keys that it has.

    None of a library's subclass of KeyError, whose message is a sentence. A near key is proposed only where it is
    clearly meant; else ``get`` or a test are advised.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="KeyError",
    ...     message="'nmae'",
    ...     exception={"type": "KeyError", "hints": {"keys": ["name", "age"]}},
    ...     source='print(user["nmae"])',
    ...     line=1,
    ... )
    >>> key_error(FailureContext(failure)).suggested_fix
    'print(user["name"])'
    """
    if context.library_function and (context.type != "KeyError" or isinstance(context.expression, ast.Call)):
        return None
    known = expression_parts(context)
    key = single_line(context.message or format_value(context.hint("key")), 80)
    target = known.get("target", "")
    given = as_list(context.hints.get("keys"))
    keys = [each for each in given if isinstance(each, str)] or _keys(context, target)
    others = [each for each in given if not isinstance(each, str)]
    bare = key.strip("'\"")
    tips: list[str] = []
    fix: str | None = None
    meant = clear_match(bare, keys)
    near = near_matches(bare, keys)
    holder = target or "the dict"
    # A message of more words is no key: pop() from an empty set, a library's own text.
    if "pop from an empty set" in context.message or "popitem" in context.message:
        return Diagnosis(
            immediate_cause=f"{target.rpartition('.')[0] or 'the collection'} is empty: there is nothing to take out",
            contributing_factors=tuple(variable_factors(context)),
            suggestions=("Test first that it is not empty: `while values:`.",),
        )
    if meant is not None:
        tips.append(f"Write {meant!r} instead of {key}.")
        fix = (
            replace_line(context, context.raw_line.replace(key, repr(meant) if "'" in key else f'"{meant}"'))
            if context.raw_line.count(key) == 1
            else None
        )
        fix = fix or _in_other_quotes(context, bare, meant)
    elif near:
        tips.append(f"Did you mean {join_words(map(repr, near), last='or')}?")
    if keys or others:
        tips.append(f"{target or 'The dict'} has the keys {join_words(map(repr, [*keys, *others]), 8)}.")
    other = _of_other_type(bare, key, keys, others)
    if other:
        tips.insert(0, other)
    if meant is None:
        tips.append(
            f"Write {target or 'data'}.get({key}) to get None, or a default as second argument, where the key may be "
            "missing."
        )
        tips.append(f"Test first: `if {key} in {target or 'data'}:`.")
    return Diagnosis(
        immediate_cause=f"{holder} has no key {key}",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=tuple(tips),
        suggested_fix=fix,
        specifics={"missing_key": key, **known_facts(available_keys=[*keys[:20]])},
    )


def index_error(context: FailureContext) -> Diagnosis | None:
    """Diagnose ``list index out of range`` by the length of the sequence and the index, where these are known.

    An index that equals the length is a range that is one too long. None of a library's own exception, which says more.
    """
    if "pop from" in context.message:
        target = expression_parts(context).get("target", "").rpartition(".")[0]
        return Diagnosis(
            immediate_cause=f"{target or 'the list'} is empty: there is nothing to take out",
            contributing_factors=tuple(variable_factors(context)),
            suggestions=(f"Test first that it is not empty: `while {target or 'values'}:`.",),
        )
    if "no such group" in context.message:
        return Diagnosis(
            immediate_cause=f"the pattern has no group of that number: {single_line(context.code, 80)}",
            suggestions=("Count the groups in parentheses: group(1) is the first, group(0) all that matched.",),
        )
    if context.library_function and (context.type != "IndexError" or not isinstance(context.expression, ast.Subscript)):
        return None  # a library's own, which says more
    known = expression_parts(context)
    target, index = known.get("target", ""), known.get("index", "")
    length = as_int(context.hints.get("length"))
    length = _length(context, target) if length is None else length
    number = context.hints.get("index")
    number = number if type(number) is int else _number(context, index)
    holder = target or "the sequence"
    size = ""
    if length is not None:
        size = f", which has {length} {plural(length, 'element', 'elements')}"
    at = index or "the index"
    if number is not None and index != str(number):
        at = f"{index} = {number}"
    tips: list[str] = []
    if length == 0:
        tips.append(f"{holder} is empty: test `if {target or 'values'}:` first, and find out why nothing is in it.")
    elif length is not None:
        tips.append(
            f"{holder} has {length} {plural(length, 'element', 'elements')}: the last one is {target}[{length - 1}], "
            f"or {target}[-1]."
        )
    if length is not None and number == length and length:
        tips.append(f"The index is one too large: use range(len({target})), without + 1, and < in place of <=.")
    if "assignment" in context.message:
        tips.insert(0, f"A list does not grow by assignment: write {target or 'values'}.append(value).")
    if "Replacement index" in context.message:
        return Diagnosis(
            immediate_cause=f"the text has more places {{}} than format() got values: {single_line(context.code, 80)}",
            suggestions=("Give a value for each place, or use an f-string.",),
        )
    if re.search(r"sys\.argv", target):
        tips.insert(0, "The program got no such argument: test len(sys.argv), or set the value in the code.")
    if ".split(" in target:
        tips.insert(0, "The text has fewer parts than expected: take the parts into a list, and test its length.")
    tips.append(f"Go through the elements without an index: for each in {target or 'values'}: ...")
    return Diagnosis(
        immediate_cause=f"{at} is outside of {holder}{size}",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=tuple(tips),
        specifics={
            **known_facts(index=number),
            **known_facts(length=length),
        },
    )


def stop_iteration(context: FailureContext) -> Diagnosis | None:
    """Diagnose `next` of an iterator without another value; an exhausted generator is the usual cause."""
    return Diagnosis(
        immediate_cause=f"next() found no value left: {single_line(context.marked or context.code, 80)}",
        contributing_factors=tuple(variable_factors(context)),
        suggestions=(
            "Give next() a default: next(values, None).",
            "Go through the values with a for loop, which ends by itself.",
            "A generator can be gone through once: make a list of it to use it again.",
        ),
    )


def _keys(context: FailureContext, target: str) -> list[str]:
    """Return the keys of a dict that a captured variable shows, where it shows all of them."""
    value = context.value_of(target) if context.knows(target) else None
    node = parsed_expression(value) if isinstance(value, str) and len(value) < 2000 else None
    if not isinstance(node, ast.Dict):
        return []
    return [each.value for each in node.keys if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def _of_other_type(bare: str, key: str, keys: list[str], others: list[object]) -> str:
    """Return the advice on a key that the dict has in another type, the text ``'3'`` and the number 3.

    *bare* is the key without quotes, *key* as the message has it, *others* are the keys that are no texts.
    """
    if key == bare and bare in keys:
        return f"The key is the text {bare!r}, and {key} is a number: write str({key}), or make numbers of the keys."
    if key != bare and bare in map(str, others):
        return f"The key is the number {bare}, and {key} is a text: write int({key}), or make texts of the keys."
    return ""


def _in_other_quotes(context: FailureContext, bare: str, meant: str) -> str | None:
    """Return the failing line with *meant* for a key, in whichever quotes the program has it."""
    for quote in "'\"":
        written = f"{quote}{bare}{quote}"
        if context.raw_line.count(written) == 1:
            return replace_line(context, context.raw_line.replace(written, f"{quote}{meant}{quote}"))
    return None


def _length(context: FailureContext, target: str) -> int | None:
    """Return how many elements a variable has, where its captured repr tells."""
    if not context.knows(target):
        return None
    value = context.value_of(target)
    if not isinstance(value, str):
        return None
    node = parsed_expression(value) if len(value) < 5000 else None
    if isinstance(node, (ast.List, ast.Tuple)):
        return len(node.elts) if not any(_is_cut(each) for each in node.elts) else None
    if "string index" in context.message and not value.endswith("..."):
        return len(value)
    return None


def _is_cut(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _number(context: FailureContext, index: str) -> int | None:
    """Return the value of an index that is a number or a variable."""
    if re.fullmatch(r"-?\d{1,9}", index):
        return int(index)
    value = context.value_of(index) if context.knows(index) else None
    return value if type(value) is int else None
