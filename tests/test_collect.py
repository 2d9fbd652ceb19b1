from __future__ import annotations

import asyncio
import copy
import pickle

import anyio
import pytest

from resilience import classify
from resilience.categories import ErrorCategory
from resilience.collect import ErrorCollector
from resilience.contrib.service import InvalidInputError, ValidationErrors
from resilience.errors import ValidationFailedError


class Invalid(Exception):
    """The exception of an application for all errors of an input."""

    category = ErrorCategory.VALIDATION

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.details = {"errors": errors}


class BadField(Exception):
    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.message = message
        self.details = {"field": field}


def both(errors: ErrorCollector) -> None:
    errors.add("age", "must be positive")
    errors.check(False, "name", "must not be empty")


def test_everything_is_checked_and_one_error_raised():
    with pytest.raises(Invalid) as caught, ErrorCollector(raises=Invalid) as errors:
        both(errors)
    assert caught.value.details["errors"] == [
        {"field": "age", "message": "must be positive"},
        {"field": "name", "message": "must not be empty"},
    ]
    assert caught.value.__cause__ is None
    assert classify(caught.value) is ErrorCategory.VALIDATION


def test_nothing_is_raised_where_nothing_is_wrong():
    with ErrorCollector(raises=Invalid) as errors:
        assert errors.check(True, "name", "must not be empty")
        with errors.catching("age"):
            int("11")
    assert not errors
    assert len(errors) == 0


def test_by_default_it_raises_a_general_error_that_names_the_fields_and_quotes_nothing():
    with pytest.raises(ValidationFailedError) as caught, ErrorCollector() as errors:
        both(errors)
    assert isinstance(caught.value, ValueError)
    assert classify(caught.value) is ErrorCategory.VALIDATION
    assert str(caught.value) == "validation failed with 2 errors: age, name"
    assert caught.value.to_dict() == {
        "error": "RES-E006",
        "message": "validation failed with 2 errors: age, name",
        "details": {
            "errors": [
                {"field": "age", "message": "must be positive"},
                {"field": "name", "message": "must not be empty"},
            ]
        },
    }


def test_the_text_of_the_general_error_stays_short():
    found = [{"field": f"f{number % 12}", "message": "m"} for number in range(24)]
    assert str(ValidationFailedError(found)) == (
        "validation failed with 24 errors: f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 and 2 more"
    )
    assert str(ValidationFailedError([{"field": "", "message": "m"}])) == "validation failed with 1 error"


def test_the_general_error_can_be_pickled_and_copied():
    error = ValidationFailedError([{"field": "age", "message": "must be positive"}])
    for twin in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert (str(twin), twin.errors, twin.details) == (str(error), error.errors, error.details)


def test_the_service_family_has_an_error_of_its_own_for_it():
    with pytest.raises(ValidationErrors, match="Validation failed with 2 errors"):
        with ErrorCollector(raises=ValidationErrors) as errors:
            both(errors)


def test_exceptions_are_caught_and_kept_as_the_cause():
    first, second = ValueError("too old"), KeyError()
    with pytest.raises(Invalid) as caught, ErrorCollector(raises=Invalid) as errors:
        with errors.catching("age"):
            raise first
        with errors.catching("address"):
            raise second
    assert caught.value.details["errors"] == [
        {"field": "age", "message": "too old"},
        {"field": "address", "message": "KeyError"},
    ]
    cause = caught.value.__cause__
    assert isinstance(cause, ExceptionGroup)
    assert cause.exceptions == (first, second)
    assert [each.error for each in errors] == [first, second]


def test_only_the_kinds_asked_for_are_caught():
    bug = AttributeError("a bug")
    with pytest.raises(AttributeError) as caught, ErrorCollector(raises=Invalid) as errors:
        with errors.catching("age", ValueError, KeyError):
            raise KeyError("age")
        with errors.catching("name", ValueError, KeyError):
            raise bug
    assert caught.value is bug


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_what_is_no_exception_is_never_collected_and_leaves_unchanged(kind: type[BaseException]):
    raised = kind()
    with pytest.raises(kind) as caught, ErrorCollector(raises=Invalid) as errors:
        errors.add("age", "must be positive")
        with errors.catching("name"):
            raise raised
    assert caught.value is raised
    assert not hasattr(raised, "__notes__")


def test_cancellation_passes_through(backend: str):
    async def main() -> bool:
        with anyio.CancelScope() as scope, ErrorCollector(raises=Invalid) as errors:
            scope.cancel()
            with errors.catching("name"):
                await anyio.lowlevel.checkpoint()
        return scope.cancelled_caught

    assert anyio.run(main, backend=backend)


def test_async_checks_are_collected_as_well(backend: str):
    async def check() -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError("taken")

    async def main() -> None:
        with ErrorCollector(raises=Invalid) as errors, errors.catching("name"):
            await check()

    with pytest.raises(Invalid, match="1 errors"):
        anyio.run(main, backend=backend)


def test_another_exception_of_the_block_is_raised_with_the_collected_errors_as_a_note():
    bug = RuntimeError("a bug")
    with pytest.raises(RuntimeError) as caught, ErrorCollector(raises=Invalid) as errors:
        for number in range(12):
            errors.add(f"field {number}", "is wrong")
        raise bug
    assert caught.value is bug
    (note,) = bug.__notes__
    assert note.startswith("collected before this: field 0: is wrong; field 1: is wrong; ")
    assert note.endswith("field 9: is wrong; and 2 more")


def test_an_exception_that_leaves_by_itself_stays_as_it_is_where_nothing_was_collected():
    bug = RuntimeError("a bug")
    with pytest.raises(RuntimeError), ErrorCollector():
        raise bug
    assert not hasattr(bug, "__notes__")


def test_what_an_inner_collector_raises_is_collected_field_by_field():
    def check_address() -> None:
        with ErrorCollector(raises=Invalid) as errors:
            errors.add("city", "unknown")
            errors.add("", "no street and no box")
            with errors.catching("zip"):
                raise BadField("too short", "digits")

    with pytest.raises(Invalid) as caught, ErrorCollector(raises=Invalid) as errors:
        with errors.catching("address"):
            check_address()
    assert caught.value.details["errors"] == [
        {"field": "address.city", "message": "unknown"},
        {"field": "address", "message": "no street and no box"},
        {"field": "address.zip.digits", "message": "too short"},
    ]
    assert len(caught.value.__cause__.exceptions) == 1  # one exception told of all three


def test_errors_of_the_service_family_keep_their_fields():
    with pytest.raises(ValidationFailedError) as caught, ErrorCollector() as errors:
        with errors.catching("address"):
            raise InvalidInputError("too short", field="zip")
        with errors.catching("parts"):
            raise ValidationErrors([{"field": "0", "message": "unknown"}])
    assert caught.value.details["errors"] == [
        {"field": "address.zip", "message": "too short"},
        {"field": "parts.0", "message": "unknown"},
    ]


def test_the_field_may_be_left_to_the_exception():
    with pytest.raises(Invalid) as caught, ErrorCollector(raises=Invalid) as errors:
        with errors.catching():
            raise BadField("too short", "name")
        errors.add("", "nothing fits")
    assert [each["field"] for each in caught.value.details["errors"]] == ["name", ""]
    assert str(errors) == "name: too short; nothing fits"


def test_details_of_another_shape_are_no_errors_of_fields():
    strange = BadField("odd", "name")
    strange.details = {"errors": [3, "x"], "field": 7}
    errors = ErrorCollector()
    errors.add("name", strange)
    assert str(errors) == "name: odd"


def test_an_exception_that_cannot_be_shown_is_named():
    class Unshowable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    errors = ErrorCollector()
    errors.add("name", Unshowable())
    assert str(errors) == "name: <Unshowable whose message cannot be read>"


def test_without_a_block_it_is_raised_on_demand():
    errors = ErrorCollector(raises=Invalid)
    errors.raise_if_any()
    errors.add("age", "must be positive")
    with pytest.raises(Invalid):
        errors.raise_if_any()


def test_raises_may_be_a_function():
    with pytest.raises(LookupError, match="age") as caught, ErrorCollector(raises=lambda e: LookupError(e)) as errors:
        both(errors)
    assert len(caught.value.args[0]) == 2


def test_a_collector_is_good_for_one_block():
    errors = ErrorCollector()
    with errors:
        pass
    with pytest.raises(RuntimeError, match="good for one block; make another one"), errors:
        pass


def test_what_was_collected_is_not_shown():
    errors = ErrorCollector()
    errors.add("password", "hunter2 is too short")
    assert "hunter2" not in repr(errors)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda errors: errors.add(3, "text"), "field=3: give the field's name as text"),
        (lambda errors: errors.add("age", 3), "message=3: give what is wrong, as text or an exception"),
        (
            lambda errors: errors.catching("age", "KeyError"),
            r"catching\('age', 'KeyError'\): give exception",
        ),
        (lambda errors: errors.catching("age", KeyboardInterrupt), "give exception classes"),
        (lambda errors: ErrorCollector(raises=3), "raises=3: give an exception class, or a function"),
        (lambda errors: ErrorCollector(raises=KeyboardInterrupt), "raises=.*: give an exception class"),
    ],
)
def test_invalid_options_are_refused(wrong, says: str):
    with pytest.raises(TypeError, match=says):
        wrong(ErrorCollector())


def test_a_function_that_returns_no_exception_is_an_error_that_says_so():
    errors = ErrorCollector(raises=lambda entries: "three errors")
    errors.add("age", "must be positive")
    with pytest.raises(TypeError, match="give what returns an exception"):
        errors.raise_if_any()
