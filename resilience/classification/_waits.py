"""Waits as servers write them: numbers, durations, dates. All are returned in seconds from now, never below 0.

What cannot be read is None. A wait of more than a year is cut to a year: no honest server asks for more, and a number
of any size must not upset a timer.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TypeAlias

from resilience.classification._responses import decoded

__all__ = ["LONGEST", "number", "reset_moment", "seconds", "until_date"]

LONGEST = 365 * 24 * 3600.0
"""The longest wait that is returned, in seconds."""

_MAX_DIGITS = 40  # no honest number is longer, and int() of a long text takes time
_MAX_NUMBER = 10.0**_MAX_DIGITS
_MAX_DATE = 100
_EPOCH_SECONDS = 1e9  # a reset beyond this many seconds is a moment: September 2001
_EPOCH_MILLISECONDS = 1e12
_DURATION = re.compile(
    r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9})ms)?"
)
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)

Wait: TypeAlias = float | None
"""Seconds, or None where a value says nothing."""


def seconds(value: object) -> Wait:
    """Return a wait given as a `timedelta`, a number or a text, or until a `datetime` or a date in a text.

    Errors that know when the time comes may be asked after it has come. A moment without a time zone is local time.

    >>> seconds(timedelta(minutes=1)), seconds("2"), seconds(-5), seconds("soon")
    (60.0, 2.0, 0.0, None)
    """
    if isinstance(value, timedelta):
        return _capped(value.total_seconds())
    if isinstance(value, datetime):
        return _until(value)
    if not isinstance(value, int | float):
        word = decoded(value) or ""
        return _first(number(word), until_date(word))
    if isinstance(value, bool) or not -_MAX_NUMBER < value < _MAX_NUMBER:
        return None
    return _capped(float(value))


def number(word: str) -> Wait:
    """Return a number that is written with digits and perhaps a point; not `1e3`, `nan`, `-1` or `1_000`."""
    given = _plain_number(word)
    return None if given is None else _capped(given)


def until_date(word: str) -> Wait:
    """Return the seconds until a date by the clock of the call; 0.0 for a past one.

    An HTTP date (RFC 9110, 10.2.3), or a date as in RFC 3339, which some servers send in its place.
    """
    if not word or len(word) > _MAX_DATE:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return _until(parsedate_to_datetime(word))
    except Exception:  # it raises more than ValueError, depending on the version
        return _until_timestamp(word)


def duration(word: str) -> Wait:
    """Return a duration as Go and protobuf write them.

    >>> duration("6m0s"), duration("1h2m3.5s"), duration("20ms"), duration("53s"), duration("soon")
    (360.0, 3723.5, 0.02, 53.0, None)
    """
    found = _DURATION.fullmatch(word.strip())
    if found is None or not any(found.groups()):
        return None
    return _capped(sum(float(part or 0) * unit for part, unit in zip(found.groups(), _UNITS, strict=True)))


def reset_moment(word: str) -> Wait:
    """Return the seconds until the reset of a rate limit: a number, a duration, a moment since 1970, or a date.

    >>> reset_moment("30"), reset_moment("6m0s"), reset_moment("1000000000")
    (30.0, 360.0, 0.0)
    """
    given = _plain_number(word)
    if given is None:
        return _first(duration(word), until_date(word))
    if given < _EPOCH_SECONDS:
        return _capped(given)
    unit = 0.001 if given >= _EPOCH_MILLISECONDS else 1.0
    return _capped(given * unit - _now())


def _plain_number(word: str) -> Wait:
    word = word.strip()
    if len(word) > _MAX_DIGITS or not word.isascii() or not word.replace(".", "", 1).isdigit():
        return None
    return float(word)


def _until_timestamp(word: str) -> Wait:
    try:
        return _until(datetime.fromisoformat(word.strip()))
    except ValueError:
        return None


def _until(moment: datetime) -> Wait:
    try:
        return _capped(moment.timestamp() - _now())
    except Exception:  # a year that the system does not have, or a time zone that fails
        return None


def _now() -> float:
    from resilience.clock import current_clock

    return current_clock().wall()


def _capped(wait: float) -> float:
    return min(max(0.0, wait), LONGEST)


def _first(*waits: Wait) -> Wait:
    return next((wait for wait in waits if wait is not None), None)
