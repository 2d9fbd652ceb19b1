from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.execution._markdown import strip_fences


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("print(1)", "print(1)"),
        ("```python\nprint(1)\n```", "print(1)\n"),
        ("```\nprint(1)\n```", "print(1)\n"),
        ("```PYTHON\r\nprint(1)\r\n```\r\n", "print(1)\r\n"),
        ("Sure!\n\n```py\nprint(1)\n```\n\nThis prints 1.", "print(1)\n"),
        ("~~~python\nprint(1)\n~~~", "print(1)\n"),
        ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''\n"),
        ("1. Do this:\n   ```python\n   if x:\n       y()\n   ```", "if x:\n    y()\n"),
        ("```python title=main.py\nprint(1)\n```", "print(1)\n"),
        ("```python\nprint(1)\n", "print(1)\n"),
        ("```python\nx = 1\n```\nand then\n```python\nprint(x)\n```", "x = 1\n\nprint(x)\n"),
        ("```bash\npip install x\n```\n```python\nprint(1)\n```", "print(1)\n"),
        ("```json\n{}\n```\n```\nprint(1)\n```", "print(1)\n"),
        ("```python\n```", ""),
        ("Install it:\n```bash\npip install x\n```", "Install it:\n```bash\npip install x\n```"),
        ("no code ``` here", "no code ``` here"),
        ("", ""),
    ],
)
def test_the_code_is_what_stands_in_fences(answer: str, code: str):
    assert strip_fences(answer) == code


def test_python_that_holds_fences_in_its_strings_stays_as_it_is():
    code = 'def page():\n    """Say:\n\n    ```python\n    print(1)\n    ```\n    """\n'
    assert strip_fences(code) == code


@pytest.mark.parametrize("lost", ["\0", "\ud800", "(" * 500])
def test_what_cannot_even_be_parsed_is_looked_through_all_the_same(lost: str):
    assert strip_fences(f"{lost}\n```python\n1\n```") == "1\n"


names = st.sampled_from(["x = 1", "print('a')", "if True:\n    y = 2", "s = 'it\\'s'"])


@given(st.lists(names, min_size=1).map("\n".join), st.text("abc .\n", max_size=30), st.integers(3, 6))
def test_whatever_stands_around_it_the_code_comes_out_as_it_was(code: str, prose: str, length: int):
    fence = "`" * length
    found = strip_fences(f"{prose} here!\n{fence}python\n{code}\n{fence}\n{prose}")
    assert found == f"{code}\n"
    ast.parse(found)
