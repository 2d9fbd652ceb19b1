"""The admin page in a real browser: Debian's chromium, driven by playwright.

Skipped where there is no chromium, and where playwright is not installed: `uv run --group browser pytest
tests/admin/test_page.py`. Screenshots are left in the directory of `ADMIN_SCREENSHOTS`, where that is set.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.simple_server import make_server

import pytest

from resilience import (
    CircuitOpenError,
    RetryBudget,
    adaptive_limit,
    bulkhead,
    circuit_breaker,
    rate_limit,
    retry_on_category,
    throttle,
    track_errors,
)
from resilience.admin import AdminApplication, admin
from resilience.cli.demo.web import _Handler, _Server
from resilience.config import Policies
from resilience.fleet import Fleet

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: uv run --group browser pytest tests/admin/test_page.py"
)

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH. Debian: apt-get install chromium"),
]

TOKEN = "a long random text"
LONG = 120_000.0  # milliseconds, for a browser on a busy machine
SIZES = [(360, 740), (768, 1024), (1280, 800), (1920, 1080)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # Neither a sandbox, which root cannot have, nor /dev/shm, which is small in containers.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser) -> Iterator[Callable[..., Any]]:
    """Opens pages that wait for long, and have no error on their console in the end."""
    complaints: list[str] = []
    with contextlib.ExitStack() as stack:

        def new_page(url: str, **options: object) -> Any:
            context = browser.new_context(**options)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(LONG)
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(url)
            return page

        yield new_page
    # A request that a test has had refused is an error to the browser, and none of the page.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


@contextlib.contextmanager
def serving(application: AdminApplication) -> Iterator[str]:
    with contextlib.closing(application), make_server("127.0.0.1", 0, application, _Server, _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def url() -> Iterator[str]:
    with serving(admin(token=TOKEN)) as found:
        yield found


def card(page: Any, name: str) -> Any:
    """The card of a circuit, which is found by the page's own search."""
    page.fill("#find", name)
    return page.locator("li.card", has=page.get_by_role("button", name=f" {name}")).first


def confirm(page: Any, why: str) -> None:
    page.get_by_label("Your name").fill("ada")
    page.get_by_label("Why").fill(why)
    page.get_by_label("Token").fill(TOKEN)
    page.locator("#confirm").click()
    page.locator("#dialog").wait_for(state="hidden")


def violations(page: Any) -> list[str]:
    """What axe-core finds on the page as it is."""
    from axe_playwright_python.sync_playwright import Axe

    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in Axe().run(page).response["violations"]]


# -- an operator ----------------------------------------------------------------------------------------------------


def test_a_click_isolates_a_circuit_so_that_its_next_call_is_rejected_and_another_resets_it(new_page, url: str):
    breaker = circuit_breaker("page click")
    page = new_page(url)
    card(page, "page click").get_by_role("button", name="isolate").click()
    confirm(page, "the provider is down")
    with pytest.raises(CircuitOpenError):
        breaker.call(len, "")
    shown = card(page, "page click")
    playwright.expect(shown).to_contain_text("isolate by ada: the provider is down, until", timeout=LONG)
    assert shown.locator(".tag").inner_text() == "isolated"
    shown.get_by_role("button", name="reset").click()
    confirm(page, "it is back")
    assert breaker.call(len, "") == 0


def test_an_action_needs_no_mouse(new_page, url: str):
    breaker = circuit_breaker("page keyboard")
    page = new_page(url)
    card(page, "page keyboard").wait_for()
    page.keyboard.press("Tab")
    for _ in range(20):
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == "isolate page keyboard":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#dialog").wait_for()
    page.keyboard.press("Escape")
    page.locator("#dialog").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "isolate page keyboard"
    page.keyboard.press("Enter")
    for text in ("ada", "tonight"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # for how long
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    page.locator("#dialog").wait_for(state="hidden")
    assert breaker.mode.value == "isolated"


def test_without_a_reason_or_with_a_wrong_token_nothing_is_done_and_the_dialog_says_why(new_page, url: str):
    breaker = circuit_breaker("page refused")
    page = new_page(url)
    card(page, "page refused").get_by_role("button", name="isolate").click()
    page.get_by_label("Your name").fill("ada")
    page.locator("#confirm").click()
    assert page.locator("#dialog").is_visible()
    page.get_by_label("Why").fill("tonight")
    page.get_by_label("Token").fill("wrong")
    page.locator("#confirm").click()
    playwright.expect(page.locator("#dialog-problem")).to_contain_text("give the token", timeout=LONG)
    assert breaker.mode.value == "normal"


def test_an_option_is_changed_while_the_program_runs_and_taken_back(new_page):
    policies = Policies.load({"policies": {"shop": {"retry": 2, "timeout": "500ms"}}}, environment={})
    with serving(admin(token=TOKEN, policies=policies)) as url:
        page = new_page(url)
        for value, expected in (("5", 5), ("", 2)):
            page.get_by_role("button", name="change shop retry.attempts").click()
            page.locator("#form input[name=value]").fill(value)
            confirm(page, "the provider is down")
            assert policies.value("shop", "retry") == expected
        row = page.locator("#options tr", has=page.get_by_role("button", name="change shop timeout.limit"))
        row.get_by_role("button").click()
        page.locator("#form input[name=value]").fill("2s")
        confirm(page, "it is slow")
        playwright.expect(row).to_contain_text("set at run time (by ada, it is slow)", timeout=LONG)


def test_a_page_that_reads_with_the_token_only_asks_for_it(new_page):
    kept = circuit_breaker("page private")
    with serving(admin(token=TOKEN, reading_needs_token=True)) as url:
        page = new_page(url)
        page.get_by_role("textbox", name="Token").fill(TOKEN)
        page.locator("#confirm").click()
        page.locator("#dialog").wait_for(state="hidden")
        card(page, kept.name).wait_for()


def test_a_page_that_may_change_nothing_has_no_buttons_for_it(new_page):
    kept = circuit_breaker("page read only")
    kept.isolate()
    with serving(admin()) as url:
        page = new_page(url)
        page.fill("#find", kept.name)
        playwright.expect(page.locator("#circuits")).to_contain_text("page read only", timeout=LONG)
        assert page.locator("#circuits button").count() == 0


def test_a_process_that_does_not_answer_is_said_and_so_is_its_return(new_page, url: str):
    page = new_page(url)
    page.route("**/circuits*", lambda route: route.abort())
    playwright.expect(page.locator("#problem")).to_contain_text("does not answer", timeout=LONG)
    page.unroute("**/circuits*")
    playwright.expect(page.locator("#problem")).to_be_empty(timeout=LONG)


def test_it_explains_a_function_that_calls_are_shown_of(new_page, url: str):
    for _ in range(3):
        explained()
    page = new_page(url)
    playwright.expect(page.locator("#calls")).to_contain_text("explained", timeout=LONG)
    page.locator("#explain input").fill(f"{__name__}.explained")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#explanation")).to_contain_text("worst case: 4 calls", timeout=LONG)


@track_errors()
@retry_on_category(attempts=4)
def explained() -> None: ...


# -- looks ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full() -> Iterator[str]:
    """A page on which each section has something to show."""
    fleet = Fleet("memory://", name="page")
    shared = circuit_breaker("page shared", fleet=fleet)
    shared.call(len, "")
    fleet.isolate("page shared", by="bob", why="the bank asks for it", until=600)
    policies = Policies.load({"policies": {"shop": {"retry": 2, "timeout": "500ms"}}}, environment={})
    opened = circuit_breaker("page payments", failure_threshold=2)
    parts = [
        bulkhead("page stock", 2),
        rate_limit("page geocoder", "10/s"),
        adaptive_limit("page search"),
        throttle("page mail"),
        RetryBudget("page budget"),
    ]

    @track_errors()
    @opened
    def charge() -> None:
        raise ConnectionResetError

    with serving(admin(token=TOKEN, policies=policies, fleet=fleet)) as url:
        for _ in range(5):
            with contextlib.suppress(ConnectionError, CircuitOpenError):
                charge()
        yield url
    assert len(parts) == 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES, ids=str)
def test_it_fits_the_screen_and_axe_finds_nothing(new_page, full: str, scheme: str, width: int, height: int):
    page = new_page(full, viewport={"width": width, "height": height}, color_scheme=scheme)
    sections = ("circuits", "timeline", "calls", "rejections", "loads", "fleet", "events", "configuration")
    for section in sections:
        page.locator(f"#heading-{section}").wait_for()
    page.locator("#calls .chart path").first.wait_for(state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = "[...document.querySelectorAll('button')].filter(b => b.checkVisibility() && b.offsetHeight < 44).length"
    assert page.evaluate(small) == 0, "a finger hits 44 pixels"
    assert violations(page) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    _keep(page, f"{scheme}-{width}")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != background
    assert violations(page) == []
    page.locator("#circuits button").first.click()
    page.locator("#dialog").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    _keep(page, f"{scheme}-{width}-dialog")


def _keep(page: Any, name: str) -> None:
    directory = os.environ.get("ADMIN_SCREENSHOTS")
    if directory:
        page.screenshot(path=pathlib.Path(directory) / f"{name}.png", full_page=not name.endswith("dialog"))


# -- many circuits --------------------------------------------------------------------------------------------------

WATCH = """() => {
  window.longTasks = []; window.frames = []; let before = performance.now();
  const take = list => list.getEntries().forEach(entry => longTasks.push(entry.duration));
  new PerformanceObserver(take).observe({type: "longtask"});
  const frame = now => { frames.push(now - before); before = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""


def test_ten_thousand_circuits_stay_fluid(new_page, url: str, record_property: Callable[[str, object], None]):
    hosts = circuit_breaker(
        "page hosts", key=lambda host: host, max_keys=10_000, failure_threshold=1, reset_timeout=3600
    )

    @hosts
    def fetch(host: str) -> str:
        if host.endswith("7"):
            raise ConnectionResetError
        return host

    for number in range(10_000):
        with contextlib.suppress(ConnectionResetError):
            fetch(f"host-{number}")
    page = new_page(url)
    playwright.expect(page.locator("#summary")).to_contain_text(
        re.compile(r"1\d\d\d open.*9\d\d\d closed"), timeout=LONG
    )
    page.evaluate(WATCH)
    ends = threading.Event()
    thread = threading.Thread(target=_reject, args=(fetch, ends))
    thread.start()
    try:
        for text in ("host-99", "host-997", ""):
            page.fill("#find", text)
            page.wait_for_timeout(2500)
    finally:
        ends.set()
        thread.join()
    long, frames = page.evaluate("longTasks"), sorted(page.evaluate("frames"))
    figures = (
        f"{len(frames)} frames, p99 {frames[len(frames) * 99 // 100]:.0f} ms; long tasks {[round(e) for e in long]}"
    )
    record_property("fluid", figures)
    sys.stdout.write(f"\n{figures}\n")
    # The machine of a gate is shared: what is bounded is the page's own work, with a wide margin.
    assert sum(long) < 0.5 * 7500
    assert max(long, default=0) < 1500
    page.fill("#find", "host-9997")
    playwright.expect(page.locator("#circuits li.card")).to_have_count(1, timeout=LONG)


def _reject(fetch: Callable[[str], str], ends: threading.Event) -> None:
    """Call open circuits, a thousand times a second: each rejection is an event to the page."""
    while not ends.wait(0.01):
        for number in range(7, 107, 10):
            with contextlib.suppress(CircuitOpenError, ConnectionResetError):
                fetch(f"host-{number}")


# -- the demo -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    command = [sys.executable, "-m", "resilience", "demo", "--web", "--seconds", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url, token = (process.stdout.readline().split()[1] for _ in range(2))
            yield process, url, token
        finally:
            process.terminate()


def test_the_page_shows_the_demos_circuit_open_while_its_server_is_killed_and_close_when_it_is_back(new_page, demo):
    process, url, _ = demo
    page = new_page(url)
    playwright.expect(page.locator("#calls")).to_contain_text("a second", timeout=LONG)
    next(line for line in process.stdout if "process killed" in line)
    tag = page.locator("#circuits .tag.open, #circuits .tag.half_open")
    playwright.expect(tag).to_have_count(1, timeout=LONG)
    playwright.expect(page.locator("#circuits")).to_contain_text("last failure: ", timeout=LONG)
    _keep(page, "demo-open")
    playwright.expect(page.locator("#calm")).to_have_text("All circuits are closed.", timeout=LONG)
    playwright.expect(page.locator("#timeline")).to_contain_text("demo server", timeout=LONG)
    playwright.expect(page.locator("#rejections")).to_contain_text("clients.protected", timeout=LONG)


def test_the_demos_circuit_is_isolated_by_a_click_and_its_calls_are_rejected(new_page, demo):
    _, url, token = demo
    page = new_page(url)
    page.get_by_role("button", name="isolate demo server").click()
    page.get_by_label("Your name").fill("ada")
    page.get_by_label("Why").fill("to see it")
    page.get_by_label("Token").fill(token)
    page.locator("#confirm").click()
    playwright.expect(page.locator("#circuits .tag")).to_have_text("isolated", timeout=LONG)
    before = page.evaluate("fetch('rejections').then(r => r.json()).then(r => r.rejections[0]?.number ?? 0)")
    page.wait_for_function(
        "before => fetch('rejections').then(r => r.json()).then(r => r.rejections[0]?.number > before)", arg=before
    )
