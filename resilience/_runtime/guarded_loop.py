"""A retry loop whose attempts run inside other policies: ``for attempt in ...: with attempt: ...``, and with ``async``.

A retry cannot repeat a block by itself, so it is a loop (`retry_loop`). Here each attempt is a block of the policies
inside the retry, and the deadline around all attempts is kept by the loop: it holds for the waits by the loop's own
`Call`, and within an attempt as the outermost block. It cannot stay in the context between attempts, as the loop may
be left at any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from types import TracebackType

from resilience._runtime.context_manager import Block, OneBlock
from resilience._runtime.protocol import Policy
from resilience._runtime.retry_loop import AttemptLoop

__all__ = ["AsyncGuardedAttempt", "GuardedAttempt", "GuardedLoop"]

#: Makes the blocks of one attempt, the outermost first, of the seconds that are left; infinity: no deadline.
Blocks = Callable[[float], Sequence[Block]]


class GuardedLoop:
    """Iterate over it, as often as you like, each time for one piece of work of at most *seconds*.

    *policy* is the retry, *blocks* and *async_blocks* make what each attempt runs in. It holds no state of a loop: each
    iteration has its own, so several threads and tasks may iterate at once.
    """

    __slots__ = ("_async_blocks", "_blocks", "_policy", "_seconds")

    def __init__(self, policy: Policy, seconds: float, blocks: Blocks, async_blocks: Blocks) -> None:
        self._policy = policy
        self._seconds = seconds
        self._blocks = blocks
        self._async_blocks = async_blocks

    def __iter__(self) -> GuardedAttempts:
        return GuardedAttempts(AttemptLoop(self._policy), self._seconds, self._blocks)

    def __aiter__(self) -> AsyncGuardedAttempts:
        return AsyncGuardedAttempts(AttemptLoop(self._policy), self._seconds, self._async_blocks)


class _Attempts:
    """A *loop* over attempts that ends after so many *seconds*, and makes the *blocks* that each attempt runs in."""

    __slots__ = ("_blocks", "loop")

    def __init__(self, loop: AttemptLoop, seconds: float, blocks: Blocks) -> None:
        self._blocks = blocks
        self.loop: AttemptLoop = loop
        loop.call.due = min(loop.call.due, loop.call.clock.now() + seconds)

    def blocks(self) -> Iterator[OneBlock[Block]]:
        """Yield the blocks of the next attempt, the outermost first. They are named after the loop."""
        call = self.loop.call
        for block in self._blocks(call.due - call.clock.now()):
            yield OneBlock(block, call.target)


class GuardedAttempts(_Attempts):
    """The attempts of a ``for`` loop."""

    __slots__ = ()

    def __iter__(self) -> GuardedAttempts:
        return self

    def __next__(self) -> GuardedAttempt:
        return GuardedAttempt(self, next(self.loop).number)


class AsyncGuardedAttempts(_Attempts):
    """The attempts of an ``async for`` loop."""

    __slots__ = ()

    def __aiter__(self) -> AsyncGuardedAttempts:
        return self

    async def __anext__(self) -> AsyncGuardedAttempt:
        return AsyncGuardedAttempt(self, (await anext(self.loop)).number)


class GuardedAttempt:
    """One attempt of a loop, *number* from 1: the work goes into its ``with`` block.

    A policy that rejects the attempt raises its error where the block is entered, and the loop is over.
    """

    __slots__ = ("_attempts", "_blocks", "number")

    def __init__(self, attempts: _Attempts, number: int) -> None:
        self._attempts = attempts
        self._blocks = ExitStack()
        self.number: int = number

    def __enter__(self) -> GuardedAttempt:
        try:
            with ExitStack() as blocks:
                for block in self._attempts.blocks():
                    blocks.enter_context(block)
                self._blocks = blocks.pop_all()
        except BaseException as error:
            self._attempts.loop.record_attempt(error)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            self._blocks.__exit__(kind, error, trace)
        except BaseException as other:  # the error of a limit, in place of the cancellation
            if self._attempts.loop.record_attempt(other):
                return True
            raise
        return self._attempts.loop.record_attempt(error)


class AsyncGuardedAttempt:
    """One attempt of an ``async for`` loop, *number* from 1: the work goes into its ``async with`` block.

    A policy that rejects the attempt raises its error where the block is entered, and the loop is over.
    """

    __slots__ = ("_attempts", "_blocks", "number")

    def __init__(self, attempts: _Attempts, number: int) -> None:
        self._attempts = attempts
        self._blocks = AsyncExitStack()
        self.number: int = number

    async def __aenter__(self) -> AsyncGuardedAttempt:
        try:
            async with AsyncExitStack() as blocks:
                for block in self._attempts.blocks():
                    await blocks.enter_async_context(block)
                self._blocks = blocks.pop_all()
        except BaseException as error:
            self._attempts.loop.record_attempt(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            await self._blocks.__aexit__(kind, error, trace)
        except BaseException as other:
            if self._attempts.loop.record_attempt(other):
                return True
            raise
        return self._attempts.loop.record_attempt(error)
