"""The two runners are one text: their trees are the same but for `await`, and for the differences named here."""

from __future__ import annotations

import ast
import difflib
import pathlib

import pytest

import resilience._runtime

FOLDER = pathlib.Path(resilience._runtime.__file__).parent

# What the async runner calls in place of what the sync one does.
NAMES = {"run_with_timeout_async": "run_with_timeout", "acquire_async": "acquire", "pause_async": "pause"}

# The lines that only one of them has, without `await`. A docstring is a line.
ONLY_SYNC = {
    "call_function": {
        "A signal may interrupt what runs in this frame (`interruptible`).",
        # A thread's caller may have left it.
        "if call.cancel_token is not None:",
        "    check_caller(call)",
        "return Outcome((call.opener or call.function)(*call.arguments, **call.keywords))",
    },
    "sleep": {
        '"""Wait in this thread, unless the call\'s caller leaves it."""',
        "if effect.seconds > 0:",
        "    pause(effect, call)",
        "    check_caller(call)",
    },
    "race": {
        "def race(effect: Race, call: Call) -> Outcome:",
        '"""Run copies in threads, where the policy allows that; `thread_race` is loaded with the first race."""',
        "if not effect.in_threads:",
        "    raise TypeError(f'{call.target} is not async: Race cannot end a sync copy of a call')",
        "from resilience._runtime.thread_race import race_in_threads",
        "return race_in_threads(effect, drive, call)",
    },
    "call_user_function": {
        "if isinstance(value, Coroutine):",
        "    value.close()",
        "    raise TypeError(f'{effect.function!r} is async and the call is not: its result would not be awaited')",
        "return Outcome(value)",
    },
}
ONLY_ASYNC = {
    "call_function": {
        "What the function returns is awaited where that can be done, also where it is no coroutine function.",
        "value: Any = (call.opener or call.function)(*call.arguments, **call.keywords)",
        "if value.__class__ is CoroutineType or isinstance(cast('object', value), Awaitable):",
        "    value = value",
        "return Outcome(value)",
    },
    "sleep": {
        '"""Wait in this task; other tasks run even where there is nothing to wait for."""',
        "pause(effect, call)",
    },
    "race": {
        "def race(effect: Race, call: Call) -> Awaitable[Outcome]:",
        '"""Run copies of the next layer in tasks; `race` is loaded with the first one."""',
        "from resilience._runtime.race import race",
        "return race(effect, drive, call)",
    },
    "call_user_function": {
        # A shared store's work leaves the event loop's thread.
        "if effect.blocking:",
        "    from anyio import to_thread",
        "    return Outcome(to_thread.run_sync(effect.function, *effect.arguments))",
        "return Outcome(cast('Awaitable[object]', value) if isinstance(value, Awaitable) else value)",
    },
}


class Synchronous(ast.NodeTransformer):
    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self.visit(node.value)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        plain = ast.FunctionDef(**{field: getattr(node, field) for field in node._fields if hasattr(node, field)})
        return self.generic_visit(ast.copy_location(plain, node))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Name(NAMES.get(node.id, node.id), node.ctx), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        node.attr = NAMES.get(node.attr, node.attr)
        return node


def functions(name: str) -> dict[str, str]:
    tree = ast.fix_missing_locations(Synchronous().visit(ast.parse((FOLDER / name).read_text())))
    return {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef)}


SYNC, ASYNC = functions("sync_runner.py"), functions("async_runner.py")


def test_the_runners_have_the_same_functions_in_the_same_order():
    assert (
        list(SYNC)
        == list(ASYNC)
        == [
            "drive",
            "call_function",
            "advance",
            "perform",
            "emit_event",
            "sleep",
            "race",
            "call_user_function",
        ]
    )


@pytest.mark.parametrize("name", SYNC)
def test_a_function_differs_only_in_the_listed_lines(name: str):
    changes = list(difflib.ndiff(SYNC[name].splitlines(), ASYNC[name].splitlines()))

    def only(sign: str, allowed: set[str]) -> set[str]:
        lines = {line[2:] for line in changes if line.startswith(f"{sign} ")}
        known = {line for line in lines if any(line.strip() == each.strip() for each in allowed)}
        return lines - known

    assert only("-", ONLY_SYNC.get(name, set())) == set()
    assert only("+", ONLY_ASYNC.get(name, set())) == set()
    # Each difference is still one.
    stripped = {line[2:].strip() for line in changes if line[0] in "-+"}
    assert {each.strip() for each in ONLY_SYNC.get(name, set()) | ONLY_ASYNC.get(name, set())} <= stripped


def test_the_runners_import_the_same_names_but_for_listed_lines():
    def imported(name: str) -> set[str]:
        tree = ast.parse((FOLDER / name).read_text())
        return {each.name for node in tree.body if isinstance(node, ast.ImportFrom) for each in node.names}

    sync, asynchronous = imported("sync_runner.py"), imported("async_runner.py")
    assert sync - asynchronous == {"Coroutine", "acquire", "check_caller", "pause", "run_with_timeout"}
    assert asynchronous - sync == {
        "Awaitable",
        "CoroutineType",
        "acquire_async",
        "pause_async",
        "run_with_timeout_async",
    }
