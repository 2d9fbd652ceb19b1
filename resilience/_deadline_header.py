"""`DeadlineHeader`: the name of a header, and how it has the seconds that are left.

The client's side writes it, the server's side reads it. A deadline is a moment of a clock, and clocks of two machines
differ; so what travels is a duration, as with gRPC and Envoy. The time on the wire is lost: the server's deadline comes
that much later than the client's, and never earlier.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias, cast

from resilience._validation import require, require_choice

__all__ = ["DeadlineHeader", "TimeFormat"]

TimeFormat: TypeAlias = Literal["milliseconds", "seconds", "grpc"]
"""``milliseconds``: a whole number, as Envoy. ``seconds``: a number. ``grpc``: up to 8 digits and a unit, ``250m``."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110, 5.6.2
_MAX_TEXT: Final = 64  # characters: two proxies that add one each make a list
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{0,9})?")
_GRPC = re.compile(r"([0-9]{1,8})([HMSmun])")
_GRPC_UNITS: Final[Mapping[str, float]] = {"H": 3600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_MAX_MILLISECONDS: Final = 99_999_999  # 8 digits of gRPC, 27 hours
_FORMATS: Final[Mapping[str, TimeFormat]] = {"-ms": "milliseconds", "-millis": "milliseconds", "-seconds": "seconds"}


class DeadlineHeader:
    """The header *name*, which has the time that is left in the given *format*.

    Unless given, the format is ``grpc`` for ``grpc-timeout``, ``milliseconds`` for a name that ends with ``-ms``, such
    as Envoy's ``x-envoy-expected-rq-timeout-ms``, and ``seconds`` for one that ends with ``-seconds``.

    Raises TypeError or ValueError for a *name* that no header may have, and where the format has to be given.

    >>> envoy = DeadlineHeader("x-envoy-expected-rq-timeout-ms")
    >>> envoy.encode(2.5), envoy.decode("2500")
    ('2500', 2.5)
    >>> DeadlineHeader("grpc-timeout").encode(2.5), DeadlineHeader("x-time-left", "seconds").encode(2.5)
    ('2500m', '2.500')
    """

    __slots__ = ("format", "name")

    def __init__(self, name: str, format: TimeFormat | None = None) -> None:  # noqa: A002 - its name everywhere
        require(isinstance(name, str), "name", name, "the name of a header, as text", TypeError)
        require(_NAME.fullmatch(name) is not None, "name", name, "the name of a header, such as 'x-time-left-ms'")
        self.name: str = name.lower()
        found: object = format
        if format is None:
            found = _format_of(self.name)
            require(found is not None, "format", format, f"'milliseconds', 'seconds' or 'grpc' for {name}")
        self.format: TimeFormat = cast("TimeFormat", require_choice("format", found, _ENCODERS))

    @classmethod
    def of(cls, given: str | DeadlineHeader) -> DeadlineHeader:
        """Return *given*, or the header of that name."""
        if isinstance(given, DeadlineHeader):
            return given
        return cls(given)

    def encode(self, seconds: float) -> str:
        """Return the value of the header where so many *seconds* are left.

        Rounded down to whole milliseconds, but never to 0, which some proxies take for no limit at all.
        """
        return _ENCODERS[self.format](min(max(math.floor(seconds * 1000), 1), _MAX_MILLISECONDS))

    def decode(self, text: str) -> float | None:
        """Return the seconds that *text* says are left: 0 where the time is over, None where it says no time.

        A number below 0 says that the time is over. Of several values, joined by commas where each of two proxies has
        added one, the earliest holds; where one of them is no time, the header as a whole says none. Never raises.

        >>> header = DeadlineHeader("x-time-left-ms")
        >>> [header.decode(text) for text in ("-5", "900, 1500", "soon", "1e999", "nan")]
        [0.0, 0.9, None, None, None]
        """
        if len(text) > _MAX_TEXT:
            return None
        read = _DECODERS[self.format]
        times = [read(part.strip(" \t")) for part in text.split(",")]
        known = [seconds for seconds in times if seconds is not None]
        if len(known) < len(times):
            return None
        return max(min(known), 0.0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeadlineHeader) and (self.name, self.format) == (other.name, other.format)

    def __hash__(self) -> int:
        return hash((self.name, self.format))

    def __repr__(self) -> str:
        return f"DeadlineHeader({self.name!r}, {self.format!r})"


def _format_of(name: str) -> TimeFormat | None:
    """Return the format that the *name* implies; None for any other name."""
    if name == "grpc-timeout":
        return "grpc"
    return next((format for ending, format in _FORMATS.items() if name.endswith(ending)), None)  # noqa: A001 - as above


def _number(text: str) -> float | None:
    """Return the decimal number, of ASCII digits alone, that *text* is: `float` takes much more for one."""
    if _NUMBER.fullmatch(text) is None:
        return None
    return float(text)


def _milliseconds(text: str) -> float | None:
    number = _number(text)
    if number is None:
        return None
    return number / 1000


def _grpc(text: str) -> float | None:
    found = _GRPC.fullmatch(text)
    if found is None:
        return None
    return int(found[1]) * _GRPC_UNITS[found[2]]


_ENCODERS: Final[Mapping[TimeFormat, Callable[[int], str]]] = {
    "milliseconds": str,
    "seconds": lambda milliseconds: f"{milliseconds / 1000:.3f}",
    "grpc": lambda milliseconds: f"{milliseconds}m",
}
_DECODERS: Final[Mapping[TimeFormat, Callable[[str], float | None]]] = {
    "milliseconds": _milliseconds,
    "seconds": _number,
    "grpc": _grpc,
}
