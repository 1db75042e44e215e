"""A report in headless Chromium: errors, requests, and the width of the page."""

from __future__ import annotations

import json
import shutil

import pytest
from report_studies import Trial

from zoo.report import write_report

webdriver = pytest.importorskip("selenium.webdriver")

OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WIDTHS = (1280, 400)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A Chromium of its own; skipped with a reason where none is installed."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("neither Chromium nor chromedriver is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture
def open_page(browser):
    """open_page(path, width) opens a page in a window of that width."""

    def open_at(path, width):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(path.resolve().as_uri())
        return browser

    return open_at


def requested(browser):
    """Return the addresses that the browser has requested for pages, without its own."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in urls if not url.startswith(("data:", "chrome:", "blob:"))]


def check(browser, path):
    """Check an open report: every figure is drawn, and the page is as wide as the window."""
    assert browser.get_log("browser") == []
    assert set(requested(browser)) <= {path.resolve().as_uri()}
    figures, drawn = (
        browser.execute_script(f"return document.querySelectorAll('{one}').length")
        for one in (".plot", ".plot .main-svg:first-child")
    )
    assert figures == drawn > 0
    assert browser.execute_script(
        "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_page_has_no_error_request_or_overflow(open_page, several_report, width):
    check(open_page(several_report, width), several_report)


@pytest.mark.parametrize("width", WIDTHS)
def test_closed_parts_open_without_overflow(open_page, several_report, width):
    page = open_page(several_report, width)
    page.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    check(page, several_report)


@pytest.mark.slow
def test_report_of_1000_trials_is_drawn(open_page, make_study):
    states = ("complete", "pruned", "complete", "pruned", "failed")
    trials = [Trial(states[n % 5], 0.5 + n / 2500, reason="a reason" if n % 5 else "") for n in range(1000)]
    make_study(trials, class_names=[f"class {number}" for number in range(120)])
    path = write_report("made")
    check(open_page(path, WIDTHS[0]), path)
    assert path.stat().st_size < 8_000_000
