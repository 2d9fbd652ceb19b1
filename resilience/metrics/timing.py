"""The function a caller of a tracked function meets: the one `wrapper_of` makes, with two looks at the clock.

Only where `track_errors` is outermost. What a driver carries out for a policy that is not plain, this does in the
wrapper's own frame: whatever leaves it, by a ``return`` or by an error, is counted on its way.
"""

from __future__ import annotations

import functools
import linecache
import re
import weakref
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType

from resilience.clock import current_clock
from resilience.engine.guard import Guarded
from resilience.metrics.records import COUNTS_ALONE, Record

__all__ = ["TimedGuarded"]

_BEGUN = """\
__now = __clock().now
__began = __now()
try:
"""
_FAILED = """\
except __BaseException as __failure:
    __record.failed(__failure, __now() - __began)
    raise
"""
_TOOK = "__took = __now() - __began\n"
_COUNTED = """\
if __took <= __record.quick_up_to:
    __record.quick += 1
    __record.quick_seconds += __took
else:
    __record.slow(__took)
"""
_LOCKED = "__record.slow(__took)\n"
_OURS = ("__record", "__clock", "__BaseException")


class TimedGuarded(Guarded):
    """A guarded function whose outermost policy is *record*'s: that one is in the wrapper, the others as ever."""

    __slots__ = ("_record",)

    def __init__(self, found: Guarded, record: Record) -> None:
        super().__init__(found.target, found.function, found.policies)
        self._record = record

    def wrap(self, like: object = None) -> Callable[..., object]:
        """Build the wrapper of the policies further in, with the times around it."""
        plain = Guarded(self.target, self.function, self.policies[1:]).wrap(like)
        if not isinstance(plain, FunctionType) or plain.__code__.co_filename not in linecache.cache:
            return super().wrap(like)  # its text is gone, by `linecache.clearcache`: the driver does the same, slowly
        wrapper = _timed(plain, self._record)
        functools.update_wrapper(wrapper, plain)
        wrapper.__defaults__, wrapper.__kwdefaults__ = plain.__defaults__, plain.__kwdefaults__
        self._wrapper = weakref.ref(wrapper)
        vars(wrapper).update(__wrapped__=self.function, __resilience__=self)
        return wrapper


def _timed(plain: FunctionType, record: Record) -> FunctionType:
    code = _code_of(plain.__code__.co_filename, COUNTS_ALONE)
    cells = dict(zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True))
    for name, value in zip(_OURS, (record, current_clock, BaseException), strict=True):
        cells[name] = CellType(value)
    return FunctionType(code, plain.__globals__, closure=tuple(cells[name] for name in code.co_freevars))


@functools.lru_cache(maxsize=4096)
def _code_of(filename: str, alone: bool) -> CodeType:
    """Return the code of the wrapper in that module, timed."""
    source = timed_module("".join(linecache.getlines(filename)), _COUNTED if alone else _LOCKED)
    filename = f"{filename[:-1]}, timed>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    make = next(part for part in compile(source, filename, "exec").co_consts if isinstance(part, CodeType))
    return next(part for part in make.co_consts if isinstance(part, CodeType))


def timed_module(module: str, counted: str = _COUNTED) -> str:
    """Return the text of a module that makes wrappers, as `engine.template` has it, with the times in the wrapper."""
    head, define, rest = re.split(r"^( +(?:async )?def wrapper\(.*\):\n)", module, maxsplit=1, flags=re.MULTILINE)
    body, end = rest.split("    return wrapper\n", maxsplit=1)
    parameters = ", ".join(name for name in _OURS if name not in head)
    head = head.replace("def __make(", f"def __make({parameters}, ", 1)
    timed = [*_at(8, _BEGUN), *_counting(body, counted), *_at(8, _FAILED)]
    return f"{head}{define}{''.join(timed)}    return wrapper\n{end}"


def _counting(body: str, counted: str) -> Iterator[str]:
    for line in body.splitlines(keepends=True):
        found = re.fullmatch(r"( *)return (.*)\n", line)
        if found is None:
            yield f"    {line}"
            continue
        depth, value = len(found[1]) + 4, found[2]
        if value != "__value":
            yield from _at(depth, f"__value = {value}\n")
        yield from _at(depth, f"{_TOOK}{counted}return __value\n")


def _at(depth: int, block: str) -> list[str]:
    return [f"{' ' * depth}{line}" for line in block.splitlines(keepends=True)]
