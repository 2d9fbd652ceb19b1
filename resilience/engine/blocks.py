"""A policy around a block of code: ``with`` and ``async with``.

A block runs once, so only policies that call what is inside them once can guard it. One object may guard many
blocks at the same time, in threads and tasks: what each has begun is kept in a context variable, innermost last.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Generic, TypeVar

from resilience.clock import Limit
from resilience.engine import asynchronous, blocking
from resilience.outcome import EXPIRED, Outcome
from resilience.policy.base import Call, Policy, Proceed, Steps

__all__ = ["Block", "BlockResult"]

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


class _Begun:
    """One block on its way."""

    __slots__ = ("call", "limit", "owner", "result", "scope", "steps")

    scope: Limit

    def __init__(self, owner: object, call: Call, steps: Steps) -> None:
        self.owner = owner
        self.call = call
        self.steps = steps
        self.limit: AbstractContextManager[Limit] | None = None
        self.result: BlockResult[object] = BlockResult()


_begun: ContextVar[tuple[_Begun, ...]] = ContextVar("resilience.blocks", default=())


class Block:
    """Makes a policy a context manager. Mixed into the public decorator objects."""

    __slots__ = ()

    def _policy(self) -> Policy:
        raise NotImplementedError

    def _entered(self, result: BlockResult[object]) -> object:
        """Return what ``as`` gives."""
        return self

    # -- sync ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> object:
        begun = self._begin()
        cut_short = True
        try:
            step = blocking.advance(begun.steps, begun.call)
            cut_short = False
        finally:
            if cut_short:
                begun.steps.close()
        return self._admit(begun, step)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        begun = self._end()
        if error is not None and not isinstance(error, Exception):
            begun.steps.close()
            return False
        try:
            return _leave(begun, error, blocking.advance(begun.steps, begun.call, _outcome(begun, error)))
        finally:
            begun.steps.close()

    # -- async ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> object:
        begun = self._begin()
        cut_short = True
        try:
            step = await asynchronous.advance(begun.steps, begun.call)
            cut_short = False
        finally:
            if cut_short:
                begun.steps.close()
        return self._admit(begun, step)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        begun = self._end()
        outcome = _outcome(begun, error)
        if begun.limit is not None:
            begun.limit.__exit__(kind, error, getattr(error, "__traceback__", None))
            if begun.scope.expired:  # not what __exit__ returned: trio says True of a block without an error too
                outcome, error = EXPIRED, None
        if error is not None and not isinstance(error, Exception):
            begun.steps.close()
            return False
        try:
            return _leave(begun, error, await asynchronous.advance(begun.steps, begun.call, outcome))
        finally:
            begun.steps.close()

    # -- shared --------------------------------------------------------------------------------------------------

    def _begin(self) -> _Begun:
        # The block is named after the function it stands in: two frames up from here.
        frame = sys._getframe(2)
        target = f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}"
        call = Call(target, _the_block)
        return _Begun(self, call, self._policy().run(call))

    def _admit(self, begun: _Begun, step: Proceed | Outcome) -> object:
        if isinstance(step, Outcome):
            begun.steps.close()
            if step.error is None:
                raise RuntimeError(f"{self!r} answered without a call; it cannot guard a block")
            try:
                raise step.error
            finally:
                del step
        if step.limit is not None:
            begun.limit = begun.call.clock.limit(step.limit)
            begun.scope = begun.limit.__enter__()
        _begun.set((*_begun.get(), begun))
        return self._entered(begun.result)

    def _end(self) -> _Begun:
        stack = _begun.get()
        for index in range(len(stack) - 1, -1, -1):
            if stack[index].owner is self:
                _begun.set(stack[:index] + stack[index + 1 :])
                return stack[index]
        raise RuntimeError(f"{self!r} was entered in another task or thread; enter and leave a block in the same one")


def _the_block() -> None:
    """Stand for the block where a function is expected."""


def _outcome(begun: _Begun, error: BaseException | None) -> Outcome:
    return Outcome(begun.result.value, error if isinstance(error, Exception) else None)


def _leave(begun: _Begun, error: BaseException | None, step: Proceed | Outcome) -> bool:
    """Say whether the block's error ends here."""
    if isinstance(step, Proceed):
        # Not the block's type is wrong, but the policy.
        raise RuntimeError("a policy that calls more than once cannot guard a block; use retrying(...)")  # noqa: TRY004
    if step.error is not None:
        if step.error is error:
            return False
        try:
            raise step.error
        finally:
            del step
    begun.result.value = step.value
    begun.result.degraded = error is not None
    begun.result.error = error if isinstance(error, Exception) else None
    return True
