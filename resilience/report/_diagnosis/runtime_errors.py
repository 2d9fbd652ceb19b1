"""Diagnosis of RuntimeError, asyncio's errors, AssertionError and exception groups.

Messages that say enough are rules; an assertion is explained by the values of its variables, and a group by its
members. The condition of an assertion is shown and never evaluated again: only captured values are read.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import cast

from resilience.report._diagnosis.ast_utils import code_of
from resilience.report._diagnosis.context import FailureContext, as_list, as_mapping, as_text, known_facts
from resilience.report._diagnosis.rules import diagnose_by_rules, rule
from resilience.report._diagnosis.text import format_value, join_words, phrase, single_line
from resilience.report._diagnosis.variable_origins import names_in, variable_factors
from resilience.report.captured_exception import Captured
from resilience.report.diagnosis import Diagnosis

__all__ = ["assertion", "group", "runtime_error"]

_RUNTIME = (
    rule(
        r"(?P<kind>dictionary|Set|set|OrderedDict|deque) (?:changed size|mutated|keys changed)",
        "the <kind> is changed while a loop goes through it: <code>",
        "Go through a copy: for each in list(values): ...",
        "Or collect what is to change, and change it after the loop.",
    ),
    rule(
        r"asyncio\.run\(\) cannot be called from a running event loop",
        "asyncio.run() is called where an event loop runs already",
        "Write `await main()` in place of asyncio.run(main()).",
        "In a notebook or a server the loop runs already: await there.",
    ),
    rule(
        r"This event loop is already running|Cannot run the event loop while another loop is running",
        "the event loop runs already, and cannot be started in itself",
        "Await the coroutine in place of run_until_complete().",
        "From another thread use asyncio.run_coroutine_threadsafe().",
    ),
    rule(
        r"no running event loop|There is no current event loop",
        "no event loop runs where the code needs one",
        "Start it with asyncio.run(main()), and do it inside of main().",
        "Make the function around it `async def` and await it.",
    ),
    rule(
        r"cannot reuse already awaited coroutine|coroutine is being awaited already",
        "one coroutine is awaited twice",
        "Call the async function again for each await: await fetch(), not await the same object.",
    ),
    rule(
        r"Event loop is closed",
        "the event loop was closed already",
        "Call asyncio.run() once, around all of it.",
        "Close clients and connections before the loop ends.",
    ),
    rule(
        r"attached to a different loop|different event loop",
        "an object of one event loop is used in another",
        "Make locks, queues and clients inside of the coroutine that asyncio.run() runs.",
    ),
    rule(
        r"coroutine '(?P<name>[\w.<>]+)' was never awaited",
        "the async function <name>() was called but never awaited",
        "Write await in front of the call.",
        "Or start it as a task: asyncio.create_task(...).",
    ),
    rule(
        r"generator raised StopIteration|coroutine raised StopIteration",
        "next() ended a generator by accident: StopIteration in it",
        "Give next() a default, next(values, None), and return where there is nothing left.",
    ),
    rule(
        r"generator already executing",
        "a generator is asked for a value while it makes one",
        "Use it from one thread at a time, and not in itself.",
    ),
    rule(
        r"generator ignored GeneratorExit|async generator ignored",
        "a generator yields while it is closed",
        "Do not yield in finally, nor after except GeneratorExit.",
    ),
    rule(
        r"super\(\): (?P<what>.+)",
        "super() is called where it cannot know its class: <what>",
        "Call super() in a method that has self as its first parameter.",
    ),
    rule(r"can't start new thread", "no more threads can be started", "Use a ThreadPoolExecutor with a few workers."),
    rule(
        r"cannot (?:join|release)|release unlocked lock|un-?acquired lock",
        "a lock or thread is released or joined that is not held or begun",
        "Use `with lock:`; start() a thread before join().",
    ),
    rule(r"threads can only be started once", "a thread is started twice", "Make a new Thread for each start."),
    rule(
        r"bootstrapping phase|freeze_support",
        "processes are started while the module is imported",
        "Put the start under `if __name__ == '__main__':`.",
    ),
    rule(
        r"wrapped C/C\+\+ object|Set changed|reentrant call",
        "an object is used while it is busy or gone",
        "Use it from one place at a time.",
    ),
    rule(r"lost sys\.std|I/O operation on closed", "the output was closed", "Do not close sys.stdout."),
    rule(
        r"No active exception to re-?raise",
        "`raise` alone stands where no exception is handled",
        "Name the exception: raise ValueError('what went wrong').",
        "A bare raise belongs into an except block.",
    ),
    rule(
        r"maximum recursion depth",
        "functions call each other without an end",
        "Give the function a case that returns without another call.",
    ),
    rule(
        r"Working outside of application context|Working outside of request context",
        "the call needs an application or a request around it",
        "Write `with app.app_context():` around it.",
    ),
    rule(
        r"CUDA|out of memory", "the graphics processor has no memory left", "Take smaller batches, or run on the CPU."
    ),
)


def runtime_error(context: FailureContext) -> Diagnosis | None:
    """Diagnose RuntimeError and RuntimeWarning by their message: ``dictionary changed size during iteration``.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> message = "asyncio.run() cannot be called from a running event loop"
    >>> failure = Failure(category=ErrorCategory.RUNTIME, error_type="RuntimeError", message=message)
    >>> runtime_error(FailureContext(failure)).suggestions[0]
    'Write `await main()` in place of asyncio.run(main()).'
    """
    return diagnose_by_rules(context, _RUNTIME)


def assertion(context: FailureContext) -> Diagnosis | None:
    """Diagnose an `assert` that does not hold, by its condition and the values of the variables in it.

    The message of the assertion, where it has one, is quoted as what it says. Which side of a comparison is wrong
    cannot be known: both are to be printed.

    >>> from resilience.categories import ErrorCategory
    >>> from resilience.report.failure import Failure
    >>> failure = Failure(
    ...     category=ErrorCategory.RUNTIME,
    ...     error_type="AssertionError",
    ...     message="sum is wrong",
    ...     source="assert total == 3",
    ...     line=1,
    ... )
    >>> assertion(FailureContext(failure)).immediate_cause
    'the assertion `total == 3` does not hold, which says: sum is wrong'
    """
    test: ast.expr | None = None
    if isinstance(context.statement, ast.Assert):
        test = context.statement.test
    condition, names = single_line(code_of(test), 80), names_in(test)
    values = [f"{name} = {format_value(context.value_of(name), 40)}" for name in names if context.knows(name)]
    what = condition or single_line(context.code, 80) or "a condition"
    said = phrase(", which says: {}", single_line(context.message, 100))
    tips = [
        f"With {join_words(values, 4)} it does not hold: correct the code that gives these values."
        if values
        else "Find out which side is wrong: print both before the assert."
    ]
    if isinstance(test, ast.Compare) and len(test.comparators) == 1:
        left, right = single_line(code_of(test.left), 40), single_line(code_of(test.comparators[0]), 40)
        tips.append(f"Print {left} and {right} before line {context.line}, and see which one is wrong.")
    tips.append("If the expectation itself is wrong, correct the assert.")
    return Diagnosis(
        immediate_cause=f"the assertion `{what}` does not hold{said}",
        contributing_factors=tuple(variable_factors(context, names)),
        suggestions=tuple(tips),
        specifics=known_facts(assertion=condition),
    )


def group(context: FailureContext) -> Diagnosis | None:
    """Diagnose an exception group by its members, of which ten are read and five are shown.

    Where all members have the same type and message, the one fault behind them is diagnosed.
    """
    members = [as_mapping(each) for each in as_list(context.exception.get("members"))[:10]]
    shown = [f"{as_text(each.get('type'))}: {single_line(as_text(each.get('message')), 60)}" for each in members]
    if len({*shown}) == 1:
        return _only_member(context, shown[0])
    return Diagnosis(
        immediate_cause=f"{len(shown) or 'several'} failures came together{phrase(': {}', join_words(shown, 3))}",
        contributing_factors=tuple(shown[:5]),
        suggestions=(
            "Look at each of them: they are independent of each other.",
            "Catch them by kind with except*: except* ValueError as errors:.",
        ),
    )


def _only_member(context: FailureContext, shown: str) -> Diagnosis:
    """Explain the one exception of a group, or the one that all of its members are.

    It is diagnosed as a failure of its own, so that its line is corrected and not that of the group.
    """
    from resilience.report._diagnosis import diagnose

    member = cast("Captured", as_mapping(as_list(context.exception.get("members"))[0]))
    found = diagnose(replace(context.failure, exception=member, error_type="", message=""))
    line = FailureContext(replace(context.failure, exception=member)).line
    specifics = {"fix_applies_to": f"line {line}", **found.specifics} if found.suggested_fix else found.specifics
    where = phrase(" on line {}", line)
    return replace(
        found,
        immediate_cause=f"a task of the group failed with {shown}{where}: {found.immediate_cause}",
        context="",
        specifics=specifics,
    )
