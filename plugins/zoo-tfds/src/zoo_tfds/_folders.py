"""The folders of prepared datasets: `DATA_DIR/NAME/VERSION` or `DATA_DIR/NAME/CONFIGURATION/VERSION`.

This module does not import TensorFlow Datasets, because zoo lists the files of a dataset before it reads it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path


def files(*, builder: str, data_dir: str | None, **_: object) -> Iterable[Path]:
    """Return the files that `zoo_tfds.tfds` reads, or the missing folder if the dataset is not prepared."""
    folder = newest(builder, data_dir)
    return sorted(folder.iterdir()) if folder else [folder_of_all(data_dir) / builder]


def folder_of_all(data_dir: str | None) -> Path:
    """Return the folder of all prepared datasets, chosen as TensorFlow Datasets chooses it."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def newest(name: str, data_dir: str | None) -> Path | None:
    """Return the folder of the newest version of a dataset, or None if it is not prepared."""
    versions = {_version(folder): folder for folder in _prepared(folder_of_all(data_dir) / name, "*")}
    return versions[max(versions)] if versions else None


def configurations(name: str, data_dir: str | None) -> list[str]:
    """Return the prepared configurations of a dataset, as `NAME/CONFIGURATION`."""
    folders = _prepared(folder_of_all(data_dir) / name, "*/*")
    return sorted({f"{name}/{folder.parent.name}" for folder in folders})


def _prepared(folder: Path, pattern: str) -> list[Path]:
    """Return the folders of complete versions."""
    found = [file.parent for file in folder.glob(f"{pattern}/dataset_info.json")]
    return [one for one in found if re.fullmatch(r"\d+\.\d+\.\d+", one.name)]


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(map(int, folder.name.split(".")))
