"""Networks of `keras.applications` that have learned ImageNet, under a head for other classes."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import textwrap
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zoo import Choice, InvalidParameters, Setting, ZooError
from zoo.builtin.architectures._parts import (
    Activation,
    DenseUnits,
    Flag,
    Rate,
    Shape,
    check_head,
    check_sides,
    classify,
    drop,
)

if TYPE_CHECKING:
    import keras

# How the pixels of each base were scaled when it learned, and the smallest side it takes.
# `0 to 255` is for bases that scale their input themselves.
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
_SILENCE = 10.0  # seconds without a byte after which a download is given up


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
    """A network that has learned ImageNet, kept as it is, and a new head on its feature maps.

    Its weights stay as they are while the head learns; `fine_tune_layers` in a study's `[training]`
    lets the last of them learn afterwards. Normalisation layers in it keep their statistics even then.

    Args:
        input_shape: `(height, width, channels)`, pixels; grey images are repeated to three channels.
        num_classes: width of the softmax at the end.
        base: a network of `keras.applications`, without its top. Images are scaled as it expects them.
        weights: `imagenet`, downloaded by Keras into its cache; the path of a weights file of the base
            without its top; or `none`: random ones, and then all of the base learns from the start.
        pooling: what becomes of the base's feature maps: their `average` or `max`, one number for each
            filter, or `flatten`.
        feature_dropout: share of what `pooling` gives that is dropped while training; 0 is no layer.
        dense_units: of each hidden dense layer; may be empty.
        activation: of every hidden dense layer.
        dropout: share of every hidden dense layer's output that is dropped; 0 is no layer.
        binary_head: tell two classes apart by one sigmoid unit instead of a softmax.

    Raises:
        InvalidParameters: the images are smaller than the base takes, or have neither one nor three
            channels; or `binary_head` with another number of classes than two.
        ZooError: the weights cannot be had.
    """
    check_head(num_classes, binary_head)
    _check_images(input_shape, base)
    if pooling == "flatten":
        check_sides(input_shape, 'pooling = "average" or "max", or images of one size')
    import keras
    from keras import layers

    network = _build(base, weights, (*input_shape[:2], 3))
    images = keras.Input(input_shape)  # (batch, height, width, channels), in [0, 1]
    colours = layers.Concatenate()([images] * 3) if input_shape[2] == 1 else images
    # What is frozen normalises by the statistics it has learned, in training too.
    network.trainable = weights == "none"
    maps = network(_scaled(colours, BASES[base][0]))
    poolings = {
        "average": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
        "flatten": layers.Flatten,
    }
    outputs = classify(
        drop(poolings[pooling]()(maps), feature_dropout),
        num_classes,
        dense_units=dense_units,
        activation=activation,
        dropout=dropout,
        binary_head=binary_head,
    )
    return keras.Model(images, outputs, name="pretrained")


def _check_images(input_shape: Shape, base: str) -> None:
    height, width, channels = input_shape
    smallest = BASES[base][1]
    if any(side is not None and side < smallest for side in (height, width)):
        raise InvalidParameters(
            f"{base} takes images of at least {smallest}×{smallest} pixels, but these are {height}×{width}; "
            "expected larger images (a dataset's image_size) or another base."
        )
    if channels not in (1, 3):
        raise InvalidParameters(
            f"{base} takes images of three channels, or of one that is repeated, but these have {channels}."
        )


def _scaled(colours: Any, scaling: str) -> Any:
    """Images `(batch, height, width, 3)` in `[0, 1]` as the base has learned to see them.

    The same as the `preprocess_input` of each module of `keras.applications`, which takes 0 to 255.
    """
    from keras import layers, ops

    if scaling == "-1 to 1":
        return layers.Rescaling(2.0, offset=-1.0)(colours)
    if scaling == "0 to 255":
        return layers.Rescaling(255.0)(colours)
    if scaling == "BGR without ImageNet's mean":
        return layers.Rescaling(255.0, offset=[-103.939, -116.779, -123.68])(ops.flip(colours, axis=-1))
    means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    offsets = [-mean / deviation for mean, deviation in zip(means, deviations, strict=True)]
    return layers.Rescaling([1 / deviation for deviation in deviations], offset=offsets)(colours)


def _build(base: str, weights: str, input_shape: Shape) -> keras.Model:
    """The base without its top, with its weights."""
    import keras

    def build(source: str | None) -> keras.Model:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MobileNet's about sizes it has no weights of their own for
            return getattr(keras.applications, base)(
                include_top=False, weights=source, input_shape=input_shape
            )

    if weights == "imagenet":
        return _with_imagenet(base, build)
    path = None if weights == "none" else _existing(weights, base)
    network = build(None)
    if path is not None:
        _load(network, path, base)
    return network


def _with_imagenet(base: str, build: Callable[[str | None], keras.Model]) -> keras.Model:
    """The base with the weights in Keras's cache, or those that Keras downloads into it.

    Raises:
        ZooError: they are not there, and cannot be downloaded.
    """
    try:
        # Keras shows its progress on standard output, which is for results.
        with _patience(_SILENCE), contextlib.redirect_stdout(sys.stderr):
            return build("imagenet")
    except Exception as error:  # Keras raises a plain Exception
        reason = " ".join(str(error).split())
        # URL fetch failure on https://…/NAME.h5: None -- [Errno -3] Temporary failure in name resolution
        failure = re.match(r"URL fetch failure on \S+/([^/\s]+): (?:None -- )?(.*)", reason)
        file, reason = failure.groups() if failure else ("a whole copy of its file", reason)
        cache = Path(os.environ.get("KERAS_HOME") or "~/.keras", "models").expanduser()
        raise ZooError(
            f"The ImageNet weights of {base} are not whole in Keras's cache and not downloaded ({reason}); "
            f'put {file} into {cache}, or say weights = "none" or the path of a weights file.'
        ) from error


def _existing(weights: str, base: str) -> Path:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise ZooError(
            f'There is no weights file {path.absolute()}; expected weights = "imagenet", "none", or the path '
            f"of a file with the weights of {base} without its top."
        )
    if not path.name.endswith(_SUFFIXES):
        raise ZooError(f"The weights file {path} is of no known kind; expected {' or '.join(_SUFFIXES)}.")
    return path


def _load(network: keras.Model, path: Path, base: str) -> None:
    """The weights in `path` into `network`.

    Raises:
        ZooError: the file cannot be read, or holds another network's weights.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # hundreds about a file of another network, before the error
            network.load_weights(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise ZooError(
            f"The weights file {path} cannot be read ({_short(error)}); it may be truncated. "
            "Fetch or save it again."
        ) from error
    except Exception as error:  # ValueError, KeyError and others, as the two networks differ
        raise ZooError(
            f"The weights in {path} are not those of {base} without its top ({_short(error)}). Is it another "
            "network's, or does it have the top? Expected a file that the base's own save_weights() wrote."
        ) from error


def _short(error: Exception) -> str:
    return textwrap.shorten(str(error), 200, placeholder=" …")


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Sockets give up after so many seconds of silence; by themselves, they would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
