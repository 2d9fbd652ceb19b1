from __future__ import annotations

import re
import traceback
from functools import partial

import anyio
import pytest

from resilience import ErrorCategory, circuit_breaker, describe, fallback, retry_on_category, timeout
from resilience.policies.degraded import Degraded
from tests.runners import Runner

UNAVAILABLE, RATE_LIMIT = ErrorCategory.UNAVAILABLE, ErrorCategory.RATE_LIMIT


class Down(Exception):
    category = UNAVAILABLE


class Busy(Exception):
    category = RATE_LIMIT


def replica(*args: object, **kwargs: object) -> object:
    return ("replica", args, kwargs)


def other_provider(*args: object, **kwargs: object) -> object:
    return "other provider"


def calling(guarded, *args: object, **kwargs: object):
    """Have the runner call the guarded function with arguments."""
    return partial(guarded, *args, **kwargs)


def test_the_function_for_the_category_is_called_with_the_same_arguments(runner: Runner):
    chain = {UNAVAILABLE: replica, "rate_limit": other_provider}
    story = runner.play(lambda fn: calling(fallback(chain=chain)(fn), 1, b=2), Down())
    assert story.answer == ("replica", (1,), {"b": 2})
    assert runner.play(fallback(chain=chain), Busy()).answer == "other provider"
    assert runner.play(fallback(chain=chain), "ok").answer == "ok"


def test_a_failure_that_no_key_covers_reaches_the_caller(runner: Runner):
    error = ConnectionResetError()
    assert runner.play(fallback(chain={UNAVAILABLE: replica}), error).answer is error


def test_the_first_key_that_covers_it_wins(runner: Runner):
    chain = {"rate_limit": other_provider, ErrorCategory.RESOURCE: replica}
    assert runner.play(fallback(chain=chain), Busy()).answer == "other provider"
    assert runner.play(fallback(chain=chain), Down()).answer == ("replica", (), {})


def test_a_key_must_cover_every_member_of_an_exception_group(runner: Runner):
    both = ExceptionGroup("both", [Down(), Busy()])
    assert runner.play(fallback(chain={UNAVAILABLE: replica}), both).answer is both
    chain = {UNAVAILABLE: other_provider, "unavailable|rate_limit": replica}
    assert runner.play(fallback(chain=chain), both).answer == ("replica", (), {})


def test_the_keys_of_a_chain_are_independent_of_on(runner: Runner):
    assert runner.play(fallback(chain={"unknown": replica}, default="other"), ValueError()).answer[0] == "replica"


def test_a_function_of_the_chain_may_be_async_where_the_function_is(backend: str):
    async def second_region(item: str, *, limit: int = 3) -> object:
        await anyio.lowlevel.checkpoint()
        return item, limit

    @fallback(chain={"network": second_region})
    async def search(item: str, *, limit: int = 3) -> object:
        raise ConnectionResetError

    assert anyio.run(search, "lamp", backend=backend) == ("lamp", 3)


def test_an_async_function_in_the_chain_of_a_sync_one_is_refused_where_it_is_written():
    async def second_region() -> object: ...

    with pytest.raises(TypeError, match=r"chain\['network'\]=.*is not async"):
        fallback(chain={"network": second_region})(lambda: None)


def test_an_async_function_in_a_sync_call_shows_no_arguments():
    async def second_region(**kwargs: object) -> object: ...

    def fail(**kwargs: object) -> None:
        raise ConnectionResetError

    with pytest.raises(TypeError, match="is async and the call is not") as caught:
        fallback(chain={"network": second_region}).call(fail, password="hunter2")
    assert "hunter2" not in str(caught.value)


def test_when_the_chain_fails_too_its_error_reaches_the_caller_with_the_first_as_context(runner: Runner):
    first, second = Down("first"), KeyError("second")

    def broken(*args: object) -> object:
        raise second

    story = runner.play(fallback(chain={UNAVAILABLE: broken}), first)
    assert story.answer is second
    assert second.__context__ is first
    (note,) = second.__notes__
    assert note.startswith("resilience: broken was called in place of ")
    assert note.endswith("dependency, after Down")
    assert "first" in "".join(traceback.format_exception(second))


def test_the_first_error_is_the_last_context_of_the_second_one(runner: Runner):
    first, inner, second = Down("first"), KeyError("inner"), ValueError("second")

    def broken(*args: object) -> object:
        try:
            raise inner
        except KeyError:
            raise second

    assert runner.play(fallback(chain={UNAVAILABLE: broken}), first).answer is second
    assert (second.__context__, inner.__context__) == (inner, first)


def test_errors_in_each_others_contexts_make_no_circle(runner: Runner):
    first, second = Down("first"), ValueError("second")

    def the_same(*args: object) -> object:
        raise first

    def explained(*args: object) -> object:
        second.__context__ = first
        raise second

    def backwards(*args: object) -> object:
        raise second

    assert runner.play(fallback(chain={UNAVAILABLE: the_same}), first).answer is first
    assert first.__context__ is None
    assert runner.play(fallback(chain={UNAVAILABLE: explained}), first, pauses=(0,)).answers[0] is second
    assert first.__context__ is None
    second.__context__, first.__context__ = None, second
    assert runner.play(fallback(chain={UNAVAILABLE: backwards}), first).answer is second
    assert second.__context__ is None


def test_the_same_error_is_not_noted_twice(runner: Runner):
    second = ValueError("second")

    def broken(*args: object) -> object:
        raise second

    runner.play(fallback(chain={UNAVAILABLE: broken}), Down(), Down(), pauses=(0,))
    assert len(second.__notes__) == 1


def test_the_default_answers_where_no_key_of_the_chain_matches(runner: Runner):
    decorate = fallback(chain={UNAVAILABLE: replica}, default="nothing")
    assert runner.play(decorate, Down()).answer[0] == "replica"
    assert runner.play(decorate, ConnectionResetError()).answer == "nothing"
    bug = ValueError()
    assert runner.play(decorate, bug).answer is bug


def test_the_default_answers_for_a_covered_failure_of_the_chain(runner: Runner):
    def out_of_reach(*args: object) -> object:
        raise TimeoutError

    def buggy(*args: object) -> object:
        raise ValueError("a bug")

    assert runner.play(fallback(chain={UNAVAILABLE: out_of_reach}, default="nothing"), Down()).answer == "nothing"
    answer = runner.play(fallback(chain={UNAVAILABLE: buggy}, default="nothing"), Down()).answer
    assert isinstance(answer, ValueError)


def test_the_factory_gets_the_error_of_the_chain(runner: Runner):
    late = TimeoutError()

    def out_of_reach(*args: object) -> object:
        raise late

    decorate = fallback(chain={UNAVAILABLE: out_of_reach}, factory=lambda error: error)
    assert runner.play(decorate, Down()).answer is late


def test_each_substitute_is_an_event_with_its_source(runner: Runner):
    def out_of_reach(*args: object) -> object:
        raise TimeoutError

    story = runner.play(fallback(chain={UNAVAILABLE: out_of_reach, RATE_LIMIT: replica}, default=1), Down())
    assert [(each.name, each.source, each.category.label) for each in story.events] == [
        ("fallback.used", "out_of_reach", "unavailable"),
        ("fallback.used", "default", "timeout"),
    ]
    story = runner.play(fallback(factory=repr), Down())
    assert [each.source for each in story.events] == ["factory"]


def test_a_substitute_that_fails_without_another_one_is_an_event(runner: Runner):
    def out_of_reach(*args: object) -> object:
        raise TimeoutError

    def emitted(**parameters: object) -> list[tuple[str, str, str]]:
        story = runner.play(fallback(**parameters), Down())
        return [(each.name, each.source, each.category.label) for each in story.events]

    chain = {UNAVAILABLE: out_of_reach}
    used, failed = ("fallback.used", "out_of_reach", "unavailable"), ("fallback.failed", "out_of_reach", "timeout")
    assert emitted(chain=chain) == [used, failed]
    assert emitted(chain=chain, default=1, on=UNAVAILABLE) == [used, failed]  # what it failed with is not covered
    assert emitted(chain=chain, stale={}) == [used, failed]  # where there is no good answer

    def broken(error: Exception) -> object:
        raise KeyError from error

    assert emitted(factory=broken) == [
        ("fallback.used", "factory", "unavailable"),
        ("fallback.failed", "factory", "unknown"),
    ]


def test_a_callable_without_a_name_has_one_in_events(runner: Runner):
    class Client:
        def __call__(self, *args: object) -> object:
            return "from the client"

    assert runner.play(fallback(chain={UNAVAILABLE: partial(replica)}), Down()).events[0].source == "replica"
    assert runner.play(fallback(chain={UNAVAILABLE: Client()}), Down()).events[0].source == "Client"


def test_the_chain_answers_for_rejections_and_exhausted_retries_inside(runner: Runner):
    def decorate(function):
        breaker = circuit_breaker("catalogue", failure_threshold=2)
        inner = retry_on_category("unavailable", attempts=2, base_delay=0)(breaker(timeout(5)(function)))
        return fallback(chain={"rejected": other_provider, UNAVAILABLE: replica})(inner)

    story = runner.play(decorate, Down(), Down(), "never", pauses=(0,))
    assert story.answers == [("replica", (), {}), "other provider"]


def test_a_substitute_may_be_guarded_itself(runner: Runner):
    @fallback(default="deeper")
    def guarded(*args: object) -> object:
        raise ConnectionResetError

    assert runner.play(fallback(chain={UNAVAILABLE: guarded}), Down()).answer == "deeper"


def test_a_method_passes_its_object_to_the_chain():
    class Shop:
        name = "lamps"

        def from_replica(self, item: str, amount: int = 1) -> str:
            return f"{amount} {item} from the replica of {self.name}"

        @fallback(chain={"network": from_replica})
        def order(self, item: str, amount: int = 1) -> str:
            raise ConnectionResetError

    assert Shop().order("lamp") == "1 lamp from the replica of lamps"


def test_the_chain_of_a_block_is_called_without_arguments(backend: str):
    with fallback(chain={UNAVAILABLE: replica}) as result:
        raise Down
    assert (result.value, result.degraded) == (("replica", (), {}), True)

    async def second_region() -> str:
        return "second region"

    async def main() -> object:
        async with fallback(chain={UNAVAILABLE: second_region}) as result:
            raise Down
        return result.value

    assert anyio.run(main, backend=backend) == "second region"


def test_a_cancellation_is_not_replaced(backend: str):
    async def main() -> bool:
        with anyio.move_on_after(0) as scope:
            await fallback(chain={"cancelled": replica, "unknown": replica})(anyio.sleep_forever)()
        return scope.cancelled_caught

    assert anyio.run(main, backend=backend)


# -- degraded ----------------------------------------------------------------------------------------------------------


def test_degraded_names_the_source_and_the_error_of_a_substitute(runner: Runner):
    down = Down()
    for option, source in (
        ({"chain": {UNAVAILABLE: other_provider}}, "other_provider"),
        ({"default": "other provider"}, "default"),
        ({"factory": other_provider}, "factory"),
    ):
        answer = runner.play(fallback(**option, degraded=True), down).answer
        assert answer == Degraded("other provider", source, down)
        assert answer.error is down
        assert answer.age is None
        assert runner.play(fallback(**option, degraded=True), "ok").answer == "ok"


def test_degraded_shows_no_value():
    assert repr(Degraded("secret", "default", Down("secret"))) == "Degraded(source='default', age=None)"


def test_a_block_refuses_the_option_degraded():
    with pytest.raises(TypeError, match="a block's result says by itself"), fallback(default=1, degraded=True):
        pass


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "kind", "says"),
    [
        ({"chain": {}}, TypeError, "chain={}: give functions by category"),
        ({"chain": [replica]}, TypeError, "give functions by category, such as {'unavailable': replica}"),
        ({"chain": {"network": 3}}, TypeError, "chain['network']=3: give a function that takes the arguments"),
        ({"chain": {"network": ValueError}}, TypeError, "chain['network']=<class 'ValueError'>: give a function"),
        ({"chain": {"netwrk": replica}}, ValueError, "chain: 'netwrk' is not an ErrorCategory; did you mean 'network'"),
        ({"chain": {Down: replica}}, TypeError, "give an ErrorCategory or its label"),
        (
            {"chain": {"resource": replica, "rate_limit": replica}},
            ValueError,
            "chain['rate_limit']: what stands before covers all of it; put it first",
        ),
        ({"chain": {"network": replica}, "on": "timeout"}, TypeError, "on='timeout': give it with default="),
        ({"default": 1, "degraded": 1}, TypeError, "degraded=1: give True or False"),
    ],
)
def test_an_invalid_chain_is_refused(parameters: dict, kind: type[Exception], says: str):
    with pytest.raises(kind, match=re.escape(says)):
        fallback(**parameters)


def takes_one(query: str) -> object: ...


def takes_more(query: str, limit: int, offset: int) -> object: ...


def takes_no_keyword(query: str, limit: int, page: int) -> object: ...


@pytest.mark.parametrize("wrong", [takes_one, takes_more])
def test_a_function_that_cannot_take_the_arguments_is_refused_where_it_is_written(wrong):
    def search(query: str, limit: int = 10) -> object: ...

    says = rf"chain\['network'\]={wrong.__name__}: .* what .*search takes, \(query, limit\), defaults included"
    with pytest.raises(TypeError, match=says):
        fallback(chain={"network": wrong})(search)
    with pytest.raises(TypeError, match=says):
        fallback(chain={"timeout": replica, "network": wrong})(staticmethod(search))


def test_keywords_are_handed_on_as_keywords():
    def search(query: str, *, limit: int = 10) -> object: ...

    with pytest.raises(TypeError, match="takes_one: give a function that takes what"):
        fallback(chain={"network": takes_one})(search)
    fallback(chain={"network": lambda query, *, limit, more=1: None})(search)
    fallback(chain={"network": lambda query, limit: None})(search)


def test_functions_without_a_readable_signature_are_accepted():
    fallback(chain={"network": max, "timeout": print})(takes_one)
    fallback(chain={"network": takes_more})(max)
    fallback(chain={"network": takes_one})(replica)


def test_a_description_names_the_functions():
    @fallback(chain={UNAVAILABLE: replica, "rate_limit": other_provider}, default=(), degraded=True, on="timeout")
    def search(query: str) -> object: ...

    @fallback(chain={UNAVAILABLE: replica})
    def read(query: str) -> object: ...

    assert describe(search).policies == (
        "fallback(chain={unavailable: replica, rate_limit: other_provider}, default=tuple, degraded=True, on=timeout)",
    )
    assert describe(read).policies == ("fallback(chain={unavailable: replica})",)
