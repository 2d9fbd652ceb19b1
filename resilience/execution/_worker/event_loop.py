"""Event loop for statements that await at the top level. Standard library only; imports asyncio when it is needed."""

from __future__ import annotations

from resilience.execution._worker.statements import FILENAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Iterable
    from types import TracebackType

__all__ = ["NoRunningLoop", "ProgramLoop"]


class ProgramLoop:
    """Runs the coroutines of a program's statements, all on one asyncio loop, so that tasks live on between them.

    The loop exists from the first such statement until `close`. No loop runs between two statements: the program may
    call `asyncio.run` there.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.filename: str = FILENAME
        """File name of the program, whose frames a traceback begins with."""

    def run(self, coroutine: Coroutine[object, object, object]) -> object:
        """Run *coroutine* and return its value. The traceback of an exception begins with the program's own frames."""
        if self._loop is None:
            import asyncio

            self._loop = asyncio.new_event_loop()
        try:
            return self._loop.run_until_complete(coroutine)
        except BaseException as error:
            raise error.with_traceback(_from_program(error.__traceback__, self.filename))  # noqa: B904  # the same exception

    def close(self) -> None:
        """Cancel the remaining tasks, wait for them, and close the loop, as `asyncio.run` does."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        import asyncio

        try:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(_wait_for(tasks))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()


async def _wait_for(tasks: Iterable[asyncio.Task[object]]) -> None:
    import asyncio

    await asyncio.gather(*tasks, return_exceptions=True)


def _from_program(trace: TracebackType | None, filename: str) -> TracebackType | None:
    """Return *trace* without the frames of the loop that called the program; None if the program was suspended."""
    entry = trace
    while entry is not None and entry.tb_frame.f_code.co_filename != filename:
        entry = entry.tb_next
    return entry


class NoRunningLoop:
    """A block in which no event loop seems to run, although one does: a kernel executes programs inside its own.

    `asyncio.run` and other loops work within it. It uses the functions that asyncio exports for event loops of third
    parties.
    """

    def __enter__(self) -> None:
        import asyncio

        self._loop = asyncio._get_running_loop()
        if self._loop is not None:
            self._task = asyncio.current_task(self._loop)
            if self._task is not None:
                asyncio._leave_task(self._loop, self._task)
            asyncio._set_running_loop(None)

    def __exit__(self, *raised: object) -> None:
        import asyncio

        if self._loop is not None:
            asyncio._set_running_loop(self._loop)
            asyncio.set_event_loop(self._loop)  # `asyncio.run` has unset it
            if self._task is not None:
                asyncio._enter_task(self._loop, self._task)
