"""Ctrl-C at each instruction of some functions, one after the other."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any


class Interrupted:
    """Raises KeyboardInterrupt before the *number*th instruction that is carried out in some functions.

    Not before one that does nothing: no signal handler runs there, and the compiler leaves it out of every ``try``.
    With *after_calls* only where CPython itself looks for signals, which is after each call, at the start of a function
    and when a loop begins anew.
    """

    def __init__(self, number: int, inside: set[CodeType], *, after_calls: bool = False) -> None:
        self.left = number
        self.inside = inside
        self.after_calls = after_calls
        self.before = ""

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code not in self.inside:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event != "opcode":
            return self
        name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        before, self.before = self.before, name
        if name != "NOP" and (not self.after_calls or before.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))):
            self.left -= 1
            if self.left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


def interruptions(call: Callable[[], object], inside: set[CodeType], *, after_calls: bool = False) -> Iterator[int]:
    """Make *call* again and again, interrupted an instruction later each time, until it comes to its end."""
    before = sys.gettrace()

    def made(number: int) -> int | None:
        trace = Interrupted(number, inside, after_calls=after_calls)
        sys.settrace(trace)
        try:
            call()
        except KeyboardInterrupt:
            return None
        finally:
            sys.settrace(before)
        return number - trace.left

    made(1_000_000)  # the first time, some interpreters are not ready to stop at single instructions
    count = made(1_000_000)
    assert count is not None
    assert count >= (5 if after_calls else 50)
    for number in range(count):
        if made(number) is None:
            yield number
