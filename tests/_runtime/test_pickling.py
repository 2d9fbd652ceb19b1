"""Guarded functions go to other processes by their name; pickling them by their code is refused with a sentence."""

from __future__ import annotations

import functools
import os
import pickle
import sys
from collections.abc import Callable

import cloudpickle
import dask
import joblib
import pytest

from resilience import Pipeline, RetryBudget, circuit_breaker, fallback, retry_on_category, timeout

retry = retry_on_category(attempts=3, base_delay=0)


@retry
def of_a_module(number: int) -> int:
    return number + 1


@retry
class Client:
    def get(self, number: int) -> int:
        return number + 1


def of_a_notebook(decorate: Callable) -> Callable:
    """Return a guarded function that no other process can import."""

    @decorate
    def double(number: int) -> int:
        return 2 * number

    return double


SENTENCE = r"cannot pickle the guarded function \S+double by its code \(cloudpickle.*define it in a module"


@pytest.mark.parametrize(
    "decorate",
    [retry, timeout(5), fallback(default=0), circuit_breaker("pickled"), retry_on_category(budget=RetryBudget("b"))],
)
def test_a_function_that_is_pickled_by_its_code_is_refused_with_a_sentence(decorate: Callable):
    double = of_a_notebook(decorate)
    for sent in (double, functools.partial(double, 1), [double], lambda: double(1)):
        with pytest.raises(TypeError, match=SENTENCE):
            cloudpickle.dumps(sent)


def test_an_object_of_a_guarded_class_of_a_notebook_is_refused_as_well():
    @retry
    class Local:
        def get(self) -> None: ...

    with pytest.raises(TypeError, match=r"guarded function \S+Local.get by its code"):
        cloudpickle.dumps(Local())


def test_joblib_passes_the_sentence_on():
    with pytest.raises(Exception, match=".") as caught:
        joblib.Parallel(n_jobs=2)(joblib.delayed(of_a_notebook(retry))(number) for number in range(2))
    causes = [caught.value]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    assert any("define it in a module that the workers can import" in str(each) for each in causes)


def test_dask_passes_the_sentence_on():
    graph = dask.delayed(of_a_notebook(retry))(1)
    with pytest.raises(TypeError, match=SENTENCE):
        graph.compute(scheduler="processes", num_workers=1)


def test_dask_calls_a_guarded_function_of_a_module_in_other_processes(tmp_path, monkeypatch):
    (tmp_path / "dask_shop.py").write_text(
        "import os, pathlib\n"
        "from resilience import retry_on_category\n"
        "@retry_on_category(attempts=3, base_delay=0)\n"
        "def stock(item, seen):\n"
        "    with pathlib.Path(seen).open('a') as file: print(os.getpid(), file=file)\n"
        "    if len(pathlib.Path(seen).read_text().split()) < 3: raise ConnectionResetError\n"
        "    return len(item)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import dask_shop

    seen = tmp_path / "seen"
    assert dask.delayed(dask_shop.stock)("lamp", str(seen)).compute(scheduler="processes", num_workers=1) == 4
    attempts = seen.read_text().split()
    assert len(attempts) == 3  # it is retried there
    assert str(os.getpid()) not in attempts


def test_to_decorate_inside_the_function_that_is_sent_works():
    def sent(number: int) -> int:
        return retry_on_category(attempts=3)(lambda: 2 * number)()

    assert cloudpickle.loads(cloudpickle.dumps(sent))(2) == 4


def test_a_function_and_an_object_of_a_module_are_pickled_by_name():
    sys.modules[__name__] = sys.modules.get(__name__) or sys.modules[of_a_module.__module__]
    for module in (pickle, cloudpickle):
        assert module.loads(module.dumps(of_a_module)) is of_a_module
        assert module.loads(module.dumps(Client())).get(1) == 2


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            lambda: circuit_breaker("billing"),
            "cannot pickle the circuit 'billing'.*module that each process imports.*fleet=",
        ),
        (lambda: Pipeline(retry, circuit_breaker("billing")), "cannot pickle the circuit 'billing'"),
        (lambda: RetryBudget("billing"), "cannot pickle the retry budget 'billing'.*module that each process imports"),
        (lambda: retry_on_category(budget=RetryBudget("billing")), "cannot pickle the retry budget 'billing'"),
    ],
)
def test_what_belongs_to_one_process_says_so(made: Callable, sentence: str):
    for dump in (pickle.dumps, cloudpickle.dumps):
        with pytest.raises(TypeError, match=sentence):
            dump(made())


def test_policies_without_state_can_be_sent():
    for policy in (retry, timeout(5), fallback(default=0)):
        assert str(cloudpickle.loads(cloudpickle.dumps(policy))) == str(policy)
