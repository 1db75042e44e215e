"""Arrays of images and labels as users store them: any numeric type and range, and every usual shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo.data.table_pixels import as_uint8, check_scale, image_shape_of, scale_hint, usual_scale, with_shape
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.data.dataset import Array

BLOCK_SIZE = 2**23  # pixels that are converted at once


def to_images(
    array: Any,
    name: str,
    scale: float | None = None,
    image_shape: Sequence[int] | None = None,
    channels_first: bool = False,
) -> Array:
    """Return images as `uint8`, `(n, height, width, channels)`.

    Args:
        array: numbers or booleans, `(n, height, width)`, `(n, height, width, channels)`,
            `(n, channels, height, width)` or `(n, pixels)`.
        name: the name of the array, for messages.
        scale: factor that gives values from 0 to 255.
        image_shape: height and width, or height, width and channels.
        channels_first: True if images `(n, pixels)` are stored channel by channel.

    Raises:
        ZooError: the array has another shape, or values out of range; the message names the parameter.
    """
    import numpy as np

    check_scale(scale)
    check_not_masked(array, name)
    images: Array = np.asarray(array)
    if images.dtype.kind not in "biuf":
        fix = ""
        if images.dtype == np.object_:
            fix = ' If each is an array: use `numpy.stack`; if each is a number: `.astype("uint8")`.'
        raise ZooError(f"{name}: expected numbers, got {images.dtype}.{fix}")
    if images.ndim in (2, 3, 4) and not len(images):
        raise ZooError(f"{name} has no image: expected at least one, got the shape {images.shape}.")
    if images.ndim not in (2, 3, 4) or 0 in images.shape:
        raise ZooError(
            f"{name}: expected the shape (n, height, width) or (n, height, width, channels), "
            f"got {images.shape}."
        )
    if images.ndim == 4 and images.shape[1] in (1, 3, 4) and images.shape[3] not in (1, 3, 4):
        images = images.transpose(0, 2, 3, 1)
    shape = image_shape_of(name, images, None, image_shape)
    if images.dtype == np.bool_:
        images = images * np.uint8(255)
    if images.dtype != np.uint8 or scale is not None:
        images = _scaled(images, name, scale)
    return with_shape(images, shape, channels_first)


def _scaled(array: Array, name: str, scale: float | None) -> Array:
    import numpy as np

    pixels = np.empty(array.shape, np.uint8)
    count = max(1, BLOCK_SIZE // math.prod(array.shape[1:]))
    for start in range(0, len(array), count):
        block = array[start : start + count]
        pixels[start : start + count], is_bad = as_uint8(block, scale)
        if is_bad.any():
            first = tuple(np.argwhere(is_bad)[0].tolist())
            expected = "integers from 0 to 255" if scale is None else f"numbers from 0 to {255 / scale:g}"
            usual = usual_scale(block) if scale is None else None
            place = ", ".join(map(str, (start + first[0], *first[1:])))
            raise ZooError(
                f"{name}[{place}]: expected {expected}, got {block[first]}.{_range_hint(block, usual)}",
                fix=None if usual is None else {"scale": usual},
            )
    return pixels


def _range_hint(block: Array, usual: float | None) -> str:
    """Return the advice for values out of range; `usual` is the scale that probably fits."""
    import numpy as np

    if not np.isfinite(block).all():
        return " Replace the values that are NaN or infinite."
    return scale_hint(usual) or " Convert the values to 0 to 255."


def check_not_masked(array: Any, name: str) -> None:
    """Raise ZooError for a masked array with hidden values, which `numpy.asarray` would use."""
    import numpy as np

    count = int(np.ma.getmaskarray(array).sum()) if isinstance(array, np.ma.MaskedArray) else 0
    if count:
        raise ZooError(
            f"{name}: expected an array without a mask, got {count:,} masked of {array.size:,} values. Fill "
            f"them with `{name}.filled(0)`, or leave these images out."
        )


def is_one_hot(labels: Array) -> bool:
    """Return True for one-hot labels `(n, classes)`: a single 1 in each row, and zeros."""
    if labels.ndim != 2 or labels.dtype.kind not in "biuf":
        return False
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def to_labels(array: Any, name: str) -> Array:
    """Return labels of shape `(n,)`; also from `(n, 1)` or one-hot. Raises ZooError for other shapes."""
    import numpy as np

    check_not_masked(array, name)
    labels: Array = np.asarray(array)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim != 1:
        raise ZooError(f"{name}: expected one label per image, shape (n,), got {labels.shape}.")
    return labels.astype(str) if labels.dtype.kind == "S" else labels
