"""The selection of a class's methods that a policy guards, by its options ``only=`` and ``exclude=``.

Unless told otherwise a policy guards all public methods but those that are *local*: known to make no request, such as
``close`` or ``build_url``. To reject one, to repeat it or to have it wait would keep a program from closing its
connections. Only what answers or counts, as a fallback does, guards them too. What a local method calls through a
circuit is neither recorded nor rejected. *Excluded* methods stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypedDict

from resilience._validation import parse_names, require_choice

__all__ = ["LOCAL_METHODS", "MethodOptions", "MethodSelection", "RequestMethods", "select_methods"]

# Public methods that clients have and that send nothing. To guard one of them would count it as an answer of the
# dependency, and reject it while the circuit is open: then a program could not even close its connections. Names that
# mean a request elsewhere (`encode`, `validate`, `get_url`) are not among them: to leave out a request is the worse
# mistake. What is missing here, `only` and `exclude` say.
LOCAL_METHODS = frozenset(
    [
        "close",
        "aclose",
        "is_closed",
        "is_connected",
        "disconnect",
        "dispose",
        "url",
        "url_for",
        "build_url",
        "make_url",
        "join_url",
        "base_url",
        "absolute_url",
        "full_url",
        "endpoint_url",
        "build_request",
        "prepare_request",
        "prepare_headers",
        "build_headers",
        "make_headers",
        "auth_headers",
        "default_headers",
        "mount",
        "get_adapter",
        "merge_environment_settings",
        "rebuild_auth",
        "rebuild_method",
        "rebuild_proxies",
        "should_strip_auth",
        "get_redirect_target",
        "get_encoder",
        "get_connection_kwargs",
        "set_response_callback",
        "from_url",
        "from_env",
        "from_config",
        "from_settings",
        "from_pool",
        "from_dict",
        "from_json",
        "serialize",
        "deserialize",
        "to_dict",
        "to_json",
        "as_dict",
        "with_options",
        "set_debuglevel",
        "can_paginate",
        "get_paginator",
        "get_waiter",
    ]
)


class MethodSelection:
    """The public methods of a class that a policy guards.

    Args:
        only: The methods that are guarded, and no others.
        exclude: Methods that stay as they are.

    Without either, all are guarded. Raises TypeError for both at once, ValueError for no name.

    >>> selection = MethodSelection(None, exclude=("ping",))
    >>> sorted(selection.select(["get", "put", "ping", "close"]))
    ['close', 'get', 'put']
    """

    __slots__ = ("_names", "_parameter", "exclude", "only")

    def __init__(self, only: Sequence[str] | None, exclude: Sequence[str]) -> None:
        self.only: Sequence[str] | None = None
        self.exclude: Sequence[str] = parse_names("exclude", exclude)
        #: The methods that are named, and the parameter that names them.
        self._parameter, self._names = "exclude", self.exclude
        if only is not None:
            self.only = parse_names("only", only)
            if self.exclude:
                raise TypeError(f"only={only!r}, exclude={exclude!r}: give one of them")
            if not self.only:
                raise ValueError(f"only={only!r}: name the methods to guard, such as ('get', 'post')")
            self._parameter, self._names = "only", self.only

    @property
    def names_methods(self) -> bool:
        """Whether it names methods, which only a class has."""
        return bool(self._names)

    def select(self, methods: Collection[str]) -> set[str]:
        """Return which of the public *methods* of a class are guarded. Raises ValueError for a name it has not."""
        for name in self._names:
            require_choice(self._parameter, name, methods)
        if self.only is not None:
            return set(self.only)
        return set(methods) - set(self.exclude)

    def __str__(self) -> str:
        return f"{self._parameter}={tuple(self._names)!r}"


class RequestMethods(MethodSelection):
    """The public methods of a class that one circuit, or each circuit of one key or object, guards.

    Unless *only* names them, `LOCAL_METHODS` are not guarded.

    >>> selection = RequestMethods(None, exclude=("ping",))
    >>> sorted(selection.select(["get", "put", "ping", "close"]))
    ['get', 'put']
    >>> selection.is_local("close"), selection.is_local("ping")
    (True, False)
    """

    __slots__ = ("guards_class",)

    def __init__(self, only: Sequence[str] | None, exclude: Sequence[str]) -> None:
        super().__init__(only, exclude)
        #: Whether it guards a class, whose methods call each other.
        self.guards_class: bool = False

    def select(self, methods: Collection[str]) -> set[str]:
        """Return which of the public *methods* of a class are guarded; from now on, it guards a class."""
        selected = super().select(methods)
        self.guards_class = True
        return selected - LOCAL_METHODS.difference(self.only or ())

    def is_local(self, method: str) -> bool:
        """Whether a method, or ``__init__``, makes no request as far as is known, nor what it calls."""
        return method == "__init__" or method in LOCAL_METHODS.difference(self.only or ())


class MethodOptions(TypedDict, total=False):
    """The options of a policy that select the methods of a class it decorates."""

    only: Sequence[str] | None
    exclude: Sequence[str]


def select_methods(only: Sequence[str] | None = None, exclude: Sequence[str] = ()) -> MethodSelection | None:
    """Return the selection of a policy's options of these names; None without either: it guards all methods."""
    if only is None and exclude == ():
        return None
    return MethodSelection(only, exclude)
