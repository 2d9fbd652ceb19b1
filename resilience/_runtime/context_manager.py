"""A policy around a block of code: ``with`` and ``async with``.

A block runs once, so only policies that call what is inside them once can guard it. One object may guard many
blocks at the same time, in threads, tasks and suspended generators, nested or overlapping, and a block may end in
another context than it began in: each entry is an `_OpenBlock`, found again by the frame that its ``with`` stands in.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import CodeType, FrameType, TracebackType
from typing import Generic, TypeAlias, TypeVar

from resilience._runtime import async_runner, sync_runner
from resilience._runtime.protocol import Call, PassThrough, Policy, Proceed, Steps
from resilience._runtime.steps import end
from resilience._runtime.time_limits import Scope
from resilience.clock import Limit
from resilience.due import running_task
from resilience.outcome import Outcome
from resilience.settings import DISABLED

__all__ = ["Block", "BlockResult", "OneBlock"]

V = TypeVar("V")


class BlockResult(Generic[V]):
    """What a guarded block came to: set *value* inside it.

    *degraded* says that the value is a substitute, *error* what for.
    """

    __slots__ = ("degraded", "error", "value")

    def __init__(self) -> None:
        self.value: V | None = None
        self.degraded: bool = False
        self.error: Exception | None = None

    def __repr__(self) -> str:
        return f"<BlockResult {'degraded' if self.degraded else 'ok'}>"


class _OpenBlock:
    """One entry of a block: what its policy keeps of it, from its beginning to its end."""

    __slots__ = (
        "_ends",
        "call",
        "key",
        "limit",
        "outer",
        "owner",
        "proceed",
        "result",
        "scope",
        "steps",
        "task",
        "time",
    )

    scope: Limit
    task: object

    def __init__(self, owner: Block, frame: FrameType) -> None:
        self.owner = owner
        policy = _NOTHING if DISABLED.used and DISABLED.is_on() else owner._policy()
        # The block is named after the function it stands in.
        self.call = Call(f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}", _the_block)
        self.call.stack = (policy,)
        #: The policy, suspended where it proceeds while the block runs, and how it does.
        self.steps: Steps[Outcome] = policy.run(self.call)
        self.proceed: Proceed
        #: Where it is kept while it is open, and what was kept there before.
        self.key = _key(owner, frame)
        self.outer: _OpenBlock | None = None
        #: Where it has a limit: its time, and, where the block is async, what cancels it.
        self.time: Scope | None = None
        self.limit: AbstractContextManager[Limit] | None = None
        self.result: BlockResult[object] = BlockResult()
        self._ends = [None]

    def ends(self) -> bool:
        """Whether this is the one time that it ends, whatever other threads do."""
        try:
            self._ends.pop()
        except IndexError:
            return False
        return True

    @property
    def has_ended(self) -> bool:
        return not self._ends

    def close(self) -> None:
        """Forget it and its time, unless that is done."""
        self._ends.clear()
        if self.time is not None:
            self.time.leave()
        _forget(self)

    def abandon(self) -> None:
        """Give back what it took: it was interrupted before it began."""
        self.close()
        if self.limit is not None:
            self.limit.__exit__(None, None, None)
        end(self.steps)

    def enter(self) -> None:
        step = sync_runner.advance(self.steps, None, self.call)
        seconds = self._begin(step, cancels=False)
        if seconds is not None and self.time is None:
            self._refuse(sync_runner.advance(self.steps, self._late(), self.call))

    def exit(self, error: BaseException | None) -> bool:
        """Tell the policy how the block ended; return whether its error ends here, or raise another one."""
        if error is not None and not isinstance(error, Exception):
            end(self.steps)
            return False
        try:
            step = sync_runner.advance(self.steps, Outcome(self.result.value, error), self.call)
        except BaseException:  # Ctrl-C in an effect
            end(self.steps)
            raise
        return self._leave(error, step)

    async def enter_async(self) -> None:
        step = await async_runner.advance(self.steps, None, self.call)
        seconds = self._begin(step)
        if seconds is None:
            return
        if self.time is None:
            self._refuse(await async_runner.advance(self.steps, self._late(), self.call))
        limit = self.call.clock.limit(seconds)
        self.scope = limit.__enter__()
        self.limit = limit
        self.task = running_task()

    async def exit_async(self, kind: type[BaseException] | None, error: BaseException | None) -> bool:
        """Do what `exit` does; a block with a limit must be left in the task that it cancels."""
        if self.limit is not None and running_task() is not self.task:
            end(self.steps)
            raise RuntimeError(f"{self.owner!r} was entered in another task; enter and leave a limited block in one")
        outcome = Outcome(self.result.value, error if isinstance(error, Exception) else None)
        if self.limit is not None and self.time is not None:
            self.limit.__exit__(kind, error, getattr(error, "__traceback__", None))
            if self.scope.expired:  # not what __exit__ returned: trio says True of a block without an error too
                self.call.cut = error
                outcome, error = self.proceed.answer(self.call, self.time.late), None
        if error is not None and not isinstance(error, Exception):
            end(self.steps)
            return False
        try:
            step = await async_runner.advance(self.steps, outcome, self.call)
        except BaseException:  # cancelled in an effect
            end(self.steps)
            raise
        return self._leave(error, step)

    def _begin(self, step: Proceed | Outcome, *, cancels: bool = True) -> float | None:
        """Let the block begin, or raise; return the seconds of its limit, after which an async one is cancelled.

        Where none are left it has no `time`.
        """
        if not isinstance(step, Proceed):
            self._refuse(step)
            return None
        self.proceed = step
        if step.timeout is None:
            return None
        if not cancels and not step.cooperative:
            end(self.steps)
            raise TypeError(
                f"with {self.owner!r}: nothing interrupts a sync block; decorate a function, or `async with`"
            )
        time = Scope(step.timeout, self.call)
        if time.left <= 0:
            return 0.0
        self.time = time
        return time.enter(cancels=cancels)

    def _late(self) -> Outcome:
        assert self.proceed.timeout is not None
        return self.proceed.answer(self.call, Scope(self.proceed.timeout, self.call).late)

    def _refuse(self, step: Proceed | Outcome) -> None:
        """Raise the error by which a policy keeps the block from beginning."""
        if isinstance(step, Proceed) or step.error is None:
            end(self.steps)
            raise RuntimeError(f"{self.owner!r} answered without a call; it cannot guard a block")
        try:
            raise step.error
        finally:
            del step

    def _leave(self, error: Exception | None, step: Proceed | Outcome) -> bool:
        if isinstance(step, Proceed):
            end(self.steps)
            raise RuntimeError("a policy that calls more than once cannot guard a block; use retrying(...)")  # noqa: TRY004
        if step.error is not None:
            if step.error is error:
                return False
            try:
                raise step.error
            finally:
                del step
        self.result.value = step.value
        self.result.degraded = error is not None
        self.result.error = error
        return True


# -- which of the open blocks of one object ends ---------------------------------------------------------------------

_Key: TypeAlias = tuple[int, int, CodeType]
# By the object, and the frame of the `with` statement that has begun them: it ends in the same frame, whatever context,
# task or thread runs that by then. Blocks that stand in each other in one frame are chained by `outer`. A frame runs in
# one thread at a time, so nothing here needs a lock.
_open: dict[_Key, _OpenBlock] = {}
# What this context has begun, the innermost last, for blocks that no `with` statement begins and ends.
_begun: ContextVar[tuple[_OpenBlock, ...]] = ContextVar("resilience.blocks", default=())


def _key(owner: Block, frame: FrameType) -> _Key:
    # Not the frame itself: it would keep alive what it refers to. With its code, since that of a frame which has
    # returned, such as `ExitStack.enter_context`, may be another one's by now.
    return id(owner), id(frame), frame.f_code


def _keep(block: _OpenBlock) -> None:
    block.outer = _open.get(block.key)
    _open[block.key] = block
    _begun.set((*(each for each in _begun.get() if not each.has_ended), block))


def _end(owner: Block, frame: FrameType) -> _OpenBlock:
    """Return the block of *owner* that *frame* ends; its time is over."""
    block = None
    try:
        block = _find(owner, frame)
        if block is not None:
            block.close()
    except BaseException:  # from a signal handler, which may have come at any instruction of it
        block = block or _find(owner, frame)
        if block is not None:
            block.close()
        raise
    if block is None:
        raise RuntimeError(f"{owner!r} is left, but was not entered, or left already")
    return block


def _find(owner: Block, frame: FrameType) -> _OpenBlock | None:
    return _open.get(_key(owner, frame)) or _found_elsewhere(owner, frame)


def _found_elsewhere(owner: Block, frame: FrameType) -> _OpenBlock | None:
    """Return the block that ends where no `with` statement has begun it: by an `ExitStack`, or by hand.

    Of those of *owner* that were begun by code of the same file, as an `ExitStack` does both, or else of all, it is the
    last one of this context, or else the last one.
    """
    here, file = _begun.get(), frame.f_code.co_filename
    found: list[_OpenBlock] = []
    for head in list(_open.values()):
        block: _OpenBlock | None = head
        while block is not None:
            if block.owner is owner:
                found.append(block)
            block = block.outer
    found.sort(key=lambda block: (block.key[2].co_filename == file, here.index(block) + 1 if block in here else 0))
    while found:
        if found[-1].ends():
            return found[-1]
        found.pop()
    return None


def _forget(block: _OpenBlock) -> None:
    here = _begun.get()
    if block in here:
        _begun.set(tuple(each for each in here if each is not block))
    head = _open.get(block.key)
    if head is block:
        if block.outer is None:
            del _open[block.key]
        else:
            _open[block.key] = block.outer
        return
    while head is not None:
        if head.outer is block:
            head.outer = block.outer
        head = head.outer


# -- what is entered and left ----------------------------------------------------------------------------------------


class Block:
    """Makes a policy a context manager. Mixed into the public decorator objects."""

    __slots__ = ()

    def _policy(self) -> Policy:
        raise NotImplementedError

    def _entered(self, result: BlockResult[object]) -> object:
        """Return what ``as`` gives."""
        return self

    def __enter__(self) -> object:
        block = _OpenBlock(self, sys._getframe(1))
        try:
            block.enter()
            _keep(block)
            return self._entered(block.result)
        except BaseException:  # also Ctrl-C, at any instruction: then there is no `__exit__`
            block.abandon()
            raise

    # Not bool: type checkers then take it that errors pass, and that a `return` in the block is reached.
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return _end(self, sys._getframe(1)).exit(error)

    async def __aenter__(self) -> object:
        block = _OpenBlock(self, sys._getframe(1))
        try:
            await block.enter_async()
            _keep(block)
            return self._entered(block.result)
        except BaseException:
            block.abandon()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await _end(self, sys._getframe(1)).exit_async(kind, error)


class OneBlock:
    """One block of *owner*, to be entered once: it knows by itself which one it is, wherever it is left."""

    __slots__ = ("_block", "_owner")

    def __init__(self, owner: Block) -> None:
        self._owner = owner
        self._block: _OpenBlock | None = None

    def __enter__(self) -> object:
        block = self._begin(sys._getframe(1))
        block.enter()
        return self._owner

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end().exit(error)

    async def __aenter__(self) -> object:
        block = self._begin(sys._getframe(1))
        await block.enter_async()
        return self._owner

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end().exit_async(kind, error)

    def _begin(self, frame: FrameType) -> _OpenBlock:
        if self._block is not None:
            raise RuntimeError(f"this block of {self._owner!r} was entered already; call calling() for each block")
        self._block = _OpenBlock(self._owner, frame)
        return self._block

    def _end(self) -> _OpenBlock:
        if self._block is None or not self._block.ends():
            raise RuntimeError(f"this block of {self._owner!r} is left, but was not entered, or left already")
        self._block.close()
        return self._block


_NOTHING = PassThrough()
"""What guards a block while policies are switched off."""


def _the_block() -> None:
    """Stand for the block where a function is expected."""
