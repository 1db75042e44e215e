"""Datasets: the splits with their images and labels, the class names, and functions that make datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SPLITS = ("train", "validation", "test")
#: The words that mean each split in names of files, folders and arrays; the last words of two are FER2013's.
SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "publictest"),
    "test": ("test", "testing", "privatetest"),
}


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`; an array or a memory map.
        labels: integers, shape `(n,)`, from 0 to the number of classes - 1.
        columns: other facts about each image by name, shape `(n,)`, such as the photographed person. Text,
            numbers and dates are kept in the cache; `[validation] group` may name such a column.
        names: a name for each image in messages, shape `(n,)`, such as its file.
    """

    images: Any
    labels: Any
    columns: Mapping[str, Any] = field(default_factory=dict)
    names: Any = None

    def take(self, indices: Any) -> Split:
        """Return the images at these positions, in this order, with labels, columns and names."""
        return Split(
            self.images[indices],
            self.labels[indices],
            {name: values[indices] for name, values in self.columns.items()},
            None if self.names is None else self.names[indices],
        )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A training split, and a validation and a test split if the source has them.

    Without a `validation` split, zoo cuts one from `train`, stratified by label, according to the study's
    `[validation]`. The `test` split is used once, to score the best trial.

    Args:
        source: where the arrays came from, in a few words, for the record. Trials on two sources of the
            same dataset cannot share a study.
        warning: a fact about this source that limits what a result means. It is shown at the start of a study
            and recorded with every run.
        licence: the licence of the images, such as `CC BY 4.0`; "" if unknown. It is part of a model's card.
    """

    train: Split
    validation: Split | None = None
    test: Split | None = None
    class_names: Sequence[str] = ()
    source: str = ""
    warning: str = ""
    licence: str = ""

    def splits(self) -> dict[str, Split]:
        """Return the splits that the dataset has, by name, train first."""
        return {name: split for name in SPLITS if (split := getattr(self, name)) is not None}

    @staticmethod
    def from_arrays(
        x: Any,
        y: Any,
        *,
        x_val: Any = None,
        y_val: Any = None,
        x_test: Any = None,
        y_test: Any = None,
        columns: Mapping[str, Any] | None = None,
        columns_val: Mapping[str, Any] | None = None,
        columns_test: Mapping[str, Any] | None = None,
        class_names: Sequence[str] | None = None,
        scale: float | None = None,
        source: str = "",
        licence: str = "",
    ) -> Dataset:
        """Return images and labels as a dataset, for `zoo.tune(…, dataset=…)`; `uint8` images are not copied.

        Args:
            x: training images, anything that `numpy.asarray` takes: `(n, height, width)`, `(n, height, width,
                channels)` or `(n, channels, height, width)`; numbers from 0 (black) to 255.
            y: their labels, `(n,)` or `(n, 1)`: integers or text.
            x_val, y_val, x_test, y_test: the validation and the test split, if there are any.
            columns, columns_val, columns_test: other facts about the images of each split, `(n,)` by name,
                such as `{"person": person}`. `[validation] group` may name one of them.
            class_names: a name for each class; the labels are positions in this list, or its names. By
                default, every label is a class: integers in ascending, text in natural order.
            scale: factor that gives values from 0 to 255, such as 255 for values from 0 to 1.
            source, licence: as for `Dataset`.

        Raises:
            ZooError: an array has another shape, or values out of range.
        """
        arrays = {
            "train": ("x", x, "y", y),
            "validation": ("x_val", x_val, "y_val", y_val),
            "test": ("x_test", x_test, "y_test", y_test),
        }
        facts = {"train": columns, "validation": columns_val, "test": columns_test}
        return _make("memory.dataset_of_arrays", arrays, class_names, scale, facts, source, licence)

    @staticmethod
    def from_frame(
        train: Any,
        *,
        validation: Any = None,
        test: Any = None,
        label_column: str | int | None = None,
        image_column: str | int | None = None,
        drop_columns: Sequence[str | int] = (),
        classes: Sequence[int | str] | None = None,
        class_names: Sequence[str] | None = None,
        image_size: int | Sequence[int] | None = None,
        image_shape: Sequence[int] | None = None,
        channels_first: bool = False,
        scale: float | None = None,
        folder: Any = None,
        color_mode: str = "rgb",
        background: str = "white",
        bit_depth: int = 16,
        source: str = "",
        licence: str = "",
    ) -> Dataset:
        """Return the rows of a pandas frame as a dataset, for `zoo.tune(…, dataset=…)`.

        The images are in one column, as paths, contents of files, images of Pillow, or arrays of
        two or three dimensions; or every other column has a pixel. A column with names of splits decides the
        splits. Other columns beside an image column are kept in `Split.columns`.

        Args:
            train: the frame with the training images.
            validation, test: the frames of the other splits, if there are any.
            label_column: name or position of the column with the labels, integers or text; by default
                `label`, `class`, `target` or `y`.
            image_column: name or position of the column with the images; by default the first one with
                images or names of image files.
            drop_columns: columns that are not pixels.
            classes: use only these labels; they become classes in this order.
            class_names: a name for each class, in the same order; the labels by default.
            image_size: scale images that are not arrays to this height and width.
            image_shape, channels_first: for pixels in columns: height, width and channels; their order.
            scale: factor that gives pixels from 0 to 255.
            folder: start of relative paths; the working folder by default.
            color_mode, background, bit_depth: as for `zoo.read_image`.
            source, licence: as for `Dataset`.

        Raises:
            ZooError: a column, a cell or a label is not as expected, or the images have different sizes.
        """
        return _make("frames.dataset_of_frames", **locals())

    @staticmethod
    def from_tf_dataset(
        train: Any,
        *,
        validation: Any = None,
        test: Any = None,
        class_names: Sequence[str] | None = None,
        scale: float | None = None,
        source: str = "",
        licence: str = "",
    ) -> Dataset:
        """Return the images and labels of a `tf.data.Dataset` as a dataset, for `zoo.tune(…, dataset=…)`.

        The images are written to a temporary file, sorted by their content: a dataset that is shuffled at
        each iteration always gives the same result.

        Args:
            train: pairs of images and labels, in batches or not, such as the result of
                `keras.utils.image_dataset_from_directory`. Fractions of pixels from 0 to 255 are rounded.
            validation, test: the other splits, if there are any.
            class_names, scale, source, licence: as for `from_arrays`; `class_names` is by default the
                attribute of `train` that Keras sets.

        Raises:
            ZooError: a dataset is infinite or empty, or has images of different sizes, or other values.
        """
        datasets = {"train": train, "validation": validation, "test": test}
        return _make("tensorflow_data.dataset_of_tf", datasets, class_names, scale, source, licence)


def class_counts(dataset: Dataset) -> dict[str, Array]:
    """Return the number of images of each class, `(classes,)`, by split."""
    import numpy as np

    return {
        name: np.bincount(np.asarray(split.labels, np.int64), minlength=len(dataset.class_names))
        for name, split in dataset.splits().items()
    }


def _make(function: str, *arguments: Any, **options: Any) -> Dataset:
    """Call a function of another module of this package, which imports this module."""
    module, _, name = function.partition(".")
    made: Dataset = getattr(import_module(f"zoo.data.{module}"), name)(*arguments, **options)
    return made
