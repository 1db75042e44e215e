"""Folders of images: one folder per class, optionally inside one folder per split."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zoo import (
    IMAGE_SUFFIXES,
    Choice,
    Dataset,
    Float,
    ImageError,
    Int,
    Split,
    ZooError,
    progress,
    read_image,
    reads,
)
from zoo.builtin.datasets._common import cut_test, find_path, height_and_width

if TYPE_CHECKING:
    from zoo.builtin.datasets._common import Array

    Labelled = list[tuple[Path, int]]  # image files and their labels

FORMAT_NAMES = "JPEG, PNG, GIF or BMP"
SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
SYSTEM_FILES = ("thumbs.db", "desktop.ini")


@dataclass
class _Tree:
    """The content of an image folder."""

    root: Path
    has_splits: bool  # if False, all images are in train
    class_names: list[str]
    images: dict[str, Labelled] = field(default_factory=dict)  # by split
    folders: list[Path] = field(default_factory=list)  # all searched folders
    ignored: list[Path] = field(default_factory=list)  # files and folders that are not part of the dataset


def _files(*, path: str, **_: Any) -> Iterator[Path]:
    tree = _read_tree(find_path("path", path))
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
    """JPEG, PNG, GIF and BMP images in one folder per class.

    The folder contains `train` and, optionally, `validation` and `test`, each with one folder per class. Or
    it contains the class folders itself; then zoo cuts a test split from each class. Photographs are rotated
    by their EXIF orientation, the first frame of a GIF is used, and transparency is dropped.

    Args:
        path: the path of the folder, in the working folder or in `$ZOO_DATA_DIR`.
        image_size: scale every image to this size, in pixels: one number for a square, or
            `[height, width]`; the aspect ratio is not kept. Without it, all images must have one size.
        color_mode: convert images to `rgb`, or to `grayscale` with one channel.
        test_fraction: share of each class for the test split, if the folder has no splits.
        seed: selects the test images.

    Raises:
        ZooError: images cannot be read (with their names), or the folder has another structure.
    """
    import numpy as np

    tree = _read_tree(find_path("path", path))
    images = tree.images
    if not tree.has_splits:
        all_labels = np.array([label for _, label in images["train"]])
        splits = zip(("train", "test"), cut_test(all_labels, test_fraction, seed), strict=True)
        images = {name: [images["train"][i] for i in indices] for name, indices in splits if len(indices)}
    new_size = None if image_size is None else height_and_width(image_size)
    files, labels = zip(*(pair for labelled in images.values() for pair in labelled), strict=True)
    size = new_size or _size_of(files[0])
    pixels = _decode_all(tree.root, files, size, color_mode, scale=new_size is not None)
    bounds = np.cumsum([len(labelled) for labelled in images.values()])[:-1]
    arrays = zip(np.split(pixels, bounds), np.split(np.array(labels, np.int64), bounds), strict=True)
    return Dataset(
        **dict(zip(images, itertools.starmap(Split, arrays), strict=True)),
        class_names=tree.class_names,
        source=tree.root.resolve().name,
        warning=_ignored_warning(tree),
    )


def _read_tree(root: Path) -> _Tree:
    """Return every image below `root` with its split and label, sorted by path.

    Raises ZooError if the folders have another structure.
    """
    if not root.is_dir():
        raise ZooError(f"{root} is a file; expected the folder that contains the class folders.")
    roots = _split_folders(root)
    has_splits = roots["train"] != root
    class_names = list(_list_folder(roots["train"])[0])
    if len(class_names) < 2:
        found = f"only {class_names[0]}" if class_names else "none"
        fix = " If train is a class, rename it." if has_splits else ""
        raise ZooError(
            f"{roots['train']}: expected at least two class folders with images, got {found}.{fix}"
        )
    tree = _Tree(root, has_splits, class_names, folders=[root])
    if has_splits:
        folders, files = _list_folder(root)
        tree.ignored += [folder for folder in folders.values() if folder not in roots.values()] + files
    for split, folder in roots.items():
        tree.images[split] = list(_images_of_split(tree, folder))
    labels = {label for _, label in tree.images["train"]}
    empty = [roots["train"] / name for label, name in enumerate(class_names) if label not in labels]
    empty += [folder for split, folder in roots.items() if not tree.images[split]]
    if empty:
        raise ZooError(f"{empty[0]} contains no {FORMAT_NAMES}. Put images there, or remove the folder.")
    return tree


def _split_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each split, train first; without splits, `root` itself as train."""
    folders, _ = _list_folder(root)
    named = {split: [name for name in folders if name.lower() in names] for split, names in SPLITS.items()}
    if _are_classes(folders, named):
        return {"train": root}
    for split, names in named.items():
        if len(names) > 1:
            raise ZooError(
                f"{root} has more than one folder for {split}: {', '.join(names)}. Rename or remove one."
            )
    roots = {split: folders[names[0]] for split, names in named.items() if names}
    if roots and "train" not in roots:
        raise ZooError(
            f"{root} has the folder {' and '.join(roots)}, but no folder train. Add or rename one."
        )
    return roots or {"train": root}


def _are_classes(folders: Mapping[str, Path], named: Mapping[str, list[str]]) -> bool:
    """Return True if the folders that are named like splits are classes: `train` beside `car` and `plane`.

    They are classes if there are other folders beside them, and no folders in them.
    """
    split_names = [name for names in named.values() for name in names]
    decisive = named["train"] or split_names
    return len(split_names) < len(folders) and not any(_list_folder(folders[name])[0] for name in decisive)


def _images_of_split(tree: _Tree, folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the images in the class folders of one split; add the other files to `tree.ignored`."""
    class_folders, files = _list_folder(folder)
    tree.folders.append(folder)
    tree.ignored += files
    for name, class_folder in class_folders.items():
        if name not in tree.class_names:
            available = ", ".join(tree.class_names)
            raise ZooError(f"{class_folder}: train has no such class. Available: {available}. Rename it.")
        for file in _walk(tree, {tree.root.resolve(), folder.resolve()}, class_folder):
            if file.suffix.lower() in IMAGE_SUFFIXES:
                yield file, tree.class_names.index(name)
            else:
                tree.ignored.append(file)


def _walk(tree: _Tree, seen: set[Path], folder: Path) -> Iterator[Path]:
    """Yield the files in and below `folder`. Links are followed; a folder in `seen` is skipped."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    tree.folders.append(folder)
    folders, files = _list_folder(folder)
    yield from files
    for inner in folders.values():
        yield from _walk(tree, seen, inner)


def _list_folder(folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """Return the folders in `folder` by name, and its files; both sorted, without hidden and system files."""
    folders, files = {}, []
    with os.scandir(folder) as content:
        for one in sorted(content, key=lambda one: one.name):
            if one.name.startswith(".") or one.name.lower() in SYSTEM_FILES:
                continue
            if one.is_dir():
                folders[one.name] = folder / one.name
            else:
                files.append(folder / one.name)
    return folders, files


def _ignored_warning(tree: _Tree) -> str:
    if not tree.ignored:
        return ""
    listed = ", ".join(str(path.relative_to(tree.root)) for path in tree.ignored[:3])
    more = f" and {len(tree.ignored) - 3:,} more" if len(tree.ignored) > 3 else ""
    return f"Ignored in {tree.root}: {listed}{more}. Only {FORMAT_NAMES} files in class folders are used."


def _decode_all(
    root: Path, files: Sequence[Path], size: tuple[int, int], color_mode: str, *, scale: bool
) -> Array:
    """Return the images as `uint8`, `(n, height, width, channels)`, in a temporary file.

    With `scale`, every image is scaled to `size` (height and width); otherwise it must have that size.
    """
    arrays = _temporary_array((len(files), *size, 3 if color_mode == "rgb" else 1))

    def decode(file: Path, pixels: Array) -> str:
        """Decode one image into `pixels`; return the problem, or "" if there is none."""
        try:
            image = read_image(file, color_mode, size if scale else None)
        except ImageError as error:
            return f"{file.relative_to(root)} ({error.reason})"
        if image.shape[:2] != size:
            raise ZooError(
                f"{files[0]} has {_size_text(size)} pixels (height × width), {file} has "
                f"{_size_text(image.shape[:2])}. Set image_size to a number, or to [height, width], "
                "to scale all images to one size."
            )
        pixels[...] = image
        return ""

    # Pillow releases Python's lock while it decodes.
    with ThreadPoolExecutor() as pool:
        decoding = pool.map(decode, files, arrays)
        step = f"decoding {len(files):,} images"
        problems = list(filter(None, progress(decoding, step, total=len(files))))
    if problems:
        more = f" and {len(problems) - 5:,} more" if len(problems) > 5 else ""
        raise ZooError(
            f"{len(problems):,} of {len(files):,} images in {root} cannot be read: "
            f"{', '.join(problems[:5])}{more}. Replace or remove them."
        )
    return arrays


def _size_of(file: Path) -> tuple[int, int]:
    """Return height and width of an image, in pixels, after its EXIF rotation."""
    try:
        height, width, _ = read_image(file, "grayscale").shape
    except ImageError as error:
        raise ZooError(f"{error}. Replace or remove it.") from error
    return height, width


def _temporary_array(shape: tuple[int, ...]) -> Array:
    """Return an array in a temporary file that disappears with the array."""
    import numpy as np

    with tempfile.TemporaryFile() as file:
        try:
            if hasattr(os, "posix_fallocate"):  # otherwise a full disk kills the process later (SIGBUS)
                os.posix_fallocate(file.fileno(), 0, math.prod(shape))
        except OSError as error:
            raise ZooError(
                f"No space for {shape[0]:,} images of {_size_text(shape[1:])} "
                f"({math.prod(shape) / 1e9:.1f} GB) in {tempfile.gettempdir()}: {error.strerror}. "
                "Set TMPDIR to a folder with more space, or set a smaller image_size."
            ) from error
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _size_text(size: tuple[int, ...]) -> str:
    return "×".join(map(str, size))
