from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.execution._markdown import extract_code, strip_fences


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


DOCSTRING = 'def page():\n    """Say:\n\n    ```python\n    print(1)\n    ```\n    """\n'
AT_THE_MARGIN = 'text = """\n```python\nprint(1)\n```\n"""\nprint(text)\n'


@pytest.mark.parametrize("code", [DOCSTRING, AT_THE_MARGIN], ids=["indented", "at the margin"])
@pytest.mark.parametrize("fence", ["```", "~~~", "   ```"], ids=ascii)
def test_a_fence_in_a_string_of_the_code_does_not_end_its_block(code: str, fence: str):
    indent = fence[: len(fence) - 3]
    body = "".join(f"{indent}{line}" for line in code.splitlines(keepends=True))
    assert strip_fences(f"Here:\n{fence}python\n{body}{fence}\nDone.") == code


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("```ipython\nprint(1)\n```", "print(1)\n"),
        ("```{.python}\nprint(1)\n```", "print(1)\n"),
        ("```tool_code\nprint(1)\n```", "print(1)\n"),
        ("```pycon\n>>> x = 1\n>>> if x:\n...     y = 2\n>>> x\n1\n```", "x = 1\nif x:\n    y = 2\nx\n"),
        ("```python\nprint(1)\n```<end_code>", "print(1)\n"),
        ("```python\nprint(1)\n```</code>\nand more", "print(1)\n"),
        ("```python\nprint(1)<|im_end|>\n```", "print(1)\n"),
        ("print(1)<|im_end|>", "print(1)"),
        ("`print(1)`", "print(1)"),
        ("```print(1)```", "print(1)"),
        ("<code>\nprint(1)\n</code>", "print(1)\n"),
        ("[PYTHON]\nprint(1)\n[/PYTHON]", "print(1)\n"),
        ("Thought: loop over it.\nCode:\n<code>\n    x = 1\n    print(x)\n</code>", "x = 1\nprint(x)\n"),
        ("```python\ntoken = '<|im_end|>'\n```", "token = '<|im_end|>'\n"),
    ],
)
def test_labels_tags_and_tokens_of_models_are_no_part_of_the_code(answer: str, code: str):
    assert strip_fences(answer) == code


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("Output will be\n```\n3\n```\nwith\n```\nx = 1\nprint(x + 2)\n```", "x = 1\nprint(x + 2)\n"),
        ("The table\n```\na | b |\n--+--\n```\nCode:\n```\nprint(1)\n```", "print(1)\n"),
        ("A much longer listing\n```\naaaa = bbbb = cccc = 1\n```\nCode:\n```\nprint(1)\n```", "print(1)\n"),
        ("```\nx = 1\n```\n```python\nprint(2)\n```", "print(2)\n"),
        ("```python\nprint(1\n```\nNo, again:\n```python\nprint(1)\n```", "print(1)\n"),
    ],
)
def test_of_several_blocks_a_label_counts_more_than_length_and_what_parses_is_taken(answer: str, code: str):
    assert strip_fences(answer) == code


@pytest.mark.parametrize("tag", ["think", "thinking", "reasoning", "scratchpad"])
@pytest.mark.parametrize("thoughts", ["A loop.", "Perhaps\n```python\nimport os\n```\nNo.", "x = <y>"])
def test_thoughts_are_no_part_of_the_answer(tag: str, thoughts: str):
    code = "```python\nprint(1)\n```"
    assert strip_fences(f"<{tag}>{thoughts}</{tag}>\n{code}") == "print(1)\n"
    assert strip_fences(f"{thoughts}\n</{tag}>\n\n{code}") == "print(1)\n"  # the template has opened the tag


def test_tags_of_thoughts_in_the_strings_of_the_code_stay_there():
    code = 'import re\nopening = "<think>"\nre.sub(r"<think>.*?</think>", "", text)\n'
    assert strip_fences(f"Use this:\n```python\n{code}```") == code


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("<think>First I need to", "within the model's thoughts"),
        ("<think>Perhaps\n```python\nimport os\n", "within the model's thoughts"),
        ("Here it is:\n```python\nfor each in range(3):\n    print(ea", "within its code"),
        ("```python\nx = [1,\n", "within its code"),
    ],
)
def test_an_answer_that_was_cut_off_is_recognised(answer: str, problem: str):
    assert f"the answer was cut off {problem}" in extract_code(answer).problem


@pytest.mark.parametrize(
    "answer", ["```python\nprint(1)\n", "```python\nprint(1\n```", "print(1", "<think>a</think>print(1)", "a < b"]
)
def test_an_answer_with_an_end_was_not_cut_off(answer: str):
    assert extract_code(answer).problem == ""
