"""All that is known of one client library, as data.

A `ClientLibrary` holds the tables of one library. Classes are written by their qualified names, without the module, so
nothing of the library is imported to declare, load or read them. The toolkit has one file with one such object for
each library in `resilience.classification.clients`; a program or another distribution adds its own by
`resilience.register_library` or the entry point group ``resilience.classification``.

`classifier`, `_delivery`, `_prior_requests` and `retry_hints` read the tables and know no library by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FrameType, MappingProxyType
from typing import TypeAlias, cast

from resilience._validation import parse_names, require, require_bool, require_mapping
from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.classification.match import Match

__all__ = ["UNKNOWN_LIBRARY", "CategoryRow", "ClientLibrary", "Evidence", "NeverSentRow", "PriorRequests"]

CategoryRow: TypeAlias = ErrorCategory | Callable[[BaseException], ErrorCategory | Match | None]
"""Meaning of one class: a leaf, or a function of the exception, which returns None where it cannot tell."""

NeverSentRow: TypeAlias = bool | tuple[str, ...] | Callable[[BaseException], bool]
"""Whether an exception of one class proves that nothing was sent: yes or no, the attributes that hold the exceptions
which all have to prove it, or a function of the exception."""

Evidence: TypeAlias = Callable[[FrameType], bool | None]
"""Proof that a frame gives: no request went before (True), one did or may have (False), nothing either way (None)."""

_NO_ROWS: Mapping[str, bool] = MappingProxyType({})


class PriorRequests:
    """Places in the frames of a library that show whether a call sent a request before the one that failed.

    A client that follows redirects, answers a demand for a password or retries keeps count in local variables. They
    are private to the library, and a later version may rename them, so whatever is not found proves nothing.

    *evidence* is by ``"module.function"``, without the library's name: every frame of such a function that appears in
    the traceback is asked, none may object, and one at least must prove that there was no prior request. *callers*
    names, as words, the functions that may appear above the first proof; any other function of the library might be a
    retry that this table does not know. In the subpackage *one_request_in* each function makes one request, so one
    frame is allowed there before the proof, and two are not.
    """

    __slots__ = ("callers", "evidence", "one_request_in")

    def __init__(self, evidence: Mapping[str, Evidence], *, callers: str = "", one_request_in: str = "") -> None:
        require_mapping("evidence", evidence, _EVIDENCE)
        for place, reader in evidence.items():
            require("." in place, f"evidence[{place!r}]", reader, _EVIDENCE)
            require(callable(reader), f"evidence[{place!r}]", reader, _EVIDENCE)
        require(isinstance(callers, str), "callers", callers, _CALLERS, TypeError)
        self.evidence: Mapping[str, Evidence] = MappingProxyType(dict(evidence))
        self.callers: frozenset[str] = frozenset(callers.split())
        self.one_request_in: str = one_request_in

    def is_one_request(self, module: str) -> bool:
        """Whether the functions of *module*, named without the library, make one request each."""
        return bool(self.one_request_in) and f"{module}.".startswith(f"{self.one_request_in}.")


_CALLERS = "names of functions, written as words, such as 'get post request'"
_EVIDENCE = "functions of a frame by 'module.function', such as {'client.send': not_yet_bound('response')}"
_CATEGORIES = "a leaf category such as 'timeout', or a function of the exception, by the class's qualified name"
_NEVER_SENT = "True, False, a tuple of attribute names or a function of the exception, by the class's qualified name"
_FUNCTION = "a function that takes the exception and returns seconds or None"


class ClientLibrary:
    """The tables of one client library, by the qualified names of its exception classes.

    *categories* says what a class means. UNKNOWN, or a function that returns None, leaves the answer to the base
    classes, then to the status or code that the exception carries, then to Python's own classes.

    *never_sent* says which exceptions prove that nothing of the request left this machine: only then does a retry
    repeat a call that is not idempotent. Leave out what may come in the middle of a request, as a reset or a plain
    time-out does. The most derived class that has a row decides.

    A library that may send several requests for one call gives *prior_requests*; one that sends what it is given
    once sets *sends_once*. Of a library that gives neither, nothing is proven: a call through it *may have been sent*.

    *retry_after* reads how many seconds the server asks to wait, where the library keeps that in a place of its own.
    A `retry_after` attribute and the headers of the exception or its response are read without it.

    Raises TypeError and ValueError that name the table, the row and what would be right.

    >>> acme = ClientLibrary({"AcmeError": "unknown", "Busy": "unavailable"}, never_sent={"ConnectFailed": True})
    >>> acme.categories["Busy"].label
    'unavailable'
    """

    __slots__ = ("categories", "never_sent", "prior_requests", "retry_after", "sends_once")

    def __init__(
        self,
        categories: Mapping[str, CategoryLike | CategoryRow],
        *,
        never_sent: Mapping[str, NeverSentRow] = _NO_ROWS,
        prior_requests: PriorRequests | None = None,
        sends_once: bool = False,
        retry_after: Callable[[BaseException], float | None] | None = None,
    ) -> None:
        require_mapping("categories", categories, _CATEGORIES)
        require_mapping("never_sent", never_sent, _NEVER_SENT)
        for name, row in never_sent.items():
            _check_never_sent(name, row)
        require(_is_prior_requests(prior_requests), "prior_requests", prior_requests, "PriorRequests(...)", TypeError)
        require(not (sends_once and prior_requests), "sends_once", sends_once, "it or prior_requests, not both")
        require(retry_after is None or callable(retry_after), "retry_after", retry_after, _FUNCTION, TypeError)
        self.categories: Mapping[str, CategoryRow] = MappingProxyType(
            {name: _category_row(name, row) for name, row in categories.items()}
        )
        self.never_sent: Mapping[str, NeverSentRow] = MappingProxyType(dict(never_sent))
        self.prior_requests: PriorRequests | None = prior_requests
        self.sends_once: bool = require_bool("sends_once", sends_once)
        self.retry_after: Callable[[BaseException], float | None] | None = retry_after

    def __repr__(self) -> str:
        return f"<ClientLibrary of {len(self.categories)} exception classes>"


def _category_row(name: object, row: CategoryLike | CategoryRow) -> CategoryRow:
    parameter = f"categories[{name!r}]"
    require(isinstance(name, str), parameter, row, _CATEGORIES, TypeError)
    if isinstance(row, ErrorCategory | str):
        leaf = combine(parameter, [row])
        require(leaf.is_leaf, parameter, row, f"one leaf, such as {next(iter(leaf)).label!r}")
        return leaf
    require(callable(row) and not isinstance(row, type), parameter, row, _CATEGORIES, TypeError)
    return row


def _check_never_sent(name: object, row: object) -> None:
    parameter = f"never_sent[{name!r}]"
    require(isinstance(name, str), parameter, row, _NEVER_SENT, TypeError)
    if isinstance(row, tuple):
        parse_names(parameter, cast("tuple[object, ...]", row))
    else:
        require(isinstance(row, bool) or callable(row), parameter, row, _NEVER_SENT, TypeError)


def _is_prior_requests(value: object) -> bool:
    return value is None or isinstance(value, PriorRequests)


UNKNOWN_LIBRARY = ClientLibrary({})
"""Stands for every library of which nothing is known."""
