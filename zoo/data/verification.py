"""The check that the files of a prepared dataset still have the content that was written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.store import crc_of, digest_of, open_dataset, recorded_crcs
from zoo.data.validation import cut_folds, fold_path
from zoo.errors import DataError


def verify_dataset(cache: Path, digest: str, validation: Mapping[str, Any] | None = None) -> None:
    """Raise DataError if the content of a prepared dataset has changed since it was written.

    The SHA-256 of all arrays and class names is compared with `digest`. The validation split or the folds are
    compared with newly computed ones. A changed dataset is not used again: the next command prepares another.
    """
    folder = cache / digest
    dataset = open_dataset(cache, digest)
    if digest_of(dataset) != digest:
        crcs = recorded_crcs(folder)
        changed = sorted(name for name, crc in crcs.items() if crc_of(folder / name) != crc)
        with suppress(OSError):
            (folder / "dataset.json").rename(folder / "dataset.json.damaged")
        raise _changed_error(folder, changed or ["dataset.json" if crcs else "one of its files"])
    if validation and dataset.validation is None:
        _verify_folds(folder, dataset, validation)


def _verify_folds(folder: Path, dataset: Dataset, validation: Mapping[str, Any]) -> None:
    path = fold_path(folder, validation)
    if path.exists():
        with suppress(OSError, ValueError, EOFError):  # `fold_of_images` computes the folds again
            stored = np.load(path)
            if stored.shape == dataset.train.labels.shape and not np.array_equal(
                stored, cut_folds(folder, dataset, validation)
            ):
                path.unlink()
                raise _changed_error(folder, [path.name])


def _changed_error(folder: Path, files: list[str]) -> DataError:
    return DataError(
        f"the prepared dataset in {folder} was changed after it was written ({', '.join(files)}), so no "
        "result on it is recorded. Run the same command again: it prepares the dataset anew."
    )
