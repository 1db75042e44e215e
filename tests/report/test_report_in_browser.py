"""A report in headless Chromium: errors, requests, and the width of the page."""

from __future__ import annotations

import pytest
from report_studies import Trial
from shared_tools import is_as_wide_as_window, requested_urls

from zoo.report import write_report

WIDTHS = (1280, 400)


def check(browser, path):
    """Check an open report: every figure is drawn, and the page is as wide as the window."""
    assert browser.get_log("browser") == []
    assert set(requested_urls(browser)) <= {path.resolve().as_uri()}
    figures, drawn = (
        browser.execute_script(f"return document.querySelectorAll('{one}').length")
        for one in (".plot", ".plot .main-svg:first-child")
    )
    assert figures == drawn > 0
    assert is_as_wide_as_window(browser)


@pytest.mark.parametrize("width", WIDTHS)
def test_page_has_no_error_request_or_overflow(open_page, several_report, width):
    check(open_page(several_report.resolve().as_uri(), width), several_report)


@pytest.mark.parametrize("width", WIDTHS)
def test_closed_parts_open_without_overflow(open_page, several_report, width):
    page = open_page(several_report.resolve().as_uri(), width)
    page.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    check(page, several_report)


@pytest.mark.slow
def test_report_of_1000_trials_is_drawn(open_page, make_study):
    states = ("complete", "pruned", "complete", "pruned", "failed")
    trials = [Trial(states[n % 5], 0.5 + n / 2500, reason="a reason" if n % 5 else "") for n in range(1000)]
    make_study(trials, class_names=[f"class {number}" for number in range(120)])
    path = write_report("made")
    check(open_page(path.resolve().as_uri(), WIDTHS[0]), path)
    assert path.stat().st_size < 8_000_000
