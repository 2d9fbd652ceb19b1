"""Diagnosis of calls with wrong arguments: missing, too many, unknown, given twice.

The message of CPython names the function and the number of arguments. The diagnosis adds the signature, where the
program defines the function, and the parameter that a misspelt keyword was meant for. The signature is read from the
source, or from the hints: no function is inspected. Keywords that functions of libraries do not take are explained by
`libraries` first.
"""

from __future__ import annotations

import ast
import re

from resilience.report._diagnosis.context import FailureContext, as_texts, known_facts
from resilience.report._diagnosis.line_edits import rename_in_line
from resilience.report._diagnosis.rules import diagnose_by_rules, rule
from resilience.report._diagnosis.text import clear_match, join_words, near_matches
from resilience.report._diagnosis.variable_origins import functions_named
from resilience.report.diagnosis import Diagnosis

__all__ = ["wrong_arguments"]

_FUNCTION = r"(?P<function>[\w.<>]+)\(\)"
_MISSING = re.compile(
    rf"{_FUNCTION} missing (?:\d+ required (?:positional|keyword-only) arguments?: |required argument )(?P<names>.+)"
)
_TOO_MANY = re.compile(
    rf"{_FUNCTION} takes (?P<takes>.+?) (?:positional )?arguments? (?:but|\()\s*(?P<given>\d+)"
    r"(?: positional arguments? .*?)? ?(?:were|was)? ?given"
)
_UNEXPECTED = re.compile(
    rf"(?:{_FUNCTION} got an unexpected keyword argument '(?P<name>\w+)'"
    r"|'(?P<other>\w+)' is an invalid keyword argument for (?P<builtin>[\w.]+)\(\))"
)
_MULTIPLE = re.compile(rf"{_FUNCTION} got multiple values for (?:keyword )?argument '(?P<name>\w+)'")
_BUILTIN = re.compile(
    r"(?P<function>[\w.]+)(?:\(\))? (?:expected|takes) (?P<takes>(?:at (?:most|least)|exactly) \w+) arguments?,? "
    r"(?:\(|got )(?P<given>\d+)"
)
_RULES = (
    rule(
        rf"{_FUNCTION} takes no keyword arguments",
        "<function>() takes its arguments without names",
        "Leave the names out: give the values alone, in order.",
    ),
    rule(
        rf"{_FUNCTION} takes no arguments",
        "<function>() takes no arguments, but got some",
        "If <function> is a class of yours, give it __init__(self, ...), with two underscores on each side.",
        "Or call it without arguments.",
    ),
    rule(
        rf"{_FUNCTION} got some positional-only arguments passed as keyword arguments: '(?P<name>[^']+)'",
        "<function>() takes <name> by its place only, not by name",
        "Leave out the name: give the value of <name> alone, in order.",
    ),
)


_NOUNS = {"1": "argument", "one": "argument"}


def wrong_arguments(context: FailureContext) -> Diagnosis | None:
    r"""Diagnose a call with too few arguments, too many, or others than the function has; None of another message.

    CPython words the same fault otherwise for functions written in C, ``pop expected at most 1 argument, got 2``: that
    pattern is tried last.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="TypeError",
    ...     message="area() missing 1 required positional argument: 'width'",
    ...     source="def area(width): ...\narea()",
    ...     line=2,
    ... )
    >>> found = wrong_arguments(FailureContext(failure))
    >>> found.immediate_cause, found.contributing_factors
    ('area(width) was called without width', ('area(width) is defined on line 1',))
    """
    for pattern, answer in (
        (_MISSING, _missing),
        (_TOO_MANY, _too_many),
        (_UNEXPECTED, _unexpected),
        (_MULTIPLE, _multiple),
        (_BUILTIN, _too_many),
    ):
        found = pattern.search(context.message)
        if found is not None:
            return answer(context, found)
    return diagnose_by_rules(context, _RULES)


def _missing(context: FailureContext, found: re.Match[str]) -> Diagnosis:
    """Diagnose ``area() missing 1 required positional argument: 'width'``.

    Where ``self`` is missing, the method was called on its class.
    """
    function, names = found["function"], re.findall(r"'(\w+)'", found["names"])
    signature, fact = _signature(context, function)
    example = ", ".join(f"{name}=..." for name in names[:4])
    tips = [f"Give {join_words(names)} in the call: {_bare(function)}({'..., ' if signature else ''}{example})."]
    if names[:1] == ["self"] or _is_called_on_class(context, function):
        tips.insert(
            0, f"Call it on an object and not on the class: {function.partition('.')[0]}().{_bare(function)}(...)."
        )
    if _definition(context, function) is not None:
        tips.append(f"Or give {join_words(names)} a default where {_bare(function)}() is defined.")
    return Diagnosis(
        immediate_cause=f"{_shown(function, signature)} was called without {join_words(names)}",
        contributing_factors=fact,
        suggestions=tuple(tips),
        specifics={"function": function, "missing_arguments": [*names], **known_facts(signature=signature)},
    )


def _is_called_on_class(context: FailureContext, function: str) -> bool:
    """Whether the program calls a method on the class that the message names."""
    owner, _, method = function.rpartition(".")
    node = context.expression
    target = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    return bool(owner) and method != "__init__" and target is not None and ast.unparse(target) == owner


def _too_many(context: FailureContext, found: re.Match[str]) -> Diagnosis:
    """Diagnose ``area() takes 1 positional argument but 2 were given``.

    *found* has ``takes``, the words for how many there may be, and ``given``, the number, which counts the object, too.
    """
    function, takes, given = found["function"], found["takes"], found["given"]
    signature, fact = _signature(context, function)
    tips: list[str] = []
    definition = _definition(context, function)
    if (
        definition is not None
        and "." in function
        and not _has_self(definition)
        and int(given[:6]) == 1 + len(definition.args.args)
    ):
        tips.append(
            f"Write self as the first parameter: def {definition.name}(self{', ' if definition.args.args else ''}"
            f"{', '.join(each.arg for each in definition.args.args)}). A method gets its object first."
        )
    if function in ("range", "len", "input", "max", "min", "append", "list.append"):
        tips.append(
            {
                "append": "Append one value at a time, or use extend([a, b]).",
                "list.append": "Append one value at a time, or use extend([a, b]).",
                "len": "len() measures one value: put several in a list.",
                "input": "input() takes one text: join the parts first, with an f-string.",
            }.get(function, "Look at how it is called.")
        )
    tips.append(
        f"Call it with what it takes: {_shown(function, signature)}." if signature else f"Give it {takes} and no more."
    )
    tips.append(
        f"Or add a parameter where {_bare(function)}() is defined."
        if definition is not None
        else "Look up its parameters with help()."
    )
    counts_self = ", its object included" if definition is not None and _has_self(definition) else ""
    noun = _NOUNS.get(takes.split()[-1], "arguments")
    return Diagnosis(
        immediate_cause=f"{_shown(function, signature)} takes {takes} {noun} but was given {given}{counts_self}",
        contributing_factors=fact,
        suggestions=tuple(tips),
        specifics={"function": function, **known_facts(signature=signature)},
    )


def _unexpected(context: FailureContext, found: re.Match[str]) -> Diagnosis:
    """Diagnose ``draw() got an unexpected keyword argument 'colour'`` by the parameters that the function has."""
    function, name = found["function"] or found["builtin"], found["name"] or found["other"]
    signature, fact = _signature(context, function)
    definition = _definition(context, function)
    parameters = [*context.names]
    if definition is not None:
        parameters = [each.arg for each in _all(definition)]
    hinted = re.search(r"Did you mean '(\w+)'", context.message)
    meant = hinted[1] if hinted else clear_match(name, parameters)
    near = near_matches(name, parameters)
    of_library = as_texts(context.hints.get("parameters"))
    tips = [] if of_library else [f"{_bare(function)}() has no parameter {name}: leave {name}=... out of the call."]
    if meant:
        tips.insert(0, f"Write {meant}= instead of {name}=.")
    elif near:
        tips.insert(0, f"Did you mean {join_words(near, last='or')}?")
    if signature:
        tips.append(f"It takes {_bare(function)}{signature}.")
    return Diagnosis(
        immediate_cause=f"{_bare(function)}() has no parameter called '{name}'",
        contributing_factors=fact,
        suggestions=tuple(tips),
        suggested_fix=rename_in_line(context, name, meant) if meant else None,
        specifics={"function": function, "unexpected_argument": name, **known_facts(signature=signature)},
    )


def _multiple(context: FailureContext, found: re.Match[str]) -> Diagnosis:
    """Diagnose ``area() got multiple values for argument 'width'``: it was given by its place and by its name."""
    function, name = found["function"], found["name"]
    signature, fact = _signature(context, function)
    return Diagnosis(
        immediate_cause=f"{_shown(function, signature)} got '{name}' twice: by its place and by its name",
        contributing_factors=fact,
        suggestions=(f"Give {name} once: leave out {name}=..., or the value that stands in its place.",),
        specifics={"function": function, **known_facts(signature=signature)},
    )


def _definition(context: FailureContext, function: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the function that a message names, where the program defines one of that name, or in that class."""
    found = functions_named(context, _method(function))
    return found[0] if len(found) == 1 else _in_class(context, function)


def _in_class(context: FailureContext, function: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the method of a class of the program, where the message names both: ``Stack.push``."""
    owner = function.split(".")[-2] if "." in function else ""
    for node in ast.walk(context.tree) if context.tree is not None and owner else ():
        if isinstance(node, ast.ClassDef) and node.name == owner:
            for each in node.body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name == _method(function):
                    return each
    return None


def _signature(context: FailureContext, function: str) -> tuple[str, tuple[str, ...]]:
    """Return the parameters of a function, ``(width, height=1)``, and the line where the program defines it.

    Of a function of a library there is the signature of the hints, which may be empty, and no line.
    """
    definition = _definition(context, function)
    if definition is None:
        return context.hint("signature"), ()
    signature = f"({ast.unparse(definition.args)})"
    return signature, (f"{_bare(function)}{signature} is defined on line {definition.lineno}",)


def _method(function: str) -> str:
    return function.rpartition(".")[2]


def _bare(function: str) -> str:
    """Return what a function is called by: the class for its __init__."""
    if function.endswith(".__init__"):
        return function.split(".")[-2]
    return _method(function)


def _shown(function: str, signature: str) -> str:
    return f"{_bare(function)}{signature or '()'}"


def _all(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def _has_self(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return bool(function.args.args) and function.args.args[0].arg in ("self", "cls")
