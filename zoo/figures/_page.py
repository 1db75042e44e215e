"""A page measured in pixels from its top left corner: text and axes, which become pixels.

Every figure is drawn inside `plain_style()`. Images, matrix cells and the numbers in them are pasted into
the finished pixels: hundreds of text artists or dozens of axes would take too long.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from zoo.figures._png import Pixels
from zoo.figures._text import DPI, FONT, Weight, font, readable, shorten, text_width

MARGIN = 20  # pixels of white on every side
HEADER = 62  # pixels from the top edge to the content below title and subtitle
INK = "#222222"
GREY = "#666666"
_KEY_GAP = 15  # pixels between two entries of a key

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


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw with zoo's settings, independently of the user's matplotlibrc and notebook.

    matplotlib has one set of settings per process, so one figure is drawn at a time. The user's settings are
    restored afterwards.
    """
    import matplotlib

    # Setting a backend can import pyplot, and `Page` names its canvas itself.
    defaults = {
        name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")
    }
    with _style_lock, matplotlib.rc_context({**defaults, **_STYLE}):
        yield


class Page:
    """A white page of `width` × `height` pixels; positions count from its top left corner."""

    def __init__(self, width: int, height: int) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        # The canvas rounds inches × dots down; without the 0.01, 5.79 inches become 578 pixels.
        self._figure = Figure(figsize=((width + 0.01) / DPI, (height + 0.01) / DPI), dpi=DPI)
        self._canvas = FigureCanvasAgg(self._figure)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 9,
        weight: Weight = "normal",
        color: str = INK,
        **layout: Any,
    ) -> None:
        """Write `text`, vertically centred at y; `layout` is matplotlib's `ha`, `va`, `rotation`."""
        layout = {"va": "center", **layout}
        self._figure.text(
            x / self.width,
            1 - y / self.height,
            text,
            fontproperties=font(text, size, weight),
            color=color,
            parse_math=False,  # a dollar sign in a class name starts no formula
            **layout,
        )

    def header(self, title: str, subtitle: str) -> None:
        """Write the title and the line below it, shortened to the page's width."""
        room = self.width - 2 * MARGIN
        self.text(MARGIN, 22, shorten(readable(title), room, 12, "bold"), size=12, weight="bold")
        self.text(MARGIN, 44, shorten(readable(subtitle), room, 9), color=GREY)

    def key(self, entries: Sequence[tuple[str, str]], *, size: float = 8) -> None:
        """Write each text in its colour, one beside the other, in the line below the header."""
        x: float = MARGIN
        for text, color in entries:
            self.text(x, HEADER + 4, text, size=size, color=color)
            x += text_width(text, size) + _KEY_GAP

    def series_key(self, entries: Sequence[tuple[str, str]]) -> None:
        """Name series by their colours at the right end of the subtitle's line, away from the curves."""
        x: float = self.width - MARGIN
        for name, color in reversed(entries):
            self.text(x, 44, f"● {name}", color=color, ha="right")
            x -= round(text_width(f"● {name}", 9)) + _KEY_GAP

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Return new axes whose plotting area is this rectangle."""
        bottom = self.height - top - height
        return self._figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def pixels(self) -> Pixels:
        """Return what is drawn so far, `(height, width, 3)`: a copy, to paste into."""
        self._canvas.draw()
        return np.array(self._canvas.buffer_rgba(), np.uint8)[:, :, :3].copy()


def key_width(entries: Sequence[tuple[str, str]], size: float = 8) -> int:
    """Return the width in pixels of a key."""
    return round(sum(text_width(text, size) + _KEY_GAP for text, _ in entries) - _KEY_GAP)


def hex_color(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
