"""Fonts and shortened names; no font that is installed changes a figure or makes matplotlib log."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.figures import _text as text_module
from zoo.figures import confusion_matrix, learning_curves, mistakes
from zoo.figures._page import Page, plain_style
from zoo.figures._text import short_names, shorten, text_mask, text_width

CAT = "\N{CJK UNIFIED IDEOGRAPH-732B}"  # a letter that DejaVu Sans lacks


def clear_caches():
    for name in ("_fallbacks", "_letters", "_drawable_letters", "_letter_width"):
        getattr(text_module, name).cache_clear()


@pytest.fixture
def install_font(tmp_path, monkeypatch):
    """install_font("Droid Sans Fallback", 700) -> matplotlib finds a font with ASCII and a CAT."""
    from fontTools.ttLib import TTFont
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    def install(name, weight=400):
        font = TTFont(findfont(FontProperties(family="DejaVu Sans")))
        for record in font["name"].names:
            if record.nameID in (1, 16):
                record.string = name
        font["OS/2"].usWeightClass = weight
        for table in font["cmap"].tables:
            table.cmap = dict.fromkeys((*range(32, 127), ord(CAT)), "W")  # unlike any other font
        path = tmp_path / f"{name}-{weight}.ttf"
        font.save(path)
        fontManager.addfont(path)
        clear_caches()

    others = [entry for entry in fontManager.ttflist if entry.name not in text_module._FALLBACKS]
    monkeypatch.setattr(fontManager, "ttflist", others)
    clear_caches()
    yield install
    monkeypatch.undo()
    clear_caches()


def draw(folder, epochs, names):
    images = np.zeros((4, 8, 8, 1), np.uint8)
    labels, table = [0, 1, 1, 0], np.eye(2)[[0, 1, 0, 1]]
    title = f"{names[0]}, trial 7"
    return [
        learning_curves(epochs, folder / "c.png", best_epoch=2, title=title).read_bytes(),
        confusion_matrix(labels, table.argmax(axis=1), names, folder / "m.png", title=title).read_bytes(),
        mistakes(images, labels, table, names, folder / "w.png", title=title).read_bytes(),
    ]


def test_installed_fonts_do_not_change_figures(tmp_path, epoch_events, install_font):
    before = draw(tmp_path, epoch_events(3), ["cat", "dog"])
    for name in ("DejaVu Sans", "Droid Sans Fallback", "Noto Sans CJK SC", "Arial"):
        install_font(name)
    assert draw(tmp_path, epoch_events(3), ["cat", "dog"]) == before


@pytest.mark.parametrize("weight", [100, 400, 700])
def test_no_fallback_makes_matplotlib_log(tmp_path, epoch_events, install_font, caplog, weight):
    install_font("Droid Sans Fallback", weight)
    with caplog.at_level(logging.WARNING):
        draw(tmp_path, epoch_events(3), [CAT, "dog"])
    assert caplog.messages == []


@pytest.mark.filterwarnings("error")
def test_installed_fallback_is_used(tmp_path, epoch_events, install_font):
    with plain_style():
        assert short_names([CAT], 1000, 9) == ["class 0"]
    without = draw(tmp_path, epoch_events(3), [CAT, "dog"])
    install_font("Noto Sans CJK JP")
    with plain_style():
        assert short_names([CAT], 1000, 9) == [CAT]
    assert all(a != b for a, b in zip(draw(tmp_path, epoch_events(3), [CAT, "dog"]), without, strict=True))


@pytest.mark.filterwarnings("error")
def test_fonts_of_this_machine_do_not_make_matplotlib_log(tmp_path, epoch_events, caplog):
    if not text_module._fallbacks():
        pytest.skip("no fallback font is installed (Debian: fonts-droid-fallback)")
    with caplog.at_level(logging.WARNING):
        draw(tmp_path, epoch_events(3), [CAT, "ไทย 한국어"])
    assert caplog.messages == []


@settings(deadline=None)
@given(text=st.text("abcdefgh_-0123 äж", max_size=60), width=st.integers(40, 200))
def test_shortened_text_fits_and_keeps_both_ends(text, width):
    with plain_style():
        short = shorten(text, width, 9)
        assert text_width(short, 9) <= width
        assert short == text or text_width(text, 9) > width
    if short != text:
        start, _, end = short.partition("…")
        assert text.startswith(start)
        assert text.endswith(end)
        assert abs(len(start) - len(end)) <= 1


def test_names_that_shorten_to_equal_are_numbered():
    names = [f"class number {number} with a long name" for number in range(3)]
    with plain_style():
        *short, last = short_names([*names, "cat"], 80, 9)
        assert [name[:3] for name in short] == ["0: ", "1: ", "2: "]
        assert last == "cat"
        assert short_names(names, 1000, 9) == names


@pytest.mark.filterwarnings("error")
def test_undrawable_letter_in_header_becomes_question_mark():
    with plain_style():
        strange = Page(400, 100, "a \U00012000 b", "of class \U00012000")
        expected = Page(400, 100, "a ? b", "of class ?")
        np.testing.assert_array_equal(strange.draw(), expected.draw())


def test_text_width_matches_the_drawn_text():
    with plain_style():
        for text in ("Ankle boot", "n02085620-Chihuahua", "ÄÖÜ straße", "iiiiiiii", "WWWWWWWW"):
            assert abs(text_width(text, 9) - text_mask(text, 9).shape[1]) < 4


def test_undrawable_names_become_numbers():
    with plain_style():
        names = short_names(["cat", "", "two\n lines", "\U000f0000", "\udce9", 7], 1000, 9)
    assert names == ["cat", "class 1", "two lines", "class 3", "class 4", "7"]


def test_short_names_are_different_and_fit():
    with plain_style():
        names = short_names([f"class number {number} with a long name" for number in range(3)] + [""], 80, 9)
        assert max(text_width(name, 9) for name in names) <= 80
    assert len(set(names)) == 4
