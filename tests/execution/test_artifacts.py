"""Artifacts: figures, tables and files that programs make, in a process and in a kernel."""

from __future__ import annotations

import base64
import functools
import io
import os

import pytest

from resilience import ErrorCategory
from resilience.execution import Artifact, ExecutionReport, ExecutionRequest, JupyterExecutor, SubprocessExecutor
from resilience.execution import _artifact_collector as collecting
from resilience.execution._artifact_collector import ArtifactCollector
from resilience.execution._worker import artifacts as capturing

pytestmark = pytest.mark.skipif(os.name != "posix", reason="executions need POSIX")

FREE = functools.partial(ExecutionRequest, security_level="permissive")
MODERATE = functools.partial(ExecutionRequest, security_level="moderate", timeout=120)
KERNEL = pytest.param(JupyterExecutor, marks=pytest.mark.slow, id="kernel")


@pytest.fixture(scope="module", params=[pytest.param(SubprocessExecutor, id="process"), KERNEL])
def executor(request: pytest.FixtureRequest):
    with request.param() as executor:
        yield executor


def shown(report: ExecutionReport) -> list[tuple[str, str, str]]:
    return [(each.kind, each.name, each.mime) for each in report.artifacts]


# -- files -------------------------------------------------------------------------------------------------------------


def test_files_that_a_program_writes_are_artifacts(executor):
    code = (
        "import os\nos.makedirs('out')\n"
        "with open('out/a.csv', 'w') as file:\n    file.write('id')\n"
        "with open('b', 'wb') as file:\n    file.write(bytes(3))"
    )
    report = executor.execute_sync(FREE(code))
    assert shown(report) == [("file", "b", "application/octet-stream"), ("file", "out/a.csv", "text/csv")]
    assert [each.data for each in report.artifacts] == [bytes(3), b"id"]


def test_files_that_were_given_and_are_unchanged_are_not(executor):
    code = "with open('b.txt', 'a') as file:\n    file.write('more')"
    report = executor.execute_sync(FREE(code, files={"a.txt": "a", "b.txt": "b"}))
    assert [(each.name, each.data) for each in report.artifacts] == [("b.txt", b"bmore")]


def test_files_of_a_directory_of_ones_own_stay_and_new_ones_are_artifacts(executor, tmp_path):
    (tmp_path / "old.txt").write_text("old")
    code = "with open('new.txt', 'w') as file:\n    file.write('new')"
    report = executor.execute_sync(FREE(code, working_directory=tmp_path))
    assert shown(report) == [("file", "new.txt", "text/plain")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.txt", "old.txt"]


def test_files_of_a_program_that_fails_are_there(executor):
    report = executor.execute_sync(FREE("with open('a.txt', 'w') as file:\n    file.write('a')\n1 / 0"))
    assert report.category is ErrorCategory.RUNTIME
    assert [each.name for each in report.artifacts] == ["a.txt"]


def test_files_of_a_program_that_is_killed_are_there():
    with SubprocessExecutor() as executor:
        code = "with open('a.txt', 'w') as file:\n    file.write('a')\nimport os\nos.kill(os.getpid(), 9)"
        assert [each.name for each in executor.execute_sync(FREE(code)).artifacts] == ["a.txt"]


def test_links_pipes_hidden_files_and_bytecode_are_no_artifacts(executor, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    code = (
        f"import os\nos.symlink({str(tmp_path)!r}, 'folder')\n"
        f"os.symlink({str(tmp_path / 'secret.txt')!r}, 'link.txt')\n"
        "os.mkfifo('pipe')\nos.mkdir('.cache')\nopen('.cache/a', 'w').close()\nopen('.b', 'w').close()\n"
        "os.mkdir('__pycache__')\nopen('__pycache__/x.pyc', 'w').close()"
    )
    assert shown(executor.execute_sync(FREE(code))) == []


def test_a_file_that_is_too_large_is_noted(executor):
    report = executor.execute_sync(FREE("with open('a.bin', 'wb') as file:\n    file.write(bytes(11 << 20))"))
    assert report.success and shown(report) == []
    assert report.notes[0].startswith("a.bin is left out")


def test_too_many_files_are_noted(executor):
    code = "for number in range(10_001):\n    open(str(number), 'w').close()"
    report = executor.execute_sync(FREE(code))
    assert report.success and shown(report) == []
    assert "files" in report.notes[0]


@pytest.mark.anyio
async def test_files_come_async_as_well(executor):
    report = await executor.execute(FREE("with open('a.txt', 'w') as file:\n    file.write('a')"))
    assert shown(report) == [("file", "a.txt", "text/plain")]


def test_artifacts_are_bounded_in_number_and_in_all(monkeypatch):
    monkeypatch.setattr(collecting, "_MAX_TOTAL", 10)
    monkeypatch.setattr(collecting, "_MAX_ARTIFACTS", 2)
    collector = ArtifactCollector()
    for size in (6, 5, 3, 1):
        data = base64.b64encode(bytes(size)).decode()
        collector.take({"kind": "artifact", "type": "figure", "name": f"{size}.png", "mime": "image/png", "data": data})
    assert [each.name for each in collector.artifacts] == ["6.png", "3.png"]
    assert collector.notes == [
        "5.png is left out: all artifacts together have more than 0MB",
        "1.png is left out: there are 2 artifacts already",
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "artifact"},
        {"kind": "artifact", "type": "virus", "name": "a", "mime": "b", "data": ""},
        {"kind": "artifact", "type": "figure", "name": 1, "mime": "b", "data": ""},
        {"kind": "artifact", "type": "figure", "name": "a", "mime": "b", "data": "?"},
        {"kind": "other"},
    ],
    ids=range(5),
)
def test_an_artifact_that_is_not_valid_is_rejected(message):
    with pytest.raises((ValueError, TypeError, KeyError)):
        ArtifactCollector().take(message)


def test_a_report_lists_its_artifacts_without_their_data():
    with SubprocessExecutor() as executor:
        report = executor.execute_sync(FREE("with open('a.txt', 'w') as file:\n    file.write('abc')"))
    assert report.to_dict()["artifacts"] == [{"kind": "file", "name": "a.txt", "mime": "text/plain", "size": 3}]
    assert "It made a.txt (text/plain, 3 bytes)." in report.to_llm()
    assert repr(report.artifacts[0]) == "<Artifact: file 'a.txt', text/plain, 3 bytes>"


# -- what a value shows of itself ------------------------------------------------------------------------------------

DISPLAYS = {
    "_repr_html_": ("'<b>x</b>'", "figure-1.html", "text/html", b"<b>x</b>"),
    "_repr_svg_": ("'<svg/>'", "figure-1.svg", "image/svg+xml", b"<svg/>"),
    "_repr_png_": ("b'PNG'", "figure-1.png", "image/png", b"PNG"),
    "_repr_latex_": ("'$x$'", "figure-1.tex", "text/latex", b"$x$"),
    "_repr_mimebundle_": ("({'text/html': '<i>'}, {})", "figure-1.html", "text/html", b"<i>"),
}


@pytest.mark.parametrize("method", DISPLAYS)
def test_the_last_value_shows_itself_as_in_a_notebook(executor, method):
    returned, name, mime, data = DISPLAYS[method]
    report = executor.execute_sync(f"class A:\n    def {method}(self):\n        return {returned}\nA()")
    assert report.artifacts == (Artifact(kind="figure", name=name, mime=mime, data=data),)


def test_a_display_that_fails_does_not_fail_the_program(executor):
    report = executor.execute_sync("class A:\n    def _repr_html_(self):\n        return 1 / 0\nA()")
    assert report.success and shown(report) == []
    assert report.notes == ("figures and tables are not complete: ZeroDivisionError: division by zero",)


def display(code: str) -> str:
    return f"class A:\n    def _repr_html_(self):\n        {code}\nA()"


def test_a_display_is_held_to_the_policy():
    with SubprocessExecutor() as executor:
        report = executor.execute_sync(display("return open('/etc/passwd').read()"))
    assert report.category is ErrorCategory.SECURITY


@pytest.mark.slow
def test_a_display_that_does_not_end_is_stopped_and_does_not_fail_the_program():
    with SubprocessExecutor() as executor:
        report = executor.execute_sync(display("while True: pass"))
    assert report.success
    assert report.notes[0].startswith("figures and tables are not complete: ExecutionTimeout")


@pytest.mark.slow
def test_what_a_program_displays_in_a_kernel_is_an_artifact():
    code = (
        "from IPython.display import HTML, Image, display\ndisplay(HTML('<b>x</b>'))\ndisplay(Image(b'\\x89PNG..'))\n1"
    )
    with JupyterExecutor() as executor:
        report = executor.execute_sync(FREE(code))
    assert shown(report) == [("figure", "display-1.html", "text/html"), ("figure", "display-2.png", "image/png")]
    assert [each.data for each in report.artifacts] == [b"<b>x</b>", b"\x89PNG.."]


# -- figures and tables of libraries ---------------------------------------------------------------------------------


def pixels(data: bytes):
    from PIL import Image

    return Image.open(io.BytesIO(data)).convert("RGB")


def reference(code: str) -> list[bytes]:
    """The figures of *code* as this process draws them."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    plt.close("all")
    exec(code, {})
    found = []
    for number in plt.get_fignums():
        file = io.BytesIO()
        plt.figure(number).savefig(file, format="png", bbox_inches="tight")
        found.append(file.getvalue())
    plt.close("all")
    return found


FIGURES = {
    "shown": "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()",
    "shown twice": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.bar([1, 2], [3, 4])\nplt.show()",
    "left open": "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.figure()\nplt.plot([3, 1])",
    "by Agg": "import matplotlib\nmatplotlib.use('Agg')\nfrom matplotlib.pyplot import *\nplot([1, 2])\nshow()",
    "the last value": "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 2])\nfig",
    "by pandas": "import pandas as pd\npd.DataFrame({'a': [1, 3, 2]}).plot()",
    "by seaborn": "import seaborn as sns\nsns.barplot(x=[1, 2], y=[1, 2])",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FIGURES)
def test_figures_are_captured_as_they_are_drawn(executor, kind):
    from PIL import ImageChops

    code = FIGURES[kind]
    report = executor.execute_sync(MODERATE(code))
    assert report.success, report.error
    parts = code.replace("plt.show()", "plt.figure()").replace("\nshow()", "").removesuffix("plt.figure()")
    expected = reference(parts)
    assert shown(report) == [("figure", f"figure-{n}.png", "image/png") for n in range(1, len(expected) + 1)]
    for found, wanted in zip(report.artifacts, expected, strict=True):
        assert ImageChops.difference(pixels(found.data), pixels(wanted)).getbbox() is None
    assert report.execution_result.stderr == ""


@pytest.mark.slow
def test_a_figure_that_was_shown_is_there_though_the_program_fails_later(executor):
    report = executor.execute_sync(MODERATE(f"{FIGURES['shown']}\n1 / 0"))
    assert report.category is ErrorCategory.RUNTIME
    assert shown(report) == [("figure", "figure-1.png", "image/png")]


@pytest.mark.slow
def test_a_figure_that_the_program_has_closed_is_none(executor):
    code = f"{FIGURES['shown'].removesuffix('plt.show()')}plt.close()"
    assert shown(executor.execute_sync(MODERATE(code))) == []


@pytest.mark.slow
@pytest.mark.parametrize("end", ["fig.show()", "fig"])
def test_a_figure_of_plotly_is_html(executor, end):
    pytest.importorskip("plotly")
    code = f"import plotly.graph_objects as go\nfig = go.Figure(go.Bar(y=[1, 2]))\n{end}"
    report = executor.execute_sync(FREE(code, timeout=120))
    assert shown(report) == [("figure", "figure-1.html", "text/html")]
    assert b"Plotly.newPlot" in report.artifacts[0].data


@pytest.mark.slow
def test_a_picture_of_pillow_is_a_figure(executor):
    code = "from PIL import Image\nImage.new('RGB', (3, 2), 'red')"
    report = executor.execute_sync(ExecutionRequest(code, allowed_imports=["PIL"]))
    assert pixels(report.artifacts[0].data).size == (3, 2)


TABLES = {
    "frame": ("import pandas as pd\npd.DataFrame({'a': [1, 2], 'b': ['x', None]})", b"a,b\n1,x\n2,\n"),
    "index": ("import pandas as pd\npd.DataFrame({'a': [1]}, index=pd.Index(['x'], name='id'))", b"id,a\nx,1\n"),
    "series": ("import pandas as pd\npd.Series([1, 2], name='a')", b"a\n1\n2\n"),
    "polars": ("import polars as pl\npl.DataFrame({'a': [1]})", b"a\n1\n"),
    "polars series": ("import polars as pl\npl.Series('a', [1])", b"a\n1\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", TABLES)
def test_a_dataframe_as_the_last_value_is_a_table(executor, kind):
    code, expected = TABLES[kind]
    report = executor.execute_sync(MODERATE(code))
    assert report.artifacts == (Artifact(kind="table", name="result.csv", mime="text/csv", data=expected),)


@pytest.mark.slow
def test_a_dataframe_that_is_asked_for_by_name_is_a_table(executor):
    code = "import pandas as pd\norders = pd.DataFrame({'a': [1]})\nother = orders"
    report = executor.execute_sync(MODERATE(code, return_variables=["orders"]))
    assert shown(report) == [("table", "orders.csv", "text/csv")]


@pytest.mark.slow
def test_a_long_dataframe_is_cut_and_that_is_noted(executor):
    code = "import pandas as pd\npd.DataFrame({'a': range(100_001)})"
    report = executor.execute_sync(MODERATE(code))
    assert report.artifacts[0].data.count(b"\n") == 100_001
    assert report.notes == ("result.csv has the first 100000 of 100001 rows",)


def test_no_more_than_fifty_figures_are_captured():
    messages: list[dict[str, object]] = []
    artifacts = capturing.Artifacts(messages.append)
    for _ in range(60):
        artifacts._add_figure("image/png", "png", b"x")
    assert [each["kind"] for each in messages] == ["artifact"] * 50 + ["note"]
