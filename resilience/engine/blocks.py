"""A policy around a block of code: ``with`` and ``async with``.

A block runs once, so only policies that call what is inside them once can guard it. One object may guard many
blocks at the same time, in threads and tasks: what each has begun is kept in a context variable, innermost last.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Generic, TypeVar, cast

from resilience.clock import Limit
from resilience.engine import asynchronous, blocking
from resilience.engine.limits import Scope
from resilience.outcome import Outcome
from resilience.policy.base import Call, Policy
from resilience.settings import DISABLED

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

    __slots__ = ("call", "limit", "owner", "policy", "result", "scope", "time")

    scope: Limit

    def __init__(self, owner: object, policy: Policy, call: Call) -> None:
        self.owner = owner
        self.policy = policy
        self.call = call
        #: Where it has a limit: its time, and, where the block is async, what cancels it.
        self.time: Scope | None = None
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
        try:
            answer = begun.policy.before(begun.call, 0)
            if isinstance(answer, Generator):
                answer = blocking.perform(answer)
            self._admit(begun, answer, cancels=False)
            return self._entered(begun.result)
        except BaseException:  # also Ctrl-C, at any instruction: then there is no `__exit__`
            _close(begun)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        begun = self._end()
        if error is not None and not isinstance(error, Exception):
            begun.policy.release(begun.call, 0)
            return False
        answer = begun.policy.after(begun.call, 0, _outcome(begun, error))
        if isinstance(answer, Generator):
            answer = blocking.perform(answer)
        return _leave(begun, error, answer)

    # -- async ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> object:
        begun = self._begin()
        try:
            answer = begun.policy.before(begun.call, 0)
            if isinstance(answer, Generator):
                answer = await asynchronous.perform(answer)
            seconds = self._admit(begun, answer)
            if seconds is not None:
                limit = begun.call.clock.limit(seconds)
                begun.scope = limit.__enter__()
                begun.limit = limit
            return self._entered(begun.result)
        except BaseException:
            _close(begun)
            if begun.limit is not None:
                begun.limit.__exit__(None, None, None)
            raise

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        begun = self._end()
        outcome = _outcome(begun, error)
        if begun.limit is not None and begun.time is not None:
            begun.limit.__exit__(kind, error, getattr(error, "__traceback__", None))
            if begun.scope.expired:  # not what __exit__ returned: trio says True of a block without an error too
                begun.call.cut = error
                outcome, error = begun.time.late, None
        if error is not None and not isinstance(error, Exception):
            begun.policy.release(begun.call, 0)
            return False
        answer = begun.policy.after(begun.call, 0, outcome)
        if isinstance(answer, Generator):
            answer = await asynchronous.perform(answer)
        return _leave(begun, error, answer)

    # -- shared --------------------------------------------------------------------------------------------------

    def _begin(self) -> _Begun:
        # The block is named after the function it stands in: two frames up from here.
        frame = sys._getframe(2)
        target = f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}"
        policy = _NOTHING if DISABLED.used and DISABLED.is_on() else self._policy()
        return _Begun(self, policy, Call(target, _the_block))

    def _admit(self, begun: _Begun, refused: Outcome | None, *, cancels: bool = True) -> float | None:
        """Let the block begin, or raise; return the seconds after which an async one is to be cancelled."""
        if refused is None and begun.policy.limit is not None:
            begun.time = Scope(begun.policy.limit, begun.call)
            if begun.time.left <= 0:
                answer = begun.policy.after(begun.call, 0, begun.time.late)
                refused = cast("Outcome", blocking.perform(answer) if isinstance(answer, Generator) else answer)
        if refused is not None:
            if refused.error is None:
                raise RuntimeError(f"{self!r} answered without a call; it cannot guard a block")
            try:
                raise refused.error
            finally:
                del refused
        _begun.set((*_begun.get(), begun))
        return None if begun.time is None else begun.time.enter(cancels=cancels)

    def _end(self) -> _Begun:
        begun = None
        try:
            begun = self._innermost()
            if begun is not None:
                _close(begun)
        except BaseException:  # from a signal handler, which may have come at any instruction of it
            begun = begun or self._innermost()
            if begun is not None:
                _close(begun)
            raise
        if begun is None:
            where = "in another task or thread; enter and leave a block in the same one"
            raise RuntimeError(f"{self!r} was entered {where}")
        return begun

    def _innermost(self) -> _Begun | None:
        for begun in reversed(_begun.get()):
            if begun.owner is self:
                return begun
        return None


_NOTHING = Policy()
"""What guards a block while policies are switched off."""


def _close(begun: _Begun) -> None:
    """Forget a block and its time, unless that is done."""
    if begun.time is not None:
        begun.time.leave()
    _begun.set(tuple(each for each in _begun.get() if each is not begun))


def _the_block() -> None:
    """Stand for the block where a function is expected."""


def _outcome(begun: _Begun, error: BaseException | None) -> Outcome:
    return Outcome(begun.result.value, error if isinstance(error, Exception) else None)


def _leave(begun: _Begun, error: BaseException | None, answer: Outcome | float) -> bool:
    """Say whether the block's error ends here."""
    if not isinstance(answer, Outcome):
        # Not the block's type is wrong, but the policy.
        raise RuntimeError("a policy that calls more than once cannot guard a block; use retrying(...)")  # noqa: TRY004
    if answer.error is not None:
        if answer.error is error:
            return False
        try:
            raise answer.error
        finally:
            del answer
    begun.result.value = answer.value
    begun.result.degraded = error is not None
    begun.result.error = error if isinstance(error, Exception) else None
    return True
