"""Fonts, and text that is measured, shortened and drawn without a page."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np

from zoo.figures._pixels import Mask

Weight = Literal["normal", "bold"]

DPI = 100
FONT = "DejaVu Sans"  # part of matplotlib, so that figures look the same on every machine

# DejaVu Sans has Latin, Greek, Cyrillic, Arabic, Hebrew and symbols. Letters that it lacks are drawn with
# these fonts if they are installed.
_FALLBACKS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans", "WenQuanYi Zen Hei"),
    *("Droid Sans Fallback", "NanumGothic", "Noto Sans Thai", "Noto Sans Devanagari", "Noto Sans Bengali"),
    *("Noto Emoji", "Noto Sans"),
    *("Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Arial Unicode MS"),  # macOS
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Leelawadee UI", "Nirmala UI"),  # Windows
)


@cache
def _fallbacks() -> tuple[str, ...]:
    """Return the installed fallback fonts, without those that have no regular face.

    matplotlib logs a warning whenever a font lacks the weight that it looks for.
    """
    from matplotlib.font_manager import fontManager

    regular = {
        face.name
        for face in fontManager.ttflist
        if face.weight in (400, "normal", "regular") and face.style == "normal"
    }
    return tuple(name for name in _FALLBACKS if name in regular)


@cache
def _letters(name: str, weight: Weight = "normal") -> frozenset[int]:
    """Return the code points that a font can draw."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties(family=name, weight=weight))).get_charmap())


@cache
def _drawable_letters() -> frozenset[int]:
    """Return the code points that can be drawn here."""
    return _letters(FONT).union(*map(_letters, _fallbacks()))


def font(text: str, size: float, weight: Weight = "normal") -> Any:
    """Return the font for `text`; bold only if DejaVu Sans has all letters, since others may lack bold."""
    from matplotlib.font_manager import FontProperties

    if _letters(FONT, weight).issuperset(map(ord, text)):
        return FontProperties(family=FONT, size=size, weight=weight)
    return FontProperties(family=[FONT, *_fallbacks()], size=size)


@cache
def _measuring_renderer() -> Any:
    """Return a renderer that measures text without a figure."""
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(1, 1, DPI)


def text_width(text: str, size: float, weight: Weight = "normal") -> float:
    """Return the width in pixels of one line of text at `size` points; kerning can make it a little less."""
    return sum(_letter_width(letter, size, weight) for letter in text)


@lru_cache(10_000)
def _letter_width(letter: str, size: float, weight: Weight) -> float:
    # Twenty letters are measured, since the width is rounded to whole pixels.
    width, _, _ = _measuring_renderer().get_text_width_height_descent(
        20 * letter, font(letter, size, weight), False
    )
    return float(width / 20)


def shorten(text: str, width: float, size: float, weight: Weight = "normal") -> str:
    """Return `text`, or as much of its beginning and end as fits into `width` pixels, with … between.

    The middle is left out because class names often differ only at one end: `n02085620-Chihuahua`.
    """

    def cut(kept: int) -> str:
        return text[: kept - kept // 2] + "…" + text[len(text) - kept // 2 :]

    if text_width(text, size, weight) <= width:
        return text
    fitting = bisect_right(range(len(text)), width, key=lambda kept: text_width(cut(kept), size, weight))
    return cut(max(fitting - 1, 0))


def short_names(class_names: Sequence[Any], width: float, size: float) -> list[str]:
    """Return a drawable name of at most `width` pixels for every class, all of them different.

    A name that is empty or that no font can draw becomes `class 3`. If shortening makes several names equal,
    their numbers are put in front: `3: name`.
    """
    names = [_one_line(name) for name in class_names]
    for number, name in enumerate(names):
        if not (name and _drawable_letters().issuperset(map(ord, name))):
            names[number] = f"class {number}"
    short = [shorten(name, width, size) for name in names]
    counts = Counter(short)
    return [
        shorten(f"{number}: {name}", width, size) if counts[short[number]] > 1 else short[number]
        for number, name in enumerate(names)
    ]


def drawable(text: str) -> str:
    """Return `text` on one line, with a question mark for every letter that no font has."""
    return "".join(letter if ord(letter) in _drawable_letters() else "?" for letter in _one_line(text))


def _one_line(text: object) -> str:
    return "".join(letter for letter in " ".join(str(text).split()) if letter.isprintable())


def text_mask(text: str, size: float) -> Mask:
    """Return one line of text as the share of ink in each pixel, `(height, width)`.

    The middle row is the middle of a capital letter, so that masks of one font size have the same baseline if
    they are pasted at the same height. Columns without ink at the left and right are cut off.
    """
    from matplotlib.backends.backend_agg import RendererAgg

    properties = font(text, size)
    width, _, _ = _measuring_renderer().get_text_width_height_descent(text, properties, False)
    _, capital, _ = _measuring_renderer().get_text_width_height_descent("H", properties, False)
    half = 2 * round(capital)  # space for accents above and descenders below
    renderer = RendererAgg(int(width) + 8, 2 * half + 1, DPI)
    ink = renderer.new_gc()
    ink.set_foreground("black")
    renderer.draw_text(ink, 4, half + round(capital / 2), text, properties, 0)
    mask = np.asarray(renderer.buffer_rgba())[:, :, 3].astype(np.float32) / np.float32(255)
    columns = np.flatnonzero(mask.any(axis=0))
    return mask[:, columns[0] : columns[-1] + 1] if len(columns) else mask[:, -1:]
