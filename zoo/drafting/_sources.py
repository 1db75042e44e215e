"""The dataset that reads a path, and its parameters."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.data import IMAGE_SUFFIXES, SPLIT_WORDS, is_image
from zoo.drafting._listings import column_names, find_listing, has_label
from zoo.errors import ZooError
from zoo.files import is_special

TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq", ".arrow", ".feather")
DATA_SUFFIXES = (*TABLE_SUFFIXES, *PARQUET_SUFFIXES, ".npz", ".npy")
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
SHEET_SUFFIXES = (".xlsx", ".xls", ".ods", ".numbers")
SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx", "@eadir")
OTHER_SPLITS = {split: SPLIT_WORDS[split] for split in ("validation", "test")}
EXPECTED = (
    "expected a folder with a folder of images for each class, a .csv or .tsv file, a .parquet or .arrow "
    "file or folder, a .npz file, or a folder of .npy files."
)


@dataclass(frozen=True)
class Source:
    """A path, the dataset that reads it, its parameters, and sentences about the files that are read."""

    path: str
    dataset: str
    parameters: dict[str, Any]
    notes: tuple[str, ...] = ()


def find_source(path: str) -> Source:
    """Return the source for the file or folder at `path`; raise ZooError if no dataset reads it."""
    found = locate(path)
    shown = str(Path(path))
    if found.is_dir():
        return _folder_source(found, shown)
    suffix = found.with_suffix("").suffix if found.suffix.lower() == ".gz" else found.suffix
    suffix = suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return _table_source(found, shown)
    if suffix in PARQUET_SUFFIXES:
        parameters, notes = _with_other_splits(found, shown, lambda other: True)
        return Source(shown, "parquet_images", parameters, notes)
    if suffix == ".npz":
        return Source(shown, "array_images", {"path": shown})
    if suffix == ".npy":
        folder = str(Path(shown).parent)
        return Source(
            shown, "array_images", {"path": folder}, (f"the arrays in the folder {folder} are used",)
        )
    raise ZooError(f"{shown} {_file_problem(suffix)}")


def locate(path: str) -> Path:
    """Return the file or folder at `path`, in the working folder or in `$ZOO_DATA_DIR`, as datasets do."""
    if not path.strip():
        raise ZooError('the path is "": expected the path of a file or folder.')
    wanted = Path(path).expanduser()
    data = os.environ.get("ZOO_DATA_DIR")
    roots = [Path.cwd()] if wanted.is_absolute() or not data else [Path.cwd(), Path(data).expanduser()]
    try:
        for root in roots:
            found = root / wanted
            if found.is_file() or (found.is_dir() and os.access(found, os.R_OK | os.X_OK)):
                return found
            if found.is_dir():
                raise ZooError(f"{path} cannot be read: Permission denied. Correct its permissions.")
            if found.exists():  # such as a named pipe, which blocks when it is opened
                raise ZooError(f"{path} is neither a file nor a folder; {EXPECTED}")
    except OSError as error:
        raise ZooError(
            f"{path} cannot be read: {error.strerror}. Correct the path, or its permissions."
        ) from None
    places = " or in ".join(map(str, roots))
    raise ZooError(f"there is no file or folder {path} in {places}. Correct the path, or set ZOO_DATA_DIR.")


def _file_problem(suffix: str) -> str:
    """Return the reason why no dataset reads a file with this suffix, and what to do."""
    if suffix == ".toml":
        return "is a study file; expected images. `zoo check` checks a study file, `zoo tune` runs it."
    if suffix in IMAGE_SUFFIXES:
        return "is one image; give its folder, with a folder of images for each class."
    if suffix in SHEET_SUFFIXES:
        return "is a spreadsheet; save it as CSV, and give that file."
    if suffix in ARCHIVE_SUFFIXES:
        return "is an archive; unpack it, and give the folder."
    return f"has the unknown suffix '{suffix}'; {EXPECTED}" if suffix else f"has no suffix; {EXPECTED}"


def _folder_source(folder: Path, shown: str) -> Source:
    folders, files = _content(folder)
    if not folders and not files:
        raise ZooError(f"{shown} is empty; expected a folder of images for each class.")
    if any(file.suffix.lower() == ".npy" for file in files):
        return Source(shown, "array_images", {"path": shown})
    if parameters := _parquet_parameters(folder, shown):
        return Source(shown, "parquet_images", parameters)
    tables = [file for file in files if file.suffix.lower() in TABLE_SUFFIXES[:2]]
    listings = [file for file in tables if has_label(find_listing(file))]
    if listings:
        file = min(listings, key=lambda file: "train" not in file.stem.lower())
        return _table_source(file, str(Path(shown, file.name)))
    if folders:
        return Source(shown, "image_folder", {"path": shown})
    if tables:
        train = _training_table(tables, shown)
        return _table_source(train, str(Path(shown, train.name)))
    num_images = sum(map(is_image, files))
    found = f"images directly in it ({num_images:,})" if num_images else "files, but no images in folders"
    raise ZooError(
        f"{shown} has {found}, so the classes are unknown; expected a sub-folder for each class, or a CSV "
        "file with the columns path and label."
    )


def _training_table(tables: Sequence[Path], shown: str) -> Path:
    """Return the only table, or the only one that is named like a training split."""
    named = [file for file in tables if re.search("train", file.stem, re.IGNORECASE)]
    candidates = tables if len(tables) == 1 else named
    if len(candidates) != 1:
        names = ", ".join(file.name for file in tables[:5])
        raise ZooError(
            f"{shown} has several tables: {names}. Give one of them, such as {shown}/{tables[0].name}."
        )
    return candidates[0]


def _table_source(file: Path, shown: str) -> Source:
    listing = find_listing(file)
    names = column_names(file)
    parameters, notes = _with_other_splits(file, shown, lambda other: column_names(other) == names)
    parameters.pop("validation", None)  # the datasets of CSV files have no such parameter
    if listing is None:
        return Source(shown, "csv_images", parameters, notes)
    if "folder" in listing:
        listing["folder"] = str(Path(shown).parent / listing["folder"])
    return Source(shown, "labelled_files", {**parameters, **listing}, notes)


def _with_other_splits(
    file: Path, shown: str, is_alike: Callable[[Path], bool]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the parameters for a file and the other splits beside it, and a note about each of them.

    The file of another split has the same name with another word: `test.csv` beside `train.csv`.
    `is_alike` decides whether such a file has the same columns.
    """
    parameters, notes = {"train": shown}, []
    for split, words in OTHER_SPLITS.items():
        for word in words:
            name = re.sub("train(ing)?", word, file.name, flags=re.IGNORECASE)
            other = file.with_name(name)
            if name == file.name or not other.is_file() or split in parameters:
                continue
            if is_alike(other):
                parameters[split] = str(Path(shown).with_name(name))
                notes.append(f"{name} beside it is the {split} split")
            else:
                notes.append(f"{name} beside it has other columns and is not used")
    return parameters, tuple(notes)


def _parquet_parameters(folder: Path, shown: str) -> dict[str, Any]:
    """Return the parameters of a folder of Parquet or Arrow files; {} for another folder."""
    folders, files = _content(folder)
    files = _data_files(files)
    if not files:
        inner = {one.name: _data_files(_content(one)[1]) for one in folders}
        if inner.get("train"):  # written by `save_to_disk` of Hugging Face
            return {"train": shown}
        if inner.get("data"):  # the layout of the Hugging Face hub
            return _parquet_parameters(folder / "data", str(Path(shown, "data")))
        return {}
    by_split: dict[str, list[Path]] = {}
    for file in files:
        by_split.setdefault(_split_of(file), []).append(file)
    if len(by_split) == 1:
        return {"train": shown}
    several = [split for split, parts in by_split.items() if len(parts) > 1]
    if several or "train" not in by_split:
        listed = ", ".join(file.name for file in files[:4])
        raise ZooError(
            f"{shown} has the files of several splits: {listed}. Put those of each split into a folder "
            "train, validation or test."
        )
    return {
        split: str(Path(shown, by_split[split][0].name))
        for split in ("train", *OTHER_SPLITS)
        if split in by_split
    }


def _split_of(file: Path) -> str:
    """Return the split that the first word of a file name names; `train` by default."""
    first = re.split(r"[-_. ]", file.name.lower())[0]
    return next((split for split, words in OTHER_SPLITS.items() if first in words), "train")


def _data_files(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if file.suffix.lower() in PARQUET_SUFFIXES]


def _content(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders and the files in a folder, sorted, without hidden and system files."""
    shown = [
        one
        for one in sorted(folder.iterdir())
        if not one.name.startswith(".") and one.name.lower() not in SYSTEM_FILES
    ]
    files = [one for one in shown if not one.is_dir() and not is_special(one)]
    return [one for one in shown if one.is_dir()], files
