"""Waiting for one of the `Slots` that the effect `Acquire` names, in a thread or in a task.

A call that finds no slot free queues up as a `Waiter`, whose *wake* ends its wait from whichever thread releases a
slot: a thread waits for an event, a task for an event of its loop. It waits as long as the effect and the call's
deadline allow. Where a wait is cancelled or interrupted, the call leaves the queue, and a slot that has been granted
to it by then goes to the next one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from resilience._runtime.protocol import Acquire, Call
from resilience._runtime.slots import Waiter
from resilience._runtime.thread_timeout import CallAbandoned, CancelToken
from resilience.clock import in_task

__all__ = ["acquire", "acquire_async", "give_back", "in_this_loop"]


def acquire(effect: Acquire, call: Call) -> bool:
    """Take a slot, and wait for it in this thread; return whether there was one in time.

    Raises CallAbandoned where the caller has left this thread meanwhile.
    """
    waiter = call.waiter = Waiter()
    try:
        return effect.slots.grant(waiter) or _wait(effect, call, waiter)
    except BaseException:
        effect.slots.give_up(waiter)
        raise


def _wait(effect: Acquire, call: Call, waiter: Waiter) -> bool:
    """Wait in this thread until a slot is granted, the time is over, or the caller has left; return whether one was.

    By the call's clock, so that a test's virtual time passes at once. A slot that is granted as the time ends counts.
    """
    seconds = _seconds(effect, call)
    if seconds <= 0:
        return False
    token = CancelToken(call.cancel_token)  # set when the caller leaves this thread
    waiter.wake = token.done.set
    try:
        if not effect.slots.queue_up(waiter):
            return False
        if not token.cancelled:
            call.clock.run_and_wait(_nothing, token.done, seconds)
        if token.cancelled:
            raise CallAbandoned
        return effect.slots.stop_waiting(waiter)
    finally:
        token.end()


async def acquire_async(effect: Acquire, call: Call) -> bool:
    """Take a slot, and wait for it in this task; return whether there was one in time."""
    waiter = call.waiter = Waiter()
    try:
        return effect.slots.grant(waiter) or await _wait_async(effect, call, waiter)
    except BaseException:
        effect.slots.give_up(waiter)
        raise


async def _wait_async(effect: Acquire, call: Call, waiter: Waiter) -> bool:
    """Wait in this task until a slot is granted or the time is over; return whether one was.

    The event is of the loop that runs here, and is set from there: a slot may be released in any thread or other loop.
    """
    seconds = _seconds(effect, call)
    if seconds <= 0:
        return False
    import anyio

    event = anyio.Event()
    waiter.wake = in_this_loop(event.set)
    if not effect.slots.queue_up(waiter):
        return False
    if seconds == math.inf:
        await event.wait()
    else:
        with call.clock.move_on_after(seconds, shared=False):
            await event.wait()
    return effect.slots.stop_waiting(waiter)


def give_back(effect: object, call: Call) -> None:
    """Give back the slot that *effect* was granted, where its policy was closed before it could protect it.

    Ctrl-C may come between the grant and the ``try`` that follows it in the policy. Call this when the policy has been
    closed: a slot that it has released by then is left alone.
    """
    if isinstance(effect, Acquire) and call.waiter is not None:
        effect.slots.give_up(call.waiter)


def _seconds(effect: Acquire, call: Call) -> float:
    """Return how long a call may wait: the effect's time, and what the call's deadline leaves."""
    left = call.due - call.clock.now()
    if effect.timeout is None:
        return left
    return min(effect.timeout, left)


def in_this_loop(wake: Callable[[], object]) -> Callable[[], object]:
    """Return what calls *wake* in the event loop that runs here, from any thread or other loop.

    anyio's events are not thread-safe, so the loop itself sets them. Calling it raises RuntimeError where the loop has
    been closed; the slot then goes to the next call, see `Slots`.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and in_task(asyncio):
        soon: Callable[[Callable[[], object]], object] = asyncio.get_running_loop().call_soon_threadsafe
    else:  # also where trio is a guest of an asyncio loop
        from trio.lowlevel import current_trio_token

        soon = current_trio_token().run_sync_soon
    return lambda: soon(wake)


def _nothing() -> None:
    """Begin nothing: the clock only waits."""
