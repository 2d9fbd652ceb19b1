"""Events of policies: made and emitted only where something listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec

from resilience._listeners import has_listeners
from resilience._runtime.protocol import Emit, Steps

if TYPE_CHECKING:
    from resilience.events import Event

__all__ = ["announce"]

P = ParamSpec("P")


def announce(make: Callable[P, Event], *arguments: P.args, **keywords: P.kwargs) -> Steps[None]:
    """Emit the event that *make* returns, where something listens.

    A program without a listener never makes an event. So *make* imports the class of its event itself: importing the
    event classes takes time, which a program that has no listener should not pay for.
    """
    if has_listeners():
        yield Emit(make(*arguments, **keywords))
