"""Datasets from `tf.data`: the images are written to a temporary file, batch by batch."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.arrays import is_one_hot, to_images
from zoo.data.dataset import Dataset, Split
from zoo.data.memory import as_array, checked_labels, number_labels
from zoo.data.table_pixels import dark_warning
from zoo.errors import DataError, count_text, one_line

Array = np.ndarray[Any, Any]
INFINITE = -1  # `tf.data.INFINITE_CARDINALITY`
ONE_HOT_FIX = 'use label_mode="int", or `.map(lambda x, y: (x, tf.argmax(y, -1)))`.'


def dataset_of_tf(
    datasets: Mapping[str, Any],
    class_names: Sequence[str] | None,
    scale: float | None,
    source: str,
    licence: str,
) -> Dataset:
    """Return the elements of `tf.data` datasets, by split; see `zoo.Dataset.from_tf_dataset`."""
    spools = {
        split: _read(split, dataset, scale)
        for split, dataset in datasets.items()
        if dataset is not None or split == "train"
    }
    given = {split: list(getattr(datasets[split], "class_names", ()) or ()) for split in spools}
    for split, own in given.items():
        if own and given["train"] and own != given["train"]:
            raise DataError(f"{split}: expected the class names of train, {given['train']}, got {own}.")
    labels = {split: spool.labels() for split, spool in spools.items()}
    names = {split: f"{split} labels" for split in spools}
    classes, numbers = number_labels(labels, names, class_names or given["train"] or None)
    parts: dict[str, Any] = {}
    for split, spool in spools.items():
        images, order = spool.images()
        parts[split] = Split(images, numbers[split][order])
    warning = dark_warning("the training images", parts["train"].images) if scale is None else ""
    return Dataset(**parts, class_names=classes, source=source, warning=warning, licence=licence)


def _read(split: str, dataset: Any, scale: float | None) -> _Spool:
    if not hasattr(dataset, "as_numpy_iterator"):
        raise DataError(f"{split}: expected a tf.data.Dataset, got {type(dataset).__name__}.")
    if int(dataset.cardinality()) == INFINITE:
        raise DataError(
            f"{split}: expected a finite dataset, got an infinite one. Remove `.repeat()`, or use `.take(n)`."
        )
    spool = _Spool(split, scale)
    for element in _elements(split, dataset):
        spool.add(element)
    spool.check_complete()
    return spool


def _elements(split: str, dataset: Any) -> Iterator[Any]:
    """Yield the elements as NumPy arrays; raise DataError if the caller's code raises an exception."""
    try:
        yield from dataset.as_numpy_iterator()
    except Exception as error:
        lines = [
            line for line in str(error).splitlines() if re.match(r"\w+(Error|Exception|Interrupt): ", line)
        ]
        reason = lines[-1] if lines else f"{type(error).__name__}: {one_line(error)}"
        raise DataError(
            f"{split}: the dataset raised {reason}. Iterate over it to find the cause."
        ) from error


def _integers(labels: Array) -> Array:
    """Return integers for labels in other forms that Keras makes: one-hot, or floats 0.0 and 1.0."""
    if labels.ndim == 2 and labels.shape[1] > 1 and is_one_hot(labels):
        return np.asarray(labels.argmax(axis=1))
    is_whole = labels.dtype.kind == "f" and bool((labels == np.rint(labels)).all())
    return labels.astype(np.int64) if is_whole and labels.shape[1:] in ((), (1,)) else labels


class _Spool:
    """The elements of a `tf.data` dataset: images in a temporary file, labels in memory."""

    def __init__(self, split: str, scale: float | None) -> None:
        self._split, self._scale = split, scale
        self._file = tempfile.TemporaryFile()  # noqa: SIM115, the file disappears with this object
        self._shape: tuple[int, ...] = ()
        self._labels: list[Array] = []
        self._digests: list[bytes] = []
        self._brightest_float = -1.0  # -1 for integers

    def add(self, element: Any) -> None:
        """Add a batch, or a single image with its label."""
        x, y = self._pair(element)
        name = f"{self._split}, element {len(self._labels)}"
        if y.ndim == 0:
            x, y = x[None], y[None]
        if x.ndim in (3, 4) and len(x) != len(y):
            got = f"{count_text(len(y), 'label')} for {count_text(len(x), 'image')}"
            raise DataError(f"{name}: expected one label per image, got {got}.")
        images = self._pixels(x, f"{name}, images")
        self._labels.append(checked_labels(_integers(y), f"{name}, labels", ONE_HOT_FIX))
        self._shape = self._shape or images.shape[1:]
        if images.shape[1:] != self._shape:
            raise DataError(
                f"{name}: expected images of shape {self._shape} as in element 0, got {images.shape[1:]}. "
                "Resize them to one size."
            )
        for image in images:
            pixels = image.tobytes()
            self._digests.append(hashlib.blake2b(pixels, digest_size=16).digest())
            self._write(pixels)

    def _pair(self, element: Any) -> tuple[Array, Array]:
        if isinstance(element, tuple) and len(element) == 2:
            x, y = element
            return as_array(x, f"{self._split} images"), as_array(y, f"{self._split} labels")
        got = f"{type(element).__name__} of {len(element)}" if isinstance(element, tuple) else "no pair"
        if isinstance(element, dict):
            got = f"a dict with {', '.join(map(repr, element))}"
        raise DataError(
            f"{self._split}: expected pairs of images and labels, got {got}. "
            "Use `.map` to make pairs; with TensorFlow Datasets as_supervised=True."
        )

    def _pixels(self, x: Array, name: str) -> Array:
        """Return a batch as `uint8`; round the fractions that resizing in Keras gives."""
        if x.ndim not in (3, 4) or 0 in x.shape:
            raise DataError(f"{name}: expected (batch, height, width, channels), got the shape {x.shape}.")
        if x.dtype.kind == "f" and self._scale is None:
            self._brightest_float = max(self._brightest_float, float(x.max()))
            x = np.rint(x)
        return to_images(x, name, self._scale)

    def _write(self, pixels: bytes) -> None:
        try:
            self._file.write(pixels)
        except OSError as error:
            raise DataError(
                f"{self._split}: {len(self._digests):,} images do not fit into {tempfile.gettempdir()} "
                f"({error.strerror}). Set TMPDIR to a folder with more space, or use `.take(n)`."
            ) from error

    def check_complete(self) -> None:
        """Raise DataError if there is no image, or if all pixels are floats from 0 to 1."""
        if not self._digests:
            raise DataError(f"{self._split}: expected images, got an empty dataset.")
        if 0 <= self._brightest_float <= 1:
            raise DataError(
                f"{self._split}: expected pixels from 0 to 255, got floats up to {self._brightest_float:g}. "
                "If 1 is white, set scale = 255."
            )

    def labels(self) -> Array:
        """Return the labels `(n,)` in the order of the dataset."""
        return np.concatenate(self._labels)

    def images(self) -> tuple[Array, Array]:
        """Return the images in the order of their digests, and the position of each in the dataset.

        A dataset may be shuffled at every iteration. In this order, equal datasets have equal digests.
        """
        labels = self.labels().astype(str).tolist()
        order = np.array(
            sorted(range(len(labels)), key=lambda row: (self._digests[row], labels[row])), np.int64
        )
        self._file.flush()
        shape = (len(labels), *self._shape)
        stored = np.memmap(self._file, np.uint8, "r", shape=shape)
        sorted_spool = _Spool(self._split, None)
        for row in order.tolist():
            sorted_spool._write(stored[row].tobytes())
        sorted_spool._file.flush()
        return np.memmap(sorted_spool._file, np.uint8, "r", shape=shape), order
