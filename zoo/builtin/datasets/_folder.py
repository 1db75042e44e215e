"""Folders of images: a folder for each class, and around them one for each split or none."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from zoo import Choice, Dataset, Float, Int, Split, ZooError, reads
from zoo.builtin.datasets._files import find
from zoo.builtin.datasets._pictures import FORMATS, SUFFIXES, decode_all, size_of
from zoo.builtin.datasets._sizes import height_and_width
from zoo.builtin.datasets._splits import cut_test

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Labelled = list[tuple[Path, int]]  # images and the number of their class

SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
CHANNELS = {"rgb": 3, "grayscale": 1}
OF_FILE_MANAGERS = ("thumbs.db", "desktop.ini")


@dataclass
class _Tree:
    """What is in a folder of images.

    Args:
        images: by split; of a folder without splits all are in `train`, and `has_splits` is False.
        folders: every folder that was looked into.
        left_out: what lies there besides and is no part of the dataset.
    """

    root: Path
    has_splits: bool
    class_names: Sequence[str] = ()
    images: dict[str, Labelled] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)


def _files(*, path: str, **_: Any) -> Iterator[Path]:
    tree = _look_into(find("path", path))
    yield from tree.folders
    for images in tree.images.values():
        yield from (file for file, _ in images)


@reads(_files)
def image_folder(
    *,
    path: str,
    image_size: int | list | None = None,  # type: ignore[type-arg]
    color_mode: Annotated[str, Choice("rgb", "grayscale")] = "rgb",
    test_fraction: Annotated[float, Float(0.0, 0.9)] = 0.2,
    seed: Annotated[int, Int(0, 2**32 - 1)] = 42,
) -> Dataset:
    """JPEG, PNG, GIF and BMP images in a folder for each class.

    `path` has the folders `train`, `validation` and `test` (the latter two as far as there are any),
    and each of these a folder for each class. Or it has the class folders itself, and a test split is
    chosen from each. Photographs are turned as their EXIF orientation says, of a GIF the first frame
    is taken, transparency is dropped.

    Args:
        path: of the folder, from the working folder or else from `$ZOO_DATA_DIR`.
        image_size: to which every image is scaled, in pixels: one number for a square, or
            `[height, width]`; each side by itself. Without it, all have to be of one size.
        color_mode: what images become: `rgb`, or `grayscale`, of one channel.
        test_fraction: share of each class for the test split, where the folder has no splits.
        seed: which images those are.

    Raises:
        ZooError: images cannot be read, with their names; or the folder is not like that.
    """
    tree = _look_into(find("path", path))
    chosen = tree.images if tree.has_splits else _cut(tree.images["train"], test_fraction, seed)
    scaled = None if image_size is None else height_and_width(image_size)
    size = scaled or size_of(chosen["train"][0][0])
    files = {split: [file for file, _ in images] for split, images in chosen.items()}
    arrays = decode_all(tree.root, files, size, CHANNELS[color_mode], scale=scaled is not None)
    return Dataset(
        **{split: Split(arrays[split], _labels(images)) for split, images in chosen.items()},
        class_names=tree.class_names,
        source=tree.root.resolve().name,
        warning=_left_out(tree),
    )


def _look_into(root: Path) -> _Tree:
    """Every image with its split and its label, in the order of their paths."""
    if not root.is_dir():
        raise ZooError(f"{root} is a file; expected the folder that has the class folders in it.")
    roots = _split_folders(root)
    tree = _Tree(root, has_splits=root not in roots.values(), folders=[root])
    if tree.has_splits:
        tree.left_out += [folder for folder in _folders_in(root).values() if folder not in roots.values()]
        tree.left_out += _files_in(root)
    tree.class_names = list(_folders_in(roots["train"]))
    if len(tree.class_names) < 2:
        there = f"only {tree.class_names[0]}" if tree.class_names else "none"
        there += ". If train is a class, rename it" if tree.has_splits else ""
        raise ZooError(
            f"{roots['train']}: expected class folders, at least two, with images in them; there is {there}."
        )
    for split, folder in roots.items():
        tree.images[split] = list(_labelled(tree, folder))
    _check_images(tree, roots)
    return tree


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split, train first; a folder without splits is itself what is trained on."""
    inner = _folders_in(root)
    named = {split: [name for name in inner if name.lower() in names] for split, names in SPLITS.items()}
    if _are_classes(inner, named):
        return {"train": root}
    for split, names in named.items():
        if len(names) > 1:
            raise ZooError(
                f"{root} has more than one folder for {split}: {', '.join(names)}. Rename or remove one."
            )
    roots = {split: inner[names[0]] for split, names in named.items() if names}
    if roots and "train" not in roots:
        raise ZooError(f"{root} has the folder {' and '.join(roots)}, but no folder train.")
    return roots or {"train": root}


def _are_classes(inner: dict[str, Path], named: dict[str, list[str]]) -> bool:
    """Whether folders that are called like splits are classes, as among car, plane and train."""
    of_splits = [name for names in named.values() for name in names]
    telling = named["train"] or of_splits
    return len(of_splits) < len(inner) and not any(_folders_in(inner[name]) for name in telling)


def _labelled(tree: _Tree, folder: Path) -> Iterator[tuple[Path, int]]:
    """The images in the class folders of one split; what else is there is told to `tree`."""
    tree.folders.append(folder)
    tree.left_out += _files_in(folder)
    for name, class_folder in _folders_in(folder).items():
        if name not in tree.class_names:
            listed = ", ".join(tree.class_names)
            raise ZooError(f"{class_folder}: there is no such class in train, which has {listed}.")
        seen = {_identity(place) for place in (tree.root, folder, class_folder)}  # of links that lead back
        for place, inner, files in os.walk(class_folder, onerror=_stop, followlinks=True):
            inner[:] = _unseen(Path(place), inner, seen)  # what it goes into
            tree.folders.append(Path(place))
            for file in (Path(place, one) for one in sorted(files) if not _is_hidden(one)):
                if _is_image(file):
                    yield file, tree.class_names.index(name)
                else:
                    tree.left_out.append(file)


def _check_images(tree: _Tree, roots: dict[str, Path]) -> None:
    """Every split has images, and train has some of every class."""
    trained = {label for _, label in tree.images["train"]}
    empty = [roots["train"] / name for label, name in enumerate(tree.class_names) if label not in trained]
    empty += [folder for split, folder in roots.items() if not tree.images[split]]
    if empty:
        raise ZooError(
            f"{empty[0]}: there is no {FORMATS} in it. Put its images there, or remove the folder."
        )


def _cut(images: Labelled, fraction: float, seed: int) -> dict[str, Labelled]:
    """Train and test split of a folder that has none."""
    train, test = cut_test(_labels(images), fraction, seed)
    parts = {"train": [images[place] for place in train], "test": [images[place] for place in test]}
    return {split: part for split, part in parts.items() if part}


def _labels(images: Labelled) -> Array:
    import numpy as np

    return np.array([label for _, label in images], np.int64)


def _left_out(tree: _Tree) -> str:
    if not tree.left_out:
        return ""
    shown = ", ".join(str(path.relative_to(tree.root)) for path in tree.left_out[:3])
    more = f" and {len(tree.left_out) - 3:,} more" if len(tree.left_out) > 3 else ""
    return (
        f"In {tree.root} these are left out, because they are no {FORMATS} in a class folder: {shown}{more}."
    )


def _folders_in(folder: Path) -> dict[str, Path]:
    """The folders in a folder that are not hidden, by name, in its order."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not _is_hidden(entry.name)]
    return {name: folder / name for name in sorted(names)}


def _files_in(folder: Path) -> list[Path]:
    """What lies in a folder, is not hidden and is no folder, in its order."""
    return [path for path in sorted(folder.iterdir()) if not path.is_dir() and not _is_hidden(path.name)]


def _unseen(place: Path, names: Sequence[str], seen: set[tuple[int, int]]) -> list[str]:
    """The folders in a folder that are not hidden and are seen for the first time, in its order."""
    fresh = []
    for name in sorted(names):
        if not _is_hidden(name) and (identity := _identity(place / name)) not in seen:
            seen.add(identity)
            fresh.append(name)
    return fresh


def _identity(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in OF_FILE_MANAGERS


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not _is_hidden(path.name)


def _stop(error: OSError) -> NoReturn:
    """Of a folder that cannot be read, which `os.walk` would pass by."""
    raise error
