from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import traceback
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from types import SimpleNamespace

import anyio
import pytest

from resilience import ResilienceError, classify, retry_after, retry_on_category
from resilience.categories import ErrorCategory
from resilience.translate import translating
from tests.runners import Runner


class NotFound(Exception):
    """Takes what every exception takes."""


class DatabaseError(ResilienceError, code="TRANSLATED-E001", category="dependency"):
    def __init__(self, operation: str, original_error: Exception) -> None:
        super().__init__(f"Database {operation} failed: {original_error}")
        self.operation = operation
        self.original_error = original_error


class Worded(Exception):
    def __init__(self, provider: str, error_message: str | None = None) -> None:
        super().__init__(provider, error_message)


down = ConnectionResetError("gone")


def translated(runner: Runner, translations: dict, error: BaseException, **parameters: object) -> BaseException:
    """Return the error that the caller gets for *error*, by a runner."""
    answer = runner.play(translating(translations, **parameters), error).answer
    assert isinstance(answer, BaseException)
    return answer


def test_the_error_is_raised_from_the_other_one(runner: Runner):
    error = KeyError("lamp")
    new = translated(runner, {KeyError: NotFound}, error)
    assert type(new) is NotFound
    assert new.args == ("lamp",)
    assert new.__cause__ is error


def test_a_success_and_an_unnamed_error_pass_unchanged(runner: Runner):
    error = ValueError()
    assert translated(runner, {KeyError: NotFound, "network": NotFound}, error) is error
    assert runner.play(translating({KeyError: NotFound}), "ok").answer == "ok"


def test_the_nearest_class_wins_whatever_the_order(runner: Runner):
    class Narrow(Exception): ...

    class Wide(Exception): ...

    for translations in ({OSError: Wide, ConnectionError: Narrow}, {ConnectionError: Narrow, OSError: Wide}):
        assert type(translated(runner, {Exception: NotFound, **translations}, down)) is Narrow
        assert type(translated(runner, {**translations, Exception: NotFound}, FileNotFoundError())) is Wide
        assert type(translated(runner, {Exception: NotFound, **translations}, ValueError())) is NotFound


def test_categories_are_asked_after_classes_and_before_exception(runner: Runner):
    class ByCategory(Exception): ...

    class ByGroup(Exception): ...

    translations = {
        Exception: NotFound,
        ErrorCategory.TRANSIENT: ByGroup,
        "network": ByCategory,
        BrokenPipeError: DatabaseError,
    }
    assert type(translated(runner, translations, down, operation="read")) is ByCategory
    assert type(translated(runner, translations, TimeoutError(), operation="read")) is ByGroup
    assert type(translated(runner, translations, BrokenPipeError(), operation="read")) is DatabaseError
    assert type(translated(runner, translations, ValueError(), operation="read")) is NotFound


def test_a_category_must_cover_every_member_of_an_exception_group(runner: Runner):
    both = ExceptionGroup("both", [down, TimeoutError()])
    assert translated(runner, {"network": NotFound}, both) is both
    assert type(translated(runner, {"network|timeout": NotFound}, both)) is NotFound


def test_a_class_may_be_named_without_being_installed(runner: Runner):
    library = type("PostgresError", (Exception,), {"__module__": "asyncpg.exceptions._base"})
    unique = type("UniqueViolationError", (library,), {"__module__": "asyncpg.exceptions"})
    assert type(translated(runner, {"asyncpg.PostgresError": NotFound}, unique("twice"))) is NotFound
    assert type(translated(runner, {"asyncpg.exceptions.PostgresError": NotFound}, unique("twice"))) is NotFound
    other = type("PostgresError", (Exception,), {"__module__": "psycopg"})("no")
    assert translated(runner, {"asyncpg.PostgresError": NotFound}, other) is other


def test_a_class_gets_what_its_constructor_has_a_name_for(runner: Runner):
    new = translated(runner, {"network": DatabaseError, KeyError: Worded}, down, operation="query", provider="pg")
    assert str(new) == "Database query failed: gone"
    assert new.original_error is down
    new = translated(
        runner, {"network": DatabaseError, KeyError: Worded}, KeyError("x"), operation="query", provider="p"
    )
    assert new.args == ("p", "x")


class PositionalOnly(Exception):
    def __init__(self, text: str, /, *more: object, retry_after: float | None = None) -> None:
        super().__init__(text, *more)
        self.retry_after = retry_after


class ByKeyword(Exception):
    def __init__(self, *args: object, operation: str = "", cause: object = None, **others: object) -> None:
        super().__init__(operation, type(cause).__name__, *args, *others)


class FirstIsText(Exception):
    def __init__(self, what: str, retries: int = 0) -> None:
        super().__init__(what, retries)


class Anything(Exception):
    def __init__(self, *args: object, **others: object) -> None:
        super().__init__(*args, *others)


class NeedsHint(Exception):
    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message, retry_after)
        self.retry_after = retry_after


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        (PositionalOnly, ("gone",)),
        (ByKeyword, ("read", "ConnectionResetError")),
        (FirstIsText, ("gone", 0)),
        (Anything, ("gone",)),
        (NeedsHint, ("gone", None)),
        (ResilienceError, ("gone",)),
        (ValueError, ("gone",)),
    ],
)
def test_constructors_of_many_shapes_are_served(kind: type[Exception], args: tuple[object, ...]):
    new = translating({"network": kind, "timeout": DatabaseError}, operation="read").translate(down)
    assert type(new) is kind
    assert new.args == args


def test_errors_of_the_service_family_are_made_as_they_ask():
    from resilience.contrib import service

    domain = translating(
        {"dependency": service.DatabaseError, "server_error": service.LLMAPIError, "network": service.NetworkError},
        operation="query",
        provider="openai",
    )
    lost = type("Lost", (Exception,), {"category": ErrorCategory.DEPENDENCY})("no rows")
    new = domain.translate(lost)
    assert (str(new), new.details) == ("Database query failed: no rows", {"operation": "query", "error": "no rows"})
    broken = type("Broken", (Exception,), {"category": ErrorCategory.SERVER_ERROR})("overloaded")
    assert str(domain.translate(broken)) == "openai API error: overloaded"
    assert type(domain.translate(down)) is service.NetworkError
    broken.response = SimpleNamespace(status_code=429, headers={"retry-after": "7"})
    busy = domain.translate(broken)
    assert (busy.status_code, classify(busy), retry_after(busy)) == (429, ErrorCategory.RATE_LIMIT, 7.0)


def test_an_error_without_a_text_is_named():
    assert translating({OSError: NotFound}).translate(ConnectionResetError()).args == ("ConnectionResetError",)


def test_a_function_makes_the_error_or_leaves_it(runner: Runner):
    def make(error: ValueError) -> Exception | None:
        return NotFound(f"not {error}") if error.args else None

    new = translated(runner, {ValueError: make}, ValueError("here"))
    assert (type(new), str(new)) == (NotFound, "not here")
    bare = ValueError()
    assert translated(runner, {ValueError: make}, bare) is bare
    assert translated(runner, {ValueError: lambda error: error}, bare) is bare
    assert bare.__cause__ is None


def divide(error: Exception) -> Exception:
    return 1 / 0


def speak(error: Exception) -> str:
    return "not found"


@pytest.mark.parametrize("wrong", [divide, speak])
def test_a_translation_that_fails_is_reported_and_hides_nothing(wrong: Callable, caplog: pytest.LogCaptureFixture):
    error = ValueError("first")
    with caplog.at_level(logging.WARNING, "resilience"):
        assert translating({ValueError: wrong}).translate(error) is error
    assert f"translation {wrong.__name__} raised" in caplog.text


def test_a_constructor_that_fails_is_reported_by_the_name_of_its_class(caplog: pytest.LogCaptureFixture):
    class Picky(Exception):
        def __init__(self, message: str) -> None:
            raise RuntimeError

    with caplog.at_level(logging.WARNING, "resilience"):
        assert translating({OSError: Picky}).translate(down) is down
    assert "Picky raised RuntimeError" in caplog.text


def test_errors_that_are_what_is_to_be_raised_pass_as_they_are(runner: Runner):
    class Special(DatabaseError): ...

    translations = {Exception: DatabaseError, KeyError: NotFound}
    for error in (DatabaseError("read", down), Special("read", down), NotFound("lamp")):
        assert translated(runner, translations, error, operation="outside") is error
    assert type(translated(runner, translations, ValueError(), operation="outside")) is DatabaseError


def test_a_built_in_target_may_be_the_base_of_its_key(runner: Runner):
    assert type(translated(runner, {KeyError: LookupError}, KeyError("lamp"))) is LookupError


def test_a_class_that_is_a_key_and_a_target_is_translated(runner: Runner):
    translations = {KeyError: DatabaseError, DatabaseError: NotFound}
    assert type(translated(runner, translations, DatabaseError("read", down), operation="read")) is NotFound


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_is_no_exception_passes(kind: type[BaseException]):
    raised = kind()
    with pytest.raises(kind) as caught, translating({Exception: NotFound, "cancelled": NotFound}):
        raise raised
    assert caught.value is raised


def test_cancellation_passes(backend: str):
    @translating({Exception: NotFound})
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> bool:
        with anyio.move_on_after(0) as scope:
            await hang()
        return scope.cancelled_caught

    assert anyio.run(main, backend=backend)


# -- what a retry around it goes by ------------------------------------------------------------------------------------


class Busy(Exception):
    category = ErrorCategory.RATE_LIMIT
    retry_after = 7.0


class Frozen(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


@pytest.mark.parametrize("kind", [NotFound, Frozen, ResilienceError, PositionalOnly, NeedsHint])
def test_the_wait_the_other_side_asks_for_is_carried_over(kind: type[Exception]):
    assert retry_after(translating({Busy: kind}).translate(Busy("later"))) == 7.0


def test_a_wait_of_the_new_errors_own_wins():
    class Patient(Exception):
        retry_after = 30.0

    assert retry_after(translating({Busy: Patient}).translate(Busy())) == 30.0


def test_a_retry_waits_as_long_as_the_error_inside_asks(runner: Runner):
    def decorate(function):
        return retry_on_category("dependency", attempts=2)(
            translating({Busy: DatabaseError}, operation="read")(function)
        )

    story = runner.play(decorate, Busy(), "ok")
    assert story.answer == "ok"
    assert story.waits == [pytest.approx(7.0, rel=0.2)]


def test_a_retry_does_not_repeat_what_a_nested_retry_has_exhausted(runner: Runner):
    def decorate(function):
        inner = retry_on_category("network", attempts=2, base_delay=0)(function)
        domain = translating({"network": DatabaseError}, operation="read")(inner)
        return retry_on_category("dependency", attempts=5, base_delay=0)(domain)

    story = runner.play(decorate, *[ConnectionResetError() for _ in range(9)])
    assert story.reached == 2
    assert isinstance(story.answer, DatabaseError)
    assert story.answer.resilience.made == 2


# -- what it can be put on ---------------------------------------------------------------------------------------------


def test_as_a_block():
    with pytest.raises(NotFound) as caught, translating({KeyError: NotFound}):
        raise KeyError("lamp")
    assert caught.value.__suppress_context__


def test_as_an_async_block(backend: str):
    async def main() -> None:
        async with translating({KeyError: NotFound}):
            await anyio.lowlevel.checkpoint()
            raise KeyError("lamp")

    with pytest.raises(NotFound):
        anyio.run(main, backend=backend)


def test_one_object_is_good_for_nested_blocks():
    domain = translating({KeyError: NotFound})
    with pytest.raises(NotFound) as caught, domain, domain:
        raise KeyError("lamp")
    assert type(caught.value.__cause__) is KeyError


def test_a_generator_function_is_translated_to_its_end_and_keeps_its_ways():
    closed: list[str] = []

    @translating({KeyError: NotFound})
    def items() -> Generator[object, object, str]:
        try:
            got = yield 1
            try:
                yield got
            except ValueError:
                yield "caught inside"
            return "end"
        finally:
            closed.append("closed")

    def whole() -> Generator[object, object, None]:
        closed.append((yield from items()))

    assert inspect.isgeneratorfunction(items)
    stream = items()
    assert [next(stream), stream.send("sent"), stream.throw(ValueError())] == [1, "sent", "caught inside"]
    with pytest.raises(NotFound):
        stream.throw(KeyError("lamp"))
    stream = items()
    next(stream)
    stream.close()
    assert list(whole()) == [1, None]
    assert closed == ["closed", "closed", "closed", "end"]


def test_an_async_generator_function_is_translated_to_its_end_and_keeps_its_ways(backend: str):
    closed: list[str] = []

    @translating({KeyError: NotFound})
    async def items() -> AsyncGenerator[object, object]:
        try:
            got = yield 1
            try:
                yield got
            except ValueError:
                yield "caught inside"
        finally:
            await anyio.lowlevel.checkpoint()
            closed.append("closed")

    async def main() -> None:
        stream = items()
        assert [await anext(stream), await stream.asend("sent")] == [1, "sent"]
        assert await stream.athrow(ValueError()) == "caught inside"
        with pytest.raises(NotFound):
            await stream.athrow(KeyError("lamp"))
        async with contextlib.aclosing(items()) as stream:
            await anext(stream)
        assert [item async for item in items()] == [1, None]

    assert inspect.isasyncgenfunction(items)
    anyio.run(main, backend=backend)
    assert closed == ["closed"] * 3


def test_a_partial_of_an_async_generator_function_is_one(backend: str):
    async def items(first: object) -> AsyncGenerator[object, object]:
        yield first
        raise KeyError("lamp")

    async def main() -> None:
        stream = translating({KeyError: NotFound})(partial(items, 1))()
        assert await anext(stream) == 1
        with pytest.raises(NotFound):
            await anext(stream)

    anyio.run(main, backend=backend)


def test_methods_of_all_kinds_bind():
    class Shop:
        @translating({KeyError: NotFound})
        def find(self, item: str) -> object:
            return {}[item]

        @translating({KeyError: NotFound})
        @classmethod
        def make(cls, item: str) -> object:
            return {}[item]

        @staticmethod
        @translating({KeyError: NotFound})
        def parse(item: str) -> object:
            return {}[item]

    for call in (Shop().find, Shop.make, Shop.parse):
        with pytest.raises(NotFound, match="lamp"):
            call("lamp")
    assert Shop.find.__name__ == "find"


def test_the_traceback_shows_each_error_once_and_keeps_no_cycle():
    import gc
    import weakref

    class Weak(Exception): ...

    @translating({KeyError: Weak})
    def find() -> None:
        raise KeyError("lamp")

    gc.disable()
    try:
        try:
            find()
        except Weak as error:
            shown = "".join(traceback.format_exception(error))
            gone = weakref.ref(error)
        assert gone() is None
    finally:
        gc.enable()
    assert shown.count("KeyError: 'lamp'") == 1
    assert shown.count("Weak: lamp") == 1
    assert shown.count("direct cause") == 1


def test_it_is_classified_as_what_it_is_now():
    error = translating({OSError: DatabaseError}, operation="x").translate(down)
    assert classify(error) is ErrorCategory.DEPENDENCY


async def make(error: Exception) -> Exception:
    return error


class TakesMore(Exception):
    def __init__(self, a: int, b: int, *, c: int) -> None: ...


@pytest.mark.parametrize(
    ("translations", "parameters", "kind", "says"),
    [
        ({}, {}, TypeError, r"give a mapping, such as {KeyError: NotFoundError}"),
        ([KeyError], {}, TypeError, "give a mapping"),
        ({KeyError: 3}, {}, TypeError, r"translations\[KeyError\]=3: give an exception class or a plain function"),
        ({KeyError: make}, {}, TypeError, "a plain function of the error"),
        ({KeyError: lambda: None}, {}, TypeError, r"a plain function of the error; this one takes \(\)"),
        ({KeyError: int}, {}, TypeError, r"translations\[KeyError\]=<class 'int'>: give an Exception class"),
        ({KeyError: KeyboardInterrupt}, {}, TypeError, "give an Exception class, or a function"),
        ({int: NotFound}, {}, TypeError, r"translations\[int\]: give an Exception class"),
        ({BaseException: NotFound}, {}, TypeError, r"translations\[BaseException\]: give an Exception class"),
        ({"netwrk": NotFound}, {}, ValueError, "'netwrk' is not an ErrorCategory; did you mean 'network'"),
        ({3: NotFound}, {}, TypeError, "give an ErrorCategory or its label"),
        ({"asyncpg.": NotFound}, {}, ValueError, "give library and class, such as 'asyncpg.PostgresError'"),
        ({KeyError: DatabaseError}, {}, TypeError, r"give translating\(..., operation=...\)"),
        ({KeyError: TakesMore}, {}, TypeError, r"TakesMore takes more.*give translating\(..., b=..., c=...\)"),
        ({KeyError: NotFound}, {"operation": "read"}, TypeError, "operation='read': .* none of NotFound does"),
    ],
)
def test_invalid_options_are_refused(translations, parameters, kind, says):
    with pytest.raises(kind, match=says):
        translating(translations, **parameters)


def test_what_it_cannot_be_put_on_is_refused():
    for wrong in (3, NotFound):
        with pytest.raises(TypeError, match="give a function or a method"):
            translating({KeyError: NotFound})(wrong)
