"""Limits of the shared timer and the cancel scopes of anyio, on asyncio: a shield inside a limit holds the limit off.

On trio a limit is a cancel scope, and so are anyio's own on asyncio: what a shield (``CancelScope(shield=True)``) is
around runs to its end, and the cancellation comes at the first checkpoint after it. The shared timer cancels tasks
instead, which anyio's shields do not stop. So when a limit expires while a shield stands inside it, a cancelled
cancel scope is put where a scope of the limit's own would stand. From there on everything is anyio's doing: it
cancels other tasks in the limit, waits for the shield, goes on cancelling after it.

anyio has no public way to enter a scope around scopes that are entered already. So this needs private attributes of its
asyncio backend, the same from anyio 4.7 to 4.16. Where one of them is missing the task is cancelled as if anyio
were not there.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import ref

if TYPE_CHECKING:
    import asyncio

__all__ = ["BACKEND", "hand_over", "innermost", "is_shielded", "leave", "place", "substitute"]

#: A cancel scope of anyio's asyncio backend: all that is used of it is private.
CancelScope: TypeAlias = Any

BACKEND = "anyio._backends._asyncio"
"""The module that is loaded once a cancel scope of anyio may be open on asyncio."""

_OF_A_SCOPE = (
    "_active",
    "_child_scopes",
    "_host_task",
    "_parent_scope",
    "_pending_uncancellations",
    "_shield",
    "_tasks",
)


_states: Mapping[ref[Any], Any] | None = None
"""What anyio knows of each task that was in a scope, as far as it is known where that stands."""


def innermost(task: asyncio.Task[object]) -> CancelScope | None:
    """Return the innermost cancel scope that *task* is in; None without one."""
    # Every call under a limit comes by: not by the methods of the dictionary, which are not C code.
    states = _find_states() if _states is None else _states
    state = states.get(ref(task)) if states else None
    return None if state is None else state.cancel_scope


def _find_states() -> Mapping[ref[Any], Any] | None:
    global _states
    try:
        _states = sys.modules[BACKEND]._task_states.data
    except (KeyError, AttributeError):  # another anyio, or one that is being imported
        return None
    return _states


def place(task: object) -> object:
    """Return where among the cancel scopes *task* is, which is one of asyncio or trio: for `is_shielded`."""
    # Of trio's tasks this is private, too.
    return task._cancel_status if hasattr(task, "_cancel_status") else innermost(task)  # type: ignore[arg-type]


def is_shielded(task: object, outside: object) -> bool:
    """Return whether a shield stands between where *task* is and *outside*, the `place` of what is further out.

    Not where that cannot be told.
    """
    here: Any = place(task)
    shielded = False
    try:
        while here is not outside:
            scope = getattr(here, "_scope", here)  # trio keeps its scopes apart from how they are in one another
            shielded = shielded or scope.shield
            here = here._parent if scope is not here else here._parent_scope
    except AttributeError:  # None: *outside* is of another task
        return False
    return shielded


def substitute(task: asyncio.Task[object], outside: CancelScope | None) -> CancelScope | None:
    """Put a cancelled scope in place of a limit on *task* that began directly inside *outside*.

    Return it; None where no shield stands inside the limit, or none can be told.
    """
    backend = sys.modules.get(BACKEND)
    kind = None if backend is None else _kind(backend)
    if kind is None:
        return None
    outermost: CancelScope = None
    shielded = False
    scope = innermost(task)
    while scope is not outside:
        if scope is None:  # *outside* was left before the limit
            return None
        shielded = shielded or scope._shield
        outermost, scope = scope, scope._parent_scope
    if outermost is None or not shielded:
        return None
    limit = kind()
    limit._host_task = task
    limit._active = True
    limit._parent_scope = outside
    limit._child_scopes.add(outermost)
    if outside is not None:
        outside._child_scopes.discard(outermost)
        outside._child_scopes.add(limit)
    outermost._parent_scope = limit
    limit.cancel()
    return limit


def leave(limit: CancelScope, task: asyncio.Task[object], cancelling: int, error: BaseException | None) -> bool:
    """Leave the scope that took a limit's place with *error*, or none; return whether it is the limit that ended it.

    *cancelling* is how often the task was being cancelled when the limit began.
    """
    scope: CancelScope = innermost(task)
    if _running_task() is not task or not _stands_for_a_limit(scope):
        _take_out(limit, task)  # a coroutine that is closed from outside, or scopes left out of turn
        return False
    # Of several limits that expired in one shield the scopes stand next to each other, in whatever order: the first
    # one that is left is the innermost.
    scope._cancelling_at_enter = cancelling
    if scope.__exit__(None if error is None else type(error), error, None if error is None else error.__traceback__):
        return True
    from asyncio import CancelledError

    # A cancellation that the scope does not know by its message: of a limit inside, which ended when this one had
    # expired too. It is ours if there is nothing else that cancels the task.
    return isinstance(error, CancelledError) and task.cancelling() <= cancelling and not hand_over(task)


def hand_over(task: asyncio.Task[object]) -> bool:
    """Return whether a limit further out has expired too, with no shield in between: the cancellation is its, then."""
    scope = innermost(task)
    while scope is not None:
        if _stands_for_a_limit(scope):
            return True
        if scope._shield:
            return False
        scope = scope._parent_scope
    return False


class _Substitute:
    """Marks the scopes that stand for limits."""

    __slots__ = ()


def _stands_for_a_limit(scope: CancelScope | None) -> bool:
    return isinstance(scope, _Substitute)


@functools.lru_cache(maxsize=1)
def _kind(backend: ModuleType) -> Any:
    """Return the class of the scopes that stand for limits; None where anyio is not as we know it."""
    try:
        kind = type("Substitute", (_Substitute, backend.CancelScope), {"__slots__": ("_cancelling_at_enter",)})
        scope = kind()
    except (AttributeError, TypeError):
        return None
    return kind if all(hasattr(scope, name) for name in _OF_A_SCOPE) else None


def _take_out(limit: CancelScope, task: asyncio.Task[object]) -> None:
    if not limit._active:
        return
    outside = limit._parent_scope
    for scope in limit._child_scopes:
        scope._parent_scope = outside
    if outside is not None:
        outside._child_scopes.discard(limit)
        outside._child_scopes |= limit._child_scopes
        outside._tasks |= limit._tasks
    state = sys.modules[BACKEND]._task_states.get(task)
    if state is not None and state.cancel_scope is limit:
        state.cancel_scope = outside
    limit._child_scopes.clear()
    limit._tasks.clear()
    limit._active = False


def _running_task() -> asyncio.Task[object] | None:
    from asyncio import current_task

    try:
        return current_task()
    except RuntimeError:  # no loop
        return None
