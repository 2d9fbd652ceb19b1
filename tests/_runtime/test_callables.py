"""Functions that are async by what they are annotated to return."""

from __future__ import annotations

import pytest

from resilience._runtime.callables import may_be_async


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("Awaitable[int]", True),
        ("Optional[Awaitable[int]]", True),
        ("typing.Optional[collections.abc.Awaitable[int]]", True),
        ("Union[int, Awaitable[int]]", True),
        ("int | Awaitable[int]", True),
        ("Optional[int]", False),
        ("list[Awaitable[int]]", False),
        ("Callable[[], Awaitable[int]]", False),
    ],
)
def test_a_function_that_is_annotated_to_return_an_awaitable_in_some_cases_may_be_async(
    annotation: str, expected: bool
):
    def function() -> object: ...

    function.__annotations__["return"] = annotation
    assert may_be_async(function) is expected
