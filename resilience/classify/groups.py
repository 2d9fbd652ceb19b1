"""The members of an exception group."""

from __future__ import annotations

from typing import cast

__all__ = ["members_of"]

_MOST_MEMBERS = 10_000


def members_of(exc: BaseException) -> list[BaseException]:
    """Return the exceptions in a group and in the groups in it, each once; none for any other exception."""
    members: list[BaseException] = []
    seen: set[int] = set()
    waiting = [exc]
    while waiting and len(seen) < _MOST_MEMBERS:
        group = waiting.pop()
        if id(group) in seen:
            continue
        seen.add(id(group))
        if issubclass(type(group), BaseExceptionGroup):
            # The descriptor of the base class: a subclass may hide its members behind a property.
            inside: object = vars(BaseExceptionGroup)["exceptions"].__get__(group)
            waiting.extend(reversed(cast("tuple[BaseException, ...]", inside)))
        elif group is not exc:
            members.append(group)
    return members
