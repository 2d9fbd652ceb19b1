"""Ctrl-C at each instruction of some functions, one after the other."""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

# CPython 3.13 stops at the instructions of a function only when it is entered once more.
_LEAST_AFTER_CALLS = 1 if sys.version_info[:2] == (3, 13) else 5


class Interrupted:
    """Raises KeyboardInterrupt before the *number*th instruction that is carried out in some functions.

    Not before one that does nothing: no signal handler runs there, and the compiler leaves it out of every ``try``.
    Nor between the instruction by which a ``with`` takes a lock and the block, and between the block and the one that
    releases it: CPython runs no signal handler there (3.14 alone does, in the first), and a lock would stay taken.
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
        after_call = before.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))
        if frame.f_lasti not in _without_signals(frame.f_code) and (after_call or not self.after_calls):
            self.left -= 1
            if self.left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


@functools.cache
def _without_signals(code: CodeType) -> set[int]:
    """Return where in *code* no signal handler runs."""
    instructions = list(dis.get_instructions(code))
    names = [instruction.opname for instruction in instructions]
    found = {instruction.offset for instruction in instructions if instruction.opname == "NOP"}
    for number, instruction in enumerate(instructions[:-1]):
        enters = instruction.opname == "CALL" and instructions[number - 1].argrepr == "__enter__"
        if instruction.opname == "BEFORE_WITH" or enters:
            found.add(instructions[number + 1].offset)
        leaving = instructions[number : number + 3]
        if [each.opname for each in leaving] == ["LOAD_CONST"] * 3 and {each.argval for each in leaving} == {None}:
            call = names.index("CALL", number)
            found |= {each.offset for each in instructions[number : call + 1]}
    return found


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
    assert count >= (_LEAST_AFTER_CALLS if after_calls else 50), count
    for number in range(count):
        if made(number) is None:
            yield number


def functions_of(*places: object) -> set[CodeType]:
    """Return the code of the functions and methods that these modules and classes define."""
    found: set[CodeType] = set()
    for place in places:
        for thing in vars(place).values():
            thing = getattr(thing, "__func__", thing)  # noqa: PLW2901
            if isinstance(thing, type) and thing.__module__ == getattr(place, "__name__", None):
                found |= functions_of(thing)
            elif code := getattr(thing, "__code__", None):
                found.add(code)
    return found
