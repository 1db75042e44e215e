"""Folders of images: one folder per class, optionally inside one folder per split."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from zoo import (
    SPLIT_WORDS,
    Choice,
    Dataset,
    Float,
    ImageDecoder,
    Int,
    Split,
    ZooError,
    is_image,
    natural_key,
    reads,
)
from zoo.builtin.datasets._common import count_text, cut_test, find_path

Labelled = list[tuple[Path, int]]  # image files and their labels

SPLIT_SUFFIX = "(?:[ _-]?(?:set|data|images))?"
# Names that operating systems and network storages add to folders; hidden files begin with a dot.
SYSTEM_FILES = (
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *("__macosx", "icon\r", "lost+found", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "@tmp"),
)


@dataclass
class _Tree:
    """The content of an image folder."""

    root: Path
    has_splits: bool  # otherwise all images are in train
    class_names: list[str]
    images: dict[str, Labelled] = field(default_factory=dict)  # by split
    folders: list[Path] = field(default_factory=list)  # all searched folders
    ignored: list[Path] = field(default_factory=list)  # files and folders outside the dataset
    unused: list[Path] = field(default_factory=list)  # folders next to the splits, with class folders


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
    background: str = "white",
    bit_depth: Annotated[int, Int(9, 16)] = 16,
    group: str | None = None,
) -> Dataset:
    """Images in one folder per class, in any common format.

    The folder contains `train` and, optionally, `validation` and `test`, each with one folder per class. Or
    it contains the class folders itself; then zoo cuts a test split from each class. Photographs are rotated
    by their EXIF orientation, and the first frame of an animation is used.

    Args:
        path: the path of the folder, in the working folder or in `$ZOO_DATA_DIR`.
        image_size: scale every image to this size, in pixels: one number for a square, or
            `[height, width]`; the aspect ratio is not kept. Without it, all images must have one size.
        color_mode: convert images to `rgb`, or to `grayscale` with one channel.
        test_fraction: share of each class for the test split, if the folder has no splits.
        seed: selects the test images.
        background: the color behind transparent pixels: a name or `#rrggbb`.
        bit_depth: number of bits that images with more than 8 bits per pixel use: 12 if 4095 is white.
        group: a regular expression for the paths of the images, such as `(person[0-9]+)_`. Images with the
            same text in its parentheses stay in one split when zoo cuts the test split.

    Raises:
        ZooError: images cannot be read (with their names), or the folder has another structure.
    """
    tree = _read_tree(find_path("path", path))
    decoder = ImageDecoder(image_size, color_mode, background, bit_depth)
    return _dataset(tree, decoder, test_fraction, seed, group)


def _dataset(
    tree: _Tree, decoder: ImageDecoder, test_fraction: float, seed: int, group: str | None
) -> Dataset:
    import numpy as np

    images = tree.images
    if not tree.has_splits:
        paths = [str(file.relative_to(tree.root)) for file, _ in images["train"]]
        whole = Split(None, np.array([label for _, label in images["train"]]), names=paths)
        parts_of_test = cut_test(whole, tree.class_names, test_fraction, seed, group)
        splits = zip(("train", "test"), parts_of_test, strict=True)
        images = {name: [images["train"][i] for i in indices] for name, indices in splits if len(indices)}
    files, labels = zip(*(pair for labelled in images.values() for pair in labelled), strict=True)
    file_names = [str(file.relative_to(tree.root)) for file in files]
    pixels = decoder.decode(tree.root, files, file_names)
    bounds = np.cumsum([len(labelled) for labelled in images.values()])[:-1]
    names = np.array(file_names, object)
    whole = Split(pixels, np.array(labels, np.int64), decoder.original_sizes(files), names)
    parts = [whole.take(slice(*ends)) for ends in itertools.pairwise([0, *bounds, len(whole)])]
    splits_by_name: dict[str, Any] = dict(zip(images, parts, strict=True))
    warnings = [_ignored_warning(tree), decoder.warning(tree.root, pixels, files, file_names)]
    return Dataset(
        **splits_by_name,
        class_names=tree.class_names,
        source=tree.root.resolve().name,
        warning=" ".join(filter(None, warnings)),
    )


def _read_tree(root: Path) -> _Tree:
    """Return every image below `root` with its split and label, sorted by path.

    Raises ZooError if the folders have another structure.
    """
    if not root.is_dir():
        raise ZooError(f"{root} is a file; expected the folder that contains the class folders.")
    roots = _split_folders(root)
    has_splits = roots["train"] != root
    class_names = sorted({_class_name(name) for name in _list_folder(roots["train"])[0]}, key=natural_key)
    if len(class_names) < 2:
        found = f"only {class_names[0]}" if class_names else "none"
        nested = None if has_splits else _nested_root(root)
        hint = " If train is a class, rename it." if has_splits else ""
        hint = f' Did you mean path = "{nested}"?' if nested else hint or _no_class_hint(roots["train"])
        raise ZooError(
            f"{roots['train']}: expected at least two class folders with images, got {found}.{hint}",
            fix={"path": str(nested)} if nested else None,
        )
    tree = _Tree(root, has_splits, class_names, folders=[root])
    if has_splits:
        folders, files = _list_folder(root)
        others = [folder for folder in folders.values() if folder not in roots.values()]
        tree.unused = [folder for folder in others if _has_classes(folder, class_names)]
        tree.ignored += [folder for folder in others if folder not in tree.unused] + files
    for split, folder in roots.items():
        tree.images[split] = list(_images_of_split(tree, folder))
    labels = {label for _, label in tree.images["train"]}
    empty = [roots["train"] / name for label, name in enumerate(class_names) if label not in labels]
    empty += [folder for split, folder in roots.items() if not tree.images[split]]
    if empty:
        raise ZooError(f"{empty[0]} contains no images. Put images there, or remove the folder.")
    return tree


def _split_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each split, train first; without splits, `root` itself as train."""
    folders, _ = _list_folder(root)
    named = _named_like_splits(folders)
    if _are_classes(folders, named):
        _check_classes(root, folders)
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


def _named_like_splits(folders: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the folders that are named like each split.

    A split word inside a name, as in `seg_train` and `seg_test`, or `train2017` and `val2017`, counts only if
    training and another split have one such folder each, and these contain folders.
    """

    def matching(pattern: str) -> dict[str, list[str]]:
        return {
            split: [
                name
                for name in folders
                if re.fullmatch(pattern.format("|".join(words)), name.strip(), re.IGNORECASE)
            ]
            for split, words in SPLIT_WORDS.items()
        }

    exact = matching(f"(?:{{}}){SPLIT_SUFFIX}")
    within = matching(r"(?:.*[ _.-])?(?:{})\d*(?:[ _.-].*)?")
    found = [names[0] for names in within.values() if names]
    is_clear = within["train"] and len(found) > 1 and all(len(names) < 2 for names in within.values())
    if any(exact.values()) or not is_clear or not all(_list_folder(folders[name])[0] for name in found):
        return exact
    return within


def _no_class_hint(folder: Path) -> str:
    has_images = any(is_image(file) for file in _list_folder(folder)[1][:5])
    listed = " Or list the images with their labels in a CSV file, for labelled_files." if has_images else ""
    return f" Put the images of each class into a folder of its own, such as {folder / 'cats'}.{listed}"


def _has_classes(folder: Path, class_names: list[str]) -> bool:
    """Return True if the folder has two or more of the class folders."""
    return len({_class_name(name) for name in _list_folder(folder)[0]} & set(class_names)) > 1


def _nested_root(root: Path) -> Path | None:
    """Return the only folder in `root` if it probably contains the class folders."""
    inner = list(_list_folder(root)[0].values())
    return inner[0] if len(inner) == 1 and len(_list_folder(inner[0])[0]) > 1 else None


def _check_classes(root: Path, folders: Mapping[str, Path]) -> None:
    """Raise ZooError if all folders contain the same folders, because they are probably splits."""
    contents = [_list_folder(folder) for folder in folders.values()]
    inner = [{_class_name(name) for name in of_folder} for of_folder, _ in contents]
    has_images = any(is_image(file) for _, files in contents for file in files[:1])
    if len(inner) > 1 and len(inner[0]) > 1 and not has_images and all(names == inner[0] for names in inner):
        classes = ", ".join(sorted(inner[0], key=natural_key)[:5])
        splits = [
            name for names in _named_like_splits(dict.fromkeys(inner[0], root)).values() for name in names
        ]
        if len(splits) == len(inner[0]):
            first = next(iter(folders))
            raise ZooError(
                f"{root}: the class folders {', '.join(list(folders)[:5])} contain the splits ({classes}); "
                f"expected the splits outside, such as {splits[0]}/{first} instead of {first}/{splits[0]}. "
                "Move the folders."
            )
        raise ZooError(
            f"{root}: the folders {', '.join(list(folders)[:5])} contain the same folders ({classes}), "
            "so they are no classes. Rename them to train, validation and test if they are splits; "
            "otherwise put the images of each class into one folder."
        )


def _are_classes(folders: Mapping[str, Path], named: Mapping[str, list[str]]) -> bool:
    """Return True if the folders named like splits are classes, such as `train` next to `car` and `plane`.

    They are classes if there are other folders next to them and no folders inside them.
    """
    split_names = [name for names in named.values() for name in names]
    decisive = named["train"] or split_names
    return len(split_names) < len(folders) and not any(_list_folder(folders[name])[0] for name in decisive)


def _images_of_split(tree: _Tree, folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the images in the class folders of one split; add the other files to `tree.ignored`."""
    class_folders, files = _list_folder(folder)
    tree.folders.append(folder)
    tree.ignored += files
    if files and not class_folders:
        raise ZooError(
            f"{folder} has files, but no class folders as the training split has. Put its images into class "
            "folders, or rename it."
        )
    for name, class_folder in class_folders.items():
        name = _class_name(name)
        if name not in tree.class_names:
            available = ", ".join(tree.class_names)
            raise ZooError(f"{class_folder}: train has no such class. Available: {available}. Rename it.")
        for file in _walk(tree, {tree.root.resolve(), folder.resolve()}, class_folder):
            if is_image(file):
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


def _class_name(folder: str) -> str:
    """Return the name in the Unicode form NFC; macOS writes é as two characters."""
    return unicodedata.normalize("NFC", folder)


def _list_folder(folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """Return the folders by name, and the files in `folder`, sorted, without hidden and system files."""
    folders, files = {}, []
    with os.scandir(folder) as content:
        for one in sorted(content, key=lambda one: one.name):
            if one.name.startswith(".") or one.name.lower() in SYSTEM_FILES:
                continue
            # Path.is_dir is False for a link to itself; that of `one` raises an OSError.
            if Path(one).is_dir() if one.is_symlink() else one.is_dir():
                folders[one.name] = folder / one.name
            else:
                files.append(folder / one.name)
    return folders, files


def _ignored_warning(tree: _Tree) -> str:
    sentences = [_unused_warning(folder) for folder in tree.unused]
    special = [path for path in tree.ignored if not path.is_file() and not path.is_dir() and path.exists()]
    others = [path for path in tree.ignored if path not in special]
    if special:
        sentences.append(f"Not read: {_listed(tree, special)} (pipes, sockets or devices).")
    if others:
        listed = _listed(tree, others)
        sentences.append(f"Ignored in {tree.root}: {listed}. Only images in class folders are used.")
    return " ".join(sentences)


def _listed(tree: _Tree, paths: list[Path]) -> str:
    listed = ", ".join(str(path.relative_to(tree.root)) for path in paths[:3])
    return listed + (f" and {len(paths) - 3:,} more" if len(paths) > 3 else "")


def _unused_warning(folder: Path) -> str:
    count = sum(len(_list_folder(one)[1]) for one in _list_folder(folder)[0].values())
    return (
        f"{folder} ({count_text(count, 'file')}) has the class folders of train, but no name of a split, so "
        "it is not used. If it is a split, rename it to validation or test."
    )
