"""The facts about a dataset that decide what its drafted study contains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.drafting._document import toml
from zoo.drafting._image_files import ImageFiles
from zoo.errors import listed, shape_text

if TYPE_CHECKING:
    import numpy as np

BALANCED_RATIO = 2  # ratio of the largest to the smallest class
MAX_NAME = 40  # characters of a class name
NO_TEST_TEXT = "no test split, so the best model is not scored on unseen images"
FEW = 100  # training images
FEW_TEXT = "so few images make every result very uncertain: add images if you can"
LISTED = 8  # classes in a text


@dataclass(frozen=True)
class Facts:
    """The facts about a dataset.

    Args:
        path: the path that the user gave.
        dataset, parameters: the dataset that reads this path, and its parameters.
        found: the reason for each parameter that zoo set, which becomes a comment beside it.
        notes: sentences about the files that are read.
        image_shape: height, width and channels after reading.
        counts: number of images of each class, by split; before a validation split is made.
        files: the image files, if the dataset has any.
        name_groups: a regular expression for groups of file names, and an example; None without such groups.
        warning: the warnings of zoo's preparation about images, splits and labels.
    """

    path: str
    dataset: str
    parameters: Mapping[str, Any]
    found: Mapping[str, str]
    notes: Sequence[str]
    class_names: Sequence[str]
    image_shape: tuple[int, int, int]
    counts: Mapping[str, np.ndarray[Any, Any]]
    files: ImageFiles | None
    warning: str
    name_groups: tuple[str, str] | None = None

    @property
    def num_train(self) -> int:
        return int(self.counts["train"].sum())

    @property
    def smallest_class(self) -> int:
        """Number of images of the smallest class in the training split."""
        return int(self.counts["train"].min())

    @property
    def is_balanced(self) -> bool:
        return int(self.counts["train"].max()) <= BALANCED_RATIO * self.smallest_class

    @property
    def side(self) -> int:
        """The shorter side of the images, pixels."""
        return min(self.image_shape[:2])

    @property
    def is_color(self) -> bool:
        return self.image_shape[2] >= 3

    def rows(self) -> list[tuple[str, str]]:
        """Return the facts as rows of a table: title and text."""
        names = listed([name[:MAX_NAME] for name in self.class_names], LISTED)
        splits = [f"{counts.sum():,} {split}" for split, counts in self.counts.items()]
        settings = [f"{key} = {toml(value)}" for key, value in self.parameters.items() if key in self.found]
        return [
            ("dataset", f"{self.dataset}{': ' if settings else ''}{', '.join(settings)}"),
            *(("", note) for note in self.notes),
            ("classes", f"{len(self.class_names)}: {names}"),
            ("images", ", ".join(splits)),
            *([] if "test" in self.counts else [("", NO_TEST_TEXT)]),
            ("per class", self._balance_text()),
            *([("", FEW_TEXT)] if self.num_train < FEW else []),
            ("size", self._size_text()),
            ("color", "rgb" if self.is_color else "grey"),
            *([("names", self.group_text())] if self.name_groups else []),
        ]

    def group_text(self) -> str:
        """Return what to do if images with similar names show the same person or object."""
        expression, example = self.name_groups or ("", "")
        return (
            f"{example} … begin alike: if they show the same person or object, keep them together with "
            f"--set group='{expression}'"
        )

    def _balance_text(self) -> str:
        counts = self.counts["train"]
        low, high = int(counts.min()), int(counts.max())
        if low == high:
            return f"{low:,} in train, the same in every class"
        smallest, largest = self.class_names[int(counts.argmin())], self.class_names[int(counts.argmax())]
        word = "balanced enough" if self.is_balanced else "not balanced"
        return f"{low:,} ({smallest}) to {high:,} ({largest}) in train: {word}"

    def _size_text(self) -> str:
        read = shape_text(self.image_shape[:2])
        if self.files is None or self.files.sizes_text() == read:
            return read
        return f"{self.files.sizes_text()}; read at {read}"
