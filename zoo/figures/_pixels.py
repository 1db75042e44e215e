"""Arrays of pixels: images at any size, numbers as colors, masks of ink."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.float32]


def make_tile(image: Any, box: int) -> Pixels:
    """Return an image `(height, width, channels)` in color and at the size of `tile_size`."""
    image = np.asarray(image)
    return resize(colored(image), *tile_size(image.shape, box))


def tile_size(shape: tuple[int, ...], box: int) -> tuple[int, int]:
    """Return the height and width at which an image fills a square of about `box` pixels.

    The pixels of a small image become squares of whole pixels, so its longer side can be up to a third longer
    or shorter than `box`. A large image is resampled to `box`.
    """
    height, width = shape[:2]
    longer = max(height, width)
    scale = max(1, round(box / longer)) if longer <= box else box / longer
    return max(1, round(height * scale)), max(1, round(width * scale))


def colored(image: npt.NDArray[Any]) -> Pixels:
    """Return `(height, width, 3)`: grey is repeated, a fourth channel dropped."""
    image = image.astype(np.uint8, copy=False)
    return image[:, :, :3] if is_colored(image) else image[:, :, :1].repeat(3, axis=2)


def is_colored(image: npt.NDArray[Any]) -> bool:
    """Return True if an image `(height, width, channels)` is drawn in color."""
    return bool(image.shape[2] >= 3)


def resize(image: Pixels, height: int, width: int) -> Pixels:
    """Return `image` at another size: pixels are repeated if both sides grow, else averaged."""
    from PIL import Image

    is_enlarged = image.shape[0] <= height and image.shape[1] <= width
    method = Image.Resampling.NEAREST if is_enlarged else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), method))


def paste_ink(pixels: Pixels, mask: Mask, y: int, x: int, ink: int | tuple[int, int, int]) -> None:
    """Draw `mask` on `pixels`, with its top left corner at row y, column x; `ink` is a grey level or RGB."""
    area = pixels[y : y + mask.shape[0], x : x + mask.shape[1]]
    area[:] = (area + (np.asarray(ink, np.float32) - area) * mask[:, :, None]).round()


def _ramp(*stops: tuple[int, int, int]) -> Pixels:
    """Return 256 colors, `(256, 3)`, interpolated between evenly spaced `stops`."""
    positions = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), positions, channel) for channel in zip(*stops, strict=True)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


# From white to dark, with steadily falling lightness.
_BLUES = _ramp((255, 255, 255), (158, 202, 225), (49, 130, 189), (8, 48, 107))
_ORANGES = _ramp((255, 255, 255), (253, 190, 133), (230, 85, 13), (127, 39, 4))


def signed_shades(values: npt.NDArray[Any]) -> Pixels:
    """Return a color for each number: 0 is white, positive ones are blue, negative ones orange.

    The largest one percent gets the darkest color, so that a single large value does not leave all others
    pale. A value that is not finite counts as 0. The result has one more axis, of length 3.
    """
    values = np.where(np.isfinite(values), values, 0).astype(np.float64)
    magnitude = np.abs(values)
    largest = np.quantile(magnitude, 0.99) or magnitude.max() or 1.0
    strength = (magnitude / largest * 255).round().clip(0, 255).astype(np.uint8)
    colors: Pixels = np.where((values >= 0)[..., None], _BLUES[strength], _ORANGES[strength])
    return colors
