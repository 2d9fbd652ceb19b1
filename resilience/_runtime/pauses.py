"""The waits that policies ask for by `Sleep`, in a thread or a task. Those of retries end when a shutdown begins.

They do so by the system's clock. By a test's clock a wait takes no time, and the policy asks for a shutdown afterwards.
A wait with an ending of its own, such as that for the tokens of a rate limit, ends by it in a task by any clock. In a
thread a test's clock jumps to the end of the wait: the code that would end it is most likely to run in that thread.
"""

from __future__ import annotations

import functools
import sys

from resilience._runtime.acquire import in_this_loop
from resilience._runtime.protocol import Call, Ending, Sleep
from resilience._runtime.thread_timeout import CancelToken
from resilience._shutdown import ending_at_shutdown
from resilience.clock import SYSTEM, in_task
from resilience.settings import NO_WAITS

__all__ = ["pause", "pause_async"]


def pause(effect: Sleep, call: Call) -> None:
    """Wait in this thread until the time has passed, the wait is ended, or the caller of this thread leaves it."""
    ending = _ending_of(effect, call)
    if ending is None or call.clock is not SYSTEM or sys.is_finalizing():  # 3.15 waits for no lock then
        call.clock.sleep(effect.seconds, call.cancel_token)
        return
    token = CancelToken(call.cancel_token)
    try:
        with ending(token.done.set):
            if not token.cancelled:
                call.clock.sleep(effect.seconds, token.done)
    finally:
        token.end()


async def pause_async(effect: Sleep, call: Call) -> None:
    """Wait in this task until the time has passed, or the wait is ended."""
    ending = _ending_of(effect, call)
    asyncio = sys.modules.get("asyncio")
    if ending is None or NO_WAITS.is_on():
        await call.clock.sleep_async(effect.seconds)
    elif call.clock is SYSTEM and asyncio is not None and in_task(asyncio):  # without anyio, as `asyncio.sleep` does it
        loop, wake = asyncio.get_running_loop(), asyncio.Event()
        timer = loop.call_later(effect.seconds, wake.set)
        try:
            with ending(functools.partial(loop.call_soon_threadsafe, wake.set)):
                await wake.wait()
        finally:
            timer.cancel()
    else:
        import anyio

        with anyio.CancelScope() as scope, ending(in_this_loop(scope.cancel)):
            await call.clock.sleep_async(effect.seconds)


def _ending_of(effect: Sleep, call: Call) -> Ending | None:
    """Return what may end the wait of *effect* before its time; None where nothing does."""
    if effect.ends_at_shutdown and call.clock is SYSTEM:
        return ending_at_shutdown
    return effect.ended_by
