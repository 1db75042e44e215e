"""NumPy arrays of images and labels, in one `.npz` file or in a folder of `.npy` files."""

from __future__ import annotations

import itertools
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import SPLIT_WORDS, Dataset, Table, ZooError, read_tables, reads, to_images, to_labels
from zoo.builtin._common import reason_of
from zoo.builtin.datasets._common import completed, count_text, find_path

if TYPE_CHECKING:
    from zoo.builtin.datasets._common import Array

# Usual names of images and labels, compared without capital letters.
PAIRS = (
    *(("x_train", "y_train"), ("train_images", "train_labels"), ("train_x", "train_y")),
    *(("images_train", "labels_train"), ("images", "labels"), ("image", "label"), ("x", "y")),
    *(("trainx", "trainy"), ("x", "labels"), ("data", "labels"), ("data", "target"), ("arr_0", "arr_1")),
)


def _files(*, path: str, **_: Any) -> Iterator[Path]:
    found = find_path("path", path)
    yield found
    if found.is_dir():
        yield from sorted(found.glob("*.npy"))


@reads(_files)
def array_images(
    *,
    path: str,
    images: str | None = None,
    labels: str | None = None,
    test_images: str | None = None,
    test_labels: str | None = None,
    classes: list | None = None,  # type: ignore[type-arg]
    class_names: list | None = None,  # type: ignore[type-arg]
    image_shape: list | None = None,  # type: ignore[type-arg]
    channels_first: bool = False,
    scale: float | None = None,
) -> Dataset:
    """Images in NumPy's files: an `.npz` file, or a folder of `.npy` files.

    Images are `(n, height, width)`, `(n, height, width, channels)`, `(n, channels, height, width)` or
    `(n, pixels)`. Labels are integers or text, `(n,)` or `(n, 1)`, or one-hot.

    Args:
        path: the path of the file or folder, in the working folder or in `$ZOO_DATA_DIR`.
        images, labels: names of the training arrays in the file, or of their files in the folder; by
            default usual names, such as `x_train` and `y_train`, `images` and `labels`, or `x` and `y`.
        test_images, test_labels: names of the arrays of the test split. Without them, one fifth of each class
            becomes the test split. Arrays with usual names, such as `x_val`, are the validation split.
        classes: use only these labels; they become classes in this order.
        class_names: a name for each class, in the same order; the labels themselves by default.
        image_shape: `[height, width]` or `[height, width, channels]` of images `(n, pixels)`.
        channels_first: the pixels in columns are stored channel by channel: all red ones first.
        scale: factor that gives pixels from 0 to 255, such as 255 for values from 0 to 1.

    Raises:
        ZooError: a file or an array is missing or damaged, or an array has other values or another shape.
    """
    source = _Arrays(find_path("path", path))
    given = {"train": (images, labels), "test": (test_images, test_labels)}
    pairs = {split: source.pair(split, *given.get(split, (None, None))) for split in SPLIT_WORDS}
    found = {split: pair for split, pair in pairs.items() if pair is not None}
    parts, tables = [], {}
    for split, (x, y) in found.items():
        parts.append(to_images(source.read(x), f"{source.path}: {x}", scale, image_shape, channels_first))
        start = sum(map(len, parts[:-1]))
        values = to_labels(source.read(y), f"{source.path}: {y}")
        tables[split] = _table(f"{source.path}: {y}", values, start, len(parts[-1]))
    options = {"classes": classes, "class_names": class_names}
    return _dataset(source.path, tables, parts, options, source.unused_warning(found.values()))


def _dataset(
    path: Path, tables: dict[str, Any], parts: list[Array], options: dict[str, Any], warning: str
) -> Dataset:
    import numpy as np

    for part in parts[1:]:
        if part.shape[1:] != parts[0].shape[1:]:
            raise ZooError(
                f"{path}: expected images of shape {parts[0].shape[1:]} as in train, got {part.shape[1:]}."
            )
    pixels = np.concatenate(parts) if len(parts) > 1 else parts[0]
    train = tables.pop("train")
    dataset = read_tables(train, **tables, **options, label_column=0, image_column=1, decode=lambda _: pixels)
    return completed(dataset, [path.name], [dataset.warning, warning])


def _table(name: str, labels: Array, start: int, count: int) -> Table:
    """Return a table with two columns: the labels, and the numbers of their images."""
    import pandas as pd

    if len(labels) != count:
        got = f"{count_text(len(labels), 'label')} for {count_text(count, 'image')}"
        raise ZooError(f"{name}: expected one label per image, got {got}.")
    frame = pd.DataFrame({0: labels, 1: range(start, start + count)})
    return Table(
        name=name,
        columns=["label", "image"],
        chunks=lambda text_columns: [frame],
        cell=lambda row, column: (f"label {row}", str(frame.iat[row, column])),
    )


class _Arrays:
    """The arrays of an `.npz` file or of a folder, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            self._names = sorted(file.stem for file in path.glob("*.npy"))
        elif path.suffix.lower() == ".npy":
            raise ZooError(f"{path} is one array. Set path to its folder, or to an .npz file.")
        else:
            with self._readable(path), zipfile.ZipFile(path) as archive:
                self._names = [name.removesuffix(".npy") for name in archive.namelist()]
                _check_memory(archive)

    def pair(self, split: str, images: str | None, labels: str | None) -> tuple[str, str] | None:
        """Return the names of images and labels of a split; None if it has none."""
        lower = {name.lower(): name for name in self._names}
        if images is not None and labels is not None:
            return self._existing(images), self._existing(labels)
        for x, y in _usual_names(split):
            if x in lower and y in lower:
                return self._existing(images or lower[x]), self._existing(labels or lower[y])
        if split != "train" and images is None and labels is None:
            return None
        prefix = "" if split == "train" else f"{split}_"
        raise ZooError(
            f"{self.path}: expected images and labels, such as x_train and y_train, got "
            f"{', '.join(self._names) or 'no array'}. Set {prefix}images and {prefix}labels to the names.",
            fix=self._only_pair() if split == "train" else None,
        )

    def unused_warning(self, used: Iterable[tuple[str, str]]) -> str:
        """Return a sentence about images without labels, or labels without images; usually ""."""
        names = {name for pair in used for name in pair}
        others = [split for split in SPLIT_WORDS if split != "train"]
        usual = {name for split in others for pair in _usual_names(split) for name in pair}
        unused = [name for name in self._names if name not in names and name.lower() in usual]
        if not unused:
            return ""
        are, their = ("is", "its") if len(unused) == 1 else ("are", "their")
        return (
            f"{self.path}: {', '.join(unused)} {are} not used, because {their} labels or images are missing."
        )

    def _only_pair(self) -> dict[str, str]:
        """Return the names of images and labels, if exactly one pair of arrays has such shapes."""
        shapes = {name: self.read(name).shape for name in self._names}
        pairs = [
            {"images": images, "labels": labels}
            for images, of_images in shapes.items()
            for labels, of_labels in shapes.items()
            if len(of_images) > 2 and len(of_labels) == 1 and of_images[0] == of_labels[0]
        ]
        return pairs[0] if len(pairs) == 1 else {}

    def _existing(self, name: str) -> str:
        if name not in self._names:
            available = ", ".join(self._names) or "none"
            raise ZooError(f"{self.path} has no array '{name}'. Available: {available}.")
        return name

    def read(self, name: str) -> Array:
        import numpy as np

        file = self.path / f"{name}.npy" if self.path.is_dir() else self.path
        with self._readable(file):
            loaded = np.load(file, allow_pickle=False)
            return loaded if self.path.is_dir() else loaded[name]  # type: ignore[no-any-return]

    @staticmethod
    @contextmanager
    def _readable(file: Path) -> Iterator[None]:
        """Raise ZooError if the file is damaged, or has Python objects."""
        if file.exists() and not file.is_file():  # a named pipe blocks when it is opened
            raise ZooError(f"{file} is a pipe, a socket or a device, not a file. Remove it.")
        try:
            yield
        except OSError as error:
            reason = error.strerror or reason_of(error)
            raise ZooError(f"{file} cannot be read ({reason}). Replace it, or correct the path.") from error
        except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            if "allow_pickle" in str(error):
                raise ZooError(
                    f"{file} has Python objects, which can run code when they are read. Save images as "
                    "numbers, "
                    'and labels as numbers or text: `y.astype("str")`.'
                ) from error
            raise ZooError(
                f"{file} is no file of NumPy arrays, or is damaged ({reason_of(error)}). Replace it."
            ) from error


def _usual_names(split: str) -> Iterator[tuple[str, ...]]:
    """Yield the usual names of the images and labels of a split."""
    for pair, word in itertools.product(PAIRS, SPLIT_WORDS[split]):
        names = tuple(part.replace("train", word) for part in pair)
        if split == "train" or names != pair:
            yield names


def _check_memory(archive: zipfile.ZipFile) -> None:
    """Raise ValueError if an array of the file is larger than this machine's memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for member in archive.infolist():
        if member.file_size > memory:
            raise ValueError(
                f"{member.filename} unpacks to {member.file_size / 1e9:,.1f} GB, and this machine has "
                f"{memory / 1e9:,.1f} GB of memory"
            )
