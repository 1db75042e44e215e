"""Residual networks (He et al. 2016) and wide ones (Zagoruyko & Komodakis 2016) for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from zoo import Choice, Float, Int, InvalidParameters, hookimpl, variant

if TYPE_CHECKING:
    import keras

WIDE_STAGES = 3  # in all networks of the paper


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
    """Residual network for small images (He et al. 2016), with two convolutions per block.

    "Deep Residual Learning for Image Recognition", section 4.2. The defaults are the paper's ResNet-20 for
    CIFAR-10. With 3 stages, the depth is `6 · blocks + 2`.

    Args:
        input_shape: `(height, width, channels)`, pixels; sizes can be odd.
        num_classes: number of softmax outputs.
        blocks: number of blocks per stage.
        stages: number of stages; each after the first halves the size, rounded up, and doubles the filters.
        filters: number of filters in the first stage.
        kernel_size: side of every kernel, pixels.
        shortcut: at the start of a stage: every second pixel, with zeros for the new channels (`identity`,
            option A of the paper, used there), or a convolution of 1×1 (`projection`, option B).
        dropout: dropout rate before the softmax; the paper uses none.

    Raises:
        InvalidParameters: the image is too small for the stages.
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
    Networks"): batch normalisation and ReLU come before each convolution. The defaults are the paper's
    WRN-16-4. The depth is `6 · blocks + 4`.

    Args:
        input_shape: `(height, width, channels)`, pixels; sizes can be odd.
        num_classes: number of softmax outputs.
        blocks: number of blocks per stage.
        widen: the stages have `16 · widen`, `32 · widen` and `64 · widen` filters.
        kernel_size: side of every kernel, pixels; always 3 if `widen` is above 6, because with 5 the
            network would have up to 100 million weights.
        dropout: dropout rate between the two convolutions of a block; the paper uses 0.3 for CIFAR.

    Raises:
        InvalidParameters: the image is too small for three stages.
    """
    _check_size(input_shape, WIDE_STAGES)
    from zoo_resnet._networks import wide_residual

    return wide_residual(input_shape, num_classes, blocks, WIDE_STAGES, widen, kernel_size, dropout)


def _resnet_of(blocks: int, weights: str) -> Any:
    """Return a network of He et al.; `weights` is its number of trained weights for CIFAR-10."""
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
    """Return a network of Zagoruyko & Komodakis; `weights` as in `_resnet_of`."""
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
    """Raise InvalidParameters if a stage would halve a side of one pixel."""
    height, width, _ = input_shape
    smallest = 2 ** (stages - 1)
    if min(height, width) < smallest:
        raise InvalidParameters(
            f"{stages} stages halve the image {stages - 1} times; expected at least "
            f"{smallest}×{smallest} pixels, got {height}×{width}."
        )
