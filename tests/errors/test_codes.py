"""Codes are declared with the class, unique, and never used twice."""

from __future__ import annotations

import copy
import itertools
import pickle

import pytest

from resilience.errors import CodeRegistry, ResilienceError, class_of_code, registries

_numbers = itertools.count()


@pytest.fixture
def prefix() -> str:
    """An unused prefix: registries are for the whole process."""
    return f"T{next(_numbers)}"


def declare(name: str, code: str, module: str = "shop.errors", **body: object) -> type[ResilienceError]:
    return type(name, (ResilienceError,), {"__module__": module, "__qualname__": name, **body}, code=code)


def test_a_declared_code_is_found_by_prefix_and_by_code(prefix):
    one, other = declare("B", f"{prefix}-E002"), declare("A", f"{prefix}-E001")
    registry = CodeRegistry(prefix)
    assert list(registry.codes().items()) == [(f"{prefix}-E001", other), (f"{prefix}-E002", one)]
    assert registry.by_code(f"{prefix}-E002") is class_of_code(f"{prefix}-E002") is one
    assert registries()[prefix] is registry is CodeRegistry(prefix)
    assert repr(registry) == f"<CodeRegistry {prefix}: 2 declared, 0 retired>"


def test_a_code_in_the_body_counts_as_well(prefix):
    kind = type("InBody", (ResilienceError,), {"code": f"{prefix}-E001"})
    assert class_of_code(f"{prefix}-E001") is kind


def test_a_taken_code_fails_with_both_names(prefix):
    declare("StockLocked", f"{prefix}-E003")
    with pytest.raises(ValueError) as refused:
        declare("StockStolen", f"{prefix}-E003")
    assert str(refused.value) == (
        f"code='{prefix}-E003' of shop.errors.StockStolen: it is taken by shop.errors.StockLocked;"
        f" give a free one, such as '{prefix}-E004'"
    )


@pytest.mark.parametrize("module", ["shop.errors", "__main__", "__mp_main__"])
def test_a_class_that_is_made_again_takes_its_code_over(prefix, module):
    declare("StockLocked", f"{prefix}-E003")
    again = declare("StockLocked", f"{prefix}-E003", module)
    assert class_of_code(f"{prefix}-E003") is again


def test_the_same_name_in_another_module_is_another_class(prefix):
    declare("StockLocked", f"{prefix}-E003")
    with pytest.raises(ValueError, match="it is taken by shop.errors.StockLocked"):
        declare("StockLocked", f"{prefix}-E003", "store.errors")


def test_a_retired_code_can_never_be_declared_again(prefix):
    registry = CodeRegistry(prefix)
    registry.retire(f"{prefix}-E002", "was StockMissing until 1.4")
    registry.retire(f"{prefix}-E002", "was StockMissing until 1.4")  # a module that is reloaded says so again
    assert dict(registry.retired) == {f"{prefix}-E002": "was StockMissing until 1.4"}
    with pytest.raises(ValueError) as refused:
        declare("StockMissing", f"{prefix}-E002")
    assert str(refused.value) == (
        f"code='{prefix}-E002' of shop.errors.StockMissing: it is retired (was StockMissing until 1.4), and no code is"
        f" used twice; give '{prefix}-E003'"
    )
    with pytest.raises(TypeError):
        registry.retired[f"{prefix}-E009"] = "by hand"


def test_what_cannot_be_retired_says_why(prefix):
    registry = CodeRegistry(prefix)
    declare("StockLocked", f"{prefix}-E003")
    for code, why, says in [
        (f"{prefix}-E003", "gone", "shop.errors.StockLocked has it; remove it from the class, then retire it"),
        ("OTHER-E001", "gone", f"give one of this registry, such as '{prefix}-E004'"),
        (f"{prefix}-E004", " ", f"say what became of {prefix}-E004"),
    ]:
        with pytest.raises(ValueError) as refused:
            registry.retire(code, why)
        assert says in str(refused.value)
    registry.retire(f"{prefix}-E005", "one reason")
    with pytest.raises(ValueError, match="it is retired already: one reason"):
        registry.retire(f"{prefix}-E005", "another")


def test_an_exception_that_is_none_of_ours_can_have_a_code(prefix):
    registry = CodeRegistry(prefix)
    registry.declare(f"{prefix}-E001", KeyError)
    assert registry.by_code(f"{prefix}-E001") is KeyError
    with pytest.raises(ValueError, match="give one of this registry"):
        registry.declare("OTHER-E001", KeyError)


@pytest.mark.parametrize(
    "code", ["", "E001", "SHOP-001", "SHOP-E1", "SHOP-E0001", "shop-E001", "SHOP-E٠٠١", "SHOP-E001\n"]
)
def test_a_code_is_written_as_codes_are(code):
    with pytest.raises(ValueError) as refused:
        type("Wrong", (ResilienceError,), {}, code=code)
    assert str(refused.value) == f"code={code!r}: give a prefix, -E and three digits, such as 'SHOP-E003'"


def test_a_prefix_is_written_as_prefixes_are():
    for wrong, kind in [("shop", ValueError), ("", ValueError), ("7UP", ValueError), (5, TypeError)]:
        with pytest.raises(kind, match=rf"^prefix={wrong!r}: give capital letters, such as 'SHOP'"):
            CodeRegistry(wrong)


def test_an_unknown_code_is_a_lookup_error_that_lists_the_registries(prefix):
    declare("StockLocked", f"{prefix}-E003")
    CodeRegistry(prefix).retire(f"{prefix}-E001", "was A")
    with pytest.raises(LookupError, match=f"no class declares it; {prefix} has {prefix}-E003"):
        class_of_code(f"{prefix}-E004")
    with pytest.raises(LookupError, match="it is retired: was A"):
        class_of_code(f"{prefix}-E001")
    with pytest.raises(LookupError, match="nothing with this prefix is declared"):
        class_of_code("NEVERHEARDOF-E001")


def test_the_next_code_is_after_all_that_ever_were(prefix):
    registry = CodeRegistry(prefix)
    assert registry.next_code() == f"{prefix}-E000"
    declare("A", f"{prefix}-E001")
    registry.retire(f"{prefix}-E007", "was B")
    assert registry.next_code() == f"{prefix}-E008"
    declare("C", f"{prefix}-E999")
    assert registry.next_code() == f"{prefix}-E... (all are used up)"


def test_a_registry_copied_or_pickled_is_the_registry(prefix):
    registry = CodeRegistry(prefix)
    assert copy.deepcopy(registry) is copy.copy(registry) is pickle.loads(pickle.dumps(registry)) is registry
