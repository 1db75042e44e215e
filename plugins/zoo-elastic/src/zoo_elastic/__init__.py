"""Elastic distortions (Simard, Steinkraus & Platt 2003) as an augmentation policy of zoo."""

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
    """Distort every image like rubber, at random: what a hand does to a character (Simard et al. 2003).

    Every pixel is moved; neighbours move alike. The paper's own for MNIST, a scaling of 34 and a
    Gaussian of 4 pixels in images of 29×29, are a strength of 0.05 and a smoothness of 0.14.

    Args:
        strength: how far a pixel is moved along each axis, as root mean square over all images; share
            of the image's shorter side.
        smoothness: standard deviation of the Gaussian that makes neighbours move alike; share of the
            shorter side. Low, it makes strokes tremble; high, it bends and shifts them as a whole.
        fill: what comes in from outside: black (`constant`), or the `nearest` pixel.
    """
    from zoo_elastic._layer import ElasticDistortion

    return [ElasticDistortion(strength, smoothness, fill)]
