"""Say in an application's own errors what went wrong in a library."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from types import CoroutineType
from typing import Any, TypeAlias, TypeVar, cast

from resilience._callback_errors import call_hook, log_callback_error
from resilience._exception_factory import maker_of, refuse_what_nobody_takes
from resilience._runtime.callables import is_async, is_generator, makes_context_manager, under_descriptor
from resilience._safe_access import qualified_name
from resilience.categories import combine
from resilience.classification.classifier import categories_of
from resilience.classification.retry_hints import retry_after
from resilience.policies._nested_retries import inner_exhaustion
from resilience.policies.retry_report import attach_report, report_of

__all__ = ["Translating", "translating"]

F = TypeVar("F", bound="Callable[..., object] | classmethod[Any, ..., object]")

Translation: TypeAlias = type[Exception] | Callable[[Any], Exception | None]
Maker: TypeAlias = Callable[[Exception], Exception | None]


# Keys of any type: a mapping is invariant in its keys, and one of exception classes alone is fine.
def translating(translations: Mapping[Any, Translation], /, **parameters: object) -> Translating:
    """Raise an application's own error in place of a library's, from it: a block, or a decorator.

    Keys are exception classes, names of ones that need not be installed (``"asyncpg.PostgresError"``: library and
    class, whatever module in between), or categories. The most specific wins: of classes the nearest one in the
    error's MRO, then the category with the fewest leaves, then Exception.

    Values are exception classes, or functions of the error that return an exception, or None to leave it as it is. A
    class is given those of *parameters* that it has, and the error as ``original_error``, ``original_exception`` or
    ``cause`` where it has that; its text as ``message`` or as the first argument; ``retry_after`` and ``status_code``.

    The new error keeps what a retry around it goes by: the wait the old one asks for, and the report of what was tried
    already. An error that is an instance of one of the classes to be raised passes as it is, and what is no Exception.

    >>> class NotFoundError(Exception): ...
    >>> class DatabaseError(Exception):
    ...     def __init__(self, operation: str, original_error: Exception) -> None:
    ...         super().__init__(f"Database {operation} failed: {original_error}")
    >>> with translating({KeyError: NotFoundError, "network": DatabaseError}, operation="query"):
    ...     raise ConnectionResetError("gone")
    Traceback (most recent call last):
    ...
    resilience.translate.DatabaseError: Database query failed: gone

    As a decorator it takes sync and async functions and generator functions. Raises TypeError or ValueError, where it
    is written, for keys and values that cannot be meant, and for classes that take more than is known.
    """
    return Translating(translations, parameters)


class Translating:
    """What `translating` returns. It keeps nothing of a block: one object is good for many, at the same time, too."""

    __slots__ = ("_by_category", "_by_class", "_by_name", "_otherwise", "_targets")

    def __init__(self, translations: Mapping[Any, Translation], parameters: Mapping[str, object]) -> None:
        if not isinstance(translations, Mapping) or not translations:
            raise TypeError(
                f"translating({translations!r}): give a mapping, such as {{KeyError: NotFoundError}}, from an exception"
                " class, its dotted name or a category to an exception class or a function of the error"
            )
        self._by_class: dict[type, Maker] = {}
        self._by_name: dict[tuple[str, str], Maker] = {}
        self._otherwise: Maker | None = None
        by_category: list[tuple[int, Maker]] = []
        for key, target in translations.items():
            make = maker_of(f"translations[{_shown(key)}]", target, parameters)
            if key is Exception:
                self._otherwise = make
            elif isinstance(key, type):
                if not issubclass(key, Exception):
                    raise TypeError(f"translations[{_shown(key)}]: give an Exception class; what is none is left alone")
                self._by_class[key] = make
            elif isinstance(key, str) and "." in key:
                self._by_name[_library_and_name(key)] = make
            else:
                by_category.append((combine("translations", [key]).value, make))
        self._by_category = sorted(by_category, key=lambda entry: entry[0].bit_count())
        classes = [target for target in translations.values() if isinstance(target, type)]
        if len(classes) == len(translations):  # a function may make of them what it likes
            refuse_what_nobody_takes(classes, parameters)
        #: Not the built-in ones: {KeyError: LookupError} is meant, although every KeyError is one.
        self._targets = tuple(target for target in classes if target.__module__ != "builtins")

    # -- as a decorator ------------------------------------------------------------------------------------------------

    def __call__(self, function: F, /) -> F:
        """Return *function* with its errors translated."""
        inside: Any = under_descriptor(function)
        if inside is not function:
            descriptor: Any = type(function)
            found: F = descriptor(self(inside))
            return found
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"translating(...) around {function!r}: give a function or a method")
        if makes_context_manager(function):
            raise TypeError(
                f"translating(...) around {function!r}: it returns a context manager, and entering it is another call;"
                " put it around what is called inside, or write `with translating(...):`"
            )
        wrapper: Any = self._call_async if is_async(function) else self._call
        if is_generator(function):
            wrapper = self._iterate_async if _gives_async_generator(function) else self._iterate
        return cast("F", functools.wraps(function)(wrapper(function)))

    def _call(self, function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            with self:
                value = function(*args, **kwargs)
            # Of a plain function around a coroutine function, such as a method of an SDK's async client.
            return self._awaited(cast("Awaitable[object]", value)) if type(value) is CoroutineType else value

        return call

    def _call_async(self, function: Callable[..., Awaitable[object]]) -> Callable[..., object]:
        async def call(*args: object, **kwargs: object) -> object:
            with self:
                return await function(*args, **kwargs)

        return call

    async def _awaited(self, coroutine: Awaitable[object]) -> object:
        with self:
            return await coroutine

    def _iterate(self, function: Callable[..., Generator[object, object, object]]) -> Callable[..., object]:
        def iterate(*args: object, **kwargs: object) -> Generator[object, object, object]:
            with self:
                return (yield from function(*args, **kwargs))

        return iterate

    def _iterate_async(self, function: Callable[..., AsyncGenerator[object, object]]) -> Callable[..., object]:
        async def iterate(*args: object, **kwargs: object) -> AsyncGenerator[object, object]:
            items = function(*args, **kwargs)
            with self:
                try:
                    item = await _first(items)
                    while True:  # what `yield from` would do
                        try:
                            sent = yield item
                        except GeneratorExit:
                            await items.aclose()
                            raise
                        except BaseException as thrown:
                            item = await items.athrow(thrown)
                        else:
                            item = await items.asend(sent)
                except StopAsyncIteration:
                    return

        return iterate

    # -- as a block ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Translating:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, Exception):
            return
        new = self.translate(error)
        if new is error:
            return
        try:
            raise new from error
        finally:
            del new, error  # a frame that an error's traceback leads to must not lead back to the error

    async def __aenter__(self) -> Translating:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    # -- the translation itself ----------------------------------------------------------------------------------------

    def translate(self, error: Exception) -> Exception:
        """Return the error to raise in place of *error*, or *error* itself.

        >>> translating({KeyError: LookupError}).translate(KeyError("lamp"))
        LookupError('lamp')
        """
        make = self._find(error)
        if make is None:
            return error
        try:
            new = call_hook(make, make, error)
            if not isinstance(new, Exception | None):
                raise TypeError(f"{make!r} returned {type(new).__name__}: give an exception, or None")
        except Exception as trouble:  # it must not hide what went wrong
            log_callback_error("translation", make, trouble)
            return error
        if new is None or new is error:
            return error
        _carry_over(error, new)
        return new

    def _find(self, error: Exception) -> Maker | None:
        for base in type(error).__mro__:
            if base is Exception:
                break
            found = self._by_class.get(base) or (self._by_name.get(qualified_name(base)) if self._by_name else None)
            if found is not None:
                return found
            if base in self._targets:
                return None
        if self._by_category:
            leaves = categories_of(error).value
            for covered, make in self._by_category:
                if not leaves & ~covered:
                    return make
        return self._otherwise

    def __repr__(self) -> str:
        return f"<translating {len(self._by_class) + len(self._by_name) + len(self._by_category)} kinds of errors>"


def _carry_over(old: Exception, new: Exception) -> None:
    """Have *new* ask for the wait that *old* asks for, and tell what was tried already."""
    hint = retry_after(old)
    if hint is not None and retry_after(new) is None:
        try:
            new.retry_after = hint  # type: ignore[attr-defined]
        except Exception:  # one that forbids to set attributes, as a frozen dataclass does
            with contextlib.suppress(Exception):
                new.__dict__["retry_after"] = hint
    if report_of(new) is None:
        report = report_of(old) or inner_exhaustion(old, 0)
        if report is not None:
            attach_report(new, report, noted=False)


def _library_and_name(key: str) -> tuple[str, str]:
    library, _, rest = key.partition(".")
    name = rest.rpartition(".")[2]
    if not (library.isidentifier() and name.isidentifier()):
        raise ValueError(f"translations[{key!r}]: give library and class, such as 'asyncpg.PostgresError'")
    return library, name


def _shown(key: Any) -> str:
    return str(key.__qualname__) if isinstance(key, type) else repr(key)


def _gives_async_generator(function: object) -> bool:
    import inspect

    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    return any(map(inspect.isasyncgenfunction, (function, getattr(type(function), "__call__", None))))  # noqa: B004


async def _first(items: AsyncGenerator[object, object]) -> object:
    # The wrapper closes these. An event loop that knew of both generators would close both at once when it ends.
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, _let_go)
    try:
        fetching = anext(items)
    finally:
        sys.set_asyncgen_hooks(*hooks)
    return await fetching


def _let_go(items: object) -> None:
    """Take the place of what closes an async generator that nobody has any more, when there is no event loop."""
