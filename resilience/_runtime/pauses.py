"""The pauses of retries, in a thread or a task: they end when their time has passed, or when a shutdown begins.

By the system's clock. Under a test's clock a pause takes no time, and the policy looks for a shutdown afterwards.
"""

from __future__ import annotations

import functools
import sys

from resilience._runtime.acquire import in_this_loop
from resilience._runtime.protocol import Call
from resilience._runtime.thread_timeout import CancelToken
from resilience._shutdown import ending_at_shutdown
from resilience.clock import in_task
from resilience.settings import NO_WAITS

__all__ = ["pause", "pause_async"]


def pause(seconds: float, call: Call) -> None:
    """Wait in this thread for *seconds*, until a shutdown begins, or until the caller of this thread leaves it."""
    token = CancelToken(call.cancel_token)
    try:
        with ending_at_shutdown(token.done.set):
            if not token.cancelled:
                call.clock.sleep(seconds, token.done)
    finally:
        token.end()


async def pause_async(seconds: float, call: Call) -> None:
    """Wait in this task for *seconds*, or until a shutdown begins."""
    asyncio = sys.modules.get("asyncio")
    if NO_WAITS.active_count and NO_WAITS.is_on():
        await call.clock.sleep_async(0)
    elif asyncio is not None and in_task(asyncio):
        loop = asyncio.get_running_loop()
        wake = asyncio.Event()
        timer = loop.call_later(seconds, wake.set)
        try:
            with ending_at_shutdown(functools.partial(loop.call_soon_threadsafe, wake.set)):
                await wake.wait()
        finally:
            timer.cancel()
    else:
        import anyio

        with anyio.CancelScope() as scope, ending_at_shutdown(in_this_loop(scope.cancel)):
            await call.clock.sleep_async(seconds)
