"""Numbers as colours: white for 0, darker for more; blue for positive, orange for negative."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._png import Pixels

# White to dark blue (positive) or dark orange (negative), with steadily falling lightness.
_BLUE = ((255, 255, 255), (158, 202, 225), (49, 130, 189), (8, 48, 107))
_ORANGE = ((255, 255, 255), (253, 190, 133), (230, 85, 13), (127, 39, 4))


def _ramp(stops: tuple[tuple[int, int, int], ...]) -> Pixels:
    """Return 256 colours, `(256, 3)`, that run evenly through `stops`."""
    positions = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), positions, channel) for channel in zip(*stops, strict=True)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


_BLUES, _ORANGES = _ramp(_BLUE), _ramp(_ORANGE)


def signed_shades(values: npt.NDArray[Any]) -> Pixels:
    """Return a colour for each number: 0 is white, positive ones are blue, negative ones orange.

    The largest one percent gets the darkest colour, so that a single large value does not leave all others
    pale. A value that is not finite counts as 0.

    Args:
        values: any shape.

    Returns:
        That shape with a last axis of 3.
    """
    values = np.where(np.isfinite(values), values, 0).astype(np.float64)
    magnitude = np.abs(values)
    largest = np.quantile(magnitude, 0.99) or magnitude.max()
    if not largest:
        return np.full((*values.shape, 3), 255, np.uint8)
    strength = (magnitude / largest * 255).round().clip(0, 255).astype(np.uint8)
    colors: Pixels = np.where((values >= 0)[..., None], _BLUES[strength], _ORANGES[strength])
    return colors
