"""The augmentation policies zoo ships."""

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
    for policy in (none, affine, affine_flip, flips, photometric, erasing, randaugment):
        register(policy)
    for policy in PRESETS:
        register(policy)


def none() -> list[keras.layers.Layer]:
    """Leave the images as they are."""
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

    Each number is the largest change in either direction; every image draws its own, uniformly.

    Args:
        rotation: about the image's centre, degrees.
        shift: share of the height and of the width.
        shear: of the vertical against the horizontal axis, degrees.
        zoom: share of the size, for both sides alike: 0.08 draws factors from 0.92 to 1.08.
        fill: what comes in from outside: the `nearest` pixel, black (`constant`), the image mirrored
            at its edge (`reflect`).
    """
    from zoo.builtin.augmentations._affine import RandomAffine

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
    """Flip half of the images, and rotate, shift, shear and zoom all, in one interpolation.

    For things that look as likely from their other side; not for digits and letters.

    Args:
        rotation: about the image's centre, degrees.
        shift: share of the height and of the width.
        shear: of the vertical against the horizontal axis, degrees.
        zoom: share of the size, for both sides alike: 0.08 draws factors from 0.92 to 1.08.
        flip: left and right (`horizontal`), top and bottom (`vertical`), or each with a coin of its
            own (`both`).
        fill: what comes in from outside: the `nearest` pixel, black (`constant`), the image mirrored
            at its edge (`reflect`).
    """
    from zoo.builtin.augmentations._affine import RandomAffine

    return [RandomAffine(rotation=rotation, shift=shift, shear=shear, zoom=zoom, flip=flip, fill=fill)]


def flips(*, direction: Flip = "horizontal") -> list[keras.layers.Layer]:
    """Flip half of the images.

    For things that look as likely from their other side; not for digits and letters.

    Args:
        direction: left and right (`horizontal`), top and bottom (`vertical`), or each with a coin of
            its own (`both`).
    """
    from keras import layers

    # One layer of "horizontal_and_vertical" throws one coin for both: it turns by 180° or does nothing.
    axes = ("horizontal", "vertical") if direction == "both" else (direction,)
    return [layers.RandomFlip(axis) for axis in axes]


def photometric(
    *,
    brightness: Annotated[float, Float(0.0, 0.5)] = 0.15,
    contrast: Annotated[float, Float(0.0, 0.8)] = 0.3,
) -> list[keras.layers.Layer]:
    """Make every image darker or brighter, and its contrast weaker or stronger.

    Each number is the largest change in either direction; every image draws its own, uniformly. What
    would leave the range from black to white is cut.

    Args:
        brightness: added to every pixel, share of the way from black to white.
        contrast: share of every pixel's distance to the mean of its channel: 0.3 draws factors from
            0.7 to 1.3.
    """
    from keras import layers

    return [
        layers.RandomBrightness(brightness, value_range=(0.0, 1.0)),
        # Of one number Keras takes the upper half alone: contrast would never become weaker.
        layers.RandomContrast((contrast, contrast), value_range=(0.0, 1.0)),
    ]


def erasing(
    *,
    probability: Annotated[float, Float(0.0, 1.0)] = 0.5,
    largest: Annotated[float, Float(0.02, 0.5)] = 0.2,
    elongation: Annotated[float, Float(1.0, 5.0)] = 3.3,
    fill: Annotated[str, Choice("noise", "black", "mean")] = "noise",
) -> list[keras.layers.Layer]:
    """Erase a rectangle of some images, so that no part alone decides (Zhong et al. 2017).

    The paper's own setting is `largest = 0.4`, which can hide the greater part of a digit.

    Args:
        probability: that an image loses a rectangle.
        largest: share of the image's area; the share is drawn from 0.02 to this, uniformly.
        elongation: the rectangle is at most so many times as high as wide, or as wide as high.
        fill: what is put there: a random value for every pixel (`noise`, the paper's choice), `black`,
            the image's own `mean`.
    """
    from zoo.builtin.augmentations._erasing import RandomErasing

    return [RandomErasing(probability, smallest=0.02, largest=largest, elongation=elongation, fill=fill)]


def randaugment(
    *,
    operations: Annotated[int, Int(1, 4)] = 2,
    magnitude: Annotated[int, Int(0, 30)] = 9,
    solarize: Annotated[bool, Choice(False, True)] = False,
    fill: Fill = "nearest",
) -> list[keras.layers.Layer]:
    """Apply some of thirteen operations, drawn for every image, all of one strength (Cubuk et al. 2019).

    They are: nothing; stretched contrast, equalised histogram, fewer levels (posterize); more or less
    colour, contrast, brightness, sharpness; rotation, shear and shift along either axis. Images of
    one channel have no colour to change.

    Args:
        operations: for each image, N of the paper; one may come twice.
        magnitude: of all, M of the paper; 30 rotates by 30°, shears by 0.3, shifts by 45 % of the size,
            blends by 0.9 and leaves 4 of 8 bits.
        solarize: add the paper's fourteenth, which inverts the brightest pixels. For photographs; of
            light strokes on black it leaves hardly a trace.
        fill: what comes in from outside: the `nearest` pixel, black (`constant`), the image mirrored
            at its edge (`reflect`).
    """
    from zoo.builtin.augmentations._randaugment import RandAugment

    return [RandAugment(operations=operations, magnitude=magnitude, solarize=solarize, fill=fill)]


PRESETS = (
    variant(
        affine,
        "affine_digits",
        "`affine` as for handwriting: 8°, shift and zoom of 0.08, shear of 15°.",
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
        "`affine_flip` as for cats and dogs: 40°, shift and zoom of 0.2, shear of 11.5° (0.2 rad).",
        rotation=40.0,
        shift=0.2,
        shear=11.5,
        zoom=0.2,
        flip="horizontal",
        fill="nearest",
    ),
)
