"""Description: the policies around a function, or around each method of a class, as `describe` shows them.

A description is made from what guards a target now. It is a value: it does not follow later changes.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping
from typing import overload

from resilience._runtime.callables import name_of, under_descriptor
from resilience._runtime.decorate import guarded
from resilience._runtime.guard import public_methods
from resilience._runtime.pipeline import Decorator
from resilience._runtime.worst_case import SINGLE_CALL, WorstCase, worst_case

__all__ = ["ClassDescription", "Description", "WorstCase", "describe"]


@dataclasses.dataclass(frozen=True, slots=True)
class Description:
    """The policies around *target*, as text, the outermost first, and the *worst* case of a call.

    Its text shows them as a tree, the function innermost; iterating over it gives the policies.
    """

    target: str
    policies: tuple[str, ...]
    worst: WorstCase = SINGLE_CALL

    def __iter__(self) -> Iterator[str]:
        return iter(self.policies)

    def __len__(self) -> int:
        return len(self.policies)

    def __str__(self) -> str:
        lines = [f"{'  ' * depth}{policy}" for depth, policy in enumerate(self.policies)]
        worst = [str(self.worst)] if self.policies else []
        return "\n".join([*lines, f"{'  ' * len(lines)}{self.target}", *worst])


@dataclasses.dataclass(frozen=True, slots=True)
class ClassDescription:
    """The guarded *methods* of the class *target*, by name, and the public ones that are *unguarded*.

    Its text shows methods of one stack together.
    """

    target: str
    methods: Mapping[str, Description]
    unguarded: tuple[str, ...]

    def __str__(self) -> str:
        together: dict[tuple[tuple[str, ...], WorstCase], list[str]] = {}
        for name, method in self.methods.items():
            together.setdefault((method.policies, method.worst), []).append(name)
        lines = [self.target]
        for (policies, worst), names in together.items():
            lines.append(textwrap.indent(str(Description(", ".join(names), policies, worst)), "  "))
        if self.unguarded:
            lines.append(f"  not guarded: {', '.join(self.unguarded)}")
        return "\n".join(lines)


_A_FUNCTION = "a function"
"""The target of the description of policies that are not around a function yet."""


@overload
def describe(target: type[object]) -> ClassDescription: ...  # type: ignore[overload-overlap]


@overload
def describe(target: object) -> Description: ...


def describe(target: object) -> Description | ClassDescription:
    r"""Return the policies around a function or method, in order, and the worst case of a call.

    Of a class it is a `ClassDescription`: that of each guarded method, and the names of the other public ones. Of a
    policy or `Pipeline` it is that of any function it will guard.

    Raises TypeError for what cannot be called.

    >>> from resilience import circuit_breaker, fallback, retry_on_category
    >>> @fallback(default=())
    ... @retry_on_category("timeout", attempts=2, base_delay=0.1, jitter="none")
    ... def search(query: str) -> tuple[str, ...]: ...
    >>> print("\n".join(describe(search).policies))
    fallback(default=tuple, on=infrastructure|rejected)
    retry_on_category(timeout, attempts=2, base_delay=0.1, max_delay=60, jitter=none)
    >>> print(describe(search).worst)
    worst case: 2 calls, 0.1 s of waiting and what the calls take (up to 66 s per wait if the server sends Retry-After)

    >>> @circuit_breaker("shelf")
    ... class Shelf:
    ...     def get(self, key: str) -> str: ...
    ...     def put(self, key: str, item: str) -> None: ...
    ...     def close(self) -> None: ...
    >>> list(describe(Shelf).methods), describe(Shelf).unguarded
    (['get', 'put'], ('close',))
    """
    if isinstance(target, Decorator):
        policies = target.policies()
        return Description(_A_FUNCTION, tuple(str(policy) for policy in policies), worst_case(policies))
    target = under_descriptor(target)
    if isinstance(target, type):
        return _describe_class(target)
    if not callable(target):
        raise TypeError(f"describe({target!r}): give a function, a method or a class")
    found = guarded(target)
    if found is None:
        return Description(name_of(target), ())
    return Description(found.target, tuple(str(policy) for policy in found.policies), worst_case(found.policies))


def _describe_class(cls: type[object]) -> ClassDescription:
    methods: dict[str, Description] = {}
    unguarded: list[str] = []
    for name, member in public_methods(cls):
        function = under_descriptor(member)
        if guarded(function) is None:
            unguarded.append(name)
        else:
            methods[name] = describe(function)
    return ClassDescription(name_of(cls), methods, tuple(unguarded))
