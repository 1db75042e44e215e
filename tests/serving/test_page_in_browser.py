"""The page in headless Chromium."""

from __future__ import annotations

import pytest
from shared_tools import is_as_wide_as_window, requested_urls

WIDTHS = (1280, 400)
pytestmark = pytest.mark.timeout(240)

# Drop an image of 8×8 black pixels on the page, as the mouse would.
DROP = """
const done = arguments[0], canvas = document.createElement("canvas");
canvas.width = canvas.height = 8;
canvas.getContext("2d").fillRect(0, 0, 8, 8);
canvas.toBlob(blob => {
  const data = new DataTransfer();
  data.items.add(new File([blob], "dropped.png", { type: "image/png" }));
  document.querySelector(".zone").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
  done();
});
"""


@pytest.fixture
def page(open_page, server):
    """page(width) opens the page in a window of that width."""
    return lambda width=1280: open_page(f"{server.address}/", width)


def text_of(page, name):
    """Wait until the element with this id has a text or is visible, and return its text."""
    from selenium.webdriver.support.ui import WebDriverWait

    element = page.find_element("id", name)
    WebDriverWait(page, 120).until(
        lambda _: element.is_displayed() and element.text not in ("", "Predicting …")
    )
    return element.text


@pytest.mark.parametrize("width", WIDTHS)
def test_chosen_file_is_classified(page, server, files, labels, classifier, width):
    opened = page(width)
    requested_urls(opened)
    assert is_as_wide_as_window(opened)
    opened.find_element("id", "file").send_keys(str(files[2]))
    assert text_of(opened, "status") == f"Most probable class: {labels[2]}"
    first, *others = [row.text for row in opened.find_elements("css selector", "#best li")]
    (prediction,) = classifier.predictions(files[2])
    ((name, probability),) = classifier.top_classes(prediction, 1)
    assert first.split("\n") == [name, f"{100 * probability:.2f} %"]
    assert len(others) == 4
    assert text_of(opened, "filename") == files[2].name
    assert is_as_wide_as_window(opened)
    assert opened.get_log("browser") == []
    assert set(requested_urls(opened)) == {f"{server.address}/invocations"}
    opened.find_element("css selector", "#more summary").click()
    assert len(opened.find_elements("css selector", "#others li")) == 5
    assert is_as_wide_as_window(opened)


def test_page_works_with_the_keyboard(page, files, labels):
    from selenium.webdriver import ActionChains, Keys

    opened = page()
    ActionChains(opened).send_keys(Keys.TAB).perform()
    focused = opened.switch_to.active_element
    assert focused.get_attribute("id") == "file"
    outline = "return getComputedStyle(document.querySelector('.zone')).outlineStyle"
    assert opened.execute_script(outline) == "solid"
    focused.send_keys(str(files[0]))
    assert text_of(opened, "status") == f"Most probable class: {labels[0]}"
    ActionChains(opened).send_keys(Keys.TAB).perform()
    assert opened.switch_to.active_element.tag_name == "summary"
    ActionChains(opened).send_keys(Keys.ENTER).perform()
    assert opened.find_element("id", "others").is_displayed()


def test_dropped_file_is_classified(page):
    opened = page()
    opened.execute_async_script(DROP)
    assert text_of(opened, "filename") == "dropped.png"


def test_problem_is_shown_and_replaced(page, files, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    (tmp_path / "b.png").write_bytes(bytes(1_000_001))
    opened = page()
    opened.find_element("id", "file").send_keys(str(tmp_path / "a.png"))
    assert text_of(opened, "problem") == "'a.png' cannot be read: not an image"
    assert not opened.find_element("id", "result").is_displayed()
    opened.find_element("id", "file").send_keys(str(tmp_path / "b.png"))
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(opened, 120).until(lambda _: text_of(opened, "problem").startswith("b.png is too large"))
    opened.find_element("id", "file").send_keys(str(files[0]))
    assert text_of(opened, "status").startswith("Most probable class: ")
    assert not opened.find_element("id", "problem").is_displayed()
