"""The cache of prepared datasets: plain `.npy` files, memory-mapped by every trial.

    <cache>/<digest>/
    ├── dataset.json                  class names, source, warning, shapes; written last
    ├── train-images.npy, train-labels.npy, test-images.npy …
    └── split-0.1-0.npz               indices of a validation split: fraction and seed

A folder is named by the digest of every byte in it and appears whole or not at all: it is written
beside its place and renamed into it, so that several processes may prepare the same dataset at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.errors import DataError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Prepared:
    """What is known of a dataset once it is in the cache."""

    digest: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    sizes: Mapping[str, int]  # images in each split, after the validation split is cut
    source: str
    warning: str


def digest_of(dataset: Dataset) -> str:
    """SHA-256 of every byte of every split, their shapes and types, and the class names."""
    digest = hashlib.sha256(json.dumps(list(dataset.class_names)).encode())
    for name in SPLITS:
        split = getattr(dataset, name)
        if split is None:
            continue
        for part, array in (("images", split.images), ("labels", split.labels)):
            array = np.ascontiguousarray(array)
            digest.update(f"{name} {part} {array.dtype.str} {array.shape}".encode())
            digest.update(array.data if array.size else b"")
    return digest.hexdigest()


def save_dataset(cache: Path, dataset: Dataset) -> str:
    """Put `dataset` into the cache, unless it is there, and return its digest."""
    digest = digest_of(dataset)
    if _complete(cache / digest):
        return digest
    cache.mkdir(parents=True, exist_ok=True)
    _sweep(cache)
    folder = Path(tempfile.mkdtemp(prefix=f".new-{os.getpid()}-", dir=cache))
    try:
        for name in SPLITS:
            split = getattr(dataset, name)
            if split is not None:
                np.save(folder / f"{name}-images.npy", np.ascontiguousarray(split.images))
                np.save(folder / f"{name}-labels.npy", np.asarray(split.labels, dtype=np.int64))
        facts = {
            "class_names": list(dataset.class_names),
            "source": dataset.source,
            "warning": dataset.warning,
            "bytes": {path.name: path.stat().st_size for path in sorted(folder.glob("*.npy"))},
        }
        (folder / "dataset.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        _flush(folder)
        _move_into_place(folder, cache / digest)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return digest


def open_dataset(cache: Path, digest: str) -> Dataset:
    """The dataset of that digest, its images memory-mapped and read-only.

    Raises:
        DataError: it is not in the cache.
    """
    folder = cache / digest
    if not _complete(folder):
        raise DataError(
            f"There is no prepared dataset {digest[:12]} in {cache}; run the study again to prepare it."
        )
    facts = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    splits: dict[str, Any] = {name: _open_split(folder, name) for name in SPLITS}
    return Dataset(
        class_names=tuple(facts["class_names"]), source=facts["source"], warning=facts["warning"], **splits
    )


def split_for(
    cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]
) -> tuple[Split, Split]:
    """Training and validation split: the dataset's own, or cut from its training split."""
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    train, held_out = (_part(cache, digest, dataset, validation, name) for name in ("train", "validation"))
    return train, held_out


def validation_split(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> Split:
    """As `split_for`, for who looks at the validation split alone."""
    if dataset.validation is not None:
        return dataset.validation
    return _part(cache, digest, dataset, validation, "validation")


def _part(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any], name: str) -> Split:
    """The images that `cut_validation` put into one part; the indices are read, not computed."""
    with np.load(_indices_path(cache, digest, validation)) as indices:
        chosen = indices[name]
    return Split(dataset.train.images[chosen], dataset.train.labels[chosen])


def cut_validation(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> int:
    """Choose the validation images, stratified by label; returns how many they are.

    Raises:
        DataError: too few images for the fraction asked for.
    """
    if dataset.validation is not None:
        return len(dataset.validation)
    path = _indices_path(cache, digest, validation)
    if not path.exists():
        train, held_out = _stratified(dataset.train.labels, validation["fraction"], validation["seed"])
        handle, temporary = tempfile.mkstemp(prefix=".new-", suffix=".npz", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            np.savez(file, train=np.sort(train), validation=np.sort(held_out))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    with np.load(path) as indices:
        return len(indices["validation"])


def _stratified(labels: Any, fraction: float, seed: int) -> tuple[Any, Any]:
    from sklearn.model_selection import train_test_split

    try:
        train, held_out = train_test_split(
            np.arange(len(labels)), test_size=fraction, random_state=seed, stratify=np.asarray(labels)
        )
    except ValueError as error:
        raise DataError(
            f"A validation split of {fraction:g} cannot be cut from {len(labels)} training images: {error}"
        ) from None
    return train, held_out


def _indices_path(cache: Path, digest: str, validation: Mapping[str, Any]) -> Path:
    return cache / digest / f"split-{validation['fraction']:g}-{validation['seed']}.npz"


def _open_split(folder: Path, name: str) -> Split | None:
    if not (folder / f"{name}-images.npy").exists():
        return None
    images = np.load(folder / f"{name}-images.npy", mmap_mode="r")
    return Split(images, np.load(folder / f"{name}-labels.npy"))


def _complete(folder: Path) -> bool:
    """Whether the folder is there with every file as long as it was written."""
    try:
        facts = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in facts["bytes"].items())
    except (OSError, ValueError, KeyError):
        return False


def _move_into_place(folder: Path, place: Path) -> None:
    try:
        folder.rename(place)
    except OSError:
        if _complete(place):  # another process was first
            return
        broken = folder.with_name(folder.name + "-broken")
        with suppress(OSError):
            place.rename(broken)
        shutil.rmtree(broken, ignore_errors=True)
        folder.rename(place)


def _flush(folder: Path) -> None:
    """Have the disk hold every byte before the folder gets its name."""
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sweep(cache: Path) -> None:
    """Remove what processes that are gone left half-written."""
    for folder in cache.glob(".new-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
