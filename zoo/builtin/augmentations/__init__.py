"""The augmentation policies that zoo ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from zoo import Choice, Float, Int, hookimpl, variant

if TYPE_CHECKING:
    import keras

Rotation = Annotated[float, Float(0.0, 45.0)]
Shift = Annotated[float, Float(0.0, 0.3)]
Shear = Annotated[float, Float(0.0, 30.0)]
Zoom = Annotated[float, Float(0.0, 0.4)]
Flip = Annotated[str, Choice("horizontal", "vertical", "both")]
Fill = Annotated[str, Choice("nearest", "constant", "reflect")]


@hookimpl
def register_augmentations(register: Any) -> None:
    for policy in (none, affine, affine_flip, flips, photometric, erasing, randaugment, *PRESETS):
        register(policy)


def none() -> list[keras.layers.Layer]:
    """Leave the images unchanged."""
    return []


def affine(
    *,
    rotation: Rotation = 8.0,
    shift: Shift = 0.08,
    shear: Shear = 5.0,
    zoom: Zoom = 0.08,
    fill: Fill = "nearest",
) -> list[keras.layers.Layer]:
    """Rotate, shift, shear and zoom every image at random, in one interpolation.

    Each number is the largest change in either direction; each image draws its own change uniformly.

    Args:
        rotation: angle about the centre of the image, degrees.
        shift: distance, as a share of the height and of the width.
        shear: angle of the vertical axis, degrees.
        zoom: share of the size, the same for both sides: 0.08 draws factors from 0.92 to 1.08.
        fill: content beyond the edge: the `nearest` pixel, black (`constant`), or the mirrored image
            (`reflect`).
    """
    from zoo.builtin.augmentations._layers import RandomAffine

    return [RandomAffine(rotation=rotation, shift=shift, shear=shear, zoom=zoom, fill=fill)]


def affine_flip(
    *,
    rotation: Rotation = 8.0,
    shift: Shift = 0.08,
    shear: Shear = 5.0,
    zoom: Zoom = 0.08,
    flip: Flip = "horizontal",
    fill: Fill = "nearest",
) -> list[keras.layers.Layer]:
    """Flip half of the images, and rotate, shift, shear and zoom all of them, in one interpolation.

    Do not use it for digits and letters: their mirror images are other characters or none.

    Args:
        rotation: angle about the centre of the image, degrees.
        shift: distance, as a share of the height and of the width.
        shear: angle of the vertical axis, degrees.
        zoom: share of the size, the same for both sides: 0.08 draws factors from 0.92 to 1.08.
        flip: swap left and right (`horizontal`), top and bottom (`vertical`), or each of the two with
            probability 0.5 (`both`).
        fill: content beyond the edge: the `nearest` pixel, black (`constant`), or the mirrored image
            (`reflect`).
    """
    from zoo.builtin.augmentations._layers import RandomAffine

    return [RandomAffine(rotation=rotation, shift=shift, shear=shear, zoom=zoom, flip=flip, fill=fill)]


def flips(*, direction: Flip = "horizontal") -> list[keras.layers.Layer]:
    """Flip half of the images.

    Do not use it for digits and letters: their mirror images are other characters or none.

    Args:
        direction: swap left and right (`horizontal`), top and bottom (`vertical`), or each of the two with
            probability 0.5 (`both`).
    """
    from keras import layers

    # A single layer with "horizontal_and_vertical" flips both axes or none: a rotation by 180° or nothing.
    axes = ("horizontal", "vertical") if direction == "both" else (direction,)
    return [layers.RandomFlip(axis) for axis in axes]


def photometric(
    *,
    brightness: Annotated[float, Float(0.0, 0.5)] = 0.15,
    contrast: Annotated[float, Float(0.0, 0.8)] = 0.3,
) -> list[keras.layers.Layer]:
    """Change the brightness and the contrast of every image at random.

    Each number is the largest change in either direction; each image draws its own change uniformly. Values
    are clipped to the range from black to white.

    Args:
        brightness: amount added to every pixel, as a share of the range from black to white.
        contrast: change of each pixel's distance from the mean of its channel: 0.3 draws factors from
            0.7 to 1.3.
    """
    from keras import layers

    return [
        layers.RandomBrightness(brightness, value_range=(0.0, 1.0)),
        # Keras turns a single number into a range that only increases the contrast.
        layers.RandomContrast((contrast, contrast), value_range=(0.0, 1.0)),
    ]


def erasing(
    *,
    probability: Annotated[float, Float(0.0, 1.0)] = 0.5,
    largest: Annotated[float, Float(0.02, 0.5)] = 0.2,
    elongation: Annotated[float, Float(1.0, 5.0)] = 3.3,
    fill: Annotated[str, Choice("noise", "black", "mean")] = "noise",
) -> list[keras.layers.Layer]:
    """Erase a rectangle of some images, so that the network uses the whole image (Zhong et al. 2017).

    The paper uses `largest = 0.4`, which can hide most of a digit.

    Args:
        probability: probability that a rectangle of an image is erased.
        largest: largest share of the image area; the share is drawn uniformly from 0.02 to this.
        elongation: largest ratio of height to width of the rectangle, and of width to height.
        fill: content of the rectangle: a random value per pixel (`noise`, as in the paper), `black`, or the
            `mean` of the image.
    """
    from zoo.builtin.augmentations._layers import RandomErasing

    return [RandomErasing(probability, smallest=0.02, largest=largest, elongation=elongation, fill=fill)]


def randaugment(
    *,
    operations: Annotated[int, Int(1, 4)] = 2,
    magnitude: Annotated[int, Int(0, 30)] = 9,
    solarize: Annotated[bool, Choice(False, True)] = False,
    fill: Fill = "nearest",
) -> list[keras.layers.Layer]:
    """Apply a few of thirteen random operations to each image, all of one strength (Cubuk et al. 2019).

    The operations are: identity; automatic contrast, histogram equalisation, posterize; changes of color,
    contrast, brightness and sharpness; rotation, shear and shift along either axis. The color of images
    with one channel does not change.

    Args:
        operations: number of operations per image, N in the paper; an operation can be drawn twice.
        magnitude: strength of all operations, M in the paper; 30 rotates by 30°, shears by 0.3, shifts by
            45 % of the size, blends by 0.9 and keeps 4 of 8 bits.
        solarize: add the paper's fourteenth operation, which inverts the brightest pixels. It suits
            photographs, but hides nearly all of light strokes on black.
        fill: content beyond the edge: the `nearest` pixel, black (`constant`), or the mirrored image
            (`reflect`).
    """
    from zoo.builtin.augmentations._randaugment import RandAugment

    return [RandAugment(operations=operations, magnitude=magnitude, solarize=solarize, fill=fill)]


PRESETS = (
    variant(
        affine,
        "affine_digits",
        "`affine` for handwriting: 8°, shift and zoom of 0.08, shear of 15°.",
        rotation=8.0,
        shift=0.08,
        shear=15.0,
        zoom=0.08,
        fill="nearest",
    ),
    variant(
        affine,
        "affine_strong",
        "`affine` without shifts: 20°, zoom of 0.15, shear of 8.6° (0.15 rad).",
        rotation=20.0,
        shift=0.0,
        shear=8.6,
        zoom=0.15,
        fill="nearest",
    ),
    variant(
        affine_flip,
        "affine_photos",
        "`affine_flip` for photographs: 40°, shift and zoom of 0.2, shear of 11.5° (0.2 rad).",
        rotation=40.0,
        shift=0.2,
        shear=11.5,
        zoom=0.2,
        flip="horizontal",
        fill="nearest",
    ),
)
