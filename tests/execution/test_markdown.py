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


PROGRAM = "import math\nprint(math.pi)\n"
FUNCTION = "def area(r):\n    return 3 * r * r\n\n\nprint(area(2))\n"
FENCE = "```"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(f"{FENCE}python\n>>> import math\n>>> print(math.pi)\n3.14\n{FENCE}", PROGRAM, id="prompts"),
        pytest.param(
            f"{FENCE}python\n>>> for n in range(2):\n...     print(n)\n...\n0\n1\n{FENCE}",
            "for n in range(2):\n    print(n)\n\n",
            id="prompts of a block, the last one bare",
        ),
        pytest.param(">>> import math\n>>> print(math.pi)\n3.14\n", PROGRAM, id="prompts without a fence"),
        pytest.param("Try this:\n\n>>> import math\n>>> print(math.pi)\n", PROGRAM, id="prompts after a sentence"),
        pytest.param(
            f"{FENCE}python\nIn [1]: import math\nIn [2]: print(math.pi)\nOut[2]: 3.14\n{FENCE}",
            PROGRAM,
            id="prompts of a notebook",
        ),
        pytest.param(f"{FENCE}python\n1 | import math\n2 | print(math.pi)\n{FENCE}", PROGRAM, id="numbers of lines"),
        pytest.param(f"{FENCE}python\n1: import math\n2: print(math.pi)\n{FENCE}", PROGRAM, id="numbers and colons"),
        pytest.param(f"> {FENCE}python\n> import math\n> print(math.pi)\n> {FENCE}", PROGRAM, id="a quotation"),
        pytest.param(f"{FENCE}python\nprint(\u201chello\u201d)\n{FENCE}", 'print("hello")\n', id="typographic quotes"),
        pytest.param(
            f"{FENCE}python\nif 1:\n\u00a0\u00a0print(1)\n{FENCE}", "if 1:\n  print(1)\n", id="blanks that do not break"
        ),
        pytest.param(f"{FENCE}python\n\u200bprint(1)\n{FENCE}", "print(1)\n", id="a character of no width"),
        pytest.param(f"\ufeff{FENCE}python\nprint(1)\n{FENCE}", "print(1)\n", id="a byte order mark"),
        pytest.param(f"{FENCE}python\nif 1 &lt; 2:\n    print(3)\n{FENCE}", "if 1 < 2:\n    print(3)\n", id="entities"),
        pytest.param(
            f"{FENCE}diff\n--- a.py\n+++ a.py\n@@ -1,2 +1,2 @@\n-import maths\n+import math\n print(math.pi)\n{FENCE}",
            PROGRAM,
            id="differences from the first line on",
        ),
        pytest.param(
            f"{FENCE}python\n- import maths\n+ import math\n  print(math.pi)\n{FENCE}", PROGRAM, id="marked changes"
        ),
        pytest.param(f"{FENCE}python\nimport math\nprint(math.pi){FENCE}", PROGRAM, id="a fence at the end of a line"),
        pytest.param(f"{FENCE}markdown\n# Title\n{FENCE}python\n{PROGRAM}{FENCE}\n{FENCE}", PROGRAM, id="a document"),
        pytest.param(f"<answer>{FENCE}python\n{PROGRAM}{FENCE}\n</answer>", PROGRAM, id="a tag before the fence"),
    ],
)
def test_code_is_repaired_where_an_interface_or_a_habit_put_marks_in(answer: str, code: str):
    assert strip_fences(answer) == code


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param('{"name": "python", "arguments": {"code": "import math\\nprint(math.pi)\\n"}}', id="a call"),
        pytest.param('{"code": "import math\\nprint(math.pi)\\n", "explanation": "It prints."}', id="a code key"),
        pytest.param(
            '{"name": "run", "arguments": "{\\"code\\": \\"import math\\\\nprint(math.pi)\\\\n\\"}"}',
            id="JSON in a text",
        ),
        pytest.param(
            '<tool_call>\n{"arguments": {"code": "import math\\nprint(math.pi)\\n"}}\n</tool_call>', id="a tagged call"
        ),
        pytest.param(f'{FENCE}json\n{{"code": "import math\\nprint(math.pi)\\n"}}\n{FENCE}', id="JSON in a fence"),
        pytest.param('{"code": "```python\\nimport math\\nprint(math.pi)\\n```"}', id="a fence in JSON"),
        pytest.param(f'<code language="python">\n{PROGRAM}</code>', id="a tag with attributes"),
        pytest.param(f"<code><![CDATA[\n{PROGRAM}]]></code>", id="a section of characters"),
        pytest.param(f"<|python_tag|>{PROGRAM}<|eom_id|>", id="a token before the code"),
        pytest.param(
            f"<|channel|>analysis<|message|>print(0)<|end|><|start|>assistant<|channel|>final<|message|>{FENCE}python\n"
            f"{PROGRAM}{FENCE}",
            id="the last channel",
        ),
    ],
)
def test_code_in_a_tool_call_a_tag_or_a_channel_is_found(answer: str):
    assert strip_fences(answer) == PROGRAM


def test_json_beside_a_block_of_python_is_no_call():
    answer = f'{FENCE}json\n{{"code": "E42"}}\n{FENCE}\n{FENCE}python\n{PROGRAM}{FENCE}'
    assert strip_fences(answer) == PROGRAM


@pytest.mark.parametrize("before", ["Here is the corrected program:\n", "Here it is:\n\n", "Code:\n", ""])
@pytest.mark.parametrize("after", ["\nThis prints the area.", "\n**Note:** It takes a radius.\n\nHave fun!", ""])
def test_sentences_around_bare_code_are_no_part_of_it(before: str, after: str):
    assert strip_fences(f"{before}{FUNCTION}{after}").strip() == FUNCTION.strip()


def test_code_keeps_its_blank_lines_and_its_length_among_sentences():
    code = 'text = """\n\n\n\nA line.\n"""\n' + "x = 1\n\n" * 100
    assert strip_fences(f"Here you are:\n\n{code}\nThat is all.").strip() == code.strip()


@pytest.mark.parametrize(
    "answer",
    [
        "print('a'\n\nprint('b')\n",
        "x = 1\n\nif x = 1:\n    pass\n\nprint(x)\n",
        "I cannot write this program.",
        "Sorry, that is not possible.\n\nAsk me something else!",
    ],
)
def test_what_is_no_sentence_is_never_taken_off(answer: str):
    assert strip_fences(answer) == answer


def test_a_sentence_after_a_block_that_nothing_closes_is_no_part_of_it():
    found = extract_code(f"{FENCE}python\n{PROGRAM}\nThis prints pi.")
    assert (found.code, found.problem) == (PROGRAM, "")


def test_a_session_that_shows_the_use_of_code_is_not_joined_to_it():
    usage = f"{FENCE}python\n>>> area(2)\n12\n{FENCE}"
    assert strip_fences(f"{FENCE}python\n{FUNCTION}{FENCE}\nUse it:\n{usage}") == FUNCTION


def test_differences_of_a_part_are_not_taken_for_the_program():
    answer = f"{FENCE}diff\n@@ -10,2 +10,2 @@\n-import maths\n+import math\n print(math.pi)\n{FENCE}"
    assert extract_code(answer).problem == (
        "the answer is a list of differences, and not the whole program: ask for all of it"
    )


@pytest.mark.parametrize(
    "code",
    [
        'print("\U0001f468\u200d\U0001f469")\n',
        "print('\u201chello\u201d')\n",
        "print('&lt;')\n",
        'prompt = """\n<example>```python\n```\n"""\n',
        "x = (1\n- 2)\n",
    ],
)
def test_code_that_parses_is_not_repaired(code: str):
    assert strip_fences(f"{FENCE}python\n{code}{FENCE}") == code
