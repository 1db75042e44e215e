"""The cache of prepared datasets: plain `.npy` files, memory-mapped by every trial.

    <cache>/
    ├── lock                          held while a folder is renamed
    └── <digest>/
        ├── dataset.json              class names, source, warning, licence, size and CRC-32 of each file
        ├── train-images.npy, train-labels.npy, test-images.npy …
        ├── columns-<digest>.json     names and columns of the images (see `columns`)
        ├── groups-<digest>.json      groups of the images (see `groups`)
        ├── split-0.1-0.npy           validation images for this fraction and seed (see `validation`)
        ├── folds-5-0.npy             fold of each image for this number of folds and seed
        ├── folds-5-0-<digest>.npy    the same, without a divided group
        └── read-<fingerprint>.json   source, warning, licence; read from files with this fingerprint

A folder appears whole or not at all: it is written under a temporary name and then renamed. Several
processes can therefore prepare the same dataset at once.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from zoo.data.columns import add_columns, write_columns
from zoo.data.dataset import SPLITS, Dataset, Split
from zoo.data.reporting import notice, progress
from zoo.data.split_facts import SplitFacts
from zoo.disk_space import keep_trying
from zoo.errors import DataError
from zoo.failpoints import failpoint
from zoo.files import flush_to_disk, remove_leftovers, temporary_folder, write_atomically
from zoo.process import sign_of_life

BLOCK_SIZE = 2**20  # bytes of an array that are hashed or written at once; Linux writes larger blocks slowly
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PreparedDataset:
    """The facts about a dataset in the cache."""

    digest: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    sizes: Mapping[str, int]  # number of images by split; with folds, the first fold is the validation split
    source: str
    warning: str
    validation: Mapping[str, Any] = field(default_factory=dict)  # has `group_digest` if there are groups
    splits: Mapping[str, SplitFacts] = field(default_factory=dict)


def digest_of(dataset: Dataset) -> str:
    """Return the SHA-256 of the arrays of every split, their shapes, and the class names."""
    digest = hashlib.sha256(json.dumps(list(dataset.class_names)).encode())
    for file, array, dtype in progress(_arrays(dataset), "computing the digest of the dataset"):
        digest.update(f"{file} {dtype.str} {array.shape}".encode())
        for block in _blocks(array, dtype):
            digest.update(block.data)
    return digest.hexdigest()


def save_dataset(cache: Path, dataset: Dataset, digest: str | None = None) -> str:
    """Write `dataset` into the cache, or only its changed facts if the cache has it; return the digest.

    `digest` is that of the dataset, if the caller has computed it.
    """
    digest = digest or digest_of(dataset)
    target = cache / digest
    if (facts := _facts(target)) is not None:
        if (new := {**facts, **_origin(dataset), "columns": write_columns(target, dataset)}) != facts:
            write_atomically(target / "dataset.json", json.dumps(new, indent=1))
        return digest
    cache.mkdir(parents=True, exist_ok=True)
    remove_leftovers(cache)
    size = sum(array.size * dtype.itemsize for _, array, dtype in _arrays(dataset))
    keep_trying(lambda: _write_and_place(dataset, target), target, notice, needed=size, alive=sign_of_life)
    return digest


def _write_and_place(dataset: Dataset, target: Path) -> None:
    """Write a dataset in a temporary folder, then make it the folder `target` of the cache."""
    cache = target.parent
    with temporary_folder(cache) as folder:
        _write(folder, dataset)
        failpoint("dataset.written")
        with FileLock(cache / "lock"):
            # Another process may have written the folder. A damaged folder is replaced.
            if _facts(target) is None:
                shutil.rmtree(target, ignore_errors=True)
                folder.rename(target)


def open_dataset(cache: Path, digest: str) -> Dataset:
    """Return this dataset, memory-mapped and read-only; raise DataError if it is missing or damaged."""
    folder = cache / digest
    facts = _facts(folder)
    if facts is None:
        raise DataError(
            f"the prepared dataset {digest[:12]} is missing or damaged in {cache}. "
            "Run the study again to prepare it."
        )
    splits: dict[str, Any] = {
        name: Split(
            np.load(folder / f"{name}-images.npy", mmap_mode="r"), np.load(folder / f"{name}-labels.npy")
        )
        for name in SPLITS
        if f"{name}-images.npy" in facts["bytes"]
    }
    return Dataset(
        class_names=tuple(facts["class_names"]),
        source=facts["source"],
        warning=facts["warning"],
        licence=facts.get("licence", ""),
        **splits,
    )


def record_fingerprint(cache: Path, digest: str, fingerprint: str, dataset: Dataset) -> None:
    """Record that the dataset with this digest was read from files with this fingerprint."""
    folder = cache / digest
    facts = {**_origin(dataset), "columns": write_columns(folder, dataset)}
    write_atomically(folder / f"read-{fingerprint}.json", json.dumps(facts))


def find_dataset(cache: Path, fingerprint: str) -> tuple[str, Dataset] | None:
    """Return digest and dataset (with names and columns) that were read from files with this fingerprint.

    Returns None if there is no such record, if an older version of zoo wrote the record, or if the record or
    the dataset is damaged.
    """
    for path in cache.glob(f"*/read-{fingerprint}.json"):
        digest = path.parent.name
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            dataset = add_columns(path.parent, facts["columns"], open_dataset(cache, digest))
            licence = facts.get("licence", "")
            return digest, replace(dataset, source=facts["source"], warning=facts["warning"], licence=licence)
        except (DataError, OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
            continue
    return None


def _arrays(dataset: Dataset) -> Iterator[tuple[str, Array, np.dtype[Any]]]:
    """Yield file name, array and stored type of all images and labels.

    Labels are stored as little-endian 64-bit integers.
    """
    for name, split in dataset.splits().items():
        images, labels = np.asarray(split.images), np.asarray(split.labels)
        yield f"{name}-images.npy", images, images.dtype
        yield f"{name}-labels.npy", labels, np.dtype("<i8")


def _blocks(array: Array, dtype: np.dtype[Any]) -> Iterator[Array]:
    """Yield the rows of `array` in contiguous blocks; an array with another layout is not copied whole."""
    count = max(1, BLOCK_SIZE // max(1, array[:1].nbytes))
    for start in range(0, len(array) if array.size else 0, count):
        yield np.ascontiguousarray(array[start : start + count], dtype)


def _write(folder: Path, dataset: Dataset) -> None:
    crcs = {}
    for file, array, dtype in progress(_arrays(dataset), "writing the dataset into the cache"):
        crcs[file] = _write_array(folder / file, array, dtype)
    facts = {
        "class_names": list(dataset.class_names),
        **_origin(dataset),
        "columns": write_columns(folder, dataset),
        "bytes": {path.name: path.stat().st_size for path in sorted(folder.glob("*.npy"))},
        "crc32": dict(sorted(crcs.items())),
    }
    (folder / "dataset.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        flush_to_disk(path)


def _write_array(path: Path, array: Array, dtype: np.dtype[Any]) -> str:
    """Write an array as `numpy.save` does, without a copy of the whole array; return the file's CRC-32."""
    header = io.BytesIO()
    facts = {"descr": dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(header, facts)
    with path.open("wb") as stream:
        stream.write(header.getvalue())
        crc = zlib.crc32(header.getvalue())
        for block in _blocks(array, dtype):
            stream.write(block.data)
            crc = zlib.crc32(block.data, crc)
    return f"{crc:08x}"


def crc_of(path: Path) -> str:
    """Return the CRC-32 of a file, as eight hexadecimal digits."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_SIZE):
            crc = zlib.crc32(block, crc)
    return f"{crc:08x}"


def recorded_crcs(folder: Path) -> dict[str, str]:
    """Return the recorded CRC-32 of each array file; {} if an older version of zoo wrote it."""
    return dict((_facts(folder) or {}).get("crc32", {}))


def _origin(dataset: Dataset) -> dict[str, str]:
    """Return the facts that are not part of the digest."""
    return {"source": dataset.source, "warning": dataset.warning, "licence": dataset.licence}


def with_columns(cache: Path, digest: str, dataset: Dataset) -> Dataset:
    """Return a dataset from `open_dataset` with names and columns of its newest source, if there are any."""
    folder = cache / digest
    try:
        return add_columns(folder, (_facts(folder) or {})["columns"], dataset)
    except (OSError, ValueError, RecursionError, LookupError):  # damaged, or from an older version of zoo
        return dataset


def image_names(cache: Path, digest: str, split: str) -> list[str]:
    """Return the names of a split's images, such as their files; [] if they have none."""
    found = getattr(with_columns(cache, digest, open_dataset(cache, digest)), split)
    return [] if found is None or found.names is None else list(found.names)


def _facts(folder: Path) -> dict[str, Any] | None:
    """Return the content of `dataset.json`; None if a file is missing or its size is not as recorded."""
    try:
        facts: dict[str, Any] = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        sizes = facts["bytes"].items()
        return facts if all((folder / name).stat().st_size == size for name, size in sizes) else None
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None
