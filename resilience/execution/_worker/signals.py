"""Default signal handling for the program: the parent's may ignore or block some signals."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # the module around it takes 4 ms to import

__all__ = ["reset_signals"]


def reset_signals() -> None:
    """Unblock all signals and restore the default action of those that the parent ignores.

    A service that `nohup` started ignores SIGHUP, a background job SIGINT, and a thread may have blocked the timer's.
    """
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    for number in _signal.valid_signals() - {_signal.SIGPIPE, _signal.SIGXFSZ}:  # Python itself ignores these two
        if _signal.getsignal(number) == _signal.SIG_IGN:
            _signal.signal(number, _signal.default_int_handler if number == _signal.SIGINT else _signal.SIG_DFL)
