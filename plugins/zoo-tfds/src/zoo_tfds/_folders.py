"""Where TensorFlow Datasets keeps what it prepared: `PLACE/NAME/VERSION`, or `PLACE/NAME/CONFIGURATION/VERSION`.

Without importing TensorFlow Datasets: zoo asks for the files of a dataset before it loads anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path


def files(*, builder: str, data_dir: str | None, **_: object) -> Iterable[Path]:
    """The files that `zoo_tfds.tfds` reads; where the dataset is not prepared, the folder that lacks."""
    folder = newest(builder, data_dir)
    return sorted(folder.iterdir()) if folder else [folder_of_all(data_dir) / builder]


def folder_of_all(data_dir: str | None) -> Path:
    """As TensorFlow Datasets itself decides it."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def newest(name: str, data_dir: str | None) -> Path | None:
    """The folder of a dataset's newest version, or None where it is not prepared."""
    versions = {_version(folder): folder for folder in _prepared(folder_of_all(data_dir) / name, "*")}
    return versions[max(versions)] if versions else None


def configurations(name: str, data_dir: str | None) -> list[str]:
    """Those of a dataset that are prepared, `NAME/CONFIGURATION`."""
    folders = _prepared(folder_of_all(data_dir) / name, "*/*")
    return sorted({f"{name}/{folder.parent.name}" for folder in folders})


def _prepared(folder: Path, pattern: str) -> list[Path]:
    """The folders of versions that are complete."""
    found = [file.parent for file in folder.glob(f"{pattern}/dataset_info.json")]
    return [one for one in found if re.fullmatch(r"\d+\.\d+\.\d+", one.name)]


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(map(int, folder.name.split(".")))
