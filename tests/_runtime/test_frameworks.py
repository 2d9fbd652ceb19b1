"""Frameworks and tools that look at functions take a guarded one as they take the original."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated

import anyio
import click
import coverage
import httpx
import pytest
from click.testing import CliRunner
from fastapi import Depends, FastAPI, Header, HTTPException, Query

import resilience
from resilience import circuit_breaker, retry_on_category

retry = retry_on_category(attempts=2, base_delay=0)
circuit = circuit_breaker("frameworks", failure_threshold=10**9)


def twice(function: Callable) -> Callable:
    return circuit(retry(function))


# -- FastAPI: string annotations, as in most modules of today --------------------------------------------------------

fails: list[type[Exception]] = []


@retry
def rate(currency: Annotated[str, Query(max_length=3)] = "EUR") -> float:
    return {"EUR": 1.0, "USD": 1.25}[currency]


@twice
async def customer(x_customer: Annotated[str | None, Header()] = None) -> str:
    if x_customer is None:
        raise HTTPException(401, "who are you?")
    return x_customer


class Basket:
    """A dependency that is an object: guarded too."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __call__(self, count: Annotated[int, Query(ge=1)] = 1) -> int:
        return min(count, self.most)


Rate = Annotated[float, Depends(rate)]
Customer = Annotated[str, Depends(customer)]


def price(item: str, rate: Rate, customer: Customer, count: Annotated[int, Query(ge=1, description="how many")] = 1):
    """Say what it costs."""
    if fails:
        raise fails.pop()
    return {"item": item, "customer": customer, "price": 10 * rate * count}


async def aprice(
    item: str, rate: Rate, customer: Customer, count: Annotated[int, Query(ge=1)] = 1
) -> dict[str, object]:
    """Say what it costs, in time."""
    return price(item, rate, customer, count)


def service(guard: Callable[[Callable], Callable]) -> FastAPI:
    app = FastAPI()
    app.get("/price/{item}")(guard(price))
    app.get("/aprice/{item}")(guard(aprice))
    return app


def ask(app: FastAPI, path: str, customer: str | None = "ann") -> httpx.Response:
    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
            return await client.get(path, headers={"x-customer": customer} if customer else {})

    return anyio.run(main)


@pytest.mark.parametrize("guard", [retry, twice], ids=["retry", "retry and circuit"])
@pytest.mark.parametrize("endpoint", ["price", "aprice"])
def test_fastapi_injects_into_guarded_endpoints_and_dependencies(endpoint: str, guard: Callable):
    app = service(guard)
    fails.append(ConnectionResetError)  # the first call fails, and is made again
    answer = ask(app, f"/{endpoint}/lamp?currency=USD&count=2")
    assert not fails
    assert answer.json() == {"item": "lamp", "customer": "ann", "price": 25.0}


@pytest.mark.parametrize("endpoint", ["price", "aprice"])
def test_fastapi_checks_what_a_guarded_endpoint_is_given(endpoint: str):
    app = service(retry)
    assert ask(app, f"/{endpoint}/lamp", customer=None).status_code == 401
    assert ask(app, f"/{endpoint}/lamp?currency=EURO").status_code == 422
    wrong = ask(app, f"/{endpoint}/lamp?count=0")
    assert wrong.json()["detail"][0]["loc"] == ["query", "count"]


def test_fastapi_describes_guarded_endpoints_as_it_does_the_originals():
    described = service(twice).openapi()
    assert described == service(lambda function: function).openapi()
    parameters = described["paths"]["/price/{item}"]["get"]["parameters"]
    assert [(each["in"], each["name"]) for each in parameters] == [
        ("path", "item"),
        ("query", "count"),
        ("query", "currency"),
        ("header", "x-customer"),
    ]


def test_fastapi_takes_a_guarded_object_for_a_dependency():
    app = FastAPI()

    @app.get("/")
    @retry
    async def buy(count: Annotated[int, Depends(retry(Basket(most=3)))]) -> int:
        return count

    assert ask(app, "/?count=9").json() == 3


# -- click ----------------------------------------------------------------------------------------------------------

options = click.option("--count", default=1, show_default=True, help="How many.")
argument = click.argument("item")


PLACES = {
    "below the options": lambda function: options(argument(twice(function))),
    "above the options": lambda function: twice(options(argument(function))),
    "between the options": lambda function: options(retry(argument(function))),
    "between two guards": lambda function: circuit(options(retry(argument(retry(function))))),
}


def command(decorate: Callable) -> click.Command:
    def order(item: str, count: int) -> None:
        """Order an item."""
        if fails:
            raise fails.pop()
        click.echo(f"{count} {item}")

    return click.command()(decorate(order))


@pytest.mark.parametrize("place", PLACES)
def test_click_makes_a_command_of_a_guarded_function(place: str):
    fails.append(ConnectionResetError)
    guarded, original = command(PLACES[place]), command(lambda function: options(argument(function)))
    for arguments in (["lamp", "--count", "2"], ["lamp"], [], ["lamp", "--count", "two"], ["--help"]):
        said, expected = (CliRunner().invoke(each, arguments) for each in (guarded, original))
        assert (said.exit_code, said.output) == (expected.exit_code, expected.output)


def test_click_passes_its_context_to_a_guarded_function_of_a_group():
    @click.group()
    @click.option("--shop")
    @click.pass_context
    @retry
    def cli(context: click.Context, shop: str) -> None:
        context.obj = shop

    @cli.command()
    @click.pass_obj
    @retry
    def where(shop: str) -> None:
        click.echo(shop)

    assert CliRunner().invoke(cli, ["--shop", "corner", "where"]).output == "corner\n"


# -- tools that look at a module, in processes of their own ----------------------------------------------------------

SHOP = '''
"""A shop."""

from __future__ import annotations

{form}
from resilience import circuit_breaker, retry_on_category

retry = retry_on_category(attempts=2, base_delay=0)
circuit = circuit_breaker("shop")


@retry
def order(item: str, /, count: int = 1, *, by: Customer | None = None) -> str:
    """Order an item.

    >>> order("lamp", 2)
    '2 lamp'
    """
    answer = f"{{count}} {{item}}"
    if count > 2:
        return answer + "s"
    return answer


@circuit
@retry
async def fetch(item: str) -> str:
    """Fetch an item."""
    return item


class Customer:
    """Who orders."""

    @retry
    def pay(self, amount: float, *more: float) -> float:
        """Pay an amount.

        >>> Customer().pay(3.0)
        4.0
        """
        return amount

    @retry
    @staticmethod
    async def named(name: str) -> Customer:
        """Look a customer up."""
        return Customer()
'''
ROOT = pathlib.Path(resilience.__file__).parents[1]


@pytest.fixture
def shop(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> pathlib.Path:
    """A module of guarded functions, in the form that the tests are run with."""
    general = request.config.getoption("wrappers") == "general"
    form = "from resilience._runtime import fast_path as wrappers; wrappers.parameters_of = lambda _: wrappers.ANYTHING"
    (tmp_path / "shop.py").write_text(SHOP.format(form=form if general else "").lstrip())
    return tmp_path


def run(where: pathlib.Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module, as a developer does in the directory *where*."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=where,
        env=os.environ | {"PYTHONPATH": f"{where}{os.pathsep}{ROOT}"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


TESTS = """
import pytest
from resilience import circuit_breaker, retry_on_category

from shop import order

retry = retry_on_category(attempts=2, base_delay=0)
circuit = circuit_breaker("tests", failure_threshold=1000)
fails = [ConnectionResetError]


@pytest.fixture(params=["lamp", "desk"])
@retry
def item(request):
    if fails:
        raise fails.pop()
    return request.param


@pytest.fixture
@circuit
@retry
def count():
    return 2


@retry
def test_with_fixtures(item, count):
    assert order(item, count) == f"2 {item}"


@pytest.mark.parametrize("count", [1, 3])
@retry
def test_with_parameters_above(count, item):
    assert order(item, count).startswith(str(count))


@circuit
@pytest.mark.parametrize("count", [1, 3])
@retry
def test_with_parameters_between(count, tmp_path):
    assert tmp_path.is_dir()


class TestMethods:
    @retry
    def test_method(self, count):
        assert count == 2


@retry
@pytest.mark.anyio
async def test_async(count, anyio_backend_name):
    assert anyio_backend_name == "asyncio"


@retry
@pytest.mark.xfail(raises=ConnectionResetError)
def test_marked(count):
    raise ConnectionResetError


@retry
def test_that_fails(count):
    assert count == 3  # HERE
"""


def test_pytest_takes_guarded_functions_for_fixtures_and_tests(shop: pathlib.Path):
    (shop / "test_shop.py").write_text(TESTS)
    options = "-rA --tb=short --doctest-modules -W error -p no:cacheprovider -p anyio -k".split()
    done = run(shop, "pytest", *options, "not trio", "shop.py", "test_shop.py", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    said = [line.partition(" - ")[0].replace("test_shop.py::", "") for line in done.stdout.splitlines()]
    assert sorted(line for line in said if re.match("[A-Z]{4,} ", line)) == [
        "FAILED shop.py::shop.Customer.pay",
        "FAILED test_that_fails",
        "PASSED TestMethods::test_method",
        "PASSED shop.py::shop.order",
        "PASSED test_async[asyncio]",
        "PASSED test_with_fixtures[desk]",
        "PASSED test_with_fixtures[lamp]",
        "PASSED test_with_parameters_above[desk-1]",
        "PASSED test_with_parameters_above[desk-3]",
        "PASSED test_with_parameters_above[lamp-1]",
        "PASSED test_with_parameters_above[lamp-3]",
        "PASSED test_with_parameters_between[1]",
        "PASSED test_with_parameters_between[3]",
        "XFAIL test_marked",
    ], done.stdout + done.stderr
    assert f"test_shop.py:{line_of(shop / 'test_shop.py', '# HERE')}: in test_that_fails" in done.stdout
    assert f"shop.py:{line_of(shop / 'shop.py', '>>> Customer()')}: DocTestFailure" in done.stdout


def line_of(file: pathlib.Path, text: str) -> int:
    """Return the number of the one line with *text* in it."""
    (number,) = [number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line]
    return number


def test_sphinx_documents_guarded_functions(shop: pathlib.Path):
    (shop / "conf.py").write_text("extensions = ['sphinx.ext.autodoc']\nautodoc_typehints = 'both'\n")
    (shop / "index.rst").write_text("Shop\n====\n\n.. automodule:: shop\n   :members:\n")
    done = run(shop, "sphinx", "-q", "-W", "-b", "text", ".", "built")
    assert (done.returncode, done.stderr) == (0, "")
    page = (shop / "built" / "index.txt").read_text()
    for expected in (
        "shop.order(item: str, /, count: int = 1, *, by: Customer | None = None) -> str\n\n   Order an item.",
        "async shop.fetch(item: str) -> str\n\n   Fetch an item.",
        "   pay(amount: float, *more: float) -> float\n\n      Pay an amount.",
        "   async static named(name: str) -> Customer\n\n      Look a customer up.",
        "* **count** (*int*)",
    ):
        assert expected in page


DRIVE = """
import asyncio
from shop import Customer, fetch, order

order("lamp")
asyncio.run(fetch("lamp"))
Customer().pay(1.0, 2.0)
asyncio.run(Customer.named("ann"))
"""


@pytest.mark.parametrize("core", ["ctrace", "sysmon"])
def test_coverage_counts_the_lines_of_guarded_functions_and_looks_for_no_file_of_ours(shop: pathlib.Path, core: str):
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("sys.monitoring is new in 3.12")
    (shop / "drive.py").write_text(DRIVE)
    (shop / ".coveragerc").write_text("")  # of no project
    branch = [] if core == "sysmon" and sys.version_info < (3, 14) else ["--branch"]
    done = run(shop, "coverage", "run", *branch, f"--omit={ROOT}/resilience/*", "drive.py", COVERAGE_CORE=core)
    assert (done.returncode, done.stderr) == (0, "")
    measured = coverage.Coverage(data_file=shop / ".coverage", config_file=False)
    measured.load()
    assert sorted(pathlib.Path(file).name for file in measured.get_data().measured_files()) == ["drive.py", "shop.py"]
    measured.html_report(directory=str(shop / "html"))
    measured.json_report(outfile=str(shop / "report.json"))
    (report,) = [
        file for name, file in json.loads((shop / "report.json").read_text())["files"].items() if "shop.py" in name
    ]
    assert report["missing_lines"] == [line_of(shop / "shop.py", 'answer + "s"')]
