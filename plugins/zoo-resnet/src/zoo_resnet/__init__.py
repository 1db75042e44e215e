"""Residual networks for small images: He et al. (2016) and, wide, Zagoruyko & Komodakis (2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from zoo import Choice, Float, Int, InvalidParameters, hookimpl, variant

if TYPE_CHECKING:
    import keras

WIDE_STAGES = 3  # of every network in the paper


@hookimpl
def register_architectures(register: Any) -> None:
    for network in (resnet, wide_resnet, *NAMED):
        register(network)


def resnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    blocks: Annotated[int, Int(1, 9)] = 3,
    stages: Annotated[int, Int(1, 4)] = 3,
    filters: Annotated[int, Int(8, 32, log=True)] = 16,
    kernel_size: Annotated[int, Choice(3, 5)] = 3,
    shortcut: Annotated[str, Choice("identity", "projection")] = "identity",
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.0,
) -> keras.Model:
    """Residual network for small images (He et al. 2016): stages of blocks of two convolutions.

    "Deep Residual Learning for Image Recognition", section 4.2. At its defaults it is the paper's
    ResNet-20 for CIFAR-10; with `stages` of 3 its depth is `6 · blocks + 2`.

    Args:
        input_shape: `(height, width, channels)`, pixels; odd sizes too.
        num_classes: width of the softmax at the end.
        blocks: in each stage.
        stages: each after the first halves the size, rounded up, and doubles the filters.
        filters: of the first stage.
        kernel_size: side of every convolution, pixels.
        shortcut: where a stage begins: every second pixel, with zeros for the new channels (`identity`,
            the paper's option A for these networks), or a convolution of 1×1 (`projection`, its B).
        dropout: share of the features dropped in front of the softmax; the paper has none.

    Raises:
        InvalidParameters: the image is too small for so many stages.
    """
    _check_size(input_shape, stages)
    from zoo_resnet._networks import residual

    return residual(input_shape, num_classes, blocks, stages, filters, kernel_size, shortcut, dropout)


def wide_resnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    blocks: Annotated[int, Int(1, 4)] = 2,
    widen: Annotated[int, Int(1, 10)] = 4,
    kernel_size: Annotated[int, Choice(3, 5, when={"widen": (1, 2, 3, 4, 5, 6)})] = 3,
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.3,
) -> keras.Model:
    """Wide residual network (Zagoruyko & Komodakis 2016): shallow, with many filters in each block.

    Three stages of pre-activation blocks (He et al. 2016, "Identity Mappings in Deep Residual
    Networks"): batch normalisation and ReLU come before each convolution. At its defaults it is the
    paper's WRN-16-4; its depth is `6 · blocks + 4`.

    Args:
        input_shape: `(height, width, channels)`, pixels; odd sizes too.
        num_classes: width of the softmax at the end.
        blocks: in each stage.
        widen: the stages have `16 · widen`, `32 · widen` and `64 · widen` filters.
        kernel_size: side of every convolution, pixels; 3 where `widen` is above 6, for with 5 such a
            network would have up to 100 million weights.
        dropout: between the two convolutions of a block; 0.3 is the paper's for CIFAR.

    Raises:
        InvalidParameters: the image is too small for three stages.
    """
    _check_size(input_shape, WIDE_STAGES)
    from zoo_resnet._networks import wide_residual

    return wide_residual(input_shape, num_classes, blocks, WIDE_STAGES, widen, kernel_size, dropout)


def _resnet_of(blocks: int, weights: str) -> Any:
    """He et al.'s network; `weights` are those that are trained, at 32×32×3 and ten classes."""
    depth = 6 * blocks + 2
    return variant(
        resnet,
        f"resnet{depth}",
        f"ResNet-{depth} (He et al. 2016): {weights} weights.",
        blocks=blocks,
        stages=3,
        filters=16,
        kernel_size=3,
        shortcut="identity",
        dropout=0.0,
    )


def _wide_resnet_of(blocks: int, widen: int, weights: str) -> Any:
    """Zagoruyko & Komodakis's network; `weights` as above."""
    depth = 6 * blocks + 4
    return variant(
        wide_resnet,
        f"wrn_{depth}_{widen}",
        f"WRN-{depth}-{widen} (Zagoruyko & Komodakis 2016): {weights} weights.",
        blocks=blocks,
        widen=widen,
        kernel_size=3,
        dropout=0.3,
    )


NAMED = (
    _resnet_of(3, "0.27 M"),
    _resnet_of(5, "0.46 M"),
    _resnet_of(7, "0.66 M"),
    _resnet_of(9, "0.85 M"),
    _wide_resnet_of(2, 4, "2.7 M"),
    _wide_resnet_of(4, 10, "36.5 M"),
)


def _check_size(input_shape: tuple[int, int, int], stages: int) -> None:
    """InvalidParameters where a stage would halve a side of one pixel."""
    height, width, _ = input_shape
    smallest = 2 ** (stages - 1)
    if min(height, width) < smallest:
        raise InvalidParameters(
            f"{stages} stages halve an image {stages - 1} times; expected at least {smallest}×{smallest} "
            f"pixels for that, but got {height}×{width}."
        )
