"""Shielded cancel scopes of anyio on asyncio: a shield inside a time limit holds the limit off.

On trio a limit is a cancel scope. The code in a shield (``CancelScope(shield=True)``) inside it runs to its end, and
the cancellation comes at the first checkpoint after the shield. The shared timer for asyncio cancels tasks instead,
which anyio's shields do not prevent. So when a limit expires while a shield stands inside it, a cancelled scope is put
where a scope of the limit would stand: the *substitute*. From then on anyio does the work: it cancels the other tasks
in the limit, waits for the end of the shield, and cancels again after it.

anyio has no public way to put a scope around scopes that are entered already. This module uses private attributes of
its asyncio backend, the same from anyio 4.8 to 4.16. Where one of them is missing, the task is cancelled as if anyio
were not in use.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from weakref import ref

if TYPE_CHECKING:
    import asyncio

__all__ = ["BACKEND", "hand_over", "innermost", "is_shielded", "leave", "place", "substitute"]

#: A cancel scope of anyio's asyncio backend. All attributes used here are private.
CancelScope: TypeAlias = Any

BACKEND = "anyio._backends._asyncio"
"""The module that is loaded once a cancel scope of anyio may be open on asyncio."""

_SCOPE_ATTRIBUTES = (
    "_active",
    "_child_scopes",
    "_host_task",
    "_parent_scope",
    "_pending_uncancellations",
    "_shield",
    "_tasks",
)


_states: Mapping[ref[Any], Any] | None = None
"""anyio's table of the tasks that were in a scope, once it has been found."""


def innermost(task: asyncio.Task[object]) -> CancelScope | None:
    """Return the innermost cancel scope that *task* is in; None without one."""
    # Part of every limited call: the inner dictionary, whose methods are C code, not anyio's WeakKeyDictionary.
    states = _states
    if states is None:
        states = _find_states()
    if not states or (state := states.get(ref(task))) is None:
        return None
    return state.cancel_scope


def _find_states() -> Mapping[ref[Any], Any] | None:
    global _states
    try:
        _states = sys.modules[BACKEND]._task_states.data
    except (KeyError, AttributeError):  # another anyio, or one that is being imported
        return None
    return _states


def place(task: object) -> object:
    """Return the position of a task of asyncio or trio among its cancel scopes, for `is_shielded`."""
    if hasattr(task, "_cancel_status"):  # of trio, private too
        return cast("Any", task)._cancel_status
    return innermost(cast("asyncio.Task[object]", task))


def is_shielded(task: object, outside: object) -> bool:
    """Return whether a shield stands between *task* and *outside*, the `place` of an enclosing limit.

    False where *outside* belongs to another task.
    """
    here: Any = place(task)
    shielded = False
    try:
        while here is not outside:
            scope, here = _step_out(here)
            shielded = shielded or scope.shield
    except AttributeError:  # of None, beyond the outermost scope
        return False
    return shielded


def _step_out(here: Any) -> tuple[CancelScope, Any]:
    """Return the scope at a place, and the place outside of it. trio nests objects apart from the scopes."""
    if hasattr(here, "_scope"):
        return here._scope, here._parent
    return here, here._parent_scope


def substitute(task: asyncio.Task[object], outside: CancelScope | None) -> CancelScope | None:
    """Put a cancelled scope in place of a limit on *task* that started directly inside *outside*, and return it.

    None where no shield stands inside the limit, and where anyio is not the one this module knows.
    """
    backend = sys.modules.get(BACKEND)
    if backend is None or (kind := _substitute_class(backend)) is None:
        return None
    inner = _shielded_scope(task, outside)
    if inner is None:
        return None
    limit = kind()
    limit._host_task = task
    limit._active = True
    limit._parent_scope = outside
    limit._child_scopes.add(inner)
    if outside is not None:
        outside._child_scopes.discard(inner)
        outside._child_scopes.add(limit)
    inner._parent_scope = limit
    limit.cancel()
    return limit


def _shielded_scope(task: asyncio.Task[object], outside: CancelScope | None) -> CancelScope | None:
    """Return the scope of *task* directly inside *outside*; None unless it is a shield or has one inside."""
    inner: CancelScope = None
    shielded = False
    scope = innermost(task)
    while scope is not outside:
        if scope is None:  # *outside* was left before the limit
            return None
        shielded = shielded or scope._shield
        inner, scope = scope, scope._parent_scope
    if shielded:
        return inner
    return None


def leave(limit: CancelScope, task: asyncio.Task[object], cancelling: int, error: BaseException | None) -> bool:
    """Leave the substitute of a limit with *error*, or None; return whether the limit has ended the call.

    *cancelling* is the number of cancellation requests that the task had when the limit started.
    """
    scope: CancelScope = innermost(task)
    if _running_task() is not task or not _is_substitute(scope):
        _remove(limit, task)  # a coroutine that another task closes, or scopes that are left in the wrong order
        return False
    # The substitutes of several limits that expired in one shield are next to each other, in any order: the first one
    # to be left is the innermost.
    scope._cancelling_at_enter = cancelling
    if scope.__exit__(*_exit_arguments(error)):
        return True
    from asyncio import CancelledError

    # A cancellation that the scope does not recognise by its message: of an inner limit, which ended when this one had
    # expired too. It is this limit's if nothing else cancels the task.
    return isinstance(error, CancelledError) and task.cancelling() <= cancelling and not hand_over(task)


def hand_over(task: asyncio.Task[object]) -> bool:
    """Return whether an outer limit has expired too, with no shield in between: then it owns the cancellation."""
    scope = innermost(task)
    while scope is not None:
        if _is_substitute(scope):
            return True
        if scope._shield:
            return False
        scope = scope._parent_scope
    return False


class _Substitute:
    """Base of the scopes that stand for limits."""

    __slots__ = ()


def _is_substitute(scope: CancelScope | None) -> bool:
    return isinstance(scope, _Substitute)


@functools.lru_cache(maxsize=1)
def _substitute_class(backend: ModuleType) -> Any:
    """Return the class of substitutes; None where anyio lacks an attribute that this module needs."""
    try:
        kind = type("Substitute", (_Substitute, backend.CancelScope), {"__slots__": ("_cancelling_at_enter",)})
        scope = kind()
    except (AttributeError, TypeError):
        return None
    if all(hasattr(scope, name) for name in _SCOPE_ATTRIBUTES):
        return kind
    return None


def _exit_arguments(error: BaseException | None) -> tuple[type[BaseException] | None, BaseException | None, Any]:
    """Return the arguments of `__exit__` for a block that ended with *error*, or None."""
    if error is None:
        return None, None, None
    return type(error), error, error.__traceback__


def _remove(limit: CancelScope, task: asyncio.Task[object]) -> None:
    """Remove a substitute from among the scopes of *task* without leaving it."""
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
