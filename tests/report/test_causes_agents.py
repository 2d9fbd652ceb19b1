"""Programs with libraries as agents write them: the corrected line, where it stands, and what is not proposed."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.report._diagnosis import diagnose
from resilience.report._diagnosis.context import FailureContext
from resilience.report._path_redaction import is_library
from resilience.report.diagnosis import Diagnosis
from tests.report.faulty import failure_of, raised_by

FRAME = 'import pandas as pd\ndf = pd.DataFrame({"name": ["Ada", "Bob"], "price": [2.0, 3.0], "count": [4, 5]})\n'
COLUMNS = 'import polars as pl\ndf = pl.DataFrame({"name": ["Ada", "Bob"], "price": [2, 3]})\n'
ARRAY = "import numpy as np\na = np.ones((5, 3))\nb = np.ones((4, 3))\n"
MODEL = "from pydantic import BaseModel\nclass Item(BaseModel):\n    name: str\n"
NOTES = """
from sqlalchemy import Column, Integer, String, create_engine, select, text
from sqlalchemy.orm import Session, declarative_base
Base = declarative_base()
class Note(Base):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    body = Column(String)
engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
session = Session(engine)
session.add(Note(body="one"))
session.flush()
"""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Faulty programs make Python warn, too, and leave connections that nothing closes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()


def explained(library: str, code: str) -> Diagnosis:
    pytest.importorskip(library)
    return diagnose(failure_of(code))


def corrected(library: str, code: str) -> str | None:
    """Return the line that is proposed; without its indentation."""
    found = explained(library, code).suggested_fix
    return None if found is None else found.strip()


@pytest.mark.parametrize(
    ("line", "correction"),
    [
        pytest.param(
            'df["price"].to_datetime()', 'pd.to_datetime(df["price"])', id="a function of pandas that is no method"
        ),
        pytest.param('df["name"].lower()', 'df["name"].str.lower()', id="a method of texts on a column"),
        pytest.param(
            'import io; pd.read_json(io.StringIO("{}\\n{}\\n"))',
            'import io; pd.read_json(io.StringIO("{}\\n{}\\n"), lines=True)',
            id="JSON on each line",
        ),
        pytest.param(
            'df.to_csv("no/such/a.csv")',
            "import os; os.makedirs('no/such', exist_ok=True)",
            id="a directory that is not there",
        ),
        pytest.param("df.concat(df)", "pd.concat([df, df])", id="a list of tables that is no method"),
        pytest.param('df.iloc[:, ["price"]]', 'df[["price"]].iloc[:]', id="a list of labels in iloc"),
        pytest.param('df.query("price == limit")', None, id="a name in a query that is compared with a number"),
        pytest.param('df["price2"]', 'df["price"]', id="a column with a number too much"),
        pytest.param("df.unique()", None, id="a method of columns on a table"),
        pytest.param('df["name"].join(",")', '",".join(df["name"])', id="a method of one text on a column"),
        pytest.param(
            'df.groupby("name")["price"].apply(lambda s: s.price)', None, id="a group of values that has no columns"
        ),
        pytest.param('df["name"].strftime("%Y")', 'df["name"].dt.strftime("%Y")', id="a method of dates on a column"),
        pytest.param(
            'df["name"].contains("A")', 'df["name"].str.contains("A")', id="the search for a text in a column"
        ),
        pytest.param(
            "df.apply(lambda row: row.price * row.count)",
            "df.apply(lambda row: row.price * row.count, axis=1)",
            id="columns read by attribute in apply without axis",
        ),
        pytest.param(
            "for index, row in df: pass",
            "for index, row in df.iterrows(): pass",
            id="a loop over a table of two columns",
        ),
        pytest.param('df.iloc[0, "price"]', 'df["price"].iloc[0]', id="a label in iloc"),
        pytest.param(
            'df.set_index("name").loc["Ada"]; row = df.loc[0]; row[1]',
            'df.set_index("name").loc["Ada"]; row = df.loc[0]; row.iloc[1]',
            id="a position where a row has labels",
        ),
        pytest.param('df.query("name == Ada")', "df.query(\"name == 'Ada'\")", id="a text without quotes in a query"),
        pytest.param('df.insert(0, "price", [1, 2])', 'df["price"] = [1, 2]', id="an insert of a column that is there"),
        pytest.param(
            'pd.date_range("2024-01-01", periods=2, freq="H")',
            'pd.date_range("2024-01-01", periods=2, freq="h")',
            id="a word that the library itself corrects",
        ),
        pytest.param(
            'df.pivot_table(index="name", value="price")',
            'df.pivot_table(index="name", values="price")',
            id="a misspelt keyword that a library hands on",
        ),
        pytest.param(
            'df.rename({"price": "cost"}).set_index("cost")',
            'df.rename(columns={"price": "cost"}).set_index("cost")',
            id="a rename of rows where columns are meant",
        ),
        pytest.param(
            'df.groupby("name")["count"].mean() if False else df.assign(t="x").groupby("name").mean()',
            'df.groupby("name")["count"].mean() if False else df.assign(t="x").groupby("name").mean(numeric_only=True)',
            id="a mean of texts",
        ),
    ],
)
def test_pandas(line: str, correction: str | None):
    assert corrected("pandas", FRAME + line) == correction


@pytest.mark.parametrize(
    ("line", "correction"),
    [
        pytest.param(
            'df.filter(pl.col("price") > 1 & pl.col("price") < 3)',
            'df.filter((pl.col("price") > 1) & (pl.col("price") < 3))',
            id="conditions without parentheses",
        ),
        pytest.param('df["name"].lower()', 'df["name"].str.to_lowercase()', id="a method of texts on a column"),
        pytest.param('df.sort_values("price")', 'df.sort("price")', id="a name of pandas"),
        pytest.param('df.select(pl.col("prize"))', 'df.select(pl.col("price"))', id="a column that polars proposes"),
        pytest.param(
            'pl.Series(["2024-01-31"]).str.strptime(pl.Date, "%d/%m/%Y"); '
            'df.with_columns(pl.lit("2024-01-31").str.strptime(pl.Date, "%d/%m/%Y"))',
            None,
            id="a format that stands twice",
        ),
        pytest.param('df.loc[0, "name"]', None, id="loc, in place of which there is no single word"),
    ],
)
def test_polars(line: str, correction: str | None):
    assert corrected("polars", COLUMNS + line) == correction


@pytest.mark.parametrize(
    ("line", "correction"),
    [
        pytest.param("a @ b", "a @ b.T", id="a product with a matrix that lies the other way"),
        pytest.param("np.max(a, a + 1)", "np.maximum(a, a + 1)", id="the larger of two arrays"),
        pytest.param("np.random.randn((3, 4))", "np.random.randn(3, 4)", id="a tuple for numbers one by one"),
        pytest.param("np.random.default_rng().randint(3)", "np.random.default_rng().integers(3)", id="an old name"),
        pytest.param('np.datetime64("2024/01/05")', 'np.datetime64("2024-01-05")', id="a date with slashes"),
        pytest.param(
            "import json; json.dumps({1: (a > 0).sum()})",
            "import json; json.dumps({1: (a > 0).sum()}, default=lambda value: value.tolist())",
            id="a number of numpy in JSON",
        ),
        pytest.param("a.sqrt()", "np.sqrt(a)", id="a function of numpy that is no method"),
        pytest.param(
            'import io; np.loadtxt(io.StringIO("x\\n1"))',
            'import io; np.loadtxt(io.StringIO("x\\n1"), skiprows=1)',
            id="a header among numbers",
        ),
    ],
)
def test_numpy(line: str, correction: str):
    assert corrected("numpy", ARRAY + line) == correction


@pytest.mark.parametrize(
    ("line", "correction"),
    [
        pytest.param(
            'session.query(Note).filter(body="one")',
            'session.query(Note).filter_by(body="one")',
            id="filter by keyword",
        ),
        pytest.param(
            "session.execute(select(Note)).scalar().all()",
            "session.execute(select(Note)).scalars().all()",
            id="one value where all are meant",
        ),
        pytest.param(
            'session.connection().execute(text("SELECT :n"), n=1)',
            'session.connection().execute(text("SELECT :n"), {"n": 1})',
            id="parameters by keyword",
        ),
    ],
)
def test_sqlalchemy(line: str, correction: str):
    assert corrected("sqlalchemy", NOTES + line) == correction


def test_a_field_of_pydantic_that_may_be_none_is_given_that_default():
    code = f"{MODEL}    note: str | None\nItem(name='pen')"
    assert corrected("pydantic", code) == "note: str | None = None"


def test_a_required_field_of_pydantic_is_given_no_default():
    found = explained("pydantic", f"{MODEL}Item()")
    assert found.suggested_fix is None
    assert found.suggestions[0] == "Give name a value: it is required."


def test_options_of_json_in_pydantic_belong_to_model_dump_json():
    assert (
        corrected("pydantic", f"{MODEL}Item(name='pen').json(indent=2)") == "Item(name='pen').model_dump_json(indent=2)"
    )


def test_a_parameter_of_the_last_step_of_a_pipeline_is_given_the_name_of_the_step():
    code = """
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
pipe = Pipeline([("scale", StandardScaler()), ("model", Ridge())])
GridSearchCV(pipe, {"alpha": [1.0]}).fit([[1.0]] * 9, [1.0] * 9)
"""
    assert corrected("sklearn", code) == 'GridSearchCV(pipe, {"model__alpha": [1.0]}).fit([[1.0]] * 9, [1.0] * 9)'
    found = explained("sklearn", code.replace("alpha", "with_mean"))
    assert found.suggested_fix is None, "it is a parameter of another step"
    assert "'scale' and 'model'" in found.suggestions[0]


def test_an_import_under_a_new_name_keeps_the_name_that_the_program_uses():
    code = "from scipy.integrate import cumtrapz\nprint(cumtrapz([1, 2]))"
    assert corrected("scipy", code) == "from scipy.integrate import cumulative_trapezoid as cumtrapz"


def test_symbols_are_substituted_by_a_dict():
    code = 'from sympy import symbols\nx = symbols("x")\nprint((x + 1).subs(x=2))'
    assert corrected("sympy", code) == "print((x + 1).subs({x: 2}))"


def test_content_of_a_file_is_no_path():
    code = 'import io\nfrom PIL import Image\ndata = b"\\x89PNG\\x00"\nImage.open(data)'
    assert corrected("PIL", code) == "Image.open(io.BytesIO(data))"


def test_a_value_of_yaml_with_a_colon_is_quoted_where_it_stands():
    code = 'import yaml\nyaml.safe_load("""\nname: api\ngreeting: hello: world\n""")'
    found = explained("yaml", code)
    assert (found.suggested_fix, found.specifics["fix_applies_to"]) == ('greeting: "hello: world"', "line 4")


def test_the_end_of_a_block_of_a_template_is_the_one_that_is_open():
    code = 'from jinja2 import Template\nTemplate("{% if x %}a{% end %}")'
    assert corrected("jinja2", code) == 'Template("{% if x %}a{% endif %}")'


def test_a_file_of_texts_is_not_opened_for_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    code = 'import csv\nwith open("a.csv", "wb") as file:\n    csv.writer(file).writerow(["a"])'
    found = diagnose(failure_of(code))
    assert (found.suggested_fix, found.specifics["fix_applies_to"]) == ('with open("a.csv", "w") as file:', "line 2")


@pytest.mark.parametrize(("encoding", "text"), [("utf-16", "hello"), ("latin-1", "Zürich")])
def test_the_encoding_of_a_file_is_known_by_the_bytes_that_are_not_utf_8(
    encoding: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    code = 'text = open("a.txt", encoding="utf-8").read()\nprint(text)'
    found = diagnose(failure_of(code))
    assert found.suggested_fix == f'text = open("a.txt", encoding="{encoding}").read()'
    assert raised_by(f"{found.suggested_fix}\nassert text == {text!r}") is None


@pytest.mark.parametrize(
    ("library", "code", "never"),
    [
        pytest.param(
            "sklearn",
            "from sklearn.preprocessing import LabelEncoder\nLabelEncoder().fit(['a']).transform(['b'])",
            ".get(",
            id="a variable of a library",
        ),
        pytest.param("pandas", f'{FRAME}df["price"].fillna()', "NDFrame()", id="a class of a library"),
        pytest.param("pandas", f"{FRAME}df.fillna()", "is defined", id="a definition in a library"),
        pytest.param("sympy", "from sympy import Matrix\nMatrix([[1]]).inverse()", "inverse_", id="a private way"),
        pytest.param("sklearn", "from sklearn.linear_model import Ridge\nRidge().fit([[1]])", "...()", id="a class"),
        pytest.param(
            "numpy",
            "import numpy as np\nx = np.ones(3)\nnp.add(x, x[:-1])",
            "make them go together",
            id="shapes that are the same",
        ),
    ],
)
def test_a_diagnosis_does_not_speak_of(library: str, code: str, never: str):
    found = explained(library, code)
    said = " ".join([found.immediate_cause, *found.suggestions, found.suggested_fix or ""])
    assert never not in said


def test_rows_of_a_result_are_not_the_objects_in_them():
    found = explained("sqlalchemy", f"{NOTES}rows = session.execute(select(Note)).all()\nprint(rows[0].body)")
    assert found.suggested_fix == "rows = session.scalars(select(Note)).all()"


def test_a_compiled_file_of_a_library_is_not_taken_for_the_program():
    code = f"{NOTES}rows = session.execute(select(Note)).all()\nprint(rows[0].body)"
    pytest.importorskip("sqlalchemy")
    assert FailureContext(failure_of(code)).line == len(code.splitlines())
    assert is_library("lib/sqlalchemy/engine/_row_cy.py")
    assert not is_library("src/shop/orders.py"), "no such package is installed"


@pytest.mark.parametrize(
    ("code", "correction"),
    [
        pytest.param("np.dot(a, b)", "np.dot(a, b.T)", id="a product by a function"),
        pytest.param("a.dot(b)", "a.dot(b.T)", id="a product by a method"),
    ],
)
def test_a_matrix_is_transposed_in_each_form_of_a_product(code: str, correction: str):
    assert corrected("numpy", ARRAY + code) == correction


def test_a_size_is_one_tuple():
    assert corrected("PIL", 'from PIL import Image\nImage.new("RGB", 20, 10)') == 'Image.new("RGB", (20, 10))'


def test_a_picture_is_read_as_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff")
    found = diagnose(failure_of('with open("a.png") as file:\n    file.read()'))
    assert (found.suggested_fix, found.specifics["fix_applies_to"]) == ('with open("a.png", "rb") as file:', "line 1")


def test_a_file_that_has_nothing_to_do_with_the_failure_keeps_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    code = 'import hashlib\nwith open("a", "wb") as log:\n    log.write(b"")\nhashlib.new("md5").update(f"{1}")'
    assert "log" not in (diagnose(failure_of(code)).suggested_fix or "")
