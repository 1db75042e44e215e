"""The pixels of a table of images: cells to `uint8`, and the shape of the images."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.data.table_columns import as_numbers, is_packed
from zoo.errors import ZooError, shape_text

if TYPE_CHECKING:
    import pandas as pd

    from zoo.data.dataset import Array

MAX_SIDE = 4096  # pixels
WHITE = (1, 255, 1023, 4095, 16383, 65535)  # the values of white in usual ranges
DARK = 64  # of 255; zoo warns of images without a brighter pixel, such as images with 14 of 16 bits
MIN_SIDE_OF_CHECK, SAMPLE_SIZE = 8, 100  # for the check of the order of channels
MIN_RGBA_CHECK = 4  # pixels, for the check of grey images that may have four channels
MIN_RGBA_SIDE = 28  # 784 pixels are a digit of MNIST, not 14×14 with four channels


class CellError(Exception):
    """A cell that is not a pixel: its row and column, from 0, and an exact problem if known."""

    def __init__(self, row: int, column: int, problem: str = "") -> None:
        super().__init__(row, column, problem)
        self.row, self.column, self.problem = row, column, problem


def check_scale(scale: Any) -> None:
    """Raise ZooError unless the factor is a number above 0, or None."""
    is_number = isinstance(scale, int | float) or hasattr(scale, "dtype")
    if scale is not None and (isinstance(scale, bool) or not is_number or not 0 < scale < math.inf):
        raise ZooError(f"scale = {scale!r}: expected a number above 0, such as 255 for pixels from 0 to 1.")


def to_pixels(frame: pd.DataFrame, scale: float | None) -> Array:
    """Return the cells, multiplied by `scale` and rounded, as `uint8`.

    The shape is that of the frame, or `(n, …)` if one column has all pixels of an image. Raises CellError for
    the first cell that is not in the range.
    """
    import numpy as np

    if frame.shape[1] == 1 and len(frame) and is_packed(frame.iloc[:, 0]):
        return _unpack(frame.iloc[:, 0], scale)
    values = numbers_of(frame)
    pixels, is_bad = as_uint8(values, scale)
    if is_bad.any():
        row, column = np.argwhere(is_bad)[0].tolist()
        raise CellError(row, column)
    return pixels


def numbers_of(frame: pd.DataFrame) -> Array:
    """Return the cells as numbers; NaN for text and for booleans."""
    import numpy as np

    if all(dtype.kind in "iuf" for dtype in frame.dtypes):
        return frame.to_numpy()

    columns = [
        np.full(len(column), np.nan) if column.dtype.kind == "b" else as_numbers(column)
        for _, column in frame.items()
    ]
    return np.column_stack([np.asarray(column, float) for column in columns])


def as_uint8(values: Array, scale: float | None) -> tuple[Array, Array]:
    """Return the numbers as `uint8`, and a mask of those that are not integers from 0 to 255."""
    import numpy as np

    if scale is not None:
        values = np.rint(values * scale)
    with np.errstate(invalid="ignore"):
        pixels = values.astype(np.uint8)
        return pixels, (values < 0) | (values > 255) | (pixels != values)


def _unpack(column: pd.Series, scale: float | None) -> Array:
    """Return the images of a column whose cells have all pixels of an image."""
    import numpy as np

    images: list[Array] = []
    for row, cell in enumerate(column):
        try:
            numbers = re.sub(r"[\[\],;]", " ", cell).split() if isinstance(cell, str) else _nested(cell)
            pixels, is_bad = as_uint8(np.asarray(numbers, float), scale)
        except (ValueError, TypeError):
            raise CellError(row, 0) from None
        if is_bad.any():
            raise CellError(row, 0)
        if images and pixels.shape != images[0].shape:
            expected, got = shape_text(images[0].shape), shape_text(pixels.shape)
            raise CellError(row, 0, f"expected {expected} pixels as in the rows before, got {got}")
        images.append(pixels)
    return np.stack(images)


def _nested(cell: Any) -> Any:
    """Return a list of lists for an array of arrays, as in Parquet files; raise TypeError for others."""
    if isinstance(cell, str | bytes | Mapping):
        raise TypeError(cell)
    return [_nested(part) if hasattr(part, "__len__") else part for part in cell]


def usual_scale(values: Array) -> float | None:
    """Return the scale that the largest value suggests; None if unclear, or if few are out of range."""
    import numpy as np

    values = values[np.isfinite(values)]
    white = next((limit for limit in WHITE if values.max(initial=0) <= limit), None)
    if not values.size or white is None or values.min() < 0 or as_uint8(values, None)[1].mean() < 0.1:
        return None
    return float(f"{255 / white:.6g}")


def scale_hint(scale: float | None) -> str:
    """Return the advice to set this scale; "" for None."""
    return "" if scale is None else f" If {round(255 / scale)} is white, set scale = {scale:g}."


def dark_warning(table: str, pixels: Array) -> str:
    """Return a warning if all pixels are dark, because they probably have another range; usually ""."""
    brightest = int(pixels.max())
    if not 0 < brightest < DARK:
        return ""
    return (
        f"No pixel of {table} is above {brightest} of 255. If {brightest} is white, set scale = "
        f"{255 / brightest:.6g}."
    )


def image_shape_of(
    table: str, pixels: Array, image_size: tuple[int, int] | None, image_shape: Sequence[int] | None
) -> tuple[int, ...]:
    """Return height, width and channels of images with these pixels, `(n, …)`; raise ZooError if unclear."""
    count = math.prod(pixels.shape[1:])
    if image_shape is not None:
        return _given_shape(table, count, image_shape)
    if image_size is not None:
        channels = count // math.prod(image_size)
        if channels not in (1, 3, 4) or channels * math.prod(image_size) != count:
            raise ZooError(
                f"{table}: image_size = {shape_text(image_size)} does not fit images of {count:,} pixels. "
                f"Set a height and a width whose product is {count:,}."
            )
        return (*image_size, channels)
    if pixels.ndim > 2:
        return (*pixels.shape[1:], *[1] * (4 - pixels.ndim))
    shapes = [
        (side, side, channels)
        for channels in (1, 3, 4)
        if (side := math.isqrt(count // channels)) ** 2 * channels == count
        and (channels < 4 or side >= MIN_RGBA_SIDE)
    ]
    if not shapes:
        raise ZooError(
            f"{table}: {count:,} pixels are not a square, neither in grey nor in color. "
            "Set image_shape = [height, width] or [height, width, channels], or drop_columns to columns "
            "that have no pixels."
        )
    if len(shapes) > 1:
        listed = " or ".join(map(shape_text, shapes))
        raise ZooError(
            f"{table}: images of {count:,} pixels may be {listed} (height × width × channels). "
            f"Set image_shape, such as image_shape = {list(shapes[-1])}."
        )
    return shapes[0]


def alpha_warning(table: str, pixels: Array, shape: tuple[int, ...]) -> str:
    """Return a warning if the values of small grey images look like four channels; usually ""."""
    side = math.isqrt(shape[0] * shape[1] // 4)
    if pixels.ndim != 2 or shape[2] != 1 or side < MIN_RGBA_CHECK or 4 * side**2 != pixels.shape[1]:
        return ""
    # Similar values are neighbors in grey images, but four places apart in images with four channels.
    next_value, next_pixel = _distances(pixels, 1, 4)
    if next_pixel >= 0.8 * next_value:
        return ""
    return (
        f"The images in {table} are read as {shape[0]}×{shape[1]} in grey, but seem to have four channels. "
        f"If `zoo inspect samples` shows them wrongly, set image_shape = [{side}, {side}, 4]."
    )


def _given_shape(table: str, count: int, image_shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(image_shape) if isinstance(image_shape, list | tuple) else ()
    if len(shape) not in (2, 3) or not all(type(side) is int and 1 <= side <= MAX_SIDE for side in shape):
        value = list(image_shape) if isinstance(image_shape, tuple) else image_shape
        raise ZooError(
            f"image_shape = {value}: expected [height, width] or [height, width, channels], "
            f"each from 1 to {MAX_SIDE}."
        )
    if math.prod(shape) != count:
        raise ZooError(f"{table}: image_shape = {list(shape)} does not fit images of {count:,} pixels.")
    return (*shape, 1) if len(shape) == 2 else shape


def with_shape(pixels: Array, shape: tuple[int, ...], channels_first: bool) -> Array:
    """Return images as `(n, height, width, channels)`; `channels_first` describes rows of pixels."""
    import numpy as np

    if not channels_first or pixels.ndim > 2:
        return pixels.reshape(-1, *shape)
    height, width, channels = shape
    return np.ascontiguousarray(pixels.reshape(-1, channels, height, width).transpose(0, 2, 3, 1))


def channel_warning(table: str, pixels: Array, shape: tuple[int, ...]) -> str:
    """Return a warning if color images seem to be stored channel by channel; usually ""."""
    if pixels.ndim != 2 or shape[2] != 3 or shape[0] < MIN_SIDE_OF_CHECK:
        return ""
    # Vertical neighbors are similar. They are 3 × width values apart, or width values if stored by channel.
    by_channel, by_pixel = _distances(pixels, shape[1], 3 * shape[1])
    if by_channel >= 0.8 * by_pixel:
        return ""
    return (
        f"The color images in {table} seem to be stored channel by channel. If `zoo inspect samples` shows "
        "them wrongly, set channels_first = true."
    )


def _distances(pixels: Array, *offsets: int) -> list[float]:
    """Return the mean difference of values at these distances, in a sample of the images."""
    import numpy as np

    sample = pixels[:: max(1, len(pixels) // SAMPLE_SIZE)].astype(np.int16)
    return [float(np.abs(sample[:, offset:] - sample[:, :-offset]).mean()) for offset in offsets]
