"""A sheet of paper measured in pixels from its top left corner: text, axes, images, one PNG.

Every picture is drawn inside `plain_style()`. Ready-made arrays (image tiles, matrix cells, numbers in
cells) are pasted into the finished page, pixel by pixel: hundreds of text artists or dozens of axes
would cost more than the rest of the trial's record together.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.float32]
Colors = Literal["few", "many", "all"]

DPI = 100
MARGIN = 20  # pixels of white round everything
HEADER = 62  # pixels from the top edge to what lies below title and subtitle
INK = "#222222"
GREY = "#666666"

# matplotlib's own font has no Chinese, Japanese or Korean; whichever of these is installed helps out.
_MORE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Hiragino Sans",
    "PingFang SC",
    "Arial Unicode MS",
    "Noto Sans",
)
_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": GREY,
    "xtick.color": "#999999",
    "ytick.color": "#999999",
    "xtick.labelcolor": GREY,
    "ytick.labelcolor": GREY,
}
_style_lock = threading.Lock()


@cache
def _families() -> tuple[str, ...]:
    """The fonts to draw with, best first; all of them are installed."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return ("DejaVu Sans", *(name for name in _MORE_FONTS if name in installed))


@cache
def _drawable() -> frozenset[int]:
    """The code points that `_families` have a glyph for."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = (get_font(findfont(FontProperties(family=name))) for name in _families())
    return frozenset().union(*(font.get_charmap() for font in fonts))


@cache
def _ruler() -> Any:
    """Measures text without a figure."""
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(1, 1, DPI)


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw with matplotlib's defaults and ours, whatever the user's matplotlibrc or notebook has set.

    matplotlib's settings belong to the process, so one picture is drawn at a time and the user's
    settings are put back after it.
    """
    import matplotlib

    defaults = dict(matplotlib.rcParamsDefault)
    # Reading or writing a backend may load pyplot; we name our canvas ourselves.
    settings = {name: value for name, value in defaults.items() if not name.startswith("backend")}
    with _style_lock, matplotlib.rc_context({**settings, **_STYLE, "font.family": list(_families())}):
        yield


def _font(size: float, weight: str = "normal") -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=list(_families()), size=size, weight=weight)


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width in pixels of one line of text at `size` points; kerning may make it a little less."""
    return sum(_letter_width(letter, size, weight) for letter in text)


@lru_cache(10_000)
def _letter_width(letter: str, size: float, weight: str) -> float:
    # Twenty of one letter, since measuring rounds to whole pixels.
    width: float = _ruler().get_text_width_height_descent(20 * letter, _font(size, weight), False)[0]
    return width / 20


def shorten(text: str, width: float, size: float, weight: str = "normal") -> str:
    """`text`, or as much of its beginning and its end as fits `width` pixels, with … between.

    Class names often share a beginning (`n02085620-…`) or an end, so the middle is what goes.
    """
    letters = [_letter_width(letter, size, weight) for letter in text]
    surplus = sum(letters) - width
    if surplus <= 0:
        return text
    surplus += _letter_width("…", size, weight)
    start = end = len(text) // 2  # what is cut out: one letter more on either side in turn
    while surplus > 0 and (start > 0 or end < len(text)):
        if start >= len(text) - end:
            start -= 1
            surplus -= letters[start]
        else:
            surplus -= letters[end]
            end += 1
    return text[:start] + "…" + text[end:]


def number_alike(names: Sequence[str], width: float, size: float) -> list[str]:
    """The class names; `3: name` where several would be alike once they are shortened to `width` pixels."""
    short = [shorten(name, width, size) for name in names]
    alike = {name for name, count in Counter(short).items() if count > 1}
    return [f"{number}: {name}" if short[number] in alike else name for number, name in enumerate(names)]


def _one_line(text: object) -> str:
    """As one line of printable characters."""
    return "".join(letter for letter in " ".join(str(text).split()) if letter.isprintable())


def _readable(text: str) -> str:
    """On one line, with a question mark for what no installed font could draw."""
    drawable = _drawable()
    return "".join(letter if ord(letter) in drawable else "?" for letter in _one_line(text))


def readable_names(class_names: Sequence[Any]) -> list[str]:
    """The class names on one line each; `class 3` where no installed font could draw the name."""
    drawable = _drawable()
    names = [_one_line(name) for name in class_names]
    return [
        name if name and all(ord(letter) in drawable for letter in name) else f"class {number}"
        for number, name in enumerate(names)
    ]


class Page:
    """A white page of `width` × `height` pixels; positions count from its top left corner."""

    def __init__(self, width: int, height: int) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        # The canvas rounds inches × dots down: a hair more keeps 5.79 inches from becoming 578 pixels.
        self._figure = Figure(figsize=((width + 0.01) / DPI, (height + 0.01) / DPI), dpi=DPI)
        self._canvas = FigureCanvasAgg(self._figure)

    def text(self, x: float, y: float, text: str, *, size: float = 9, color: str = INK, **how: Any) -> None:
        """Write `text` at a point; `how` is matplotlib's `ha`, `va`, `rotation`, `weight`."""
        # A dollar sign in a class name is a dollar sign, not the start of a formula.
        how = {"va": "center", "parse_math": False, **how}
        self._figure.text(x / self.width, 1 - y / self.height, text, size=size, color=color, **how)

    def header(self, title: str, subtitle: str) -> None:
        """Write the title and the line below it, shortened to the page's width."""
        room = self.width - 2 * MARGIN
        self.text(MARGIN, 22, shorten(_readable(title), room, 12, "bold"), size=12, weight="bold")
        self.text(MARGIN, 44, shorten(_readable(subtitle), room, 9), color=GREY)

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """New axes whose plotting area is this rectangle."""
        bottom = self.height - top - height
        return self._figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def pixels(self) -> Pixels:
        """What has been drawn so far, `(height, width, 3)`: a copy, to paste into."""
        self._canvas.draw()
        return np.array(self._canvas.buffer_rgba(), np.uint8)[:, :, :3].copy()


def text_mask(text: str, size: float) -> Mask:
    """One line of text as the share of ink in each pixel, `(height, width)`.

    The middle row is the middle of a capital letter, so that masks of one size pasted at one height
    stand on one line; left and right are cropped to the ink.
    """
    from matplotlib.backends.backend_agg import RendererAgg

    width = _ruler().get_text_width_height_descent(text, _font(size), False)[0]
    _, capital, _ = _ruler().get_text_width_height_descent("H", _font(size), False)
    half = 2 * round(capital)  # room for accents above and tails below
    renderer = RendererAgg(int(width) + 8, 2 * half + 1, DPI)
    ink = renderer.new_gc()
    ink.set_foreground("black")
    renderer.draw_text(ink, 4, half + round(capital / 2), text, _font(size), 0)
    mask = np.asarray(renderer.buffer_rgba())[:, :, 3].astype(np.float32) / np.float32(255)
    return crop_columns(mask)


def crop_columns(mask: Mask) -> Mask:
    """Without what is empty on the left and on the right; the last column of a mask without any ink."""
    columns = np.flatnonzero(mask.max(axis=0))
    if not len(columns):
        return mask[:, -1:]
    return mask[:, columns[0] : columns[-1] + 1]


def paste_ink(pixels: Pixels, mask: Mask, y: int, x: int, ink: int | tuple[int, int, int]) -> None:
    """Lay `mask` onto `pixels`, its top left corner at row y, column x; `ink` is a grey level or RGB."""
    area = pixels[y : y + mask.shape[0], x : x + mask.shape[1]]
    area[:] = (area + (np.asarray(ink, np.float32) - area) * mask[:, :, None]).round()


def write_png(pixels: Pixels, path: str | os.PathLike[str], *, colors: Colors = "few") -> Path:
    """Write `(height, width, 3)` pixels; the file is complete or absent.

    Args:
        colors: `few` and `many` keep at most 256, which takes a third of the bytes and less time to
            compress: for charts, and for the photographs that every trial leaves. `all` keeps every one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = _WRITERS[colors](pixels)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        image.save(unfinished, "PNG")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _of_photographs(pixels: Pixels) -> Any:
    """A palette chosen for the whole; neighbours are mixed, or smooth areas would turn into steps."""
    from PIL import Image

    image = Image.fromarray(pixels)
    rough = image.quantize(256, method=Image.Quantize.FASTOCTREE)
    palette = np.array(rough.getpalette("RGB"))
    palette[palette >= 253] = 255  # the method averages; paper is to be white, not nearly white
    rough.putpalette(palette.tolist())
    return image.quantize(palette=rough, dither=Image.Dither.FLOYDSTEINBERG)


def _of_a_chart(pixels: Pixels) -> Any:
    """The most frequent colours exactly, the edges of letters and lines in the nearest there is."""
    from PIL import Image

    counted: Any = Image.fromarray(pixels).getcolors(pixels.size)
    colors = np.array([color for _, color in sorted(counted, reverse=True)], np.int32)
    palette, nearest = pick_palette(colors)
    number = np.zeros(1 << 24, np.uint8)  # by colour; the system hands out only the pages written to
    number[_packed(colors)] = nearest
    image = Image.fromarray(number[_packed(pixels)], "P")
    image.putpalette(palette.astype(np.uint8).tobytes(), "RGB")
    return image


def pick_palette(colors: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Choose 256 of the colours `(n, 3)`, the most frequent of which come first.

    The first 192 are taken; then, one by one, whichever is farthest from all that is taken, so that
    a rare colour, such as a word in the key, is not lost to the shades of a frequent one.

    Returns:
        The palette, `(at most 256, 3)`, and for every colour the number of the nearest in it, `(n,)`.
    """
    taken = list(range(min(192, len(colors))))
    # |a - b|² = |a|² - 2ab + |b|²
    squares = (colors**2).sum(axis=1)
    distances = squares[:, None] - 2.0 * colors @ colors[taken].T + squares[taken]
    nearest, distance = distances.argmin(axis=1), distances.min(axis=1)
    while len(taken) < min(256, len(colors)):
        farthest = int(distance.argmax())
        to_it = ((colors - colors[farthest]) ** 2).sum(axis=1)
        nearer = to_it < distance
        nearest[nearer], distance[nearer] = len(taken), to_it[nearer]
        taken.append(farthest)
    return colors[taken], nearest


def _as_they_are(pixels: Pixels) -> Any:
    from PIL import Image

    return Image.fromarray(pixels)


_WRITERS: dict[str, Callable[[Pixels], Any]] = {
    "few": _of_a_chart,
    "many": _of_photographs,
    "all": _as_they_are,
}


def _packed(colors: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Red, green, blue on the last axis as one number below 2²⁴."""
    red, green, blue = np.moveaxis(colors.astype(np.int32), -1, 0)
    packed: npt.NDArray[np.int32] = red << 16 | green << 8 | blue
    return packed
