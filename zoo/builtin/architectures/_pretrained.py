"""Networks of `keras.applications` pretrained on ImageNet, with a new head."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import textwrap
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zoo import Choice, InvalidParameters, Setting, ZooError
from zoo.builtin._common import reason_of, socket_timeout
from zoo.builtin.architectures._parts import (
    Activation,
    DenseUnits,
    Flag,
    Rate,
    Shape,
    add_head,
    check_head,
    check_sides,
)

if TYPE_CHECKING:
    import keras

# The scaling of pixels that each base was trained with, and the smallest side that it takes.
# Bases with `0 to 255` scale their input themselves.
_FAMILIES: tuple[tuple[tuple[str, ...], str, int], ...] = (
    (("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152"), "BGR without ImageNet's mean", 32),
    (("ResNet50V2", "ResNet101V2", "ResNet152V2"), "-1 to 1", 32),
    (("MobileNet", "MobileNetV2"), "-1 to 1", 32),
    (("MobileNetV3Small", "MobileNetV3Large"), "0 to 255", 32),
    (("DenseNet121", "DenseNet169", "DenseNet201"), "ImageNet's mean 0, deviation 1", 32),
    (tuple(f"EfficientNetB{size}" for size in range(8)), "0 to 255", 32),
    (tuple(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")), "0 to 255", 32),
    (tuple(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")), "0 to 255", 32),
    (("InceptionV3", "InceptionResNetV2"), "-1 to 1", 75),
    (("Xception",), "-1 to 1", 71),
    (("NASNetMobile", "NASNetLarge"), "-1 to 1", 32),
)
BASES = {name: (scaling, smallest) for names, scaling, smallest in _FAMILIES for name in names}

_SUFFIXES = (".weights.h5", ".h5", ".keras")
_DOWNLOAD_TIMEOUT_S = 10.0


def pretrained(
    input_shape: Shape,
    num_classes: int,
    *,
    base: Annotated[str, Setting(Choice(*BASES))] = "VGG16",
    weights: str = "imagenet",
    pooling: Annotated[str, Setting(Choice("average", "max", "flatten"))] = "average",
    feature_dropout: Rate = 0.0,
    dense_units: DenseUnits = (256,),
    activation: Activation = "relu",
    dropout: Rate = 0.5,
    binary_head: Flag = False,
) -> keras.Model:
    """A network pretrained on ImageNet, frozen, with a new head (transfer learning).

    With `fine_tune_layers` in a study's `[training]`, the last layers of the base are trained after the head.
    The batch normalization layers of the base always keep their statistics.

    Args:
        input_shape: `(height, width, channels)`, pixels; grey images are repeated to three channels.
        num_classes: number of softmax outputs.
        base: a network of `keras.applications`, without its top. Images are scaled as it expects them.
        weights: `imagenet`, which Keras downloads into its cache; the path of a weights file of the base
            without its top; or `none` for random weights. With `none`, the whole base is trained.
        pooling: take the `average` or `max` of each feature map of the base, or `flatten` them.
        feature_dropout: dropout rate after `pooling`; 0 adds no layer.
        dense_units: units of each hidden dense layer; the list can be empty.
        activation: activation function of every hidden dense layer.
        dropout: dropout rate after every hidden dense layer; 0 adds no layer.
        binary_head: for two classes, use one sigmoid unit instead of a softmax.

    Raises:
        InvalidParameters: the images are too small for the base, or have neither one nor three channels;
            or `binary_head` is used for more than two classes.
        ZooError: the weights are missing or damaged.
    """
    check_head(num_classes, binary_head)
    _check_images(input_shape, base)
    check_sides(input_shape, "pooling", pooling)
    import keras
    from keras import layers

    network = _build(base, weights, (*input_shape[:2], 3))
    images = keras.Input(input_shape)  # (batch, height, width, channels), in [0, 1]
    colors = layers.Concatenate()([images] * 3) if input_shape[2] == 1 else images
    # A frozen batch normalization layer uses its learned statistics during training too.
    network.trainable = weights == "none"
    maps = network(_scale(colors, BASES[base][0]))
    head = add_head(
        maps, num_classes, pooling, feature_dropout, dense_units, activation, dropout, binary_head
    )
    return keras.Model(images, head, name="pretrained")


def _check_images(input_shape: Shape, base: str) -> None:
    height, width, channels = input_shape
    smallest = BASES[base][1]
    if any(side is not None and side < smallest for side in (height, width)):
        raise InvalidParameters(
            f"{base} takes images of at least {smallest}×{smallest} pixels, got {height}×{width}; "
            "expected larger images (a dataset's image_size) or another base."
        )
    if channels not in (1, 3):
        raise InvalidParameters(
            f"{base} takes images with one or three channels, got {channels}; choose another architecture."
        )


def _scale(colors: Any, scaling: str) -> Any:
    """Scale images `(batch, height, width, 3)` in [0, 1] as `preprocess_input` of the base does."""
    from keras import layers, ops

    if scaling == "-1 to 1":
        return layers.Rescaling(2.0, offset=-1.0)(colors)
    if scaling == "0 to 255":
        return layers.Rescaling(255.0)(colors)
    if scaling == "BGR without ImageNet's mean":
        return layers.Rescaling(255.0, offset=[-103.939, -116.779, -123.68])(ops.flip(colors, axis=-1))
    means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    offsets = [-mean / deviation for mean, deviation in zip(means, deviations, strict=True)]
    return layers.Rescaling([1 / deviation for deviation in deviations], offset=offsets)(colors)


def _build(base: str, weights: str, input_shape: Shape) -> keras.Model:
    """Return the base without its top; raise ZooError if its weights cannot be loaded or downloaded."""
    import keras

    source = None if weights == "none" else weights if weights == "imagenet" else _weights_path(weights, base)
    try:
        # Keras prints the progress of a download on standard output, which is for results. It also warns if
        # an image size has no weights of its own (MobileNet), and hundreds of times for a wrong file.
        with (
            warnings.catch_warnings(action="ignore"),
            socket_timeout(_DOWNLOAD_TIMEOUT_S),
            contextlib.redirect_stdout(sys.stderr),
        ):
            return getattr(keras.applications, base)(
                include_top=False, weights=source, input_shape=input_shape
            )
    except Exception as error:  # a plain Exception after a download; many types for a file of another network
        if weights == "imagenet":
            raise ZooError(_download_problem(base, error)) from error
        if weights == "none":
            raise
        raise ZooError(_file_problem(base, str(source), error)) from error


def _weights_path(weights: str, base: str) -> str:
    """Return the path of a weights file; raise ZooError if there is none, or if its format is unknown."""
    path = Path(weights).expanduser()
    if not path.is_file():
        raise ZooError(
            f'no such weights file: {path.absolute()}. Expected weights = "imagenet", "none", or the path '
            f"of a file with the weights of {base} without its top."
        )
    if not path.name.endswith(_SUFFIXES):
        raise ZooError(f"the weights file {path} has an unknown format; expected {' or '.join(_SUFFIXES)}.")
    return str(path)


def _download_problem(base: str, error: Exception) -> str:
    reason = reason_of(error)
    # URL fetch failure on https://…/NAME.h5: None -- [Errno -3] Temporary failure in name resolution
    failure = re.match(r"URL fetch failure on \S+/([^/\s]+): (?:None -- )?(.*)", reason)
    file, reason = failure.groups() if failure else ("an undamaged copy of its file", reason)
    cache = Path(os.environ.get("KERAS_HOME") or "~/.keras", "models").expanduser()
    return (
        f"the ImageNet weights of {base} are not in Keras's cache, or damaged, and the download failed "
        f'({reason}). Put {file} into {cache}, or set weights to "none" or the path of a weights file.'
    )


def _file_problem(base: str, path: str, error: Exception) -> str:
    reason = textwrap.shorten(str(error), 200, placeholder=" …")
    if isinstance(error, OSError | zipfile.BadZipFile):
        return (
            f"the weights file {path} cannot be read ({reason}); it may be truncated. "
            "Download or save it again."
        )
    return (
        f"the weights in {path} do not fit {base} without its top ({reason}). Expected a file that the "
        "save_weights() of this base wrote, not that of another network or of a network with its top."
    )
