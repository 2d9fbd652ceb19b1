"""A policy around a block of code: ``with`` and ``async with``.

Entering runs the policy up to its `Proceed`, leaving sends it the block's outcome: the policy's generator is suspended
while the block runs, as it is while a function runs. A block runs once, so a policy that proceeds again, or answers
without proceeding, raises a RuntimeError. A block cannot be called in a worker thread either: a limit around a sync
block is refused, unless it is a deadline, and an async block under a limit is cancelled in its own task.

One object may guard many blocks at the same time, in threads, tasks and suspended generators, nested or overlapping,
and a block may end in another context than it began in. Each entry is an `_ActiveBlock` of its own. It is found again
by the frame that its ``with`` statement stands in, see `_key`; where there is no such frame (an `ExitStack`, calls by
hand), by the context or by the order in which blocks were begun.

An exception from a signal handler may come at any instruction, so what `_close` undoes it undoes once, however often
and from wherever it is called.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import CodeType, FrameType, TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

from resilience._deadline_context import running_task
from resilience._outcome import Outcome
from resilience._runtime import async_runner, sync_runner
from resilience._runtime.cut_off import cut_off_by
from resilience._runtime.protocol import Call, Policy, Proceed, Steps
from resilience._runtime.steps import end, policy_in_force
from resilience._runtime.time_limits import LimitScope
from resilience._runtime.tracebacks import result_of
from resilience.clock import TimeLimit

__all__ = ["Block", "BlockResult", "OneBlock"]

V = TypeVar("V")


class BlockResult(Generic[V]):
    """The result of a guarded block, which is set inside it: ``with fallback(...) as result: result.value = ...``.

    Where the block fails, the policy puts its substitute there: *degraded* says that the value is one, *error* what
    for.
    """

    __slots__ = ("degraded", "error", "value")

    def __init__(self) -> None:
        self.value: V | None = None
        self.degraded: bool = False
        self.error: Exception | None = None

    def __repr__(self) -> str:
        return f"<BlockResult {'degraded' if self.degraded else 'ok'}>"


class _ActiveBlock:
    """One entry of a block, from its beginning to its end: the policy's generator, and the limit it stands under.

    `enter` or `enter_async` begins it, `exit` or `exit_async` ends it, and `abandon` is for one that was interrupted as
    it began. `close` takes it out of the registry and its time out of force; it does not touch the policy.
    """

    __slots__ = ("_ended", "call", "cancelling", "key", "owner", "proceed", "result", "steps", "time")

    def __init__(self, owner: Block, frame: FrameType) -> None:
        self.owner = owner
        policy = policy_in_force(owner._policy())
        # The block is named after the function it stands in.
        self.call = Call(f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}", _block_body)
        self.call.stack = (policy,)
        #: The policy, suspended where it proceeds while the block runs, and how it does.
        self.steps: Steps[Outcome] = policy.run(self.call)
        self.proceed: Proceed
        #: Where it is kept while it is open.
        self.key = _key(owner, frame)
        #: Where it has a limit: its time, and, where the block is async, what cancels it.
        self.time: LimitScope | None = None
        self.cancelling: _Cancelling | None = None
        self.result: BlockResult[object] = BlockResult()
        self._ended = threading.Lock()

    def ends(self) -> bool:
        """Whether this is the one time that it ends, whatever other threads do."""
        return self._ended.acquire(blocking=False)

    @property
    def has_ended(self) -> bool:
        return self._ended.locked()

    def close(self) -> None:
        """Take it out of the registry and its time out of force, unless that is done."""
        self.ends()
        if self.time is not None:
            self.time.leave()
        _unregister(self)

    def abandon(self) -> None:
        """Give back what it took: it was interrupted before it began."""
        self.close()
        if self.cancelling is not None:
            self.cancelling.leave(None, None)
        end(self.steps)

    # -- entering ------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Run the policy up to its `Proceed`; raise what keeps the block from beginning."""
        self._admit(sync_runner.advance(self.steps, None, self.call))
        if self.time is None:
            return
        if not self.proceed.cooperative:
            raise TypeError(
                f"with {self.owner!r}: nothing interrupts a sync block; decorate a function, or `async with`"
            )
        if self.time.remaining <= 0:
            self._refuse(sync_runner.advance(self.steps, self._late(self.time), self.call))
        self.time.enter()

    async def enter_async(self) -> None:
        """Do what `enter` does; a limit then cancels the task that runs the block."""
        self._admit(await async_runner.advance(self.steps, None, self.call))
        if self.time is None:
            return
        if self.time.remaining <= 0:
            self._refuse(await async_runner.advance(self.steps, self._late(self.time), self.call))
        self.cancelling = _Cancelling(self.time, self.call.clock.move_on_after(self.time.enter_task()))

    def _admit(self, step: Proceed | Outcome) -> None:
        """Let the block run where its policy proceeds."""
        if not isinstance(step, Proceed):
            self._refuse(step)
            return
        self.proceed = step
        if step.timeout is not None:
            self.time = LimitScope(step.timeout, self.call)

    def _late(self, time: LimitScope) -> Outcome:
        """Return what the policy is sent where the block's time is over."""
        return self.proceed.answer(self.call, time.expired_outcome)

    def _refuse(self, step: Proceed | Outcome) -> None:
        """Raise the error by which a policy keeps the block from beginning."""
        try:
            if isinstance(step, Outcome):
                result_of(step)
            raise RuntimeError(f"{self.owner!r} answered without a call; it cannot guard a block")
        finally:
            del step

    # -- leaving -------------------------------------------------------------------------------------------------

    def exit(self, error: BaseException | None) -> bool:
        """Tell the policy how the block ended; return whether its error ends here, or raise another one."""
        outcome = self._outcome_of(error)
        if outcome is None:
            return False
        return self._leave(error, sync_runner.advance(self.steps, outcome, self.call))

    async def exit_async(self, kind: type[BaseException] | None, error: BaseException | None) -> bool:
        """Do what `exit` does; a block with a limit must be left in the task that it cancels."""
        if self.cancelling is not None:
            if self.cancelling.task is not running_task():
                end(self.steps)
                raise RuntimeError(
                    f"{self.owner!r} was entered in another task; enter and leave a limited block in one"
                )
            if self.cancelling.leave(kind, error):
                self.call.cancellation = error
                late = self._late(self.cancelling.time)
                return self._leave(None, await async_runner.advance(self.steps, late, self.call))
        outcome = self._outcome_of(error)
        if outcome is None:
            return False
        return self._leave(error, await async_runner.advance(self.steps, outcome, self.call))

    def _outcome_of(self, error: BaseException | None) -> Outcome | None:
        """Return what the policy is sent; None where the block was cancelled or interrupted, and the policy closed."""
        if error is None or isinstance(error, Exception):
            return Outcome(self.result.value, error)
        self.call.ended_by = cut_off_by(error)
        end(self.steps)
        return None

    def _leave(self, error: BaseException | None, step: Proceed | Outcome) -> bool:
        """Return whether the block's *error* ends here, as the policy has a value for it; raise the policy's own error.

        A value that the policy returned, the block's or a substitute, is in the block's result.
        """
        if isinstance(step, Proceed):
            end(self.steps)
            raise RuntimeError("a policy that calls more than once cannot guard a block; use retrying(...)")  # noqa: TRY004
        if step.error is not None and step.error is error:
            return False
        try:
            self.result.value = result_of(step)
        finally:
            del step
        if isinstance(error, Exception):
            self.result.degraded, self.result.error = True, error
        return True


class _Cancelling:
    """The cancellation of an async block when its *time* is over, and the *task* that is cancelled."""

    __slots__ = ("_limit", "_scope", "task", "time")

    def __init__(self, time: LimitScope, limit: AbstractContextManager[TimeLimit]) -> None:
        self.time = time
        self.task = running_task()
        self._scope = time.limit_here.timer = limit.__enter__()
        self._limit = limit

    def leave(self, kind: type[BaseException] | None, error: BaseException | None) -> bool:
        """Stop the time; return whether this limit, and no other, has ended the block."""
        self._limit.__exit__(kind, error, getattr(error, "__traceback__", None))
        return self._scope.expired  # not what __exit__ returned: trio says True of a block without an error too


# -- which of the open blocks of one object ends ---------------------------------------------------------------------

_Key: TypeAlias = tuple[int, int, CodeType]
# By the object, and the frame of the `with` statement that has begun them: it ends in the same frame, whatever context,
# task or thread runs that by then. Blocks that stand in each other in one frame are in one list, the innermost last. A
# frame runs in one thread at a time, so nothing here needs a lock.
_open: dict[_Key, list[_ActiveBlock]] = {}
# What this context has begun, the innermost last, for blocks that no `with` statement begins and ends.
_begun: ContextVar[tuple[_ActiveBlock, ...]] = ContextVar("resilience.blocks", default=())


def _key(owner: Block, frame: FrameType) -> _Key:
    """Return what a block of *owner* that *frame* begins is kept under.

    Not the frame itself, which would keep alive what it refers to. The code is a part of it, since the id of a frame
    that has returned, such as that of `ExitStack.enter_context`, may be another one's by now.
    """
    return id(owner), id(frame), frame.f_code


def _register(block: _ActiveBlock) -> None:
    """Note *block* as the innermost one of its frame and of this context."""
    _open.setdefault(block.key, []).append(block)
    _begun.set((*(each for each in _begun.get() if not each.has_ended), block))


def _unregister(block: _ActiveBlock) -> None:
    """Forget *block*, in whatever order blocks end; unless that is done."""
    _begun.set(tuple(each for each in _begun.get() if each is not block))
    blocks = _open.get(block.key, [])
    with contextlib.suppress(ValueError):
        blocks.remove(block)
    if not blocks:
        _open.pop(block.key, None)


def _pop_block(owner: Block, frame: FrameType) -> _ActiveBlock:
    """Return the block of *owner* that *frame* ends; it is open no longer."""
    block = None
    try:
        block = _find(owner, frame)
        if block is None:
            raise RuntimeError(f"{owner!r} is left, but was not entered, or left already")
        block.close()
    except BaseException:  # also from a signal handler, which may have come at any instruction of it
        block = block or _find(owner, frame)
        if block is not None:
            block.close()
        raise
    return block


def _find(owner: Block, frame: FrameType) -> _ActiveBlock | None:
    """Return the block of *owner* that *frame* ends; None where there is none."""
    blocks = _open.get(_key(owner, frame))
    if blocks:
        return blocks[-1]
    return _found_elsewhere(owner, frame)


def _found_elsewhere(owner: Block, frame: FrameType) -> _ActiveBlock | None:
    """Return the block that ends where no `with` statement has begun it: by an `ExitStack`, or by hand.

    Of those of *owner* that were begun by code of the same file, as an `ExitStack` does both, or else of all, it is the
    last one of this context, or else the last one.
    """
    file = frame.f_code.co_filename
    order = {block: number for number, block in enumerate(_begun.get(), 1)}
    found = [block for blocks in list(_open.values()) for block in blocks if block.owner is owner]
    found.sort(key=lambda block: (block.key[2].co_filename == file, order.get(block, 0)))
    return next((block for block in reversed(found) if block.ends()), None)


# -- what is entered and left ----------------------------------------------------------------------------------------


class Block:
    """Makes a policy a context manager. Mixed into the public policies.

    The methods find the frame of the ``with`` statement by ``sys._getframe``, so a subclass that overrides one has to
    keep to the depth of calls. On an exception in entering, Ctrl-C included, there is no ``__exit__``: what was taken
    is given back at once.
    """

    __slots__ = ()

    def _policy(self) -> Policy:
        """Return the policy that guards the next block."""
        raise NotImplementedError

    def _entered(self, result: BlockResult[object]) -> Any:
        """Return what ``as`` gives."""
        return self

    def __enter__(self) -> Self:
        block = _ActiveBlock(self, sys._getframe(1))
        try:
            block.enter()
            _register(block)
            return self._entered(block.result)  # type: ignore[no-any-return]  # a fallback says what it gives
        except BaseException:  # also Ctrl-C, at any instruction: then there is no `__exit__`
            block.abandon()
            raise

    # Not bool: type checkers then take it that errors pass, and that a `return` in the block is reached.
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return _pop_block(self, sys._getframe(1)).exit(error)

    async def __aenter__(self) -> Self:
        block = _ActiveBlock(self, sys._getframe(1))
        try:
            await block.enter_async()
            _register(block)
            return self._entered(block.result)  # type: ignore[no-any-return]
        except BaseException:
            block.abandon()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await _pop_block(self, sys._getframe(1)).exit_async(kind, error)


B = TypeVar("B", bound=Block)


class OneBlock(Generic[B]):
    """One block of *owner*, to be entered once, as a circuit's ``calling()`` returns it.

    It knows its entry by itself, and so can be left from any frame, task or thread, without being found by the frame.
    Errors and events name *target*, or else the function that enters it.
    """

    __slots__ = ("_block", "_owner", "_target")

    def __init__(self, owner: B, target: str | None = None) -> None:
        self._owner: B = owner
        self._target = target
        self._block: _ActiveBlock | None = None

    def __enter__(self) -> B:
        block = self._begin(sys._getframe(1))
        block.enter()
        return self._owner

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end().exit(error)

    async def __aenter__(self) -> B:
        block = self._begin(sys._getframe(1))
        await block.enter_async()
        return self._owner

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end().exit_async(kind, error)

    def _begin(self, frame: FrameType) -> _ActiveBlock:
        """Make the entry. Raises RuntimeError where there is one: the object is good for one block."""
        if self._block is not None:
            raise RuntimeError(f"this block of {self._owner!r} was entered already; call calling() for each block")
        self._block = _ActiveBlock(self._owner, frame)
        if self._target is not None:
            self._block.call.target = self._target
        return self._block

    def _end(self) -> _ActiveBlock:
        """Return the entry, which is open no longer. Raises RuntimeError where it has ended before."""
        if self._block is None or not self._block.ends():
            raise RuntimeError(f"this block of {self._owner!r} is left, but was not entered, or left already")
        self._block.close()
        return self._block


def _block_body() -> None:
    """Stand for the block where a function is expected."""
