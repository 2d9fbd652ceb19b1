"""Async time limits on the fast path: begun by the wrapper itself, and left in order when a call does not succeed.

A wrapper whose policies limit the time of a call begins all limits before the call, and takes the call out of them
when it has succeeded in time. Any other end is for `LimitedSlowPath`, which treats the limits as nested ``with``
blocks: what leaves the innermost one, an outcome or a cancellation, is what the next one sees. Loaded with the first
limit of an async function, as `resilience._asyncio_timeout` loads asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from resilience._asyncio_timeout import SharedTimeout, TimeoutEntry, finish_timeout, shared_timeout, time_left
from resilience._deadline_context import deadline_or_inf
from resilience._outcome import TIMED_OUT, Outcome
from resilience._runtime.cut_off import CutOff, cut_off_by
from resilience._runtime.protocol import Admission, Call, LatencyRecorder
from resilience._runtime.slow_path import Arguments, Keywords, SlowPath

__all__ = ["LimitedSlowPath", "Watches", "beginning"]


class Watches:
    """A call under several limits: to a wrapper they are one, which is kept while all of them are.

    It has what a wrapper uses of a `TimeoutEntry`: a table that the call is deleted from when it has ended in time,
    None once a limit has passed.
    """

    __slots__ = ("each",)

    def __init__(self, each: list[TimeoutEntry]) -> None:
        #: The outermost first.
        self.each: list[TimeoutEntry] = each

    @property
    def table(self) -> Watches | None:
        """The watches themselves, as one table; None when one of the limits has passed."""
        for watch in self.each:
            if watch.table is None:
                return None
        return self

    def __delitem__(self, watches: Watches) -> None:
        """Take the limits off."""
        for watch in watches.each:
            finish_timeout(watch)


def beginning(limits: Sequence[float]) -> Callable[[], TimeoutEntry | Watches | None]:
    """Return the function that begins *limits*, in seconds, the outermost first.

    It returns None, and has begun none of them, where the timer cannot keep them: outside of an asyncio task, under a
    test's clock, or where policies are switched off. The runner is asked then. Most functions have one limit, and for
    them that function is the timer's own: it is called before every call, so nothing stands in between.
    """
    timers = [shared_timeout(seconds) for seconds in limits]
    if len(timers) == 1:
        return timers[0].start
    return lambda: _begin_all(timers)


def _begin_all(timers: Sequence[SharedTimeout]) -> Watches | None:
    each: list[TimeoutEntry] = []
    for timer in timers:
        watch = timer.start()
        if watch is None:  # policies may be switched off between two of them: then the first must not stay
            for begun in each:
                finish_timeout(begun)
            return None
        each.append(watch)
    return Watches(each)


class LimitedSlowPath(SlowPath):
    """Makes the call of an async function under limits, and takes it out of them before the runner goes on.

    A limit that has passed takes its own cancellation, and the policies outside of it are sent TIMED_OUT. Any other
    cancellation goes on, through all limits. The policies inside a limit run under it.
    """

    __slots__ = ("limits", "recorder")

    #: The positions of the limits, the innermost first.
    limits: Sequence[int]
    #: What times the calls, if anything does.
    recorder: LatencyRecorder | None

    def end_limits(self, watch: TimeoutEntry | Watches) -> None:
        """Take the limits of a call off before it is made: a runner makes it, and begins them itself."""
        for _, each in self._limits(watch):
            finish_timeout(each)

    def late(self, value: object, arguments: Arguments, keywords: Keywords) -> Call:
        """Return a call that has returned *value* although one of its limits had passed."""
        call = self.call(arguments, keywords)
        call.initial_outcome = Outcome(value)
        call.position = len(self.stack)
        return call

    def expired(
        self, cut: BaseException, watch: TimeoutEntry | Watches, arguments: Arguments, keywords: Keywords
    ) -> Call | None:
        """Return a call that one of its limits has cut off; None where *cut* is not a limit's own."""
        for position, each in self._limits(watch):
            if finish_timeout(each, cut):
                call = self.call(arguments, keywords)
                _expire(call, position, cut)
                return call
        return None

    async def leave_limits(self, call: Call, watch: TimeoutEntry | Watches) -> None:
        """Take *call* out of its limits, through the policies inside each of them. Raises what cancels it meanwhile."""
        if call.initial_outcome is TIMED_OUT:
            self._note_cancelled(call, CutOff.TIMED_OUT, call.position - 1, len(self.stack))
        if call.initial_outcome is TIMED_OUT and self.gate_at >= call.position and call.admission is not None:
            self._cut_off_gate(call)
        cut: BaseException | None = None
        try:
            for position, each in self._limits(watch):
                if call.initial_outcome is TIMED_OUT and position + 1 >= call.position:
                    continue  # `expired` has ended it
                cut = cut or await self._run_inside(call, position, each)
                if finish_timeout(each, cut) and cut is not None:
                    self._note_cancelled(call, CutOff.TIMED_OUT, position, call.position)
                    _expire(call, position, cut)
                    cut = None
            if cut is not None:
                self._note_cancelled(call, cut_off_by(cut), -1, call.position)
                raise cut
        finally:
            cut = None  # this frame, to which its traceback leads, must not lead back to it

    def _cut_off_gate(self, call: Call) -> None:
        """Have the gate, which stands inside of the limit that has passed, record that."""
        inside = self.call(call.arguments, call.keywords)
        inside.began = call.began
        self.cut_off(inside, cast("Admission", call.admission), CutOff.TIMED_OUT)

    def _limits(self, watch: TimeoutEntry | Watches) -> Sequence[tuple[int, TimeoutEntry]]:
        """Return the limits of a call by their positions, the innermost first."""
        if isinstance(watch, Watches):
            return [*zip(self.limits, reversed(watch.each), strict=True)]
        return [(self.limits[0], watch)]

    async def _run_inside(self, call: Call, position: int, watch: TimeoutEntry) -> BaseException | None:
        """Run the policies inside the limit at *position*; return the exception that cut them off, if one did."""
        begin_at, call.position = call.position, position + 1
        if begin_at == position + 1:
            return None
        # They have to know how much time the limit leaves. Those outside are not looked at yet.
        call.due = min(call.due, call.clock.now() + time_left(watch))
        try:
            call.initial_outcome = await self.drive(self.stack, position + 1, call, begin_at)
        except BaseException as cut:
            return cut
        finally:
            call.position = position + 1  # the runner counts in it as well
            call.due = deadline_or_inf(call.clock)
        return None

    def _note_cancelled(self, call: Call, cut_off: CutOff | None, position: int, reached: int) -> None:
        """Count a call as cancelled where what ended it stands outside of the policy that times the calls.

        The call was cut off when it had been driven outwards as far as *reached*: a policy outside of that has not
        seen its outcome. From the limit at *position* on outwards the call goes on, and is counted there.
        """
        if self.recorder is not None and position < self.timed_at < reached:
            self.recorder.cancelled(call.clock.now() - cast("float", call.started_at), cut_off)


def _expire(call: Call, position: int, cut: BaseException) -> None:
    """Make *call* one that the limit at *position* has ended: the policies outside of it are sent TIMED_OUT."""
    call.initial_outcome, call.cancellation = TIMED_OUT, cut
    call.position = position + 1
