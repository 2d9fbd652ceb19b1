"""Translation of a library's exceptions into an application's own: `translating`, a decorator and a block.

The layer that calls a library translates its errors, so that no layer above needs to know the library. A translation
keeps what policies around it need: the wait that the error asks for, and the report of a retry.

It is no policy. It decides nothing about a call, and works where policies are switched off.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Generator, Mapping
from types import CoroutineType
from typing import Any, TypeAlias, TypeVar, cast

from resilience._callback_errors import call_hook, log_callback_error
from resilience._exception_factory import exception_factory, reject_unknown_arguments
from resilience._runtime.callables import is_async, is_generator, makes_context_manager, under_descriptor
from resilience._runtime.decorate import async_generator_in_block
from resilience._safe_access import qualified_name
from resilience.categories import combine
from resilience.classification.classifier import categories_of
from resilience.classification.retry_hints import retry_after
from resilience.policies._nested_retries import inner_exhaustion
from resilience.policies.retry_report import attach_report, report_of

__all__ = ["Translating", "translating"]

F = TypeVar("F", bound="Callable[..., object] | classmethod[Any, ..., object]")

Translation: TypeAlias = type[Exception] | Callable[[Any], Exception | None]
Factory: TypeAlias = Callable[[Exception], Exception | None]


# Keys of any type: a mapping is invariant in its keys, and one of exception classes alone is fine.
def translating(translations: Mapping[Any, Translation], /, **parameters: object) -> Translating:
    """Raise an application's own error from a library's, in its place. Use it as a decorator or as a block.

    Keys are exception classes, names of classes that need not be installed (``"asyncpg.PostgresError"``: library and
    class, without the modules in between), or categories. The most specific key applies: the nearest class in the
    error's MRO, then the category with the fewest leaves, then Exception. A category applies to an exception group
    where it has all members. Translation stays in force where policies are switched off.

    Values are exception classes, or functions of the error that return an exception, or None to raise the error itself.
    A class gets those of *parameters* that its constructor has; the error as ``original_error``, ``original_exception``
    or ``cause``; its text as ``message`` or ``error_message``, else, where it does not take the error, as the first
    required argument or ``*args``; ``retry_after`` and ``status_code`` of the error or its response.

    The new error keeps what an enclosing retry needs: the wait that the old one asks for, and the report of a nested
    retry. An instance of one of the target classes passes unchanged, unless its own class is a key, as do cancellation
    and Ctrl-C.

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
    is written, for invalid keys and values, and for classes whose constructors need more arguments.
    """
    return Translating(translations, parameters)


class Translating:
    """The object that `translating` returns. It keeps nothing of a block or a call: many may use it at a time."""

    __slots__ = ("_by_category", "_by_class", "_by_name", "_default", "_targets")

    def __init__(self, translations: Mapping[Any, Translation], parameters: Mapping[str, object]) -> None:
        if not isinstance(translations, Mapping) or not translations:
            raise TypeError(
                f"translating({translations!r}): give a mapping, such as {{KeyError: NotFoundError}}, from an exception"
                " class, its dotted name or a category to an exception class or a function of the error"
            )
        self._by_class: dict[type, Factory] = {}
        self._by_name: dict[tuple[str, str], Factory] = {}
        #: By the bits of the category, those with the fewest leaves first.
        self._by_category: list[tuple[int, Factory]] = []
        self._default: Factory | None = None
        for key, target in translations.items():
            self._add(key, exception_factory(f"translations[{_shown(key)}]", target, parameters))
        self._by_category.sort(key=lambda entry: entry[0].bit_count())
        classes = [target for target in translations.values() if isinstance(target, type)]
        if len(classes) == len(translations):  # functions may do anything with the parameters
            reject_unknown_arguments(classes, parameters)
        #: Not the built-in ones: {KeyError: LookupError} is meant, although every KeyError is one.
        self._targets = tuple(target for target in classes if target.__module__ != "builtins")

    def _add(self, key: Any, factory: Factory) -> None:
        if key is Exception:
            self._default = factory
        elif isinstance(key, type):
            if not issubclass(key, Exception):
                raise TypeError(f"translations[{_shown(key)}]: give an Exception class; others are never translated")
            self._by_class[key] = factory
        elif isinstance(key, str) and "." in key:
            self._by_name[_library_and_name(key)] = factory
        else:
            self._by_category.append((combine("translations", [key]).value, factory))

    # -- as a decorator ------------------------------------------------------------------------------------------------

    def __call__(self, function: F, /) -> F:
        """Return *function* with its errors translated."""
        inner: Any = under_descriptor(function)
        if inner is not function:
            descriptor: Any = type(function)
            found: F = descriptor(self(inner))
            return found
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"translating(...) around {function!r}: give a function or a method")
        if makes_context_manager(function):
            raise TypeError(
                f"translating(...) around {function!r}: it returns a context manager, and entering it is another call;"
                " put it around what is called inside, or write `with translating(...):`"
            )
        wrap = self._wrapper_for(function)
        return cast("F", functools.wraps(function)(wrap(function)))

    def _wrapper_for(self, function: Callable[..., object]) -> Callable[[Any], Callable[..., object]]:
        if is_generator(function):
            if _gives_async_generator(function):
                return self._iterate_async
            return self._iterate
        if is_async(function):
            return self._call_async
        return self._call

    def _call(self, function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            with self:
                value = function(*args, **kwargs)
            if type(value) is CoroutineType:  # a plain function that returns one, such as a method of an async client
                return self._awaited(cast("Awaitable[object]", value))
            return value

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

    def _iterate_async(self, function: Callable[..., object]) -> Callable[..., object]:
        return async_generator_in_block(function, self)

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
        factory = self._find(error)
        if factory is None:
            return error
        try:
            new = call_hook(factory, factory, error)
            if not isinstance(new, Exception | None):
                raise TypeError(f"{factory!r} returned {type(new).__name__}: give an exception, or None")
        except Exception as raised:  # it must not hide the error of the call
            log_callback_error("translation", factory, raised)
            return error
        if new is None or new is error:
            return error
        _carry_over(error, new)
        return new

    def _find(self, error: Exception) -> Factory | None:
        """Return the factory of the most specific key; None where no key applies or *error* is a target itself."""
        for base in type(error).__mro__:
            if base in self._by_class:
                return self._by_class[base]
            if self._by_name and (named := self._by_name.get(qualified_name(base))) is not None:
                return named
            if base in self._targets:
                return None
        if self._by_category:
            leaves = categories_of(error).value
            for bits, factory in self._by_category:
                if not leaves & ~bits:
                    return factory
        return self._default

    def __repr__(self) -> str:
        return f"<translating {len(self._by_class) + len(self._by_name) + len(self._by_category)} kinds of errors>"


def _carry_over(old: Exception, new: Exception) -> None:
    """Give *new* the wait that *old* asks for, and the report of the retry that *old* has exhausted."""
    hint = retry_after(old)
    if hint is not None and retry_after(new) is None:
        try:
            new.retry_after = hint  # type: ignore[attr-defined]
        except Exception:  # a class that forbids to set attributes, as a frozen dataclass does
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
    if isinstance(key, type):
        return key.__qualname__
    return repr(key)


def _gives_async_generator(function: object) -> bool:
    import inspect

    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    return any(map(inspect.isasyncgenfunction, (function, getattr(type(function), "__call__", None))))  # noqa: B004
