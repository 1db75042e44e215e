"""The cache of prepared datasets: plain `.npy` files, memory-mapped by every trial.

    <cache>/
    ├── lock                          held for the moment in which a folder is moved into its place
    └── <digest>/
        ├── dataset.json              class names, source, warning, size of each file
        ├── train-images.npy, train-labels.npy, test-images.npy …
        ├── split-0.1-0.npz           indices of a validation split: fraction and seed
        ├── read-<fingerprint>.json   source and warning of files that gave this dataset
        └── folds-5-0.npz             which fold validates each image: number of folds and seed

A folder is named by the digest of every byte in it and appears whole or not at all: it is written
beside its place and renamed into it, so that several processes may prepare the same dataset at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.data.reporting import progress
from zoo.data.rows import Rows
from zoo.errors import DataError
from zoo.trial import count_folds

SPLITS = ("train", "validation", "test")

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PreparedDataset:
    """What is known of a dataset once it is in the cache."""

    digest: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    sizes: Mapping[str, int]  # images in each split, after the validation split (the first fold) is cut
    source: str
    warning: str


def digest_of(dataset: Dataset) -> str:
    """SHA-256 of every byte that is kept of every split, of the shapes, and of the class names."""
    digest = hashlib.sha256(json.dumps(list(dataset.class_names)).encode())
    for file, array in progress(_arrays(dataset), "taking the digest of the dataset"):
        digest.update(f"{file} {array.dtype.str} {array.shape}".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()


def save_dataset(cache: Path, dataset: Dataset) -> str:
    """Put `dataset` into the cache, unless it is there whole, and return its digest."""
    digest = digest_of(dataset)
    if _complete(cache / digest):
        return digest
    cache.mkdir(parents=True, exist_ok=True)
    _sweep(cache)
    folder = _temporary(cache)
    folder.mkdir()
    try:
        for file, array in progress(_arrays(dataset), "writing the dataset into the cache"):
            np.save(folder / file, array)
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


def _arrays(dataset: Dataset) -> Iterator[tuple[str, Array]]:
    """What is kept, by file: images as they are, labels as 64-bit integers, little end first."""
    for name in SPLITS:
        split = getattr(dataset, name)
        if split is not None:
            yield f"{name}-images.npy", np.ascontiguousarray(split.images)
            yield f"{name}-labels.npy", np.ascontiguousarray(split.labels, dtype="<i8")


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


def remember(cache: Path, digest: str, fingerprint: str, dataset: Dataset) -> None:
    """Keep that what has this fingerprint gave the dataset of that digest."""
    path = cache / digest / f"read-{fingerprint}.json"
    temporary = _temporary(path.parent)
    temporary.write_text(json.dumps({"source": dataset.source, "warning": dataset.warning}), encoding="utf-8")
    temporary.replace(path)


def recall(cache: Path, fingerprint: str) -> tuple[str, Dataset] | None:
    """Digest and dataset that `remember` was told of, as far as it is still there and whole."""
    for path in cache.glob(f"*/read-{fingerprint}.json"):
        digest = path.parent.name
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            dataset = open_dataset(cache, digest)
            return digest, replace(dataset, source=facts["source"], warning=facts["warning"])
        except (DataError, OSError, ValueError, LookupError, TypeError):
            continue
    return None


def split_for(
    cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any], fold: int = 1
) -> tuple[Split, Split]:
    """Training and validation split: the dataset's own, or cut from its training split.

    Args:
        fold: which one is validated with, the first is 1; the others are trained on.
    """
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    if count_folds(validation) > 1:
        validates = fold_of_images(cache, digest, validation) == fold
        return _subset(dataset.train, ~validates), _subset(dataset.train, validates)
    train, held_out = (_part(cache, digest, dataset, validation, name) for name in ("train", "validation"))
    return train, held_out


def validation_split(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> Split:
    """As `split_for`, for who looks at the validation split alone; of folds, all of them together.

    That is every training image, in the order of the training split: each is validated with once.
    """
    if dataset.validation is not None:
        return dataset.validation
    if count_folds(validation) > 1:
        return dataset.train
    return _part(cache, digest, dataset, validation, "validation")


def fold_of_images(cache: Path, digest: str, validation: Mapping[str, Any]) -> Array:
    """The fold that each training image validates, `(n,)`, from 1; read, not computed."""
    with np.load(_folds_path(cache, digest, validation)) as kept:
        return np.asarray(kept["fold"])


def _part(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any], name: str) -> Split:
    """The images that `cut_validation` put into one part; the indices are read, not computed."""
    with np.load(_indices_path(cache, digest, validation)) as indices:
        chosen = indices[name]
    return _subset(dataset.train, chosen)


def _subset(split: Split, chosen: Array) -> Split:
    """Some of a split; its images stay in the memory map until a batch needs them."""
    return Split(Rows(split.images, chosen), split.labels[chosen])


def cut_validation(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> int:
    """Choose the validation images, stratified by label; returns how many they are.

    Of folds, how many the first one has: no other has more, and none fewer by more than one.

    Raises:
        DataError: too few images for the fraction or the folds asked for, or folds of a dataset that
            brings a validation split of its own.
    """
    folds = count_folds(validation)
    if dataset.validation is not None:
        if folds > 1:
            raise DataError(
                f"[validation] folds = {folds}: this dataset brings a validation split of its own, and its "
                "trials are validated with that; leave out folds."
            )
        return len(dataset.validation)
    if folds > 1:
        return _cut_folds(_folds_path(cache, digest, validation), dataset, folds, validation["seed"])
    path = _indices_path(cache, digest, validation)
    held_out = _count_held_out(path, len(dataset.train))
    if held_out is None:
        train, chosen = _stratified(dataset, validation["fraction"], validation["seed"])
        _keep(path, train=train, validation=chosen)
        held_out = len(chosen)
    return held_out


def _cut_folds(path: Path, dataset: Dataset, folds: int, seed: int) -> int:
    """How many images the first fold has; cut now, unless it was before."""
    try:
        with np.load(path) as kept:
            fold = kept["fold"]
    except Exception:  # not there, or whatever a damaged file makes zipfile and NumPy raise
        fold = np.zeros(0, int)
    if fold.shape != (len(dataset.train),):
        fold = _stratified_folds(dataset, folds, seed)
        _keep(path, fold=fold)
    return int((fold == 1).sum())


def _keep(path: Path, **arrays: Any) -> None:
    """Write `arrays` to `path`, whole or not at all."""
    _sweep(path.parent)
    temporary = _temporary(path.parent)
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _count_held_out(path: Path, images: int) -> int | None:
    """How many images a split that was cut before holds out; None where there is no sound one."""
    try:
        with np.load(path) as indices:
            train, chosen = indices["train"], indices["validation"]
    except Exception:  # whatever a damaged file makes zipfile and NumPy raise
        return None
    return len(chosen) if len(train) + len(chosen) == images else None


def _stratified_folds(dataset: Dataset, folds: int, seed: int) -> Array:
    """The fold that each training image validates, `(n,)`, from 1.

    Every fold has as many images of a class as any other, give or take one, and as many in all.
    """
    labels = np.asarray(dataset.train.labels)
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < folds:
        name, least = dataset.class_names[int(classes[counts.argmin()])], int(counts.min())
        there_are = "is only one training image" if least == 1 else f"are only {least} training images"
        fewer = f"; write folds = {least}{' or fewer' if least > 2 else ''}" if least > 1 else ""
        raise DataError(
            f"[validation] folds = {folds}: of class '{name}' there {there_are}, "
            f"but each fold needs one to validate with{fewer}."
        )
    random = _random_stream(seed)
    # The images of one class after the other, each class in a random order, are dealt out in turn.
    order = np.concatenate([random.permutation(np.flatnonzero(labels == label)) for label in classes])
    fold = np.empty(len(labels), int)
    fold[order] = np.arange(len(labels)) % folds + 1
    return fold


def _random_stream(seed: int) -> np.random.RandomState:
    """A stream that NumPy promises to keep, seeded by a whole number of any size."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))


def _stratified(dataset: Dataset, fraction: float, seed: int) -> tuple[Array, Array]:
    """Indices of the two parts, each in ascending order; `fraction` of every class is held out.

    The shares are rounded so that their sum is as near to `fraction` as it can be (largest remainder)
    and every class is in both parts.
    """
    # scikit-learn has this too, but promises no equal split from one version to the next, and trials
    # of a study that is resumed must not have seen what they are validated on.
    labels = np.asarray(dataset.train.labels)
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        name = dataset.class_names[int(classes[counts.argmin()])]
        raise DataError(
            f"No validation split can be cut from {len(labels)} training images: of class '{name}' there "
            "is only one, but each class needs one to train on and one to validate with."
        )
    exact = counts * fraction
    held = np.floor(exact).astype(int)
    missing = round(fraction * len(labels)) - int(held.sum())
    held[np.argsort(held - exact, kind="stable")[:missing]] += 1
    held = np.clip(held, 1, counts - 1)
    random = _random_stream(seed)
    is_held = np.zeros(len(labels), bool)
    for label, count in zip(classes, held, strict=True):
        is_held[random.permutation(np.flatnonzero(labels == label))[:count]] = True
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def _indices_path(cache: Path, digest: str, validation: Mapping[str, Any]) -> Path:
    return cache / digest / f"split-{float(validation['fraction'])!r}-{validation['seed']}.npz"


def _folds_path(cache: Path, digest: str, validation: Mapping[str, Any]) -> Path:
    return cache / digest / f"folds-{validation['folds']}-{validation['seed']}.npz"


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
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _move_into_place(folder: Path, place: Path) -> None:
    """Give a whole folder its name, unless another process was first; a damaged one makes way."""
    with _lock(place.parent):
        if _complete(place):
            return
        if place.exists():
            place.rename(folder.with_name(folder.name + "-damaged"))
        folder.rename(place)
    shutil.rmtree(folder.with_name(folder.name + "-damaged"), ignore_errors=True)


@contextmanager
def _lock(cache: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it."""
    with (cache / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _flush(folder: Path) -> None:
    """Have the disk hold every byte before the folder gets its name."""
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _temporary(parent: Path) -> Path:
    """A new name beside what is being written; it says which process of which machine writes there."""
    return parent / f".new-{platform.node()}-{os.getpid()}-{uuid.uuid4().hex}"


def _sweep(parent: Path) -> None:
    """Remove what processes of this machine that are gone left half-written."""
    if not Path("/proc/self").exists():
        return
    # The whole name: that of another machine may begin with this one's.
    ours = re.compile(rf"\.new-{re.escape(platform.node())}-(\d+)-[0-9a-f]{{32}}(-damaged)?")
    for path in parent.iterdir():
        owner = ours.fullmatch(path.name)
        if owner and not Path("/proc", owner[1]).exists():
            with suppress(OSError):
                path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
