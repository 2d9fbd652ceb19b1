"""The guarded calls that the running code belongs to, for circuits, which must not count a part of a call as a call.

A call that a circuit admits as a probe, or as the outermost call of a class that it guards, is noted in a context
variable while its body runs: in this context, and in the tasks and threads that copy it. What the body calls through
the same circuit belongs to that call: it passes and decides nothing. A generator is noted only while its own code
runs, never while its consumer's does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from operator import attrgetter

from resilience._runtime.fast_path_template import quiet_calls

__all__ = ["Admitted", "admitted_here", "copied_context", "enter", "entered", "leave", "reenter", "restore"]


class Admitted:
    """A guarded call whose body runs: what it was admitted *by*, None once it has ended.

    That is the state object of the circuit or a probe's permit, so that the call stands for its circuit only until
    the next transition; or, for local methods of a class, the selection of its guarded ones.
    """

    __slots__ = ("by",)

    def __init__(self, by: object) -> None:
        self.by: object = by


#: Calls that ended in another context than they began in are still noted there.
_is_running = attrgetter("by")
_admitted: ContextVar[tuple[Admitted, ...]] = ContextVar("resilience.circuits", default=())

#: The calls that the running code belongs to, the outermost first. Some may have ended.
admitted_here: Callable[[], tuple[Admitted, ...]] = _admitted.get


def enter(by: object) -> Admitted:
    """Note a call that was admitted *by* that, until `leave`."""
    call = Admitted(by)
    _admitted.set((*filter(_is_running, _admitted.get()), call))
    return call


def leave(call: Admitted) -> None:
    """Note that *call* has ended, in every context that knows of it."""
    call.by = None
    # When the interpreter ends, the names of a module are gone before its last generators.
    if _admitted is not None:  # pyright: ignore[reportUnnecessaryComparison]
        _admitted.set(tuple(filter(_is_running, _admitted.get())))


@contextmanager
def entered(admitted_by: Iterable[object]) -> Generator[None]:
    """Note calls that were admitted by each of those, while a ``with`` block runs."""
    calls = [enter(each) for each in admitted_by]
    try:
        yield
    finally:
        for call in calls:
            leave(call)


def copied_context() -> Context:
    """Return a copy of this context, for another thread, in which also quiet calls are noted, see `quiet_calls`."""
    context = copy_context()
    calls = [Admitted(by) for by in quiet_calls()]
    if calls:
        context.run(reenter, calls)
    return context


def reenter(calls: Iterable[Admitted]) -> tuple[Admitted, ...]:
    """Have the running code belong to *calls*, too; return what it belonged to before, for `restore`."""
    before = _admitted.get()
    _admitted.set((*before, *calls))
    return before


def restore(before: tuple[Admitted, ...]) -> None:
    """Have the running code belong to what it belonged to before `reenter`."""
    _admitted.set(before)
