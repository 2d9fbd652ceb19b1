"""Generation loop: generate code, execute it, and generate it again until it works. Recovery is by category.

The loop is one retry policy: `GenerationState` records each step, and its retry decides by the category of the failure
whether to generate again, to execute the same code again, or to stop.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from resilience._callback_errors import log_callback_error
from resilience._runtime.callables import is_async
from resilience._validation import parse_count
from resilience.execution.executor import Executor, Listener
from resilience.execution.feedback import Feedback
from resilience.execution.generation_state import Draft, GeneratedRun, GenerationLimits, GenerationState
from resilience.execution.history import ErrorHistory
from resilience.execution.request import ExecutionRequest

__all__ = ["Feedback", "GeneratedRun", "run_generated", "run_generated_sync"]

OnStop: TypeAlias = Callable[[Exception, GeneratedRun], object]


async def run_generated(
    generate: Callable[[Feedback], Awaitable[str] | str],
    executor: Executor,
    *,
    request: ExecutionRequest | None = None,
    max_generations: int = 3,
    max_executions: int = 3,
    max_connections: int = 3,
    base_delay: float | None = None,
    history: ErrorHistory | None = None,
    on_event: Listener | None = None,
    on_stop: OnStop | None = None,
    cleanup: Callable[[], object] | None = None,
) -> GeneratedRun:
    r"""Generate code by *generate*, check it, execute it with *executor*, and return the result.

    The category of a failure alone decides the next step:

    - infrastructure: the same code again, after a pause that grows from *base_delay* (by default the category's own);
    - the code, be it wrong or not allowed: *generate* is asked again, with the last three failures as `Feedback`;
    - configuration, and what is for a person to decide, such as a time limit: the error is raised.

    At most *max_generations* pieces of code are asked for, *max_executions* executed, and infrastructure may fail
    *max_connections* times. `MaxAttemptsExceededError` says which of them it was, with every failure in its
    ``error_chain`` and the last one as its cause. A bug, of the generator or of the executor, is a `WorkflowError`;
    errors that have a category reach the caller as they are.

    Args:
        generate: a function of a `Feedback` that returns Python, in Markdown fences or not.
        request: limits, level and the rest for each execution; its code is not used.
        history: where failures are kept, and what helped before is looked up.
        on_event: called with each event of an execution, as by `Executor.execute`.
        on_stop: called once with the error and the `GeneratedRun` so far, when it ends without a result.
        cleanup: called once at the end, however it ends, cancelled too.

    *generate*, *on_stop* and *cleanup* may be async. Exceptions of the latter two are logged and change nothing.

    >>> import anyio
    >>> from resilience.execution.local import SubprocessExecutor
    >>> drafts = iter(["1 +", "```python\ntotla + 1\n```", "total = 41\ntotal + 1"])
    >>> async def main() -> GeneratedRun:
    ...     async with SubprocessExecutor() as executor:
    ...         return await run_generated(lambda feedback: next(drafts), executor)
    >>> run = anyio.run(main)
    >>> run.report.execution_result.return_value, run.generations, run.executions
    (42, 3, 2)
    >>> run.error_chain
    ('SyntaxError on line 1: invalid syntax', 'NameError on line 1: undefined variable')
    """
    from anyio import CancelScope, to_thread

    limits = _limits(max_generations, max_executions, max_connections, base_delay)
    state = GenerationState(limits, request, history)

    @state.policy()
    async def attempt(draft: Draft) -> GeneratedRun:
        if draft.code is None:
            with state.stage("code_generation"):
                feedback = state.feedback() if history is None else await to_thread.run_sync(state.feedback)
                state.generated(draft, await _awaited(generate(feedback)))
        with state.stage("static_analysis"):
            checked = state.precheck(draft)
        with state.stage("execution"):
            return state.executed(await executor.execute(checked, on_event=on_event))

    try:
        return await attempt(state.draft())
    except Exception as error:
        final = state.final(error)
        await _notify(on_stop, "on_stop", final, state.run())
        if final is error:
            raise
        raise final from error
    finally:
        with CancelScope(shield=True):
            if history is not None:
                await to_thread.run_sync(state.save_failures)
            await _notify(cleanup, "cleanup")


def run_generated_sync(
    generate: Callable[[Feedback], str],
    executor: Executor,
    *,
    request: ExecutionRequest | None = None,
    max_generations: int = 3,
    max_executions: int = 3,
    max_connections: int = 3,
    base_delay: float | None = None,
    history: ErrorHistory | None = None,
    on_event: Listener | None = None,
    on_stop: OnStop | None = None,
    cleanup: Callable[[], object] | None = None,
) -> GeneratedRun:
    """Do what `run_generated` does and block until it has ended. No callback may be async."""
    for name, function in (("generate", generate), ("on_stop", on_stop), ("cleanup", cleanup)):
        if is_async(function):
            raise TypeError(f"{name}={function!r}: it is async; use run_generated")
    limits = _limits(max_generations, max_executions, max_connections, base_delay)
    state = GenerationState(limits, request, history)

    @state.policy()
    def attempt(draft: Draft) -> GeneratedRun:
        if draft.code is None:
            with state.stage("code_generation"):
                state.generated(draft, generate(state.feedback()))
        with state.stage("static_analysis"):
            checked = state.precheck(draft)
        with state.stage("execution"):
            return state.executed(executor.execute_sync(checked, on_event=on_event))

    try:
        return attempt(state.draft())
    except Exception as error:
        final = state.final(error)
        _notify_sync(on_stop, "on_stop", final, state.run())
        if final is error:
            raise
        raise final from error
    finally:
        state.save_failures()
        _notify_sync(cleanup, "cleanup")


def _limits(generations: int, executions: int, connections: int, base_delay: float | None) -> GenerationLimits:
    return GenerationLimits(
        generations=parse_count("max_generations", generations),
        executions=parse_count("max_executions", executions),
        connections=parse_count("max_connections", connections),
        base_delay=base_delay,
    )


async def _awaited(answer: Awaitable[str] | str) -> object:
    return await answer if inspect.isawaitable(answer) else answer


async def _notify(callback: Callable[..., object] | None, role: str, *given: object) -> None:
    """Call a callback of the caller. An exception of it is logged and changes nothing."""
    if callback is not None:
        try:
            answer = callback(*given)
            if inspect.isawaitable(answer):
                await answer
        except Exception as error:
            log_callback_error(role, callback, error)


def _notify_sync(callback: Callable[..., object] | None, role: str, *given: object) -> None:
    if callback is not None:
        try:
            callback(*given)
        except Exception as error:
            log_callback_error(role, callback, error)
