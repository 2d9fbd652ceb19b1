"""Members of exception groups, read from hostile ones too.

A group is a tree: its exceptions may be groups, and one exception may be in several of them. Policies look at the
leaves of the tree.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["members_of"]

_MAX_MEMBERS = 10_000

# The descriptor of the base class: a subclass may hide its members behind a property.
_exceptions_in: Callable[[BaseException], tuple[BaseException, ...]] = vars(BaseExceptionGroup)["exceptions"].__get__


def members_of(exc: BaseException) -> list[BaseException]:
    """Return the exceptions in a group and in the groups in it, each once; none for any other exception.

    At most 10 000: a group may be made to contain itself, or to be of any size.

    >>> members_of(ExceptionGroup("all", [OSError(1), ExceptionGroup("some", [OSError(2)])]))
    [OSError(1), OSError(2)]
    >>> members_of(OSError())
    []
    """
    members: list[BaseException] = []
    seen: set[int] = set()
    waiting = [exc]
    while waiting and len(seen) < _MAX_MEMBERS:
        group = waiting.pop()
        if id(group) in seen:
            continue
        seen.add(id(group))
        if issubclass(type(group), BaseExceptionGroup):
            waiting.extend(reversed(_exceptions_in(group)))
        elif group is not exc:
            members.append(group)
    return members
