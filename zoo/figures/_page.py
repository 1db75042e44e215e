"""A page measured in pixels from its top left corner: text and axes, tiles and other pixels.

Every figure is drawn inside `plain_style()`. matplotlib draws the text and the axes. Images, matrix cells and
the numbers in them are pasted as pixels: hundreds of text artists or dozens of axes would take too long.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from zoo.errors import ZooError
from zoo.figures._pixels import Pixels
from zoo.figures._text import DPI, FONT, Weight, drawable, font, shorten, text_width
from zoo.files import atomic_path

Color = str | tuple[int, int, int]
Key = Sequence[tuple[str, Color]]  # texts, each in its color

MARGIN = 20  # pixels of white on every side
HEADER = 62  # pixels from the top edge to the content below title and subtitle
INK = "#222222"
GREY = "#666666"
BLUE, ORANGE = (8, 81, 156), (200, 55, 0)  # correct and wrong; the color-blind can distinguish them
_KEY_GAP = 15  # pixels between two texts of a key
_MIN_WIDTH = 520  # pixels, for the title
_FRAME = 0xBB  # grey level; without a frame, a white image on white paper has no edge
_LOG_ABOVE = 50  # largest divided by smallest value; a linear axis would crowd the small ones

_STYLE = {
    "font.family": [FONT],
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


def preload() -> None:
    """Import matplotlib and find its fonts, which takes half a second; draw nothing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: F401
    from matplotlib.figure import Figure  # noqa: F401
    from matplotlib.font_manager import fontManager  # noqa: F401


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw with zoo's settings, independently of the user's matplotlibrc and notebook.

    matplotlib has one set of settings per process, so one figure is drawn at a time. The user's settings are
    restored afterwards.
    """
    import matplotlib

    # The backend is not set: that can import pyplot, and `Page` creates its canvas itself.
    defaults = {
        name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")
    }
    with _style_lock, matplotlib.rc_context({**defaults, **_STYLE}):
        yield


def as_matplotlib(color: Color) -> Any:
    """Return a color in the form that matplotlib takes."""
    return color if isinstance(color, str) else [part / 255 for part in color]


class Page:
    """A white page with a title; positions count from its top left corner, in pixels.

    Args:
        width: minimum width; a narrow page is widened for its title and key.
        key: written side by side in the line below the subtitle.

    Attributes:
        pixels: `(height, width, 3)`, at first white. What is pasted here is drawn over text and axes.
    """

    def __init__(self, width: int, height: int, title: str, subtitle: str, key: Key = ()) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        key_width = round(sum(text_width(text, 8) + _KEY_GAP for text, _ in key) - _KEY_GAP)
        self.width, self.height = max(width, key_width + 2 * MARGIN, _MIN_WIDTH), height
        self.pixels: Pixels = np.full((height, self.width, 3), 255, np.uint8)
        # The canvas rounds inches × dots down; without the 0.01, 5.79 inches become 578 pixels.
        self._figure = Figure(figsize=((self.width + 0.01) / DPI, (height + 0.01) / DPI), dpi=DPI)
        self._canvas = FigureCanvasAgg(self._figure)
        text_space = self.width - 2 * MARGIN
        self.text(MARGIN, 22, shorten(drawable(title), text_space, 12, "bold"), size=12, weight="bold")
        self.text(MARGIN, 44, shorten(drawable(subtitle), text_space, 9), color=GREY)
        x: float = MARGIN
        for text, color in key:
            self.text(x, HEADER + 4, text, size=8, color=color)
            x += text_width(text, 8) + _KEY_GAP

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 9,
        weight: Weight = "normal",
        color: Color = INK,
        **layout: Any,
    ) -> None:
        """Write `text`, vertically centred at y; `layout` is matplotlib's `ha`, `va`, `rotation`."""
        self._figure.text(
            x / self.width,
            1 - y / self.height,
            text,
            fontproperties=font(text, size, weight),
            color=as_matplotlib(color),
            parse_math=False,  # a dollar sign in a class name starts no formula
            **{"va": "center", **layout},
        )

    def words(self, x: float, y: float, words: Sequence[str], size: float) -> None:
        """Write words one by one: in a single text, Arabic and Hebrew names would swap positions."""
        for word in words:
            self.text(x, y, word, size=size)
            x += text_width(f"{word} ", size)

    def series_key(self, key: Key) -> None:
        """Write the key of the curves at the right end of the subtitle's line, where there are no curves."""
        x: float = self.width - MARGIN
        for name, color in reversed(key):
            self.text(x, 44, f"● {name}", color=color, ha="right")
            x -= round(text_width(f"● {name}", 9)) + _KEY_GAP

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Return new axes whose plotting area is this rectangle."""
        bottom = self.height - top - height
        return self._figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def tile(self, tile: Pixels, top: int, left: int) -> None:
        """Paste `tile` with a frame."""
        bottom, right = top + tile.shape[0], left + tile.shape[1]
        self.pixels[top - 1 : bottom + 1, left - 1 : right + 1] = _FRAME
        self.pixels[top:bottom, left:right] = tile

    def draw(self) -> Pixels:
        """Return the page as it is so far."""
        self._canvas.draw()
        drawn: Pixels = np.asarray(self._canvas.buffer_rgba())[:, :, :3]
        return np.minimum(drawn, self.pixels)

    def save(self, path: Path, *, palette: bool = False) -> Path:
        """Write the page as a PNG, whole or not at all; its folder is created.

        `palette` reduces the colors to 256, which makes a page of photographs a third as large.
        """
        from PIL import Image

        image: Any = Image.fromarray(self.draw())
        if palette:
            image = image.quantize(256, method=Image.Quantize.FASTOCTREE)
            # The method is fast but rounds colors: make the paper white again.
            colors, white = image.getpalette(), 3 * image.getpixel((0, 0))
            image.putpalette([*colors[:white], 255, 255, 255, *colors[white + 3 :]])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                image.save(temporary, "PNG")
        except OSError as error:
            raise ZooError(
                f"cannot write the figure {path}: {error.strerror or error}. "
                "Check the permissions of its folder and the free space on the disk."
            ) from error
        return path


def set_scale(
    axes: Any, axis: Literal["x", "y"], values: npt.NDArray[Any], *, largest: float | None = None
) -> None:
    """Set limits and ticks of an axis for `values`, logarithmic if positive values differ much.

    Args:
        values: at least one; all are finite.
        largest: the largest possible value, such as 1 for an accuracy.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, ScalarFormatter

    low, high = float(values.min()), float(values.max())
    target = axes.xaxis if axis == "x" else axes.yaxis
    formatter: Any = FuncFormatter(lambda value, _: _tick_text(value))
    if largest is None and low > 0 and high > _LOG_ABOVE * low:
        axes.set(**{f"{axis}scale": "log", f"{axis}lim": (low / 1.5, high * 1.5)})
        target.set_major_locator(LogLocator(numticks=6))
        target.set_minor_locator(NullLocator())
    else:
        # Without a smallest range, noise in the fourth digit would fill the axis.
        smallest = 0.01 if largest is not None else 0.005 * max(abs(low), abs(high), 1e-6)
        missing = max(0.0, smallest - (high - low))
        pad = 0.05 * (high - low + missing)
        low, high = low - missing / 2 - pad, high + missing / 2 + pad
        if largest is not None:
            high = min(high, largest + pad / 2)
        axes.set(**{f"{axis}lim": (low, high)})
        target.set_major_locator(MaxNLocator(8 if axis == "y" else 6, steps=[1, 2, 5, 10]))
        if 1e-3 < max(abs(low), abs(high)) < 1e3:  # the same number of decimals at every tick
            formatter = ScalarFormatter(useOffset=False)
            formatter.set_scientific(False)
    target.set_major_formatter(formatter)


def _tick_text(value: float) -> str:
    if 1e6 <= abs(value) < 1e12:
        return f"{value / 1e6:,.4g} M"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
