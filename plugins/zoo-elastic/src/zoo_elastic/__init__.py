"""Elastic distortions (Simard, Steinkraus & Platt 2003) as an augmentation policy for zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from zoo import Choice, Float, hookimpl

if TYPE_CHECKING:
    import keras


@hookimpl
def register_augmentations(register: Any) -> None:
    register(elastic)


def elastic(
    *,
    strength: Annotated[float, Float(0.0, 0.06)] = 0.03,
    smoothness: Annotated[float, Float(0.12, 0.4)] = 0.14,
    fill: Annotated[str, Choice("constant", "nearest")] = "constant",
) -> list[keras.layers.Layer]:
    """Distort every image at random, like the variations of handwriting (Simard et al. 2003).

    Each pixel is moved; neighbours move by similar amounts. The paper's settings for MNIST, a scaling of 34
    and a Gaussian of 4 pixels in images of 29×29, correspond to a strength of 0.05 and a smoothness of 0.14.

    Args:
        strength: displacement of the pixels along each axis, as root mean square; share of the shorter side.
        smoothness: standard deviation of the Gaussian that smooths the displacements; share of the shorter
            side. Low values make strokes wavy; high values bend and shift them as a whole.
        fill: pixels from outside the image: black (`constant`), or the `nearest` pixel.
    """
    from zoo_elastic._layer import ElasticDistortion

    return [ElasticDistortion(strength, smoothness, fill)]
