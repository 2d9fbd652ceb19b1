"""Waiting for one of the `Slots` that the effect `Acquire` names, in a thread or in a task."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from resilience._runtime.protocol import Acquire, Call
from resilience._runtime.slots import Waiter
from resilience._runtime.thread_timeout import Abandonment, CallAbandoned
from resilience.clock import in_task

__all__ = ["acquire", "acquire_async"]


def acquire(effect: Acquire, call: Call) -> bool:
    """Take a slot, and wait for it in this thread; return whether there was one in time."""
    slots = effect.slots
    if slots.try_acquire():
        return True
    seconds = _seconds(effect.timeout, call)
    if seconds <= 0:
        return False
    left = Abandonment(call.abandoned)  # set when the caller leaves this thread
    waiter = Waiter(left.done.set)
    try:
        slots.queue_up(waiter)
        if not left.left:
            call.clock.wait(_nothing, left.done, seconds)
        if left.left:
            raise CallAbandoned
        return slots.stop_waiting(waiter)
    except BaseException:
        slots.give_up(waiter)
        raise
    finally:
        left.end()


async def acquire_async(effect: Acquire, call: Call) -> bool:
    """Take a slot, and wait for it in this task; return whether there was one in time."""
    slots = effect.slots
    if slots.try_acquire():
        return True
    seconds = _seconds(effect.timeout, call)
    if seconds <= 0:
        return False
    import anyio

    event = anyio.Event()
    waiter = Waiter(_in_this_loop(event.set))
    try:
        slots.queue_up(waiter)
        if seconds == math.inf:
            await event.wait()
        else:
            with call.clock.limit(seconds, shared=False):
                await event.wait()
        return slots.stop_waiting(waiter)
    except BaseException:
        slots.give_up(waiter)
        raise


def _seconds(timeout: float | None, call: Call) -> float:
    """Return how long a call may wait: its own time, and what its deadline leaves."""
    left = math.inf if call.due == math.inf else call.due - call.clock.now()
    return left if timeout is None else min(timeout, left)


def _in_this_loop(wake: Callable[[], object]) -> Callable[[], object]:
    """Return what calls *wake* in the event loop that runs here, from any thread or other loop."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and in_task(asyncio):
        soon: Callable[[Callable[[], object]], object] = asyncio.get_running_loop().call_soon_threadsafe
    else:  # also where trio is a guest of an asyncio loop
        from trio.lowlevel import current_trio_token

        soon = current_trio_token().run_sync_soon
    return lambda: soon(wake)


def _nothing() -> None: ...
