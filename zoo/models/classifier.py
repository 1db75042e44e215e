"""A trained model with its class names: takes image files or arrays, returns classes with probabilities."""

from __future__ import annotations

import itertools
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.data.images import color_mode_of, read_image
from zoo.errors import ImageError, ModelError, StudyError, one_line, shape_text
from zoo.models.finding import FoundModel, find_model
from zoo.registry import using_plugins
from zoo.training import backend
from zoo.training.saved import load_file

if TYPE_CHECKING:
    import keras
    import pandas as pd

BATCH_SIZE = 32
_BATCHES_AHEAD = 2  # batches that are decoded while the model computes

Array = npt.NDArray[Any]
Image = str | Path | bytes | Array  # a path, the content of an image file, or pixels


@dataclass(frozen=True, eq=False)
class Prediction:
    """The model's answer for one image.

    Args:
        image: the path of the image file; for pixels and bytes, the position in the given images, from 0.
        probabilities: the probability of each class, `(classes,)`; None if the image cannot be read.
        problem: the reason why the image cannot be read, without its path; "" if it can be read.
    """

    image: str | int
    probabilities: npt.NDArray[np.floating] | None
    problem: str = ""


class Classifier:
    """A trained model that returns the class names of images.

        classifier = zoo.Classifier("cats_and_dogs")
        classifier.predict("photos/rex.jpg")

    Args:
        model: any name that `zoo.load_model` takes, or the result of `zoo.models.find_model`.
        plugins: as for `zoo.load_model`.

    Attributes:
        info: the facts about the model; `zoo.training.info.ModelInfo`.
        class_names: the names in the order of the model's outputs; `"0"`, `"1"` … if the model does not name
            its classes.
        model: the Keras model: takes raw pixels 0–255, returns class probabilities `(batch, classes)`.

    Raises:
        ModelError: as for `zoo.load_model`; or the model does not classify images of one size.
    """

    def __init__(self, model: str | Path | FoundModel, *, plugins: Sequence[Any] = ()) -> None:
        found = model if isinstance(model, FoundModel) else find_model(model)
        backend.import_keras()
        self.name = found.name
        self.info = found.info
        with using_plugins(plugins):
            self.model: keras.Model = load_file(found.path, found.name)
        shape, outputs = self.model.input_shape, self.model.output_shape
        if len(shape) != 4 or None in shape[1:] or len(outputs) != 2:
            raise ModelError(
                f"the model {self.name} takes inputs of shape {shape} and returns {outputs}; expected images "
                "of one size (batch, height, width, channels), and probabilities (batch, classes)."
            )
        shape, num_classes = tuple(shape[1:]), int(outputs[1])
        self._image_shape: tuple[int, int, int] = shape
        names = found.info.class_names or tuple(map(str, range(num_classes)))
        if len(names) != num_classes:
            raise ModelError(
                f"the model {self.name} has {num_classes} outputs, but names {len(names)} classes. "
                "Expected a file that zoo saved."
            )
        self.class_names = names

    def predict(
        self,
        images: Image | Sequence[Image],
        top: int = 1,
        batch_size: int = BATCH_SIZE,
    ) -> pd.DataFrame:
        """Return the most probable classes of each image, a row per image in the given order.

        Columns: `image` (path, or number from 0), `class`, `probability`; with `top` above 1 also `class_2`,
        `probability_2` and so on. An unreadable file has no class, and causes a warning.

        Args:
            images: paths of image files, or their content as `bytes`, decoded as in training; or pixels
                0–255, integers or floats, `(height, width, channels)` or `(n, height, width, channels)`. The
                channel axis may be missing if there is one channel.
            top: number of classes per image.
        """
        import pandas as pd

        rows = []
        for prediction in self.predictions(images, batch_size):
            if prediction.problem:
                warnings.warn(f"{prediction.image} is skipped: {prediction.problem}", stacklevel=2)
            best = self.top_classes(prediction, top) if prediction.probabilities is not None else []
            rows.append([prediction.image, *itertools.chain.from_iterable(best)])
        return pd.DataFrame(rows, columns=prediction_columns(min(top, len(self.class_names))))

    def predictions(
        self,
        images: Image | Iterable[Image],
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[Prediction]:
        """Yield a Prediction for each image, in order; later images are decoded while the model computes.

        `images` is as for `predict`, or an iterator. An image file that cannot be read is not an error: its
        Prediction has a `problem`.
        """
        if batch_size < 1:
            raise StudyError(f"batch_size: expected an integer >= 1, got {batch_size}")
        readers = self._readers(images)
        with ThreadPoolExecutor(backend.available_cores()) as pool:
            pending: deque[list[tuple[str | int, Future[Array]]]] = deque()
            size = 0
            for batch in _batches(readers, batch_size):
                size = size or len(batch)  # size of the first batch; the last batch may be smaller
                pending.append([(name, pool.submit(read)) for name, read in batch])
                if len(pending) > _BATCHES_AHEAD:
                    yield from self._predict_batch(pending.popleft(), size)
            while pending:
                yield from self._predict_batch(pending.popleft(), size)

    def top_classes(self, prediction: Prediction, top: int) -> list[tuple[str, float]]:
        """Return the `top` most probable classes with their probabilities, the most probable first."""
        assert prediction.probabilities is not None
        order = np.argsort(-prediction.probabilities, kind="stable")[:top]
        return [(self.class_names[label], float(prediction.probabilities[label])) for label in order]

    def _predict_batch(
        self, batch: Sequence[tuple[str | int, Future[Array]]], size: int
    ) -> Iterator[Prediction]:
        """Yield the predictions of a batch. Zeros pad it to `size`, so that Keras compiles once."""
        images = np.zeros((size, *self._image_shape), np.float32)
        problems: dict[int, str] = {}
        for position, (_, reading) in enumerate(batch):
            try:
                images[position] = reading.result()
            except ImageError as error:
                problems[position] = error.reason
        probabilities: Any = None
        if len(problems) < len(batch):
            probabilities = np.asarray(self.model.predict_on_batch(images))
        for position, (name, _) in enumerate(batch):
            if position in problems:
                yield Prediction(name, None, problems[position])
            else:
                yield Prediction(name, probabilities[position])

    def _readers(self, images: Image | Iterable[Image]) -> Iterator[tuple[str | int, Callable[[], Array]]]:
        """Yield the name of each image and a function that returns its pixels."""
        if isinstance(images, str | os.PathLike | bytes):
            images = [images]
        elif isinstance(images, np.ndarray):
            is_one_image = images.shape in (self._image_shape, self._image_shape[:2])
            images = images[None] if is_one_image else images
        for number, image in enumerate(images):
            if isinstance(image, bytes):
                yield number, partial(read_image, BytesIO(image), **self._decoding())
            elif isinstance(image, str | os.PathLike):
                yield os.fspath(image), partial(read_image, Path(image), **self._decoding())
            else:
                pixels = self._check_pixels(np.asarray(image))
                yield number, partial(np.asarray, pixels)

    def _decoding(self) -> dict[str, Any]:
        """Return the keyword arguments of `read_image`."""
        mode = color_mode_of(self._image_shape[2])
        if not mode:
            raise ModelError(
                f"the model {self.name} takes images with {self._image_shape[2]} channels, but image files "
                "are read with 1 (grayscale) or 3 (rgb); pass arrays to `zoo.Classifier.predict`."
            )
        return {"color_mode": mode, "size": self._image_shape[:2], **self.info.decoding}

    def _check_pixels(self, pixels: Array) -> Array:
        """Return the pixels of one image in the model's shape; raise StudyError if they do not fit."""
        if pixels.shape == self._image_shape[:2] and self._image_shape[2] == 1:
            pixels = pixels[..., None]
        expected = f"expected pixels from 0 to 255, {shape_text(self._image_shape)}"
        if pixels.shape != self._image_shape:
            raise StudyError(
                f"{expected} (height × width × channels), got an array of shape {pixels.shape}. "
                "Resize it: zoo resizes image files only."
            )
        if pixels.dtype.kind not in "uif":
            raise StudyError(f"{expected}, got {pixels.dtype}.")
        low, high = pixels.min(), pixels.max()
        if not (low >= 0 and high <= 255):
            raise StudyError(f"{expected}, got {one_line(low)} to {one_line(high)}.")
        if pixels.dtype.kind == "f" and 0 < high <= 1:
            raise StudyError(f"{expected}, got {low:.3g} to {high:.3g}. Multiply them by 255.")
        return pixels


def prediction_columns(top: int) -> list[str]:
    """Return the columns of a table of predictions with `top` classes per image."""
    pairs = [[f"class{end}", f"probability{end}"] for end in ("", *(f"_{n}" for n in range(2, top + 1)))]
    return ["image", *itertools.chain.from_iterable(pairs)]


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
