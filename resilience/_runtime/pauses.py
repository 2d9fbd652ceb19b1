"""The waits that policies ask for by `Sleep`, in a thread or a task. Those of retries end when a shutdown begins.

They do so by the system's clock. By a test's clock a wait takes no time, and the policy asks for a shutdown afterwards.
"""

from __future__ import annotations

import functools
import sys

from resilience._runtime.acquire import in_this_loop
from resilience._runtime.protocol import Call, Sleep
from resilience._runtime.thread_timeout import CancelToken
from resilience._shutdown import ending_at_shutdown
from resilience.clock import SYSTEM, in_task
from resilience.settings import NO_WAITS

__all__ = ["pause", "pause_async"]


def pause(effect: Sleep, call: Call) -> None:
    """Wait in this thread until the time has passed, a shutdown begins, or the caller of this thread leaves it."""
    if not effect.ends_at_shutdown or call.clock is not SYSTEM or sys.is_finalizing():  # 3.15 waits for no lock then
        call.clock.sleep(effect.seconds, call.cancel_token)
        return
    token = CancelToken(call.cancel_token)
    try:
        with ending_at_shutdown(token.done.set):
            if not token.cancelled:
                call.clock.sleep(effect.seconds, token.done)
    finally:
        token.end()


async def pause_async(effect: Sleep, call: Call) -> None:
    """Wait in this task until the time has passed, or a shutdown begins."""
    asyncio = sys.modules.get("asyncio")
    if not effect.ends_at_shutdown or call.clock is not SYSTEM or NO_WAITS.is_on():
        await call.clock.sleep_async(effect.seconds)
    elif asyncio is not None and in_task(asyncio):  # without anyio, as `asyncio.sleep` does it
        loop, wake = asyncio.get_running_loop(), asyncio.Event()
        timer = loop.call_later(effect.seconds, wake.set)
        try:
            with ending_at_shutdown(functools.partial(loop.call_soon_threadsafe, wake.set)):
                await wake.wait()
        finally:
            timer.cancel()
    else:
        import anyio

        with anyio.CancelScope() as scope, ending_at_shutdown(in_this_loop(scope.cancel)):
            await call.clock.sleep_async(effect.seconds)
